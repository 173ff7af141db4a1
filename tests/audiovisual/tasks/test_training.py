from __future__ import annotations

import signal
import weakref
from dataclasses import replace

import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from interlace.audiovisual import Timeline, TimelineSet
from interlace.audiovisual.models.methods import CML_METHODS, SEL_METHODS
from interlace.audiovisual.tasks.answers import NotFiniteError
from interlace.audiovisual.tasks.evaluation import evaluate_events
from interlace.audiovisual.tasks.event_settings import EventSettings
from interlace.audiovisual.tasks.lightning_loop import Shuffled, signals_as_everywhere
from interlace.audiovisual.tasks.training import train_events
from interlace.audiovisual.timelines.read_on_access import ReadOnAccess

QUICK = EventSettings(epochs=4, batch_size=16, lr=0.01, device="cpu", network={"width": 8, "hidden": 8})
DAM = SEL_METHODS["dam"]


@pytest.fixture(scope="module")
def sets(made_set) -> tuple[TimelineSet, TimelineSet]:
    return made_set(60, 0), made_set(30, 1)


def test_events_are_learned_and_the_best_weights_kept(sets):
    fitted = train_events(DAM, *sets, replace(QUICK, epochs=12), seed=0)
    accuracies = [row["accuracy"] for row in fitted.history]
    chance = train_events(SEL_METHODS["chance"], *sets, replace(QUICK, network={}), seed=0)
    assert fitted.metrics["accuracy"] == max(accuracies) > chance.metrics["accuracy"] + 20
    assert fitted.epoch == accuracies.index(max(accuracies)) + 1
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]
    assert evaluate_events(fitted.network, sets[1], "sel").metrics == fitted.metrics
    assert not fitted.network.training


def test_a_seed_decides_everything_and_the_callers_chance_is_not_touched(sets):
    runs = []
    for number, seed in enumerate((7, 7, 8)):
        torch.manual_seed(number)
        expected = torch.rand(3)
        torch.manual_seed(number)
        runs.append(train_events(DAM, *sets, replace(QUICK, epochs=2), seed=seed))
        assert torch.equal(torch.rand(3), expected)
    weights = [torch.cat([value.flatten() for value in run.network.state_dict().values()]) for run in runs]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert runs[0].history == runs[1].history


def test_early_stopping_counts_epochs_without_a_better_score(sets):
    fitted = train_events(DAM, *sets, replace(QUICK, lr=1e-12, epochs=9, patience=3), seed=0)
    assert (fitted.epoch, len(fitted.history)) == (1, 4)


def test_matching_is_learned(sets):
    settings = EventSettings(
        task="cml", epochs=15, batch_size=16, lr=0.01, device="cpu", network={"width": 16}
    )
    fitted = train_events(CML_METHODS["dam"], *sets, settings, seed=0)
    chance = train_events(CML_METHODS["chance"], *sets, replace(settings, network={}), seed=0)
    assert fitted.metrics["mean"] > chance.metrics["mean"] + 20
    assert (chance.epoch, len(chance.history)) == (0, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "cosine"},
        {"clip_gradient": 1e-9},
        {"weight_decay": 50.0},
        {"network": {**QUICK.network, "dropout": 0.0}},  # after validation, too, it is on
    ],
)
def test_each_setting_does_something(sets, changes):
    usual = train_events(DAM, *sets, replace(QUICK, epochs=2), seed=0)
    other = train_events(DAM, *sets, replace(QUICK, epochs=2, **changes), seed=0)
    assert usual.history[-1]["loss"] != other.history[-1]["loss"]


def test_the_history_is_told_as_it_is_made(sets):
    seen = []
    fitted = train_events(
        DAM, *sets, QUICK, seed=0, progress=lambda row, best: seen.append((dict(row), best["accuracy"]))
    )
    assert [row for row, _ in seen] == fitted.history
    assert seen[-1][1] == fitted.metrics["accuracy"]


