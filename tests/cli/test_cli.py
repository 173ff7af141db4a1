"""The command line as a person meets it: help, errors, and the three commands of the main job on small videos."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from interlace.checkpoints import load_checkpoint, save_checkpoint
from interlace.cli import VERBS, main
from interlace.cli.av import VERBS as AV_VERBS
from interlace.cli.data import evaluation_clips
from interlace.cli.parser import (
    in_options,
    nearest,
    new_parser,
    protect_file_names,
    with_switches,
    with_underscores,
)
from interlace.cli.train import read_config
from interlace.data.annotations import FORMATS
from interlace.data.splits import read_splits
from interlace.inference import load
from interlace.training.parts import make_card


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Two classes of six clips: long and short ones."""
    root = tmp_path_factory.mktemp("clips")
    for name, frames in (("long", 20), ("short", 9)):
        for number in range(6):
            make_video(root / name / f"{number}.mp4", num_frames=frames + number)
    return root


def _train(data: Path, output: Path, *more: str) -> Path:
    options = [
        "--model",
        "tin_test_resnet",
        "--pretrained",
        "false",
        "--num_segments",
        "4",
        "--image-size",
        "32",
    ]
    options += ["--epochs=1", "--batch-size=4", "--trainer.num-workers", "0", "--output", str(output), *more]
    assert main(["train", str(data), *options]) == 0
    return output / "best.safetensors"


