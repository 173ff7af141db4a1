from __future__ import annotations

from collections import Counter

import pytest
import torch

from interlace.audiovisual import NO_EVENT, Timeline
from interlace.audiovisual.timelines.compose import Pair, compose, split_by_group

EVENTS, GROUPS, REPEATS = 5, 3, 2
NUM_PAIRS = EVENTS * GROUPS * REPEATS


def make_pairs(events: int = EVENTS, groups: int = GROUPS, repeats: int = REPEATS) -> list[Pair]:
    """Pair i has i + 1 in every feature, so that a row tells which pair it is of; 0 is silence."""
    pairs: list[Pair] = []
    for event in range(events):
        for group in range(groups):
            for _ in range(repeats):
                value = float(len(pairs) + 1)
                audio, visual = torch.full((7,), value), torch.full((4, 11), value)
                pairs.append(Pair(f"{value:g}", event, audio, visual, group=f"g{group}"))
    return pairs


def numbers(timeline: Timeline) -> list[tuple[int, int | None]]:
    """(pair of the picture, pair of the sound or None) of each segment."""
    seen, heard = timeline.visual[:, 0, 0].int().tolist(), timeline.audio[:, 0].int().tolist()
    return [
        (picture - 1, None if sound == 0 else sound - 1) for picture, sound in zip(seen, heard, strict=True)
    ]


def background(timeline: Timeline) -> list[tuple[int, int | None]]:
    return [
        number
        for number, is_event in zip(numbers(timeline), timeline.relevant.tolist(), strict=True)
        if not is_event
    ]


def event_part(timeline: Timeline) -> list[tuple[int, int | None]]:
    return [
        number
        for number, is_event in zip(numbers(timeline), timeline.relevant.tolist(), strict=True)
        if is_event
    ]


def test_names_and_sizes() -> None:
    timelines = compose(make_pairs(), num_timelines=3, num_segments=6, seed=4)
    assert [timeline.name for timeline in timelines] == ["composed_4_0", "composed_4_1", "composed_4_2"]
    assert {(tuple(t.audio.shape), tuple(t.visual.shape)) for t in timelines} == {((6, 7), (6, 4, 11))}


def test_every_event_is_that_of_equally_many_timelines() -> None:
    counts = Counter(timeline.event for timeline in compose(make_pairs(), num_timelines=53))
    assert sorted(counts.values()) == [10, 10, 11, 11, 11]
    assert sorted(counts) == [0, 1, 2, 3, 4]
    order = [timeline.event for timeline in compose(make_pairs(), num_timelines=20)]
    assert order != sorted(order)
    assert order[:5] != order[5:10]


def test_an_event_segment_shows_and_sounds_one_pair_of_the_event() -> None:
    pairs = make_pairs()
    for timeline in compose(pairs, num_timelines=60):
        part = event_part(timeline)
        assert all(picture == sound for picture, sound in part)
        assert {pairs[picture].event for picture, _ in part} == {timeline.event}


def test_pairs_of_the_event_are_distinct_until_all_are_used() -> None:
    own = GROUPS * REPEATS
    lengths = set()
    for timeline in compose(make_pairs(), num_timelines=80, mix_groups=True):
        used = [picture for picture, _ in event_part(timeline)]
        lengths.add(len(used))
        assert len(set(used[:own])) == min(own, len(used))
        assert len(set(used[own:])) == max(0, len(used) - own)
    assert max(lengths) > own


def groups_of(timeline: Timeline, pairs: list[Pair]) -> set[str]:
    return {pairs[i].group for number in numbers(timeline) for i in number if i is not None}


def test_a_timeline_is_of_one_group_unless_they_are_mixed() -> None:
    pairs = make_pairs()
    alone = [groups_of(timeline, pairs) for timeline in compose(pairs, num_timelines=150)]
    assert all(len(groups) == 1 for groups in alone)
    counts = Counter(group for groups in alone for group in groups)
    assert all(30 < counts[f"g{i}"] < 70 for i in range(GROUPS))
    mixed = [groups_of(timeline, pairs) for timeline in compose(pairs, num_timelines=20, mix_groups=True)]
    assert all(len(groups) > 1 for groups in mixed)


