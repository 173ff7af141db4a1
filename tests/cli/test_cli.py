"""The command line as a person meets it: help, errors, and the three commands of the main job on small videos."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from interlace.cli import VERBS, main
from interlace.cli.parser import nearest, protect_file_names
from interlace.cli.train import read_config


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Two classes of six clips: long and short ones."""
    root = tmp_path_factory.mktemp("clips")
    for name, frames in (("long", 20), ("short", 9)):
        for number in range(6):
            make_video(root / name / f"{number}.mp4", num_frames=frames + number)
    return root


@pytest.fixture(scope="module")
def trained(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that `interlace train` wrote."""
    output = tmp_path_factory.mktemp("run") / "tin"
    options = [
        "--model",
        "tin_resnet10t",
        "--pretrained",
        "false",
        "--num_segments",
        "4",
        "--image_size",
        "32",
    ]
    options += ["--epochs", "1", "--batch_size", "4", "--trainer.num_workers", "0", "--output", str(output)]
    assert main(["train", str(clips), *options]) == 0
    return output / "best.safetensors"


@pytest.mark.parametrize("verb", VERBS)
def test_help_explains_every_option(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([verb, "--help"])
    assert leaving.value.code == 0
    text = capsys.readouterr().out
    assert f"interlace {verb}" in text
    options = [line for line in text.split("options:")[1].splitlines() if line.startswith("  --")]
    unexplained = {
        line.split()[0] for line in options if len(line.split()) == 2 and line.split()[1].isupper()
    }
    lines = text.splitlines()
    for option in unexplained:  # the sentence stands on the next line
        position = next(i for i, line in enumerate(lines) if line.startswith(f"  {option} "))
        assert lines[position + 1].startswith("        "), option


def test_overview_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    assert [verb for verb in VERBS if f"  {verb} " not in text] == []


def test_unknown_verb_gives_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert "did you mean 'train'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "meant"),
    [("--epoch", "epochs"), ("--optim.momentun", "optim.momentum"), ("--num_segment", "num_segments")],
)
def test_unknown_option_gives_the_nearest(given: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["train", "somewhere", given, "3"])
    assert leaving.value.code == 2
    assert f"did you mean {meant!r}" in capsys.readouterr().err


def test_unknown_key_of_a_config_file_gives_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("optim:\n  weight_decy: 0.1\n")
    with pytest.raises(SystemExit):
        main(["train", "somewhere", "--config", str(file)])
    assert "did you mean 'weight_decay'" in capsys.readouterr().err


def test_options_beat_the_file_which_beats_the_recipe(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("epochs: 7\noptim:\n  momentum: 0.8\n")
    arguments = ["clips", "--recipe", "tsm_kinetics400", "--config", str(file), "--optim.momentum", "0.7"]
    config = read_config(arguments)
    assert (config.epochs, config.optim.momentum) == (7, 0.7)
    assert config.optim.weight_decay == 1e-4  # of the recipe
    assert config.optim.step_epochs == (20, 40)


def test_a_file_name_that_starts_with_a_dash_is_no_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-clip-.mp4").touch()
    assert protect_file_names(["-clip-.mp4", "--top_k", "3"]) == ["./-clip-.mp4", "--top_k", "3"]


def test_nearest_says_nothing_where_nothing_is_near() -> None:
    assert nearest("zzz", ["epochs", "lr"]) == ""


def test_a_wrong_folder_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nowhere"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: nowhere")
    assert len(error.splitlines()) == 1


def test_train_then_evaluate_the_clips_it_held_out(
    clips: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(clips), "--model", str(trained), "--output", str(tmp_path / "report")]) == 0
    assert "2 clips, 2 classes" in capsys.readouterr().out  # a fifth of each class
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["protocol"] == "1clip-center"
    assert metrics["num_clips"] == 2
    assert metrics["metrics"]["top1"] in (0.0, 50.0, 100.0)
    assert metrics["metrics"]["top5"] == 100.0


def test_predict_writes_what_it_read_and_lists_what_it_could_not(
    clips: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")
    output = tmp_path / "predictions.csv"
    arguments = [
        "predict",
        str(clips / "long"),
        str(broken),
        "--model",
        str(trained),
        "--output",
        str(output),
    ]
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert "no prediction for 1 of the videos" in captured.err
    assert str(broken) in captured.out
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {Path(row["path"]).name for row in rows if row["label"]} == {
        f"{number}.mp4" for number in range(6)
    }


def test_check_says_with_its_status_whether_training_would_fail(clips: Path, tmp_path: Path) -> None:
    report = tmp_path / "check.json"
    assert main(["check", str(clips), "--num_workers", "1", "--json", str(report)]) == 0
    assert json.loads(report.read_text())["num_clips"] == 12
    bad = tmp_path / "bad"
    (bad / "empty").mkdir(parents=True)
    (bad / "empty" / "zero.mp4").touch()
    assert main(["check", str(bad), "--num_workers", "1"]) == 1


def test_models_lists_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "*_resnet50"]) == 0
    assert capsys.readouterr().out.split() == ["tin_resnet50", "tsm_resnet50", "tsn_resnet50"]
    assert main(["models", "nothing*"]) == 1


def test_the_installed_command_answers_quickly_without_torch() -> None:
    code = "import sys; from interlace.cli import main; main([]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