@pytest.fixture(scope="module")
def trained(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that `interlace train` wrote."""
    return _train(clips, tmp_path_factory.mktemp("run") / "tin")


COMMANDS = [*(verb for verb in VERBS if verb != "av"), *(f"av {verb}" for verb in AV_VERBS)]


@pytest.mark.parametrize("verb", COMMANDS)
def test_help_explains_every_option(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([*verb.split(), "--help"])
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


def test_a_recipe_may_stand_in_the_config_file(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("recipe: tsm_kinetics400\nepochs: 7\n")
    config = read_config(["clips", "--config", str(file)])
    assert (config.epochs, config.optim.step_epochs, config.optim.weight_decay) == (7, (20, 40), 1e-4)


def test_dashes_stand_for_underscores_in_options_only() -> None:
    parser = new_parser("predict", "")
    parser.add_argument("--top_k", type=int)
    parser.add_argument("--labels", type=str)
    given = ["top-k", "--top-k", "2", "--top-k=a-b", "--labels", "labels", "--no-such"]
    meant = ["top-k", "--top_k", "2", "--top_k=a-b", "--labels", "labels", "--no-such"]
    assert with_underscores(given, parser) == meant


def test_a_switch_needs_no_value() -> None:
    parser = new_parser("x", "")
    parser.add_argument("--deep.new_net", type=bool)
    parser.add_argument("--fast", type=bool)
    parser.add_argument("--name", type=str)
    given = ["--fast", "--name", "--no-name", "--fast", "false", "--no-fast", "--no-deep.new-net", "a"]
    meant = [
        "--fast=true",
        "--name",
        "--no-name",
        "--fast",
        "false",
        "--fast=false",
        "--deep.new_net=false",
        "a",
    ]
    assert with_switches(given, parser) == meant


def test_dashes_are_taken_by_every_verb(tmp_path: Path) -> None:
    arguments = ["--clips-per-class", "1", "--val-clips-per-class=1", "--size", "32"]
    assert main(["render", str(tmp_path / "data"), *arguments]) == 0
    assert len(list((tmp_path / "data").rglob("*.mp4"))) == 20


@pytest.mark.parametrize("verb", ["train", "evaluate", "check"])
def test_help_names_the_formats(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    text = capsys.readouterr().out
    assert [name for name in FORMATS if name not in text] == []


def test_errors_speak_of_options() -> None:
    assert in_options("named like frame_template='a{}.jpg'") == "named like --frames 'a{}.jpg'"
    assert in_options("say which by frame_template, or") == "say which by --frames, or"
    assert in_options('read with on_error="skip" to') == "read with --on_error skip to"
    assert in_options("modality='rgb_flow' is for") == "--modality rgb_flow is for"
    assert in_options("or allow it to be overwritten (overwrite)") == "or replace it with --overwrite"


def test_a_closed_pipe_is_no_error_and_debug_shows_the_traceback(tmp_path: Path) -> None:
    code = "import sys; from interlace.cli import main; sys.exit(main(sys.argv[1:]))"
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", code]
    piped = subprocess.run([*command, "models"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (piped.returncode, piped.stderr) == (141, b"")
    environment = {**os.environ, "INTERLACE_DEBUG": "1"}
    failed = subprocess.run(
        [*command, "models", "nothing*"], env=environment, capture_output=True, check=False
    )
    assert b"Traceback" in failed.stderr
    assert b"no network matches" in failed.stderr


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
    with (tmp_path / "report" / "predictions.csv").open(newline="") as file:
        scored = [Path(row["path"]) for row in csv.DictReader(file)]
    recognizer = load(trained, device="cpu")
    right = [recognizer(path).label == path.parent.name for path in scored]
    assert metrics["metrics"]["top1"] == 50.0 * sum(right)
    assert metrics["metrics"]["top5"] == 100.0
    assert metrics["num_trained_on"] == 0


def test_a_copied_folder_with_new_clips_is_scored_without_those_trained_on(
    clips: Path, trained: Path, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    _, card = load_checkpoint(trained)
    before = {sample.path.relative_to(clips) for sample in evaluation_clips(clips, None, card=card).samples}
    copied = tmp_path / "elsewhere" / "copied"
    shutil.copytree(clips, copied)
    make_video(copied / "short" / "new.mp4", num_frames=7)
    after = {sample.path.relative_to(copied) for sample in evaluation_clips(copied, None, card=card).samples}
    assert after == before | {Path("short/new.mp4")}
    assert len(before) == 2


def test_clips_that_were_trained_on_are_counted_and_said(
    clips: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(clips, copied)
    everything = tmp_path / "all.csv"
    paths = sorted(path.relative_to(copied) for path in copied.rglob("*.mp4"))
    everything.write_text("path,label\n" + "".join(f"{copied / path},{path.parent}\n" for path in paths))
    model = ["--model", str(trained), "--num_workers", "0", "--output", str(tmp_path / "report")]
    assert main(["evaluate", str(copied), "--annotations", str(everything), *model]) == 0
    told = "10 of 12 clips were trained on: the numbers say nothing about new clips"
    assert f"warning: {told}\n" in capsys.readouterr().err
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["num_trained_on"] == 10
    assert told in metrics["notes"]


def test_the_clips_of_one_fold_were_trained_on_in_another(
    clips: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = {sample.path for sample in evaluation_clips(clips, None, card=load_checkpoint(trained)[1]).samples}
    paths = sorted(clips.rglob("*.mp4"))
    other = {paths[0], paths[-1]} if held.isdisjoint({paths[0], paths[-1]}) else {paths[1], paths[-2]}
    for name, chosen in (("train", set(paths) - other), ("val", other)):
        lines = [f"{path},{path.parent.name}\n" for path in sorted(chosen)]
        (tmp_path / f"{name}.csv").write_text("path,label\n" + "".join(lines))
    lists = [f"--{name}={tmp_path / name}.csv" for name in ("train", "val")]
    second = _train(clips, tmp_path / "second", *lists)
    _, card = load_checkpoint(second)
    assert {sample.path for sample in evaluation_clips(clips, None, card=card).samples} == other
    capsys.readouterr()
    models = [
        "--model",
        str(trained),
        str(second),
        "--num_workers",
        "0",
        "--output",
        str(tmp_path / "report"),
    ]
    assert main(["evaluate", str(clips), *models]) == 0
    fresh = len(held & other)
    assert f"warning: {2 - fresh} of 2 clips were trained on" in capsys.readouterr().err


def test_a_card_without_a_split_and_given_formats_are_read(clips: Path, trained: Path) -> None:
    card = load_checkpoint(trained)[1]
    bare = replace(card, training={"data": str(clips.resolve())})
    assert len(evaluation_clips(clips, None, card=bare)) == 12
    with pytest.raises(ValueError, match="format"):
        evaluation_clips(clips, None, card=card, format="nonsense")


def test_lists_are_stored_as_whole_paths(
    clips: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, card = load_checkpoint(trained)
    monkeypatch.chdir(tmp_path)
    lines = [f"{path},{path.parent.name}\n" for path in sorted(clips.rglob("*.mp4"))]
    Path("list.csv").write_text("path,label\n" + "".join(lines))
    config = read_config([str(clips), "--train", "list.csv"])
    train_set = read_splits(clips, Path("list.csv"))[0]
    stored = make_card(config, model, train_set, "random").training
    assert stored["split"]["train"] == str((tmp_path / "list.csv").resolve())
    assert stored["clips"] == card.training["clips"]


def test_skipped_clips_of_a_list_are_listed(
    clips: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "list.csv"
    file.write_text("path,label\nlong/0.mp4,long\nlong/absent.mp4,long\n")
    options = ["--annotations", str(file), "--model", str(trained), "--num_workers", "0"]
    options += ["--output", str(tmp_path / "report")]
    assert main(["evaluate", str(clips), *options]) == 1
    capsys.readouterr()
    assert main(["evaluate", str(clips), *options, "--on-error", "skip"]) == 0
    assert "absent.mp4: it is not on disk" in capsys.readouterr().out
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["num_skipped"] == 1


def test_another_number_of_segments_is_recorded(clips: Path, trained: Path, tmp_path: Path) -> None:
    options = [
        "--model",
        str(trained),
        "--num-segments",
        "6",
        "--num_workers",
        "0",
        "--output",
        str(tmp_path),
    ]
    assert main(["evaluate", str(clips), *options]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["checkpoints"][0]["num_segments"] == metrics["views"]["num_segments"] == 6
    assert any("trained on 4 frames a clip, sees 6 here; its" in note for note in metrics["notes"])
    recognizer = load(trained, device="cpu", num_segments=6)
    assert (recognizer.model.num_segments, recognizer.sampling.num_segments) == (6, 6)


def test_a_diverged_network_is_an_error_that_names_the_checkpoint(
    clips: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, card = load_checkpoint(trained)
    with torch.no_grad():
        model.head.weight.fill_(float("nan"))
    broken = save_checkpoint(tmp_path / "broken.safetensors", model, card)
    assert main(["predict", str(clips / "long" / "0.mp4"), "--model", str(broken)]) == 1
    text = capsys.readouterr().out
    assert f"{broken}: the network gives numbers that are not finite" in text
    assert "nan%" not in text


def test_the_template_of_training_is_used_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two series of the same length in each folder: without the template no clip can be read."""
    for name, level in (("dark", 30), ("light", 200)):
        for clip in range(3):
            folder = tmp_path / "clips" / name / str(clip)
            folder.mkdir(parents=True)
            for number in range(1, 7):
                for prefix in ("img", "flow"):
                    picture = Image.new("RGB", (44, 36), (level, 10 * number, clip))
                    picture.save(folder / f"{prefix}_{number:05d}.jpg")
    template = "img_{:05d}.jpg"
    model = _train(tmp_path / "clips", tmp_path / "run", "--frames", template)
    assert load(model, device="cpu").frame_template == template
    arguments = [str(tmp_path / "clips"), "--model", str(model)]
    assert main(["evaluate", *arguments, "--num-workers", "0"]) == 0
    assert main(["predict", *arguments, "--top-k", "2"]) == 0
    capsys.readouterr()
    assert main(["predict", *arguments, "--frames", "pic_{:05d}.jpg"]) == 1
    assert "no picture is named like --frames 'pic_{:05d}.jpg'" in capsys.readouterr().out


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
    assert "no prediction for 1 of 7 videos" in captured.err
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
    assert main(["models", "--names", "t?n_resnet50"]) == 0
    assert capsys.readouterr().out.split() == ["tsn_resnet50", "tin_resnet50", "trn_resnet50", "tcn_resnet50"]
    assert main(["models", "nothing*"]) == 1


def test_the_installed_command_answers_quickly_without_torch() -> None:
    code = "import sys; from interlace.cli import main; main([]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.mark.real_data
def test_decoders_print_nothing_of_their_own(
    data_dir: Path, trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(data_dir / "odd_videos"), "--model", str(trained)]) == 1
    assert capfd.readouterr().err == "error: no prediction for 3 of 28 videos (listed above)\n"
