"""What the TIN modules of a network did over many clips: mean and spread of their offsets and weights."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from interlace.files import whole_file


@dataclass(frozen=True, eq=False)
class LayerOffsets:
    """One TIN module, over clips. The spread is the standard deviation over the clips."""

    name: str
    """Where the module is in the network, e.g. backbone.layer1.0.conv1.temporal."""
    offset: np.ndarray
    """Mean offset of each group (G,), in frames."""
    offset_spread: np.ndarray
    """(G,)"""
    weight: np.ndarray
    """Mean weight of each target frame and group (T, G)."""
    weight_spread: np.ndarray
    """(T, G)"""

    @property
    def stage(self) -> str:
        """The stage of the network, e.g. layer1: the name of the block without its number."""
        block = re.sub(r"\.conv\w*(\.conv)?\.temporal$", "", self.name)
        return block.removeprefix("backbone.").rpartition(".")[0]

    @property
    def num_learned(self) -> int:
        """Groups that are not the mirror image of another."""
        half, odd = divmod(len(self.offset), 2)
        mirrored = not odd and np.array_equal(self.offset[half:], -self.offset[:half])
        return half if mirrored else len(self.offset)


class OffsetTally:
    """Adds up what :func:`interlace.temporal.record_offsets` holds after each forward, in float64.

    Example:
        >>> import torch
        >>> from interlace.plots import OffsetTally
        >>> tally = OffsetTally()
        >>> for offset in (1.0, 2.0):
        ...     tally.add({"conv1.temporal": (torch.full((3, 4), offset), torch.ones(3, 8, 4))})
        >>> layer = tally.layers()[0]
        >>> tally.num_clips, layer.offset.tolist(), layer.offset_spread.tolist()
        (6, [1.5, 1.5, 1.5, 1.5], [0.5, 0.5, 0.5, 0.5])
    """

    def __init__(self) -> None:
        self.num_clips = 0
        self._moments: dict[str, tuple[_Moments, _Moments]] = {}

    def add(self, records: Mapping[str, tuple[Any, Any]]) -> None:
        """(offset (B, G), weight (B, T, G)) of each module by its name, for B further clips."""
        values = {
            name: [np.asarray(part.double().cpu()) for part in parts] for name, parts in records.items()
        }
        self.num_clips += max((len(offset) for offset, _ in values.values()), default=0)
        for name, parts in values.items():
            for moments, part in zip(
                self._moments.setdefault(name, (_Moments(), _Moments())), parts, strict=True
            ):
                moments.add(part)

    def layers(self) -> list[LayerOffsets]:
        """The modules in the order in which the network calls them."""
        return [
            LayerOffsets(name, offset.mean, offset.spread, weight.mean, weight.spread)
            for name, (offset, weight) in self._moments.items()
        ]


class _Moments:
    """Mean and standard deviation along the first axis, over arrays that come one after the other."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, np.zeros(()), np.zeros(())

    def add(self, values: np.ndarray) -> None:
        # Chan, Golub and LeVeque 1979: no difference of large sums, so that nothing is cancelled.
        count, mean = len(values), values.mean(axis=0)
        total = self.count + count
        apart = mean - self.mean
        self.squares = (
            self.squares + ((values - mean) ** 2).sum(axis=0) + apart**2 * self.count * count / total
        )
        self.mean = self.mean + apart * count / total
        self.count = total

    @property
    def spread(self) -> np.ndarray:
        return np.sqrt(self.squares / self.count)


@dataclass(frozen=True, eq=False)
class OffsetSeries:
    """The layers of one network over depth: one column of the figure."""

    title: str
    """E.g. tin_resnet50, 8 frames."""
    layers: Sequence[LayerOffsets]
    """First to last; all with as many frames and groups."""

    def cumulative(self) -> np.ndarray:
        """Mean offsets added up over depth (L, G), as figure 5 of the paper has them."""
        return np.cumsum([layer.offset for layer in self.layers], axis=0)

    def to_dict(self) -> dict[str, Any]:
        """All numbers, for JSON."""
        return {
            "title": self.title,
            "layers": [
                {
                    "name": layer.name,
                    "stage": layer.stage,
                    "num_learned": layer.num_learned,
                    "offset": layer.offset.tolist(),
                    "offset_spread": layer.offset_spread.tolist(),
                    "cumulative_offset": cumulative.tolist(),
                    "weight": layer.weight.tolist(),
                    "weight_spread": layer.weight_spread.tolist(),
                }
                for layer, cumulative in zip(self.layers, self.cumulative(), strict=True)
            ],
        }


def series_of(tally: OffsetTally, title: str) -> list[OffsetSeries]:
    """One series for a network; one for each number of frames (or groups) in an ensemble.

    Example:
        >>> import torch
        >>> from interlace.plots import OffsetTally, series_of
        >>> tally = OffsetTally()
        >>> tally.add({f"of {t}": (torch.zeros(2, 4), torch.ones(2, t, 4)) for t in (8, 16)})
        >>> [series.title for series in series_of(tally, "tin_en")]
        ['tin_en, 8 frames', 'tin_en, 16 frames']
    """
    by_shape: dict[tuple[int, ...], list[LayerOffsets]] = {}
    for layer in tally.layers():
        by_shape.setdefault(layer.weight.shape, []).append(layer)
    return [OffsetSeries(f"{title}, {shape[0]} frames", layers) for shape, layers in by_shape.items()]


def write_offset_table(series: Sequence[OffsetSeries], path: Path) -> Path:
    """A CSV with a row for each mean: network, depth, layer, stage, group, quantity, frame, mean, spread.

    The quantity is offset, cumulative_offset (without a spread) or weight (of a frame, from 1). Depth and group
    count from 1.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.plots.offset_tally import write_offset_table
        >>> path = write_offset_table([], pathlib.Path(tempfile.mkdtemp()) / "offsets.csv")
        >>> path.read_text().strip()
        'network,depth,layer,stage,group,quantity,frame,mean,spread'
    """
    with whole_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ("network", "depth", "layer", "stage", "group", "quantity", "frame", "mean", "spread")
        )
        for one in series:
            for depth, (layer, cumulative) in enumerate(
                zip(one.layers, one.cumulative(), strict=True), start=1
            ):
                for group in range(len(layer.offset)):
                    place = (one.title, depth, layer.name, layer.stage, group + 1)
                    writer.writerow((*place, "offset", "", layer.offset[group], layer.offset_spread[group]))
                    writer.writerow((*place, "cumulative_offset", "", cumulative[group], ""))
                    for frame, (mean, spread) in enumerate(
                        zip(layer.weight[:, group], layer.weight_spread[:, group], strict=True), start=1
                    ):
                        writer.writerow((*place, "weight", frame, mean, spread))
    return path