def test_the_group_is_one_that_has_the_event() -> None:
    pairs = [pair for pair in make_pairs() if pair.event != 2 or pair.group == "g1"]
    renamed = [Pair(str(i), pair.event, pair.audio, pair.visual, pair.group) for i, pair in enumerate(pairs)]
    by_value = {float(pair.audio[0]): pair for pair in renamed}
    for timeline in compose(renamed, num_timelines=40):
        if timeline.event == 2:
            assert {by_value[float(row[0, 0])].group for row in timeline.visual} == {"g1"}


def test_background_pairs_a_picture_with_the_sound_of_a_third_event_by_the_same_speaker() -> None:
    pairs, silent, spoken = make_pairs(), 0, 0
    for timeline in compose(pairs, num_timelines=400):
        for picture, sound in background(timeline):
            assert pairs[picture].event != timeline.event
            if sound is None:
                silent += 1
                continue
            spoken += 1
            assert pairs[sound].event not in (timeline.event, pairs[picture].event)
            assert pairs[sound].group == pairs[picture].group
    assert silent / (silent + spoken) == pytest.approx(0.25, abs=0.04)


def test_background_shows_and_sounds_everything_equally_often() -> None:
    pairs, seen, heard = make_pairs(), Counter[int](), Counter[int]()
    for timeline in compose(pairs, num_timelines=600, max_length=2, silence_share=0.0, mix_groups=True):
        for picture, sound in background(timeline):
            seen[picture] += 1
            heard[sound or 0] += 1
    expected = 600 * 8 / NUM_PAIRS
    for counts in (seen, heard):
        assert len(counts) == NUM_PAIRS
        assert all(0.7 * expected < count < 1.3 * expected for count in counts.values())


def test_lengths_and_starts_are_uniform_and_the_whole_timeline_occurs() -> None:
    lengths, starts = Counter[int](), Counter[int]()
    for timeline in compose(make_pairs(), num_timelines=900, seed=1):
        where = timeline.relevant.nonzero().flatten().tolist()
        assert where == list(range(where[0], where[-1] + 1))
        lengths[len(where)] += 1
        if len(where) == 9:
            starts[where[0]] += 1
    assert sorted(lengths) == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert all(65 < count < 135 for count in lengths.values())
    assert sorted(starts) == [0, 1]
    assert all(35 < count < 65 for count in starts.values())


def test_lengths_stay_within_the_bounds() -> None:
    timelines = compose(make_pairs(), num_timelines=40, num_segments=6, min_length=3, max_length=4)
    assert {int(timeline.relevant.sum()) for timeline in timelines} == {3, 4}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_silence_share_at_its_ends(share: float) -> None:
    timelines = compose(make_pairs(), num_timelines=20, silence_share=share)
    sounds = [sound is None for timeline in timelines for _, sound in background(timeline)]
    assert sounds
    assert set(sounds) == {share == 1.0}


def test_decoys_show_or_sound_the_event_but_not_both() -> None:
    pairs, kinds = make_pairs(), Counter[str]()
    for timeline in compose(pairs, num_timelines=400, decoy_share=0.4, background_share=0.1):
        for picture, sound in background(timeline):
            events = pairs[picture].event, None if sound is None else pairs[sound].event
            assert events[0] != events[1]
            if timeline.event not in events:
                kinds["plain"] += 1
                continue
            kinds["picture" if events[0] == timeline.event else "sound"] += 1
            assert sound is not None
            assert pairs[picture].group == pairs[sound].group
            assert timeline.event != NO_EVENT
    of_events = 1600  # on average 4 background segments in each of 360 timelines, and 10 in each of 40
    assert abs(kinds.total() - of_events - 240) < 250
    decoys = kinds["picture"] + kinds["sound"]
    assert decoys / (kinds.total() - 400) == pytest.approx(0.4, abs=0.05)
    assert kinds["picture"] / decoys == pytest.approx(0.5, abs=0.07)


def test_no_decoys_unless_asked_for() -> None:
    pairs = make_pairs()
    for timeline in compose(pairs, num_timelines=50):
        for picture, sound in background(timeline):
            assert timeline.event not in (pairs[picture].event, None if sound is None else pairs[sound].event)


def test_background_only_timelines_are_as_many_as_asked_for_and_anywhere() -> None:
    timelines = compose(make_pairs(), num_timelines=30, background_share=0.2)
    empty = [i for i, timeline in enumerate(timelines) if timeline.event == NO_EVENT]
    assert len(empty) == 6
    assert empty != list(range(24, 30))
    assert sorted(Counter(t.event for t in timelines).values()) == [4, 5, 5, 5, 5, 6]
    assert all(timelines[i].relevant.sum() == 0 and len(background(timelines[i])) == 10 for i in empty)


