"""Real clips to compare and to calibrate with: those of a data set, or of the built-in data as video files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from interlace.checkpoints import ModelCard
from interlace.data.annotations import Annotations, Sample
from interlace.data.dataset import ViewDataset
from interlace.data.render import CLASSES, render
from interlace.data.sampling import sampling_from_dict
from interlace.data.video import Flow, find_videos


@dataclass(frozen=True, eq=False)
class RealClips:
    """Decoded clips and the files that they come from."""

    pixels: UInt8[Tensor, "N T C H W"]
    paths: tuple[str, ...]
    source: str
    skipped: tuple[tuple[str, str], ...] = ()
    """Files that could not be read, and why."""

    def __len__(self) -> int:
        return len(self.paths)


def read_clips(
    clips: Annotations,
    card: ModelCard,
    num_clips: int,
    *,
    num_frames: int | None = None,
    flow: Flow | None = None,
    frame_template: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> RealClips:
    """Decode clips from all over a list, as the network sees them by the protocol 1clip-center.

    Args:
        clips: the list; their labels do not matter.
        card: sampling and preprocessing.
        num_clips: so many of them, evenly spaced; all, if there are not as many.
        num_frames: frames of each clip; by default the network's own number.
        flow: see :class:`interlace.data.dataset.ViewDataset`.
        frame_template: as there.
        progress: is told how many clips are read.

    Raises:
        ValueError: none of them can be read; the message has the first reason.

    Example:
        >>> from interlace.export.clips import read_clips
        >>> read_clips(annotations, card, 16).pixels.shape  # doctest: +SKIP
        torch.Size([16, 8, 3, 224, 224])
    """
    sampling = card.sampling if num_frames is None else {**card.sampling, "num_segments": num_frames}
    dataset = ViewDataset(
        clips,
        sampling_from_dict(sampling),
        1,
        "center",
        card.preprocessing["image_size"],
        on_error="skip",
        color=card.preprocessing.get("color", "rgb"),
        frame_template=frame_template or card.preprocessing.get("frame_template"),
        modality=card.preprocessing.get("modality", "rgb"),
        flow=flow or card.preprocessing.get("flow") or "dis",
    )
    chosen = evenly_spaced(len(clips), num_clips)
    pixels, paths, skipped = [], [], []
    for done, index in enumerate(chosen):
        progress(f"reading clips ({done + 1} of {len(chosen)})")
        item, path = dataset[index], str(clips.samples[index].path)
        if "error" in item:
            skipped.append((path, item["error"]))
        else:
            pixels.append(item["views"][0])
            paths.append(path)
    if not pixels:
        reason = skipped[0][1] if skipped else "it names none"
        raise ValueError(f"{clips.source}: no clip of it can be read; {reason}")
    return RealClips(torch.stack(pixels), tuple(paths), clips.source, tuple(skipped))


def evenly_spaced(length: int, number: int) -> list[int]:
    """Indices from all over a list.

    Example:
        >>> from interlace.export.clips import evenly_spaced
        >>> evenly_spaced(10, 3), evenly_spaced(2, 3)
        ([1, 5, 8], [0, 1])
    """
    number = min(length, number)
    return [(2 * i + 1) * length // (2 * number) for i in range(number)]


def videos_below(folder: Path, card: ModelCard) -> Annotations:
    """All videos of a folder, where labels do not matter; each stands under the first class.

    Raises:
        ValueError: there is no such folder, or no video in it.
    """
    return _unlabelled(find_videos(folder), card, f"the videos in {folder}")


def built_in_clips(folder: Path, card: ModelCard, num_clips: int) -> Annotations:
    """The built-in data, rendered as H.264 files into a folder, at least ``num_clips`` of them.

    Example:
        >>> from interlace.export.clips import built_in_clips
        >>> len(built_in_clips(folder, card, 16))  # doctest: +SKIP
        20
    """
    data = render(
        folder / "clips",
        clips_per_class=-(-num_clips // len(CLASSES)),
        val_clips_per_class=0,
        progress=False,
    )
    return _unlabelled(find_videos(data), card, "the built-in data, rendered as H.264 files")


def _unlabelled(videos: list[Path], card: ModelCard, source: str) -> Annotations:
    return Annotations(tuple(Sample(path, (0,)) for path in videos), card.labels, source)
