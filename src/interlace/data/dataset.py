"""From annotations to tensors: clips for training, views for evaluation. Pixels stay uint8."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from interlace.data import video
from interlace.data.annotations import Annotations, Sample
from interlace.data.at_work import AtWork
from interlace.data.cache import ClipCache
from interlace.data.mirror import mirror_of
from interlace.data.out_of_memory import naming_clips
from interlace.data.sampling import Sampling, frame_span
from interlace.data.seed import mixed_seed
from interlace.data.video import Flow, VideoError, VideoReader
from interlace.data.views import spatial_views
from interlace.modality import Modality

Transform = Callable[[Tensor, tuple[int, ...]], tuple[Tensor, tuple[int, ...]]]


class TrainDataset(Dataset[dict[str, Any]]):
    """One random clip of each video; every random choice is a function of (seed, epoch, position).

    Positions from ``len`` on are further occurrences in the epoch: position index + k len is another draw from
    the video at index (see :class:`interlace.data.epoch_sampler.EpochSampler`).

    An item is {"clip": uint8 (T, C, S, S), "label": int, or float (K,) of zeros and ones if multi-label,
    "index": int}. With ``on_error="skip"`` an unreadable video is {"clip": None, "index": int, "error": str},
    and an item with stand-ins for damaged frames has a "note": str. ``short_side`` makes larger frames smaller before
    the transform; a ``cache`` changes no pixel. ``modality`` is what the channels are, ``flow`` how or where optical
    flow is had (see :func:`interlace.data.video.open`).

    Raises:
        VideoError: an unreadable video under ``on_error="raise"``; the message names the file.
    """

    def __init__(
        self,
        annotations: Annotations,
        sampling: Sampling,
        transform: Transform,
        *,
        seed: int,
        on_error: Literal["raise", "skip"] = "raise",
        color: Literal["rgb", "gray"] = "rgb",
        frame_template: str | None = None,
        short_side: int | None = None,
        cache: ClipCache | None = None,
        modality: Modality = "rgb",
        flow: Flow = "dis",
    ) -> None:
        self.annotations = annotations
        self.sampling = sampling
        self.transform = transform
        self.seed = seed
        self.on_error = on_error
        self.color = color
        self.frame_template = frame_template
        self.short_side = short_side
        self.cache = cache
        self.modality: Modality = modality
        self.flow: Flow = flow
        self.at_work = AtWork(annotations.samples)
        if cache is not None and annotations.store is not None:
            raise ValueError(
                "decode.cache keeps what is decoded of files; it cannot be used with shards, leave it off"
            )
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # workers that live on see it change

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the random choices, in every worker; call it before the epoch's first batch."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.annotations)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (
            self[index] for index in range(len(self))
        )  # as no position is out of range, nothing else ends it

    def __getitems__(self, positions: list[int]) -> list[dict[str, Any]]:
        """A batch of items; an error of memory names its clips."""
        return self.at_work.read(self.__getitem__, positions)

    def __getitem__(self, position: int) -> dict[str, Any]:
        occurrence, index = divmod(position, len(self))
        sample = self.annotations.samples[index]
        epoch = int(self._epoch)
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, epoch, index, 2 * occurrence))
        try:
            with open_sample(
                self.annotations,
                index,
                self.color,
                self.on_error,
                self.frame_template,
                self.short_side,
                self.cache,
                self.modality,
                self.flow,
            ) as reader:
                first, end = usable_frames(reader, sample)
                chosen = self.sampling.train_indices(end - first, generator)
                clip = reader.frames_at([first + i for i in chosen])
                note = reader.damage
        except VideoError as error:
            if self.on_error == "raise":
                raise
            return {"clip": None, "index": index, "error": str(error)}
        with torch.random.fork_rng(devices=[]):
            # the CPU's generator alone: torch.manual_seed would also set a GPU's, which is not restored here
            torch.default_generator.manual_seed(mixed_seed(self.seed, epoch, index, 2 * occurrence + 1))
            clip, labels = self.transform(clip, sample.labels)
        item = {"clip": clip, "label": target(labels, self.annotations), "index": index}
        return item | {"note": note} if note else item


class ViewDataset(Dataset[dict[str, Any]]):
    """All views of each video, the same at every call: clips x crops, crops running fastest.

    An item is {"views": uint8 (V, T, C, S, S), "label": as in :class:`TrainDataset`, "index": int}, ``modality`` and
    ``flow`` are those of :class:`TrainDataset`. With
    ``on_error="skip"`` an unreadable video is {"views": None, "index": int, "error": str}, and an item with
    stand-ins for damaged frames has a "note": str.

    Raises:
        VideoError: an unreadable video under ``on_error="raise"``; the message names the file.
    """

    def __init__(
        self,
        annotations: Annotations,
        sampling: Sampling,
        num_clips: int,
        crops: Literal["center", "three", "ten", "full"],
        image_size: int,
        *,
        on_error: Literal["raise", "skip"] = "raise",
        color: Literal["rgb", "gray"] = "rgb",
        frame_template: str | None = None,
        cache: ClipCache | None = None,
        modality: Modality = "rgb",
        flow: Flow = "dis",
    ) -> None:
        self.annotations = annotations
        self.sampling = sampling
        self.num_clips = num_clips
        self.crops = crops
        self.image_size = image_size
        self.on_error = on_error
        self.color = color
        self.frame_template = frame_template
        self.cache = cache
        self.modality: Modality = modality
        self.flow: Flow = flow
        self.at_work = AtWork(annotations.samples)

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitems__(self, positions: list[int]) -> list[dict[str, Any]]:
        """A batch of items; an error of memory names its clips."""
        return self.at_work.read(self.__getitem__, positions)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = self.annotations.samples[index]
        try:
            with open_sample(
                self.annotations,
                index,
                self.color,
                self.on_error,
                self.frame_template,
                cache=self.cache,
                modality=self.modality,
                flow=self.flow,
            ) as reader:
                first, end = usable_frames(reader, sample)
                clips = self.sampling.test_indices(end - first, self.num_clips)
                needed = sorted(
                    {i for clip in clips for i in clip}
                )  # views share frames: each is decoded once
                frames = reader.frames_at([first + i for i in needed])
                note = reader.damage
        except VideoError as error:
            if self.on_error == "raise":
                raise
            return {"views": None, "index": index, "error": str(error)}
        place = {i: position for position, i in enumerate(needed)}
        cropped = spatial_views(frames, self.crops, self.image_size, mirror=mirror_of(self.modality))
        views = torch.cat([cropped[:, [place[i] for i in clip]] for clip in clips])
        item = {"views": views, "label": target(sample.labels, self.annotations), "index": index}
        return item | {"note": note} if note else item


def open_sample(
    annotations: Annotations,
    index: int,
    color: Literal["rgb", "gray"],
    on_error: Literal["raise", "skip"],
    frame_template: str | None,
    short_side: int | None = None,
    cache: ClipCache | None = None,
    modality: Modality = "rgb",
    flow: Flow = "dis",
) -> AbstractContextManager[VideoReader]:
    """The video of the clip at ``index``."""
    sample, store = annotations.samples[index], annotations.store
    by_path = video.open if cache is None else cache.open
    opened = partial(by_path, sample.path) if store is None else partial(store.open, sample)
    return opened(
        color=color,
        on_error=on_error,
        frame_template=frame_template,
        short_side=short_side,
        modality=modality,
        flow=flow,
    )


def usable_frames(reader: VideoReader, sample: Sample) -> tuple[int, int]:
    """First frame and end of the part of the video that the annotation means.

    A list file's number of frames binds for a folder of pictures; a video file knows its own number better
    than the tool that once unpacked it.

    Raises:
        VideoError: the folder holds fewer pictures than promised, or no frame lies within the bounds.
    """
    end = reader.num_frames
    is_folder = sample.path.is_dir() or reader.path != sample.path  # shards keep the number for folders alone
    if sample.num_frames is not None and is_folder:
        if sample.num_frames > end:
            raise VideoError(
                f"{sample.path}: the list file promises {sample.num_frames} frames, the folder holds {end}; "
                "extract the frames again or correct the list"
            )
        end = sample.num_frames
    if sample.start_seconds is None and sample.end_seconds is None:
        return 0, end
    try:
        first, last = frame_span(reader.pts_seconds, sample.start_seconds, sample.end_seconds)
    except ValueError as error:
        raise VideoError(f"{sample.path}: {error}") from error
    return first, min(end, last)


def target(labels: tuple[int, ...], annotations: Annotations) -> int | Tensor:
    """A class index, or for multi-label data float (K,) with ones at the labels."""
    if not annotations.multi_label:
        return labels[0]
    ones = torch.zeros(len(annotations.classes))
    ones[list(labels)] = 1.0
    return ones


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stack the items that could be read; "errors" lists (index, reason) of the others.

    "notes" lists (index, note) of those in which a neighbour stood in for a damaged frame. A batch may come out empty:
    it has no "clip" or "views", and no label or index. Other devices may have clips then.

    Raises:
        OutOfMemoryError: there is no memory for the batch, or no shared memory to hand it to the training process.
    """
    errors = [(item["index"], item["error"]) for item in items if "error" in item]
    read = [item for item in items if "error" not in item]
    batch: dict[str, Any] = {
        "label": torch.empty(0, dtype=torch.int64),
        "index": torch.tensor([item["index"] for item in read], dtype=torch.int64),
        "errors": errors,
        "notes": [(item["index"], item["note"]) for item in read if "note" in item],
    }
    if read:
        pixels = "clip" if "clip" in read[0] else "views"
        with naming_clips(
            lambda: [f"number {item['index']}" for item in read], "while a batch is put together"
        ):
            batch[pixels] = torch.stack([item[pixels] for item in read])
            if get_worker_info() is not None:
                batch[
                    pixels
                ].share_memory_()  # here, where it can fail with an error: on the way it would be lost
        labels = [item["label"] for item in read]
        batch["label"] = torch.stack(labels) if isinstance(labels[0], Tensor) else torch.tensor(labels)
    return batch
