"""Surveillance clips of 2 s: folds that keep each source video together, and videos of 10 s joined from clips.

joined video   | no fight | no fight |  fight   |  fight   | no fight |      five clips, 10 s
               0          2          4          6          8          10     the event: from 4 to 8 s
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

import av
import numpy as np
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional

from interlace.audiovisual.features.seconds import read_seconds
from interlace.data import video
from interlace.data.audio import read_seconds_of_sound
from interlace.data.splits import group_folds
from interlace.files import whole_file

CLIP_SECONDS, CLIPS_A_VIDEO, LONGEST_FIGHT = 2, 5, 3
BACKGROUND_SHARE = 1 / 6
"""Of the joined videos, without a fight."""
FPS, WIDTH, HEIGHT, RATE_HZ = 25, 192, 128, 16_000


@dataclass(frozen=True)
class Clip:
    """A file, and the video that it was cut from."""

    path: str
    """Relative to the data's folder."""
    is_fight: bool
    group: str


@dataclass(frozen=True)
class JoinedVideo:
    """Which clips follow each other; the fight is from ``start`` to ``end`` seconds, both 0 where there is none."""

    name: str
    clips: tuple[str, ...]
    start: int
    end: int


def read_clips(data: Path) -> list[Clip]:
    """The clips of `groups.csv`."""
    with (data / "groups.csv").open(newline="", encoding="utf-8-sig") as file:
        return [Clip(row["path"], row["label"] == "1", row["group"]) for row in csv.DictReader(file)]


def split_clips(clips: Sequence[Clip], num_folds: int, fold: int) -> dict[str, list[Clip]]:
    """A fold for the test, the next one for validation, the others for training; no group is in two of them."""
    folds = group_folds([int(clip.is_fight) for clip in clips], [clip.group for clip in clips], num_folds)
    test, val = fold % num_folds, (fold + 1) % num_folds
    train = sorted(i for k, members in enumerate(folds) if k not in (test, val) for i in members)
    parts = {"train": train, "val": folds[val], "test": folds[test]}
    return {split: [clips[i] for i in members] for split, members in parts.items()}


def plan_videos(clips: Sequence[Clip], split: str, count: int, seed: int) -> list[JoinedVideo]:
    """Draw the clips of ``count`` videos: one to three fights side by side, no clip in a video twice."""
    draw = Random(f"{split} {seed}")
    fights, others = ([clip.path for clip in clips if clip.is_fight == kind] for kind in (True, False))
    planned = []
    for number in range(count):
        length = 0 if draw.random() < BACKGROUND_SHARE else draw.randint(1, LONGEST_FIGHT)
        first = draw.randint(0, CLIPS_A_VIDEO - length) if length else 0
        around = draw.sample(others, CLIPS_A_VIDEO - length)
        chosen = (*around[:first], *draw.sample(fights, length), *around[first:])
        span = (CLIP_SECONDS * first, CLIP_SECONDS * (first + length))
        planned.append(JoinedVideo(f"{split}/{number:03d}.mp4", chosen, *span))
    return planned


def join(paths: Sequence[Path], output: Path) -> None:
    """Decode clips and encode them one after the other, all in the same size, frame rate and sound rate."""
    with whole_file(output) as beside, av.open(str(beside), "w", format="mp4") as container:
        picture = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "18"})
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=RATE_HZ, layout="mono")
        for number, path in enumerate(paths):
            with video.open(path) as reader:
                seconds = list(islice(read_seconds(reader, FPS, _fit), CLIP_SECONDS))
            if len(seconds) < CLIP_SECONDS:
                raise SystemExit(f"{path}: {len(seconds)} s; a clip has {CLIP_SECONDS} s")
            for second in seconds:
                for frame in second.permute(0, 2, 3, 1).contiguous().numpy():
                    container.mux(picture.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            heard = read_seconds_of_sound(path, sample_rate_hz=RATE_HZ, num_seconds=CLIP_SECONDS)
            samples = np.ascontiguousarray(heard.samples.reshape(1, -1).numpy())
            block = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            block.sample_rate, block.pts = RATE_HZ, number * CLIP_SECONDS * RATE_HZ
            container.mux(sound.encode(block))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))


def _fit(frames: UInt8[Tensor, "T C H W"]) -> UInt8[Tensor, "T C h w"]:
    """The middle of the picture, as large as it goes."""
    scale = max(HEIGHT / frames.shape[2], WIDTH / frames.shape[3])
    size = [max(HEIGHT, round(frames.shape[2] * scale)), max(WIDTH, round(frames.shape[3] * scale))]
    return functional.center_crop(functional.resize(frames, size, antialias=True), [HEIGHT, WIDTH])
