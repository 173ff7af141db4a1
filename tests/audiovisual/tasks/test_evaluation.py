from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn

from interlace.audiovisual import NO_EVENT, Timeline, TimelineSet
from interlace.audiovisual.models.cml import CrossModalNetwork
from interlace.audiovisual.models.localization import Localization
from interlace.audiovisual.models.methods import CML_METHODS
from interlace.audiovisual.tasks.answers import NotFiniteError
from interlace.audiovisual.tasks.evaluation import evaluate_events


class Reader(nn.Module):
    """Says what the first number of the sound is, for each segment; the category by that of the first segment."""

    def localize(self, batch):
        labels = batch.audio[..., 0].long()
        scores = nn.functional.one_hot(batch.audio[:, 0, 1].long(), 3).float()
        return Localization(labels, scores, batch.audio[..., 2])


class Seer(CrossModalNetwork):
    """Relevance is a number of the other modality."""

    def relevance(self, batch, query):
        return batch.visual[:, :, 0, 0] if query == "audio" else batch.audio[..., 0]


def told(name, event, relevant, predicted, category) -> Timeline:
    audio = torch.tensor([[float(label), float(category), 0.25] for label in predicted])
    visual = torch.zeros(len(predicted), 1, 5)
    return Timeline(name, audio, visual, event, torch.tensor(relevant).bool())


LABELS = ("bark", "horn", "bell")


@pytest.fixture
def localized() -> TimelineSet:
    return TimelineSet(
        LABELS,
        (
            told("a", 0, [0, 1, 1, 0], [3, 0, 1, 3], 0),  # 3 right of 4
            told("b", 2, [1, 1], [2, 2], 1),  # 2 of 2, wrong category
            told("c", NO_EVENT, [0, 0, 0], [3, 1, 1], 2),  # 1 of 3; no category to be right
        ),
        "three",
    )


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_localization_by_hand_in_batches_of_any_size(localized, batch_size):
    report = evaluate_events(Reader(), localized, "sel", batch_size=batch_size)
    assert report.metrics == pytest.approx(
        {"accuracy": 100 * 6 / 9, "relevance": 100 * 7 / 9, "category": 50.0}
    )
    assert report.confusion == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 2, 0], [0, 2, 0, 3]]
    assert [(row["event"], row["count"], row["accuracy"]) for row in report.per_event] == [
        ("bark", 2, 50.0),
        ("horn", 0, None),
        ("bell", 2, 100.0),
        ("background", 5, 60.0),
    ]
    assert (report.num_videos, report.num_scored) == (3, 9)
    assert report.rows[2] == {
        "name": "a",
        "segment": 2,
        "true": "bark",
        "predicted": "horn",
        "relevance": 0.25,
    }
    assert Counter(row["name"] for row in report.rows) == {"a": 4, "b": 2, "c": 3}
    assert "accuracy 66.67" in str(report)


def seen(name, event, relevant, audio, visual) -> Timeline:
    return Timeline(
        name,
        torch.tensor(audio).float()[:, None],
        torch.tensor(visual).float()[:, None, None],
        event,
        torch.tensor(relevant).bool(),
    )


@pytest.fixture
def matched() -> TimelineSet:
    return TimelineSet(
        LABELS,
        (
            seen("a", 0, [0, 1, 1, 0], audio=[0, 5, 5, 0], visual=[9, 9, 0, 0]),  # V2A right, A2V one off
            seen("b", 0, [0, 0, 1], audio=[1, 0, 0], visual=[0, 0, 1]),  # A2V right
            seen("c", NO_EVENT, [0, 0], audio=[1, 0], visual=[1, 0]),
            seen("d", 1, [1, 1], audio=[1, 0], visual=[1, 0]),
            seen("e", 1, [1, 0, 1], audio=[1, 0, 1], visual=[1, 0, 1]),
            seen("f", 2, [1, 0], audio=[0, 1], visual=[1, 0]),  # A2V right
        ),
        "six",
    )


@pytest.mark.parametrize("batch_size", [1, 4, 6])
def test_matching_by_hand_in_batches_of_any_size(matched, batch_size):
    report = evaluate_events(Seer(), matched, "cml", batch_size=batch_size)
    assert report.metrics == pytest.approx({"mean": 50.0, "a2v": 200 / 3, "v2a": 100 / 3})
    assert (report.num_videos, report.num_scored) == (6, 3)
    assert report.left_out == {
        "background only": 1,
        "event fills the video": 1,
        "event in several pieces": 1,
    }
    assert report.per_event == [
        {"event": "bark", "count": 2, "a2v": 50.0, "v2a": 50.0},
        {"event": "horn", "count": 0, "a2v": None, "v2a": None},
        {"event": "bell", "count": 1, "a2v": 100.0, "v2a": 0.0},
    ]
    first = {"name": "a", "event": "bark", "segments": 4, "length": 2, "start": 1, "left_out": ""}
    assert report.rows[0] == {**first, "a2v": 0, "v2a": 1, "a2v_hit": 0.0, "v2a_hit": 1.0}
    assert (report.rows[3]["start"], report.rows[3]["a2v"]) == ("", "")
    assert report.rows[3]["left_out"] == "event fills the video"


def test_chance_is_the_exact_expectation(matched):
    network = CML_METHODS["chance"].network(audio_features=1, visual_features=1, num_events=3)
    expected = 100 * (1 / 3 + 1 / 3 + 1 / 2) / 3
    assert evaluate_events(network, matched, "cml").metrics == pytest.approx(
        {"mean": expected, "a2v": expected, "v2a": expected}
    )


def test_a_network_is_left_in_its_mode(localized):
    network = Reader().train()
    evaluate_events(network, localized, "sel")
    assert network.training


def test_what_cannot_be_scored_is_named(localized, matched):
    full = TimelineSet(LABELS, matched.timelines[2:5], "full.csv")
    with pytest.raises(ValueError, match=r"full\.csv: no video can be asked"):
        evaluate_events(Seer(), full, "cml")
    with pytest.raises(ValueError, match="task 'avel' is not one of sel, cml"):
        evaluate_events(Seer(), full, "avel")
    with pytest.raises(ValueError, match="Reader has no `relevance`: it is no network of task cml"):
        evaluate_events(Reader(), localized, "cml")


def test_scores_that_are_no_numbers_are_no_result(localized, matched):
    class Lost(Reader, Seer):
        """Its weights have diverged."""

        def localize(self, batch):
            return Localization(
                batch.event[:, None].clamp(min=0),
                torch.ones(len(batch.event), 3),
                batch.audio[..., 2] * torch.nan,
            )

        def relevance(self, batch, query):
            return super().relevance(batch, query) * torch.nan

    for timelines, task in ((localized, "sel"), (matched, "cml")):
        with pytest.raises(NotFiniteError, match="not finite"):
            evaluate_events(Lost(), timelines, task)