def test_the_seed_alone_decides() -> None:
    one, same, other = (compose(make_pairs(), num_timelines=12, seed=seed) for seed in (3, 3, 5))
    torch.manual_seed(1)  # the global state does not matter
    again = compose(make_pairs(), num_timelines=12, seed=3)
    assert [numbers(t) for t in one] == [numbers(t) for t in same] == [numbers(t) for t in again]
    assert [numbers(t) for t in one] != [numbers(t) for t in other]


def test_splits_of_groups_share_no_pair() -> None:
    pairs = make_pairs()
    parts = split_by_group(pairs, ["g1"], ["g2"])
    assert [{pair.group for pair in part} for part in parts] == [{"g0"}, {"g1"}, {"g2"}]
    assert sum(map(len, parts)) == NUM_PAIRS
    rows = []
    for part in parts:
        timelines = compose(part, num_timelines=40)
        rows.append(
            {number for t in timelines for pair in numbers(t) for number in pair if number is not None}
        )
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]
    assert not rows[1] & rows[2]


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ([["g9"]], "'g9' has no pair; the groups are g0, g1, g2"),
        ([["g1"], ["g1"]], "'g1' is held out twice"),
        ([["g0", "g1"], ["g2"]], "every group is held out"),
    ],
)
def test_groups_that_cannot_be_held_out(held_out: list[list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_by_group(make_pairs(), *held_out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_timelines": 0}, "num_timelines=0 must be 1 or more"),
        ({"num_segments": 0}, "num_segments=0 must be 1 or more"),
        ({"min_length": 0}, "min_length=0 and max_length=10 must be 1 to num_segments=10"),
        ({"min_length": 5, "max_length": 4}, "min_length=5 and max_length=4"),
        ({"max_length": 11}, "max_length=11 must be 1 to num_segments=10"),
        ({"silence_share": 1.5}, "silence_share=1.5 is a share"),
        ({"decoy_share": -0.5}, "decoy_share=-0.5 is a share"),
        ({"background_share": float("nan")}, "background_share=nan is a share"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compose(make_pairs(), **{"num_timelines": 2, **arguments})  # type: ignore[arg-type]


def test_pairs_that_cannot_be() -> None:
    pairs = make_pairs()
    with pytest.raises(ValueError, match="no pairs"):
        compose([], num_timelines=1)
    with pytest.raises(ValueError, match=r"^1 occurs twice"):
        compose([*pairs, pairs[0]], num_timelines=1)
    with pytest.raises(ValueError, match="odd has event -1"):
        compose([*pairs, Pair("odd", -1, torch.zeros(7), torch.zeros(4, 11))], num_timelines=1)
    with pytest.raises(ValueError, match=r"odd has audio \(6,\) and visual \(4, 11\), 1 \(7,\)"):
        compose([*pairs, Pair("odd", 0, torch.zeros(6), torch.zeros(4, 11))], num_timelines=1)
    with pytest.raises(ValueError, match=r"group 'g0': events 0, 1; .* neither the event, so 3 events"):
        compose(make_pairs(events=2), num_timelines=1)


def test_two_events_are_enough_where_the_background_is_silent() -> None:
    timelines = compose(make_pairs(events=2), num_timelines=4, silence_share=1.0)
    assert sorted(timeline.event for timeline in timelines) == [0, 0, 1, 1]
    with pytest.raises(ValueError, match=r"the pairs: events 0; .* another than the event, so 2 events"):
        compose(make_pairs(events=1), num_timelines=4, silence_share=1.0)


def test_out_of_step_an_event_segment_sounds_another_pair_of_the_event_and_the_group() -> None:
    pairs = make_pairs()
    for timeline in compose(pairs, num_timelines=60, in_step=False):
        for picture, sound in event_part(timeline):
            assert sound is not None
            assert picture != sound
            assert pairs[sound].event == pairs[picture].event == timeline.event
            assert pairs[sound].group == pairs[picture].group


def test_out_of_step_a_pair_that_is_alone_sounds_itself() -> None:
    for timeline in compose(make_pairs(repeats=1), num_timelines=20, in_step=False):
        assert all(picture == sound for picture, sound in event_part(timeline))
