"""Timelines composed of paired clips: an event that is seen and heard, among pictures with another's sound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import torch
from jaxtyping import Float
from torch import Tensor

from interlace.audiovisual.timelines.timeline import NO_EVENT, Timeline


@dataclass(frozen=True)
class Pair:
    """One short clip with its own sound, e.g. a spoken letter: one row of features of each modality.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.timelines.compose import Pair
        >>> Pair("A/A1_Anya.mp4", 0, torch.rand(128), torch.rand(1, 512), group="Anya").event
        0
    """

    name: str
    """File or id: no two pairs share it."""
    event: int
    """What is shown and said: index of a label."""
    audio: Float[Tensor, " A"]
    visual: Float[Tensor, "P D"]
    group: str = ""
    """Who shows and says it."""


def compose(
    pairs: Sequence[Pair],
    *,
    num_timelines: int,
    num_segments: int = 10,
    min_length: int = 2,
    max_length: int | None = None,
    silence_share: float = 0.25,
    decoy_share: float = 0.0,
    background_share: float = 0.0,
    in_step: bool = True,
    mix_groups: bool = False,
    seed: int = 0,
) -> list[Timeline]:
    """Put pairs together to timelines, one pair or two halves a segment.

    ::

        picture   K  B  C  C  C  C  Q  A  M  D       the event is C, its length 4, its start 2
        sound     R  -  C  C  C  C  E  L  -  G       - is silence: a row of zeros

    - Event: every event of the pairs is that of equally many timelines (one more or less), in random order.
      ``round(background_share * num_timelines)`` timelines have none.
    - Region: its length is uniform over ``min_length`` to ``max_length``, then its start over all places at
      which it fits. An event as long as the timeline leaves no background.
    - A timeline is of one group, drawn evenly among those that have its event, as a video is of one person. With
      ``mix_groups`` each segment may be of another; then the order of the people alone tells which sound belongs to
      which picture, whatever is shown.
    - A segment of the event shows and sounds one pair. The pairs of a timeline's event are distinct; where there
      are fewer than its length, all are used before one comes again.
    - Without ``in_step`` an event segment sounds another of the event's pairs than it shows, of the same group; the
      same one only where there is no other. What links the modalities then is the event, and not the moment.
    - A background segment shows a pair of another event: the event is uniform over the others, then the pair over
      the event's. With probability ``silence_share`` it is silent. Else it sounds a pair of the *same group* and of
      a third event, chosen in the same way: voice and face belong together everywhere, so who speaks does not tell
      the background from the event. These pairs may come again.
    - With probability ``decoy_share`` a background segment is a decoy instead: one of the event's pairs, of
      which only the picture or only the sound is taken (even odds); the other half is of the same group and of
      another event, never silent. Background-only timelines have none. A decoy next to the event leaves two
      starts in one modality that both show (or sound) nothing but the event, so cross-modality localization
      cannot be perfect then.

    Timelines hold nothing but rows of ``pairs`` and zeros: splits that share no pair (:func:`split_by_group`)
    have timelines that share none. The same pairs in the same order and the same arguments give the same timelines.

    Raises:
        ValueError: names that occur twice, rows of several sizes, an event below 0; too few events, in all or
            in a group (three, or two without sound in the background); a length, share or count that cannot be.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.timelines.compose import Pair, compose
        >>> pairs = [Pair(f"{i}", i % 4, torch.rand(3), torch.rand(1, 5)) for i in range(8)]
        >>> compose(pairs, num_timelines=2, max_length=3, seed=1)
        [Timeline(composed_1_0, 10 segments, audio (10, 3), visual (10, 1, 5), event 2 at 7-9),
         Timeline(composed_1_1, 10 segments, audio (10, 3), visual (10, 1, 5), event 1 at 4-6)]
    """
    longest = num_segments if max_length is None else max_length
    _check_numbers(
        {"num_timelines": num_timelines, "num_segments": num_segments},
        {"silence_share": silence_share, "decoy_share": decoy_share, "background_share": background_share},
    )
    if not 1 <= min_length <= longest <= num_segments:
        raise ValueError(
            f"min_length={min_length} and max_length={longest} must be 1 to num_segments={num_segments}, "
            "the first not above the second"
        )
    _check_pairs(pairs, needed=2 if silence_share == 1 and decoy_share == 0 else 3)

    by_event: dict[int, list[Pair]] = defaultdict(list)
    by_group: dict[str, dict[int, list[Pair]]] = defaultdict(lambda: defaultdict(list))
    for pair in pairs:
        by_event[pair.event].append(pair)
        by_group[pair.group][pair.event].append(pair)

    draw = Random(seed)
    timelines = []
    for i, event in enumerate(_events(draw, sorted(by_event), num_timelines, background_share)):
        length = 0 if event == NO_EVENT else draw.randint(min_length, longest)
        start = draw.randint(0, num_segments - length)
        cast = by_event
        if not mix_groups:
            cast = draw.choice([own for own in by_group.values() if event in own or event == NO_EVENT])
        segments: list[tuple[Pair, Pair | None]] = [
            _background(draw, event, cast, by_group, silence_share, decoy_share)
            for _ in range(num_segments - length)
        ]
        shown = _distinct(draw, cast.get(event, []), length)
        segments[start:start] = [
            (pair, pair if in_step else _another(draw, pair, by_group[pair.group][event])) for pair in shown
        ]
        timelines.append(
            Timeline(
                f"composed_{seed}_{i}",
                torch.stack(
                    [
                        torch.zeros_like(picture.audio) if sound is None else sound.audio
                        for picture, sound in segments
                    ]
                ),
                torch.stack([picture.visual for picture, _ in segments]),
                event,
                torch.tensor([start <= place < start + length for place in range(num_segments)]),
            )
        )
    return timelines


def split_by_group(pairs: Sequence[Pair], *held_out: Collection[str]) -> tuple[list[Pair], ...]:
    """The pairs of all other groups, then those of each collection of groups held out.

    Raises:
        ValueError: a group that no pair is of, or that is held out twice; nothing is left.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.timelines.compose import Pair, split_by_group
        >>> pairs = [Pair(name, 0, torch.rand(3), torch.rand(1, 5), group=name[0]) for name in ("a1", "b1", "b2", "c1")]
        >>> train, val, test = split_by_group(pairs, ["c"], ["b"])
        >>> [pair.name for pair in train], [pair.name for pair in val], [pair.name for pair in test]
        (['a1'], ['c1'], ['b1', 'b2'])
    """
    groups = {pair.group for pair in pairs}
    seen: set[str] = set()
    for part in held_out:
        for group in part:
            if group not in groups or group in seen:
                why = "is held out twice" if group in seen else "has no pair"
                raise ValueError(f"group {group!r} {why}; the groups are {', '.join(sorted(groups))}")
            seen.add(group)
    if seen == groups:
        raise ValueError("every group is held out; leave some to train on")
    parts = [groups - seen, *(set(part) for part in held_out)]
    return tuple([pair for pair in pairs if pair.group in part] for part in parts)


def _events(draw: Random, events: list[int], num_timelines: int, background_share: float) -> list[int]:
    background = round(background_share * num_timelines)
    # Which events occur once more than the others is random too.
    rounds = draw.sample(events, len(events)) * (num_timelines // len(events) + 1)
    order = rounds[: num_timelines - background] + [NO_EVENT] * background
    draw.shuffle(order)
    return order


def _distinct(draw: Random, own: list[Pair], length: int) -> list[Pair]:
    chosen: list[Pair] = []
    while len(chosen) < length:
        chosen += draw.sample(own, min(len(own), length - len(chosen)))
    return chosen


def _another(draw: Random, pair: Pair, own: list[Pair]) -> Pair:
    return draw.choice([other for other in own if other is not pair] or [pair])


def _background(
    draw: Random,
    event: int,
    by_event: Mapping[int, list[Pair]],
    by_group: Mapping[str, Mapping[int, list[Pair]]],
    silence_share: float,
    decoy_share: float,
) -> tuple[Pair, Pair | None]:
    """The picture's pair and the sound's."""
    if event != NO_EVENT and draw.random() < decoy_share:
        decoy = draw.choice(by_event[event])
        other = _other(draw, by_group[decoy.group], event)
        return (decoy, other) if draw.random() < 0.5 else (other, decoy)
    picture = _other(draw, by_event, event)
    if draw.random() < silence_share:
        return picture, None
    return picture, _other(draw, by_group[picture.group], event, picture.event)


def _other(draw: Random, pairs: Mapping[int, list[Pair]], *but: int) -> Pair:
    return draw.choice(pairs[draw.choice([event for event in pairs if event not in but])])


def _check_numbers(counts: Mapping[str, int], shares: Mapping[str, float]) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}={count} must be 1 or more")
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name}={share} is a share: it must lie between 0 and 1")


def _check_pairs(pairs: Sequence[Pair], needed: int) -> None:
    if not pairs:
        raise ValueError("no pairs to compose timelines of; give some of every event")
    names: set[str] = set()
    events: dict[str, set[int]] = defaultdict(set)
    first = pairs[0]
    for pair in pairs:
        if pair.name in names:
            raise ValueError(
                f"{pair.name} occurs twice among the pairs; give each once, by a name of its own"
            )
        if pair.event < 0:
            raise ValueError(f"{pair.name} has event {pair.event}; a pair is of an event from 0 on")
        if pair.audio.shape != first.audio.shape or pair.visual.shape != first.visual.shape:
            raise ValueError(
                f"{pair.name} has audio {tuple(pair.audio.shape)} and visual {tuple(pair.visual.shape)}, "
                f"{first.name} {tuple(first.audio.shape)} and {tuple(first.visual.shape)}; take all features in one way"
            )
        names.add(pair.name)
        events[pair.group].add(pair.event)
    if needed == 2:  # all silent: there is no other half that must be of the same group
        events = {"": set().union(*events.values())}
    for group, found in events.items():
        if len(found) < needed:
            where = f"group {group!r}" if group else "the pairs"
            halves = (
                "shows one and sounds another, neither the event"
                if needed == 3
                else "shows another than the event"
            )
            raise ValueError(
                f"{where}: events {', '.join(map(str, sorted(found)))}; a background segment {halves}, so {needed} "
                "events are needed"
            )
