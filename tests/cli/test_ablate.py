from __future__ import annotations

import json

import pytest

from interlace.cli import main
from interlace.cli.ablate import ROWS, read_arguments
from interlace.data.render import render
from interlace.training.config import OptimConfig, TrainConfig


def test_one_command_trains_and_tabulates(tmp_path, capsys):
    data = render(tmp_path / "data", clips_per_class=1, val_clips_per_class=1, size=32)
    options = [
        "--model",
        "tin_test_resnet",
        "--pretrained",
        "false",
        "--num-segments",
        "4",
        "--image-size",
        "32",
    ]
    options += ["--epochs", "1", "--trainer.num-workers", "0", "--output", str(tmp_path / "ablation")]
    assert main(["ablate", str(data), "--rows", "2-mirrored", "1", "--seeds", "7", *options]) == 0
    said = capsys.readouterr().out
    assert "run 1 of 2: 2 groups, mirrored, seed 7" in said
    assert "run 2 of 2: 1 group, seed 7" in said
    numbers = json.loads((tmp_path / "ablation" / "results.json").read_text())
    assert [(row["num_groups"], row["mirrored"]) for row in numbers["rows"]] == [(2, True), (1, False)]
    for row, name in zip(numbers["rows"], ("2-mirrored", "1"), strict=True):
        report = json.loads(
            (tmp_path / "ablation" / name / "seed7" / "evaluation" / "metrics.json").read_text()
        )
        assert row["by_seed"] == {"7": report["metrics"]}
        assert report["num_clips"] == 10
    assert f"table:   {tmp_path / 'ablation' / 'results.md'}" in said
    assert (tmp_path / "ablation" / "results.md").read_text().count("\n| ") == 3 + 1  # head, rule, two rows


def test_the_defaults_are_the_rows_of_the_paper():
    values = read_arguments(["clips"])
    assert (values.pop("rows"), values.pop("seeds")) == (ROWS, ["0", "1", "2"])
    config = TrainConfig(**values)
    assert (config.model, str(config.output)) == ("tin_resnet18", "runs/ablation")
    assert config.optim == OptimConfig()


def test_options_of_training_and_a_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("rows: [2, 4-mirrored]\nseeds: [8]\nepochs: 7\noptim:\n  momentum: 0.8\n")
    values = read_arguments(["clips", "--config", str(file), "--optim.momentum", "0.7"])
    assert (values["rows"], values["seeds"], values["epochs"]) == (["2", "4-mirrored"], ["8"], 7)
    assert values["optim"].momentum == 0.7


def test_a_recipe_comes_first(tmp_path):
    values = read_arguments(["clips", "--recipe", "tin_something_v1", "--epochs", "3"])
    other = read_arguments(["clips", "--epochs", "3"])
    assert values["optim"].weight_decay == 5e-4
    assert (values["epochs"], other["epochs"]) == (3, 3)
    assert values["lr"] != other["lr"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows", "2-reversed"], "row '2-reversed' is not a number of groups"),
        (["--seeds", "1,x"], "--seeds x is not a number from 0 on"),
        (["--model", "tsn_test_resnet", "--pretrained", "false"], "the ablation is of TIN's groups"),
    ],
)
def test_what_cannot_work_is_one_line(arguments, message, tmp_path, make_video, capsys):
    for name in ("left", "right"):
        for number in range(2):
            make_video(tmp_path / "clips" / name / f"{number}.mp4", num_frames=5, size=(32, 32))
    assert main(["ablate", str(tmp_path / "clips"), *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_seeds_are_not_options_of_a_single_run(capsys):
    with pytest.raises(SystemExit):
        main(["ablate", "clips", "--seed", "3"])
    assert "did you mean 'seeds'" in capsys.readouterr().err