def test_ctrl_c_is_a_keyboard_interrupt_and_comes_through_a_second_time(sets):
    def press(row, best):
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_events(DAM, *sets, QUICK, seed=0, progress=press)
        assert signal.getsignal(signal.SIGINT) is before


def test_a_run_that_was_killed_has_not_ended_well():
    with pytest.raises(SystemExit) as left, signals_as_everywhere():
        raise SIGTERMException  # what Lightning makes of the signal
    assert left.value.code == 128 + signal.SIGTERM


def test_a_loss_that_is_no_number_is_said(sets):
    with pytest.raises(NotFiniteError, match="try a smaller lr than 1e"):
        train_events(DAM, *sets, replace(QUICK, lr=1e30), seed=0)


def test_closed_forms_see_one_timeline_at_a_time(sets):
    """Features of gigabytes need not be in memory together."""
    read: list[weakref.ref[Timeline]] = []
    most = 0

    def get(number: int) -> Timeline:
        nonlocal most
        timeline = replace(sets[0][number])
        read.append(weakref.ref(timeline))
        most = max(most, sum(there() is not None for there in read))
        return timeline

    lazy = TimelineSet(sets[0].labels, ReadOnAccess(60, get))
    settings = EventSettings(task="cml", device="cpu")
    fitted = train_events(CML_METHODS["cca"], lazy, sets[1], settings, seed=0)
    assert fitted.metrics == train_events(CML_METHODS["cca"], *sets, settings, seed=0).metrics
    assert len(read) > 100
    assert most <= 2


@pytest.mark.parametrize("method", ["dam", "cca"])
def test_features_that_are_no_numbers_are_named(sets, method):
    timeline = sets[0][5]
    lost = replace(timeline, audio=torch.full_like(timeline.audio, torch.nan), name="lost.mp4")
    broken = TimelineSet(sets[0].labels, (*sets[0][:5], lost))
    with pytest.raises(ValueError, match=r"^lost\.mp4: features of its sound are not finite"):
        train_events(CML_METHODS[method], broken, sets[1], EventSettings(task="cml", device="cpu"), seed=0)


def test_what_cannot_be_trained_is_named(sets, made_set):
    train_set, val_set = sets
    other = made_set(4, 2, labels=("moo", "horn", "bell"))
    with pytest.raises(ValueError, match="set 2 has moo, horn, bell; both need the same"):
        train_events(DAM, train_set, other, QUICK, seed=0)
    with pytest.raises(ValueError, match=r"no\.csv: there are no timelines; validation needs some"):
        train_events(DAM, train_set, TimelineSet(train_set.labels, (), "no.csv"), QUICK, seed=0)
    with pytest.raises(
        ValueError, match=r"EventLocalizer cannot be built with widht=3 \(did you mean .width.\?\); it takes "
    ):
        train_events(DAM, train_set, val_set, replace(QUICK, network={"widht": 3}), seed=0)
    silent = TimelineSet(train_set.labels, train_set.timelines[:1], "silent.csv")
    with pytest.raises(ValueError, match=r"silent\.csv: no timeline has an event"):
        train_events(CML_METHODS["dam"], silent, val_set, EventSettings(task="cml"), seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs=0 must be at least 1"),
        ({"patience": -1}, "patience=-1 must be at least 0"),
        ({"lr": 0.0}, "lr=0.0 must be above 0"),
        ({"lr": float("nan")}, "lr=nan must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0 must be"),
    ],
)
def test_settings_that_cannot_work(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(QUICK, **changes)


def test_every_timeline_once_an_epoch_in_equal_parts():
    shuffled = Shuffled(torch.arange(10, 75), 64, torch.Generator().manual_seed(0))
    first, second = list(shuffled), list(shuffled)
    assert [len(part) for part in first] == [33, 32]
    assert len(shuffled) == 2
    assert sorted(torch.cat(first).tolist()) == list(range(10, 75))
    assert torch.cat(first).tolist() != torch.cat(second).tolist()
