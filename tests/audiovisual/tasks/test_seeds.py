from __future__ import annotations

import csv
import json
import statistics
from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from interlace.audiovisual import TimelineSet
from interlace.audiovisual.tasks.evaluation import evaluate_events
from interlace.audiovisual.tasks.event_checkpoint import load_event_model, read_event_card
from interlace.audiovisual.tasks.event_settings import EventSettings
from interlace.audiovisual.tasks.score_models import find_models, score_models
from interlace.audiovisual.tasks.seed_table import SeedRow, markdown_table
from interlace.audiovisual.tasks.seeds import train_seeds

QUICK = EventSettings(epochs=2, batch_size=16, device="cpu")


def quietly(line: str) -> None:
    """Takes what is told to a person."""


@pytest.fixture(scope="module")
def sets(made_set):
    return made_set(40, 0), made_set(20, 1), made_set(20, 2)


@pytest.fixture(scope="module")
def trained(sets, tmp_path_factory):
    """Two seeds of a network, and chance."""
    output = tmp_path_factory.mktemp("runs")
    tables = train_seeds(
        ["audio", "chance"], sets[0], sets[1], QUICK, [3, 5], output, test_set=sets[2], tell=quietly
    )
    return output, tables


def test_each_seed_is_scored_on_validation_and_its_weights_on_the_test_split(trained, sets):
    output, tables = trained
    audio, chance = tables["test"]
    assert (sorted(audio.by_seed), sorted(chance.by_seed)) == ([3, 5], [3])  # chance knows no seed
    for split, timelines in (("validation", sets[1]), ("test", sets[2])):
        for seed, metrics in tables[split][0].by_seed.items():
            network = load_event_model(output / "audio" / f"seed{seed}" / "model.safetensors").network
            assert evaluate_events(network, timelines, "sel").metrics == metrics
    numbers = json.loads((output / "results.json").read_text())
    values = [audio.by_seed[seed]["accuracy"] for seed in (3, 5)]
    row = numbers["results"]["test"]["audio"]
    assert row["mean"]["accuracy"] == pytest.approx(sum(values) / 2)
    assert row["spread"]["accuracy"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert row["by_seed"]["5"] == audio.by_seed[5]
    assert {"commit", "versions", "command", "date", "device", "settings", "train_sha256"} <= numbers.keys()
    with (output / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["split"], line["method"], line["seed"]) for line in lines] == [
        *(("validation", "audio", "3"), ("validation", "audio", "5"), ("validation", "chance", "3")),
        *(("test", "audio", "3"), ("test", "audio", "5"), ("test", "chance", "3")),
    ]
    assert markdown_table(tables["test"]).splitlines()[2] in (output / "results.md").read_text().replace(
        "LSTM over the sound alone.", ""
    )
    with (output / "audio" / "seed3" / "test" / "predictions.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == sum(timeline.num_segments for timeline in sets[2])
    card = read_event_card(output / "audio" / "seed5" / "model.safetensors")
    assert (card.labels, card.training["seed"]) == (sets[0].labels, 5)
    assert card.metrics == tables["validation"][0].by_seed[5]


def test_ctrl_c_keeps_finished_seeds_and_the_same_call_trains_the_others(sets, tmp_path):
    def press(name, row, best):
        if name == "audio, seed 1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_seeds(["audio"], sets[0], sets[1], QUICK, [0, 1], tmp_path, tell=quietly, progress=press)
    assert json.loads((tmp_path / "results.json").read_text())["results"]["validation"]["audio"][
        "by_seed"
    ].keys() == {"0"}
    kept = (tmp_path / "audio" / "seed0" / "model.safetensors").stat().st_mtime_ns

    lines, began = [], []

    def note(name, row, best):
        began.append(name)

    tables = train_seeds(
        ["audio"], sets[0], sets[1], QUICK, [0, 1], tmp_path, tell=lines.append, progress=note
    )
    assert "audio, seed 0 (1 of 2): done before" in lines[0]
    assert set(began) == {"audio, seed 1"}
    assert (tmp_path / "audio" / "seed0" / "model.safetensors").stat().st_mtime_ns == kept
    whole = train_seeds(["audio"], sets[0], sets[1], QUICK, [1], tmp_path / "other", tell=quietly)
    assert tables["validation"][0].by_seed[1] == whole["validation"][0].by_seed[1]


def test_the_test_split_decides_nothing(trained, sets, tmp_path):
    output, tables = trained
    without = train_seeds(["audio"], sets[0], sets[1], QUICK, [5], tmp_path, tell=quietly)
    assert without["validation"][0].by_seed[5] == tables["validation"][0].by_seed[5]
    one, other = (
        load_file(folder / "audio" / "seed5" / "model.safetensors") for folder in (output, tmp_path)
    )
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_test_split_of_another_kind_is_refused_before_any_training(sets, made_set, tmp_path):
    moo = made_set(3, 4, labels=("moo", "horn", "bell"))
    narrow = TimelineSet(sets[0].labels, tuple(replace(t, audio=t.audio[:, 1:]) for t in sets[2]), "narrow")
    for test_set, message in (
        (moo, "set 4 has moo, horn, bell; both need the same"),
        (narrow, "set 0 has 7 numbers of sound and 11 of picture a segment, narrow has 6 and 11"),
        (TimelineSet(sets[0].labels, (), "none.csv"), r"none\.csv: there are no timelines; test needs some"),
    ):
        with pytest.raises(ValueError, match=message):
            train_seeds(["chance"], sets[0], sets[1], QUICK, [0], tmp_path, test_set=test_set, tell=quietly)
    assert list(tmp_path.iterdir()) == []


def test_timelines_that_are_in_training_too_are_said(sets, tmp_path):
    train_set, val_set, test_set = sets
    mixed = TimelineSet(train_set.labels, (*val_set[:3], *train_set[4:6]), "mixed")
    lines: list[str] = []
    train_seeds(["chance"], train_set, mixed, QUICK, [0], tmp_path, test_set=test_set, tell=lines.append)
    assert [line for line in lines if "note" in line] == [
        "note: 2 of the 5 timelines of validation are in training too; its numbers are too good"
    ]
    other = TimelineSet(train_set.labels, (*test_set[:3], train_set[0]), "other")
    models = find_models([tmp_path])
    score_models(models, other, split="test", output=tmp_path / "out", device="cpu", tell=lines.append)
    assert "it was trained on 1 of these 4 timelines; its numbers are too good" in lines[-1]
    score_models(models, train_set, split="train", output=tmp_path / "in", device="cpu", tell=lines.append)
    assert "it was trained on these very timelines" in lines[-1]


def test_what_a_killed_run_has_left_is_trained_anew(sets, tmp_path):
    """Killed while it wrote its history: the weights are there, its result is not."""
    call = (["chance"], sets[0], sets[1], QUICK, [0], tmp_path)
    train_seeds(*call, test_set=sets[2], tell=quietly)
    folder = tmp_path / "chance" / "seed0"
    told = json.loads((folder / "test" / "metrics.json").read_text())
    (folder / "result.json").unlink()
    (folder / "model.safetensors").write_bytes(b"half")
    (folder / ".history.csv.999999999-0123abcd.part").write_bytes(b"epo")
    stale = {**told, "metrics": {"accuracy": 100.0}}  # of the earlier weights
    (folder / "test" / "metrics.json").write_text(json.dumps(stale))
    tables = train_seeds(*call, test_set=sets[2], tell=quietly)
    assert tables["test"][0].by_seed[0] == told["metrics"]
    assert load_event_model(folder / "model.safetensors").card.method == "chance"
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("content", [b'{"metr', b"\xff\xfe", b"[1]"])
def test_a_damaged_result_is_named(sets, tmp_path, content):
    path = tmp_path / "chance" / "seed0" / "result.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"chance/seed0/result\.json is damaged .*; delete it"):
        train_seeds(["chance"], sets[0], sets[1], QUICK, [0], tmp_path, tell=quietly)


def test_other_settings_or_data_are_refused(trained, sets, made_set):
    output, _ = trained
    other = replace(QUICK, lr=0.5, network={"width": 9})
    changed = r"settings \(lr 0\.001 -> 0\.5, network\.width not given -> 9\) than these"
    with pytest.raises(ValueError, match=rf"result\.json is of other {changed}"):
        train_seeds(["audio"], sets[0], sets[1], other, [3], output, tell=quietly)
    with pytest.raises(ValueError, match=r"result\.json is of other training timelines than these"):
        train_seeds(["audio"], made_set(41, 0), sets[1], QUICK, [3], output, tell=quietly)
    with pytest.raises(
        ValueError, match=r"of other validation timelines and settings \(lr 0\.001 -> 0\.5\) than"
    ):
        train_seeds(["audio"], *[sets[0]] * 2, replace(QUICK, lr=0.5), [3], output, tell=quietly)


def test_a_diverged_run_is_a_result_and_not_the_end(sets, tmp_path):
    settings = replace(QUICK, lr=1e30)
    tables = train_seeds(["audio", "chance"], sets[0], sets[1], settings, [0], tmp_path, tell=quietly)
    audio, chance = tables["validation"]
    assert "try a smaller lr" in audio.failures[0]
    assert list(chance.by_seed) == [0]
    assert not (tmp_path / "audio" / "seed0" / "result.json").exists()
    assert "try a smaller lr" in (tmp_path / "results.md").read_text()


@pytest.mark.parametrize(
    ("methods", "seeds", "message"),
    [
        (["audio", "audio"], [0], "the method audio is there twice"),
        (["audio"], [2, 2], "the seed 2 is there twice"),
        (["audio"], [-1], "seed -1 is below 0"),
        ([], [0], "there is no method to train"),
        (["psp"], [0], "sel has no method 'psp'; it has dam, "),
    ],
)
def test_what_cannot_be_run(sets, tmp_path, methods, seeds, message):
    with pytest.raises(ValueError, match=message):
        train_seeds(methods, sets[0], sets[1], QUICK, seeds, tmp_path, tell=quietly)


def test_several_checkpoints_are_scored_together(trained, sets, tmp_path):
    output, tables = trained
    models = find_models([output])
    assert [path.relative_to(output).as_posix() for path in models] == [
        "audio/seed3/model.safetensors",
        "audio/seed5/model.safetensors",
        "chance/seed3/model.safetensors",
    ]
    lines: list[str] = []
    rows = score_models(
        models, sets[2], split="test", output=tmp_path, device="cpu", batch_size=3, tell=lines.append
    )
    assert rows == tables["test"]
    told = json.loads((tmp_path / "audio" / "seed5" / "metrics.json").read_text())
    assert told["metrics"] == tables["test"][0].by_seed[5]
    assert not any("note:" in line for line in lines)
    score_models(models, sets[2], split="test", output=tmp_path, device="cpu", tell=quietly)  # the same again
    with pytest.raises(ValueError, match="holds the report of another evaluation"):
        score_models(models, sets[1], split="val", output=tmp_path, device="cpu", tell=quietly)
    score_models(
        models[:1], sets[1], split="val", output=tmp_path, device="cpu", overwrite=True, tell=lines.append
    )
    assert "selected on these very timelines" in lines[-1]


def test_checkpoints_that_do_not_go_together(trained, sets, made_set, tmp_path):
    output, _ = trained
    models = find_models([output / "audio"])
    other = tmp_path / "again.safetensors"
    other.write_bytes(models[0].read_bytes())
    with pytest.raises(ValueError, match="are both audio with seed 3"):
        score_models([models[0], other], sets[2], split="test", output=tmp_path / "a", tell=quietly)
    with pytest.raises(ValueError, match="is named twice"):
        find_models([models[0], models[0]])
    with pytest.raises(ValueError, match=r"holds no model\.safetensors"):
        find_models([tmp_path])
    moo = made_set(3, 4, labels=("moo", "horn", "bell"))
    with pytest.raises(ValueError, match="knows the events bark, horn, bell, set 4 has moo, horn, bell"):
        score_models(models, moo, split="test", output=tmp_path / "b", tell=quietly)


def test_seeds_are_in_the_order_of_their_numbers(tmp_path):
    for seed in (10, 9, 1):
        (tmp_path / f"seed{seed}").mkdir()
        (tmp_path / f"seed{seed}" / "model.safetensors").touch()
    assert [path.parent.name for path in find_models([tmp_path])] == ["seed1", "seed9", "seed10"]


def test_the_spread_is_that_of_a_sample():
    row = SeedRow("dam", {seed: {"accuracy": value} for seed, value in enumerate((70.0, 74.0, 75.0))})
    assert row.spread("accuracy") == pytest.approx(statistics.stdev([70, 74, 75])) == pytest.approx(7**0.5)
    assert (row.mean("accuracy"), SeedRow("x").mean("accuracy")) == (73.0, None)
    assert SeedRow("one", {0: {"accuracy": 1.0}}).spread("accuracy") is None


@pytest.mark.parametrize("is_embedded", [True, False])
def test_features_of_other_networks_are_refused(sets, tmp_path, is_embedded):
    from interlace.audiovisual.features.extractor import create_extractor

    spec = {"audio": {"name": "log_mel"}, "visual": {"name": "resnet10t", "image_size": 32}}
    torch.manual_seed(3)
    extractor = create_extractor(spec)
    run = partial(train_seeds, ["chance"], sets[0], sets[1], QUICK, [0], tmp_path / "runs", tell=quietly)
    sha = extractor.fingerprint()
    run(extractor=extractor) if is_embedded else run(extractor_sha256=sha)
    run(extractor_sha256=sha)  # the same again
    with pytest.raises(ValueError, match=r"result\.json is of other networks of the features than these"):
        run(extractor_sha256="0" * 64)
    models = find_models([tmp_path / "runs"])
    assert (load_event_model(models[0]).extractor is not None) == is_embedded
    options = {"split": "test", "output": tmp_path / "out", "tell": quietly}
    score_models(models, sets[2], extractor_sha256=sha, **options)
    with pytest.raises(ValueError, match="was trained on features of other networks"):
        score_models(models, sets[2], extractor_sha256="0" * 64, **options)
