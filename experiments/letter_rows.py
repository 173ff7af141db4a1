"""One row of features of each spoken letter of AVLetters and each modality, and the pairs that timelines are made of.

The sound is the data set's own MFCC (its waveforms are not published); the picture is the mouth, 10 x 8 points of it at
8 moments, less its own mean over time. Both are stretched to the letter's length: an utterance fills a segment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor

from interlace.audiovisual import Pair, Timeline, TimelineSet, compose, save_timelines
from interlace.data import video

SPLITS = {
    "train": ("Anya", "Bill", "Faye", "John", "Kate"),
    "val": ("Nicola", "Stephen"),
    "test": ("Steve", "Verity", "Yi"),
}
"""Talkers in the order of the alphabet: no one is in two splits, and so no utterance is."""
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
SOUND_STEPS, PICTURE_STEPS, HEIGHT, WIDTH = 16, 8, 8, 10
VARIANTS = 16
"""Of each training utterance: itself, and 15 times with the mouth moved, turned over and stretched, and both
modalities with other beginnings and ends. Of the other splits there is the utterance itself."""


@dataclass(frozen=True)
class Utterance:
    """A talker says a letter once."""

    name: str
    letter: int
    talker: str
    frames: Float[Tensor, "T H W"]
    mfcc: Float[Tensor, "S 26"]


def read_utterances(data: Path) -> list[Utterance]:
    """All of AVLetters, by path."""
    files = sorted(data.glob("?/*.mp4"))
    if not files:
        raise SystemExit(f"{data}: no file like A/A1_Anya.mp4; give the folder of AVLetters")
    return list(map(_read, files))


def _read(path: Path) -> Utterance:
    match = re.fullmatch(r"([A-Z])\d_(\w+)", path.stem)
    if match is None:
        raise SystemExit(f"{path}: a file of AVLetters is named like A1_Anya.mp4")
    with video.open(path, color="gray") as clip:
        frames = clip.frames_at(range(clip.num_frames))[:, 0].float()
    mfcc = torch.from_numpy(np.load(path.with_name(f"{path.stem}_mfcc.npy"))).float()
    return Utterance(path.stem, LETTERS.index(match[1]), match[2], frames, mfcc)


def composed_sets(
    data: Path, counts: dict[str, int], seed: int, in_step: bool
) -> Iterator[tuple[str, TimelineSet]]:
    """The three splits, composed by :func:`interlace.audiovisual.compose` and filled with the utterances' rows.

    A place in a training timeline shows and sounds a variant of its utterance drawn anew.
    """
    utterances = read_utterances(data)
    chance = torch.Generator().manual_seed(seed)
    rows = [_rows(one, VARIANTS if one.talker in SPLITS["train"] else 1, chance) for one in utterances]
    known = [row for row, one in zip(rows, utterances, strict=True) if one.talker in SPLITS["train"]]
    sound = _Standard(torch.cat([row[0] for row in known]))
    picture = _Standard(torch.cat([row[1] for row in known]))
    sounds, pictures = ([scale(row[i]) for row in rows] for i, scale in ((0, sound), (1, picture)))
    for number, (split, talkers) in enumerate(SPLITS.items()):
        pairs = [
            Pair(one.name, one.letter, torch.tensor([i + 1.0]), torch.tensor([[float(i)]]), one.talker)
            for i, one in enumerate(utterances)
            if one.talker in talkers
        ]
        numbered = compose(pairs, num_timelines=counts[split], in_step=in_step, seed=100 * seed + number)
        timelines = tuple(_filled(timeline, sounds, pictures, chance) for timeline in numbered)
        about = f"composed of AVLetters, {split}: {', '.join(talkers)}, seed {seed}"
        yield split, TimelineSet(LETTERS, timelines, about)


def _filled(timeline: Timeline, sounds: list[Tensor], pictures: list[Tensor], chance: Generator) -> Timeline:
    """Rows in the place of the utterances' numbers: sound 0 is silence."""
    audio, visual = [], []
    numbers = zip(timeline.audio[:, 0].int().tolist(), timeline.visual[:, 0, 0].int().tolist(), strict=True)
    for heard, seen in numbers:
        variant = int(torch.randint(len(pictures[seen]), (), generator=chance))
        audio.append(
            sounds[heard - 1][variant % len(sounds[heard - 1])] if heard else torch.zeros_like(sounds[0][0])
        )
        visual.append(_quarters(pictures[seen][variant]))
    return Timeline(
        timeline.name,
        torch.stack(audio).half(),
        torch.stack(visual).half(),
        timeline.event,
        timeline.relevant,
    )


