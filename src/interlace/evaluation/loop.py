"""The pass over the clips: decode views in workers, score them by one network, yield scores by clip index."""

from __future__ import annotations

import sys
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from torch import Tensor, nn

from interlace.checkpoints import ModelCard
from interlace.data.annotations import Annotations
from interlace.data.dataset import ViewDataset, collate
from interlace.data.out_of_memory import naming_clips
from interlace.data.sampling import sampling_from_dict
from interlace.data.shards.order import in_lanes
from interlace.data.transforms import Preprocess
from interlace.data.video import Flow
from interlace.data.worker_errors import ClipLoader, one_line_errors
from interlace.data.workers import WAIT_SECONDS, count_workers
from interlace.evaluation.protocol import Protocol, score_views


@dataclass(frozen=True, eq=False)
class ScoredBatch:
    """Scores of some clips, known by their place in the annotations, and what was wrong with clips."""

    indices: list[int]
    scores: Float[Tensor, "B K"]
    errors: list[tuple[int, str]]
    """Why clips could not be read."""
    notes: list[tuple[int, str]]
    """What was damaged in clips that were scored."""


def score_clips(
    model: nn.Module,
    card: ModelCard,
    annotations: Annotations,
    protocol: Protocol,
    *,
    batch_size: int = 8,
    num_workers: int | Literal["auto"] = "auto",
    device: str | torch.device = "cpu",
    precision: Literal["32", "bf16"] = "32",
    on_error: Literal["raise", "skip"] = "raise",
    frame_template: str | None = None,
    flow: Flow | None = None,
    progress: bool = False,
    title: str = "evaluate",
) -> Generator[ScoredBatch, None, None]:
    """Score every clip by one network under a protocol; yields as it goes, so nothing is lost on the way.

    At most ``batch_size`` views are in the network at once; a batch of the loader is as many videos as have
    that many views, at least one.

    Raises:
        VideoError: a video cannot be read and ``on_error`` is raise.
        OutOfMemoryError, WorkerError: memory runs out, or a process that decodes is gone; the message names its clips.

    Example:
        >>> from interlace.evaluation.loop import score_clips
        >>> for batch in score_clips(model, card, annotations, protocol):  # doctest: +SKIP
        ...     print(batch.indices, batch.scores.shape)
        [0, 1, 2, 3, 4, 5, 6, 7] torch.Size([8, 27])
    """
    device = torch.device(device)
    dataset = ViewDataset(
        annotations,
        sampling_from_dict(card.sampling),
        protocol.num_clips,
        protocol.crops,
        card.preprocessing["image_size"],
        on_error=on_error,
        color=card.preprocessing["color"],
        frame_template=frame_template or card.preprocessing.get("frame_template"),
        modality=card.preprocessing.get("modality", "rgb"),
        flow=flow or card.preprocessing.get("flow") or "dis",
    )
    num_workers = count_workers(num_workers, device.type)
    videos = max(1, batch_size // protocol.num_views)
    order = list(range(len(annotations)))
    if annotations.store is not None:  # each process reads forward through a part of the shards
        order = in_lanes([[order[i : i + videos] for i in order[::videos]]], num_workers)
    loader = ClipLoader(
        dataset,
        batch_size=videos,
        sampler=order,
        num_workers=num_workers,
        timeout=WAIT_SECONDS.value if num_workers else 0,
        collate_fn=collate,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # else it draws the workers' seed from the global state
    )
    preprocess = Preprocess(card.preprocessing["mean"], card.preprocessing["std"]).to(device)
    model = model.to(device).eval()
    batches = iter(loader)  # workers start before the thread that draws the bar
    # A process that was killed is told of wherever this one is then.
    with one_line_errors(dataset), progress_bar(progress) as bar:
        task = bar.add_task(title, total=len(annotations))
        for batch in batches:
            indices = batch["index"].tolist()
            if indices:
                with (
                    naming_clips(partial(_paths, annotations, indices), "in the network"),
                    torch.inference_mode(),
                    torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
                ):
                    scores = score_views(
                        model,
                        batch["views"],
                        lambda views: preprocess(views.to(device, non_blocking=True)),
                        protocol.average,
                        multi_label=card.multi_label,
                        batch_size=batch_size,
                    )
            else:
                scores = torch.zeros(0, len(card.labels), dtype=torch.float64)
            yield ScoredBatch(indices, scores.clone(), batch["errors"], batch["notes"])
            bar.advance(task, len(indices) + len(batch["errors"]))


def _paths(annotations: Annotations, indices: list[int]) -> list[Path]:
    return [annotations.samples[index].path for index in indices]


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} clips/s" if task.speed else "- clips/s")


def progress_bar(shown: bool) -> Progress:
    """A bar with count, rate and time left on the error stream; silent where that is not a terminal."""
    console = Console(file=sys.stderr)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        disable=not (shown and console.is_terminal),
    )
