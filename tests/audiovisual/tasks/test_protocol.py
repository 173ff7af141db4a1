"""Every method through the protocol: numbers counted as its words say, and nothing given away by the query."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from interlace.audiovisual import NO_EVENT, Timeline, TimelineSet, collate
from interlace.audiovisual.models.cml import CrossModalNetwork
from interlace.audiovisual.models.matcher import CrossModalMatcher
from interlace.audiovisual.models.methods import CML_METHODS, SEL_METHODS, Method
from interlace.audiovisual.tasks.evaluation import evaluate_events
from interlace.audiovisual.tasks.event_settings import EventSettings
from interlace.audiovisual.tasks.training import train_events

K, A, D, P = 3, 7, 11, 4
LABELS = ("bark", "horn", "bell")
SEARCHED = ("dam", "avdln", "cca")
LEARNED = {**CML_METHODS, "local": Method(partial(CrossModalMatcher, local=True), "gradient", "")}
UNGIVEN = (*SEARCHED, "local")


def noise(count: int, seed: int, *, in_pieces: bool = True) -> TimelineSet:
    """Videos of 3 to 8 segments whose features have nothing to do with their events."""
    chance = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=chance))

    timelines = []
    for number in range(count):
        n = draw(3, 8)
        start = draw(0, n - 1)
        relevant = (torch.arange(n) >= start) & (torch.arange(n) < draw(start + 1, n))
        if in_pieces and number % 7 == 3:
            relevant = torch.rand(n, generator=chance) < 0.4
        timelines.append(
            Timeline(
                f"{number}",
                torch.randn(n, A, generator=chance),
                torch.randn(n, P, D, generator=chance),
                draw(0, K - 1) if relevant.any() else NO_EVENT,
                relevant,
            )
        )
    return TimelineSet(LABELS, tuple(timelines), "noise")


def built(method: Method, timelines: TimelineSet) -> nn.Module:
    network = method.network(audio_features=A, visual_features=D, num_events=K)
    if method.fitted == "closed_form":
        network.fit(timelines)  # type: ignore[operator]
    return network.eval()


@pytest.fixture(scope="module")
def videos() -> TimelineSet:
    return noise(40, seed=3)


def in_another_order(videos: TimelineSet) -> TimelineSet:
    return TimelineSet(LABELS, videos.timelines[::-1], "backwards")


@pytest.mark.parametrize("name", list(SEL_METHODS))
def test_localization_is_the_share_of_all_segments(videos: TimelineSet, name: str) -> None:
    network = built(SEL_METHODS[name], videos)
    right = total = 0
    for video in videos:
        told = network.localize(collate([video])).labels[0].tolist()  # type: ignore[operator]
        for label, is_event in zip(told, video.relevant.tolist(), strict=True):
            right += label == (video.event if is_event else K)
            total += 1
    reports = [
        evaluate_events(network, videos, "sel", batch_size=7),
        evaluate_events(network, in_another_order(videos), "sel", batch_size=40),
    ]
    assert total == sum(video.num_segments for video in videos) == reports[0].num_scored
    assert reports[0].metrics["accuracy"] == pytest.approx(100 * right / total)
    assert reports[0].metrics == pytest.approx(reports[1].metrics)
    labels = [{(row["name"], row["segment"]): row["predicted"] for row in report.rows} for report in reports]
    assert labels[0] == labels[1]


def window_score(network: nn.Module, name: str, video: Timeline, query: str) -> Callable[[int], float]:
    """The score of a start, segment by segment as the papers say it."""
    batch, region = collate([video]), video.relevant.nonzero()[:, 0].tolist()
    if name == "dam":  # the summed relevance
        scores = network.relevance(batch, query)[0]  # type: ignore[operator]
        return lambda start: sum(float(scores[start + i]) for i in range(len(region)))
    pairs = network(batch)[0] if query == "audio" else network(batch)[0].T  # query by searched
    sign = -1 if name == "avdln" else 1  # a distance, a cosine
    return lambda start: sign * sum(float(pairs[n, start + i]) for i, n in enumerate(region))


@torch.no_grad()
@pytest.mark.parametrize("name", SEARCHED)
def test_matching_is_the_share_of_exact_starts(videos: TimelineSet, name: str) -> None:
    network = built(CML_METHODS[name], videos)
    hits: dict[str, list[bool]] = {"a2v": [], "v2a": []}
    for video in videos:
        told = "".join(str(int(value)) for value in video.relevant)
        if "0" not in told or not re.fullmatch("0*1+0*", told):
            continue
        for direction, query in (("a2v", "audio"), ("v2a", "visual")):
            starts = range(len(told) - told.count("1") + 1)
            best = max(starts, key=window_score(network, name, video, query))
            hits[direction].append(best == told.index("1"))
    expected = {direction: 100 * sum(found) / len(found) for direction, found in hits.items()}
    report = evaluate_events(network, videos, "cml", batch_size=7)
    assert report.metrics == pytest.approx({"mean": sum(expected.values()) / 2, **expected})
    assert 10 < report.num_scored == len(hits["a2v"]) < len(videos)
    assert report.num_scored + sum(report.left_out.values()) == len(videos)
    backwards = evaluate_events(network, in_another_order(videos), "cml", batch_size=40)
    assert backwards.metrics == pytest.approx(report.metrics)


def asked(network: nn.Module, video: Timeline, query: str) -> tuple[torch.Tensor, torch.Tensor]:
    assert isinstance(network, CrossModalNetwork)
    batch = collate([video])
    return network.relevance(batch, query)[0], network.window_scores(batch, query)[0]


def one_video(relevant: list[int]) -> Timeline:
    n = len(relevant)
    return Timeline("x", torch.randn(n, A), torch.randn(n, P, D), 0, torch.tensor(relevant).bool())


@torch.no_grad()
@pytest.mark.parametrize("query", ["audio", "visual"])
@pytest.mark.parametrize("name", UNGIVEN)
def test_where_the_query_is_says_nothing(name: str, query: str) -> None:
    """The same query earlier in its own modality, whose other segments are others: the same scores."""
    network = built(LEARNED[name], noise(30, seed=1))
    video = one_video([0, 0, 0, 1, 1, 1, 0])
    moved = {
        "audio": video.audio.roll(-2, 0) if query == "audio" else video.audio,
        "visual": video.visual.roll(-2, 0) if query == "visual" else video.visual,
    }
    own = moved[query]
    relevant = video.relevant.roll(-2, 0)
    own[~relevant] = torch.randn_like(own[~relevant])
    other = Timeline("x", moved["audio"], moved["visual"], 0, relevant)
    for one, two in zip(asked(network, video, query), asked(network, other, query), strict=True):
        torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("query", ["audio", "visual"])
@pytest.mark.parametrize("name", UNGIVEN)
def test_a_segment_is_scored_by_itself(name: str, query: str) -> None:
    """Neither its place nor its neighbors: whichever is searched in another order has its scores in that order."""
    network = built(LEARNED[name], noise(30, seed=1))
    video, order = one_video([0, 1, 1, 0, 0]), torch.tensor([3, 0, 4, 1, 2])
    shuffled = (video.audio, video.visual[order]) if query == "audio" else (video.audio[order], video.visual)
    found = asked(network, Timeline("x", *shuffled, 0, video.relevant), query)[0]
    torch.testing.assert_close(found, asked(network, video, query)[0][order])
    assert found.std() > 1e-4  # they do differ


@pytest.mark.parametrize("name", UNGIVEN)
def test_where_there_is_nothing_to_find_nothing_is_found(name: str) -> None:
    """Fitted to features without any meaning, a method is no better than a drawn start."""
    settings = EventSettings(
        task="cml", epochs=4, batch_size=50, lr=0.01, device="cpu", network={"width": 16}
    )
    train_set, val_set = noise(150, 5, in_pieces=False), noise(30, 6)
    network = train_events(LEARNED[name], train_set, val_set, settings, seed=0).network
    test = noise(400, 7, in_pieces=False)
    drawn, found = (
        evaluate_events(each, test, "cml", batch_size=400)
        for each in (built(CML_METHODS["chance"], test), network)
    )
    assert found.num_scored > 270
    for direction in ("a2v", "v2a"):
        assert abs(found.metrics[direction] - drawn.metrics[direction]) < 9  # 3 standard deviations
