"""What the protocol demands, on timelines whose features are planted: one-hot letters, the same in both modalities."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from interlace.audiovisual import NO_EVENT, Batch, Timeline, collate
from interlace.audiovisual.models.cml import event_start, is_asked
from interlace.audiovisual.models.localizer import EventLocalizer
from interlace.audiovisual.models.matcher import CrossModalMatcher

LETTERS, N = 6, 8
SIZES = {"audio_features": LETTERS, "visual_features": LETTERS, "num_events": LETTERS}


def planted(event: int, relevant: list[int], generator: torch.Generator) -> Timeline:
    """Where the event is, both modalities show its letter; elsewhere sound and picture are two different others."""
    where = torch.tensor(relevant).bool()
    heard = torch.full((len(relevant),), max(event, 0))
    seen = heard.clone()
    others = torch.tensor([letter for letter in range(LETTERS) if letter != event])
    for segment in (~where).nonzero()[:, 0].tolist():
        heard[segment], seen[segment] = others[torch.randperm(len(others), generator=generator)[:2]]
    audio, visual = (nn.functional.one_hot(letters, LETTERS).float() for letters in (heard, seen))
    return Timeline("planted", audio, visual[:, None], event, where)


def many(count: int, seed: int) -> Batch:
    """Events of three to five segments anywhere; every tenth video is background from end to end."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    timelines = []
    for i in range(count):
        length = 0 if i % 10 == 9 else draw(3, 5)
        start = draw(0, N - length)
        relevant = [int(start <= segment < start + length) for segment in range(N)]
        timelines.append(planted(draw(0, LETTERS - 1) if length else NO_EVENT, relevant, generator))
    return collate(timelines)


def chosen(batch: Batch, which: torch.Tensor) -> Batch:
    return Batch(*(value[which] for value in vars(batch).values()))


def shuffled(batch: Batch, modality: str) -> Batch:
    """The segments of one modality in another order in each video; T_E stays what it was."""
    values = dict(vars(batch))
    order = torch.rand(batch.mask.shape, generator=torch.Generator().manual_seed(5)).argsort(1)
    values[modality] = torch.stack([rows[i] for rows, i in zip(values[modality], order, strict=True)])
    return Batch(**values)


def fit(network: nn.Module, batch: Batch) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        network.loss(batch).backward()  # type: ignore[operator]
        optimizer.step()
    network.eval()


@pytest.mark.parametrize("relevant", [[0, 1, 1, 0, 0], [1, 0, 0], [0, 0, 0, 0, 0, 1], [0, 1, 1, 1, 1, 1, 1]])
def test_matching_as_it_is_finds_a_planted_event_exactly(relevant: list[int]) -> None:
    network = CrossModalMatcher(
        **SIZES, width=LETTERS, normalize=False, self_attention=False, scale=1.0, bias=False
    ).eval()
    network.matching.encode_audio = network.matching.encode_visual = nn.Identity()
    batch = collate(
        [planted(event, relevant, torch.Generator().manual_seed(event)) for event in range(LETTERS)]
    )
    for query in ("audio", "visual"):
        assert torch.equal(
            network.relevance(batch, query), batch.relevant.float()
        )  # phi . f_t is 1 in T_E, else 0
        assert torch.equal(network.starts(batch, query), event_start(batch.relevant))
        assert network.hits(batch, network.starts(batch, query)).tolist() == [1.0] * LETTERS


@pytest.fixture(scope="module")
def localizer() -> EventLocalizer:
    torch.manual_seed(0)
    network = EventLocalizer(**SIZES, width=32, dropout=0.0)
    fit(network, many(100, seed=1))
    return network


def test_background_only_and_all_event_videos(localizer: EventLocalizer) -> None:
    generator = torch.Generator().manual_seed(0)
    batch = collate(
        [planted(*row, generator) for row in ((NO_EVENT, [0] * 4), (2, [1] * 4), (3, [0, 1, 1, 0]))]
    )
    assert is_asked(batch).tolist() == [False, False, True]
    truth = many(200, seed=2)
    found, background = localizer.localize(truth), truth.event == NO_EVENT
    assert (found.labels[background] == LETTERS).double().mean() > 0.75
    assert (found.labels[truth.relevant] != LETTERS).double().mean() > 0.75
    filled = collate([planted(event, [1] * N, torch.Generator()) for event in range(LETTERS)])
    assert localizer.localize(filled).labels.tolist() == [[event] * N for event in range(LETTERS)]


def test_shuffling_one_modality_destroys_cml() -> None:
    network = CrossModalMatcher(**SIZES, width=32, dropout=0.0)
    fit(network, many(100, seed=1))
    test = many(200, seed=2)
    test = chosen(test, is_asked(test))
    for query, searched in (("audio", "visual"), ("visual", "audio")):
        assert network.hits(test, network.starts(test, query)).mean() > 0.95
        other = shuffled(test, searched)
        assert network.hits(other, network.starts(other, query)).mean() < 0.35  # a drawn start: about 0.2


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_shuffling_one_modality_leaves_the_category(localizer: EventLocalizer, modality: str) -> None:
    test = many(200, seed=2)
    test = chosen(test, test.event != NO_EVENT)
    before, after = localizer.localize(test), localizer.localize(shuffled(test, modality))
    assert (before.event_scores.argmax(1) == test.event).double().mean() > 0.9
    torch.testing.assert_close(after.event_scores, before.event_scores)
