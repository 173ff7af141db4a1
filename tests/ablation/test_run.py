from __future__ import annotations

import json
from dataclasses import replace

import pytest

from interlace.ablation import Row, run
from interlace.checkpoints import load_checkpoint
from interlace.training.config import OptimConfig, TrainConfig, TrainerConfig
from interlace.training.run import train
from interlace.training.stopping import Interrupted

ROWS = [Row(1, mirrored=True), Row(2, mirrored=False)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory, make_video):
    """Two classes of four clips; one of each is held out."""
    root = tmp_path_factory.mktemp("clips")
    for name, frames in (("long", 16), ("short", 6)):
        for number in range(4):
            make_video(root / name / f"{number}.mp4", num_frames=frames + number, size=(32, 32))
    return root


@pytest.fixture
def config(clips, tmp_path):
    return TrainConfig(
        data=clips,
        model="tin_test_resnet",
        pretrained=False,
        num_segments=4,
        image_size=32,
        epochs=1,
        batch_size=4,
        output=tmp_path / "ablation",
        optim=OptimConfig(base_batch_size=4),
        trainer=TrainerConfig(num_workers=0, accelerator="cpu"),
    )


def test_an_interrupted_ablation_goes_on(config, tmp_path, monkeypatch, capsys):
    stopped = []

    def stopping(config):
        if len(stopped) == 1:
            raise Interrupted(2)
        stopped.append(config)
        return train(config)

    monkeypatch.setattr(run, "train", stopping)
    with pytest.raises(SystemExit) as leaving:
        run.ablate(config, ROWS, [3, 0])
    assert leaving.value.code == 130
    said = capsys.readouterr()
    assert "1 of 4 runs are in" in said.err
    assert "run 2 of 4: 2 groups, seed 3" in said.out  # all rows of a seed come before the next seed
    numbers = json.loads((config.output / "results.json").read_text())
    assert [list(row["by_seed"]) for row in numbers["rows"]] == [["3"], []]
    first = config.output / "1-mirrored" / "seed3" / "last.safetensors"
    written = first.stat().st_mtime_ns

    monkeypatch.setattr(run, "train", train)
    table = run.ablate(config, ROWS, [3, 0])
    assert first.stat().st_mtime_ns == written
    assert "this run is complete; nothing to do" in capsys.readouterr().out
    numbers = json.loads(table.with_suffix(".json").read_text())
    assert [sorted(row["by_seed"]) for row in numbers["rows"]] == [["0", "3"], ["0", "3"]]
    assert {metrics["top1"] for row in numbers["rows"] for metrics in row["by_seed"].values()} <= {
        0.0,
        50.0,
        100.0,
    }

    # Each run is what `interlace train` makes of the same settings, whatever was trained before it.
    alone = replace(
        config, seed=3, model_args={"num_groups": 2, "mirrored": False}, output=tmp_path / "alone"
    )
    train(alone)
    one, card = load_checkpoint(alone.output / "last.safetensors")
    other, _ = load_checkpoint(config.output / "2" / "seed3" / "last.safetensors")
    assert card.model_args["num_groups"] == 2
    assert all(value.equal(other.state_dict()[key]) for key, value in one.state_dict().items())

    with pytest.raises(ValueError, match=r"lr was 0\.01 and is 0\.02 now"):
        run.ablate(replace(config, lr=0.02), ROWS, [3])
    with pytest.raises(ValueError, match=r"the clips or their labels have changed.*results\.json"):
        run.ablate(replace(config, val_fraction=0.5), ROWS, [3])


def test_rows_that_cannot_be_trained_or_scored_are_in_the_table(config, monkeypatch):
    def diverged(*arguments, **settings):
        raise ValueError("the scores are not finite")

    monkeypatch.setattr(run, "evaluate", diverged)
    table = run.ablate(config, [Row(64, mirrored=True), Row(1, mirrored=False)], [0])
    lines = table.read_text().splitlines()
    assert "| 64 | yes | - | - | - | 0 | - | - | cannot be built: the fold of" in lines[4]
    assert lines[5].endswith("| - | seed 0: could not be scored: the scores are not finite |")
    assert not (config.output / "64-mirrored").exists()
    monkeypatch.undo()
    again = run.ablate(config, [Row(1, mirrored=False)], [0])  # what is done is not done again
    assert "could not be scored" in again.read_text()


@pytest.mark.parametrize(
    ("changes", "rows", "seeds", "message"),
    [
        ({}, ROWS, [], "there is no seed"),
        ({}, [], [0], "there is no row"),
        ({}, [*ROWS, ROWS[0]], [0], "1 group, mirrored is there twice"),
        ({}, ROWS, [2, 2], "the seed 2 is there twice"),
        ({"model_args": {"mirrored": True}}, ROWS, [0], "model_args has mirrored"),
        ({"trainer": TrainerConfig(devices=2)}, ROWS, [0], "runs on one device, not on 2"),
        ({"model": "tsn_test_resnet"}, ROWS, [0], "the ablation is of TIN's groups"),
        ({}, [Row(64, mirrored=False)], [0], "no row can be trained with tin_test_resnet: cannot be built"),
    ],
)
def test_settings_that_cannot_work(config, changes, rows, seeds, message):
    with pytest.raises(ValueError, match=message):
        run.ablate(replace(config, **changes), rows, seeds)
    assert not config.output.exists()