def _rows(one: Utterance, variants: int, chance: Generator) -> tuple[Tensor, Tensor]:
    """(variants, A) and (variants, D)."""
    ways = [(_stretch(chance, i > 0), _warp(chance, i > 0)) for i in range(variants)]
    sound = [_at(one.mfcc - one.mfcc.mean(0), SOUND_STEPS, span).flatten() for span, _ in ways]
    return torch.stack(sound), torch.stack([_mouth(one.frames, span, warp) for span, warp in ways])


def _mouth(frames: Tensor, span: tuple[float, float], warp: Tensor | None) -> Tensor:
    picture = ((frames - frames.mean()) / frames.std())[:, None]
    if warp is not None:
        grid = F.affine_grid(warp.expand(len(picture), 2, 3), list(picture.shape), align_corners=False)
        picture = F.grid_sample(picture, grid, padding_mode="border", align_corners=False)
    points = F.interpolate(picture, size=(HEIGHT, WIDTH), mode="area")[:, 0]
    return _at(points - points.mean(0), PICTURE_STEPS, span).flatten()


def _quarters(mouth: Float[Tensor, " D"]) -> Float[Tensor, "4 D"]:
    """The four quarters of the picture as places: each keeps its own points, where they were, among zeros.

    Their mean is the whole picture, so attention over the places weighs parts of the mouth and forgets none of it.
    """
    points = mouth.reshape(PICTURE_STEPS, HEIGHT, WIDTH)
    places = torch.zeros(4, *points.shape)
    for i, (top, left) in enumerate(((0, 0), (0, WIDTH // 2), (HEIGHT // 2, 0), (HEIGHT // 2, WIDTH // 2))):
        area = (slice(None), slice(top, top + HEIGHT // 2), slice(left, left + WIDTH // 2))
        places[i][area] = 4 * points[area]
    return places.flatten(1)


def _at(rows: Tensor, steps: int, span: tuple[float, float]) -> Tensor:
    """Rows at evenly spaced times between two shares of their length, by linear interpolation."""
    last = len(rows) - 1
    times = torch.linspace(span[0] * last, span[1] * last, steps).clamp(0, last)
    low = times.floor().long()
    part = (times - low).reshape(-1, *[1] * (rows.ndim - 1))
    return rows[low] * (1 - part) + rows[(low + 1).clamp(max=last)] * part


def _stretch(chance: Generator, moved: bool) -> tuple[float, float]:
    return (_even(chance, -0.08, 0.12), 1 - _even(chance, -0.08, 0.12)) if moved else (0.0, 1.0)


def _warp(chance: Generator, moved: bool) -> Tensor | None:
    if not moved:
        return None
    side = 1 if _even(chance, 0, 1) < 0.5 else -1
    return torch.tensor(
        [
            [side * _even(chance, 0.88, 1.1), _even(chance, -0.06, 0.06), _even(chance, -0.1, 0.1)],
            [_even(chance, -0.06, 0.06), _even(chance, 0.88, 1.1), _even(chance, -0.1, 0.1)],
        ]
    )


def _even(chance: Generator, low: float, high: float) -> float:
    return float(torch.rand((), generator=chance)) * (high - low) + low


class _Standard:
    """Mean 0 and deviation 1 of each number, as the training talkers have it."""

    def __init__(self, rows: Float[Tensor, "V D"]) -> None:
        self.mean, self.deviation = rows.mean(0), rows.std(0)

    def __call__(self, rows: Tensor) -> Tensor:
        return (rows - self.mean) / self.deviation


def write_sets(data: Path, folder: Path, counts: dict[str, int], *, seed: int, in_step: bool) -> None:
    """Write train, val and test.safetensors, unless they are there."""
    missing = [name for name in SPLITS if not (folder / f"{name}.safetensors").exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        for name, timelines in composed_sets(data, counts, seed, in_step):
            save_timelines(folder / f"{name}.safetensors", timelines)
