"""The time of a clip: each network in turn with one and the same other one, so that a drifting machine shows."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

import interlace
from interlace.benchmark import compare, stopwatch
from interlace.benchmark.model import forward
from interlace.comparison.costs import build, count_costs

REFERENCE, REFERENCE_SEGMENTS = "tsn_resnet50", 8
SECONDS = 30.0
"""Measuring a network takes about this long at most, however slow it is ..."""
MIN_ROUNDS = 3
"""... but never fewer rounds than these."""


@dataclass(frozen=True)
class Latency:
    """What was measured of one network."""

    ms_per_clip: float
    """Median."""
    spread: float
    """The middle half of the measurements over their median."""
    clips_per_second: float
    ratio: float
    """To the time of the reference (TSN, ResNet-50, 8 frames) in the same round: the median of all rounds."""
    rounds: int


@dataclass(frozen=True)
class Setting:
    """How all networks of a comparison are run."""

    num_classes: int
    image_size: int
    batch_size: int
    device: torch.device
    dtype: torch.dtype = torch.float32
    """Below float32 with autocast, or as `interlace.optimize` does it."""
    optimize: bool = False
    rounds: int = 9
    """Measurements of each network, where `SECONDS` allow them."""


class Stopwatch:
    """Times networks, one in memory at a time beside the reference.

    Example:
        >>> import torch
        >>> from interlace.comparison.latency import Setting, Stopwatch
        >>> watch = Stopwatch(Setting(5, 32, 1, torch.device("cpu"), rounds=1))
        >>> watch.measure("tsn_resnet18", 4).rounds
        1
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.clock = stopwatch(setting.device)
        self.reference = self._ready(REFERENCE, REFERENCE_SEGMENTS)
        self.reference()
        self.reference_ms = self.clock(self.reference)
        costs = count_costs(
            REFERENCE,
            num_classes=setting.num_classes,
            image_size=setting.image_size,
            num_segments=REFERENCE_SEGMENTS,
        )
        self.ms_per_gmac = self.reference_ms / costs.gmac

    def measure(self, name: str, num_segments: int | None = None) -> Latency:
        """Build a network, time it, and give its memory back."""
        call = self._ready(name, num_segments)
        call()
        milliseconds = self.clock(call)
        rounds = self.rounds(milliseconds)
        times = compare(
            {"network": call, "reference": self.reference},
            rounds=rounds,
            warmup=0,
            base="reference",
            measure=self.clock,
        )["network"]
        del call
        gc.collect()
        if self.setting.device.type == "cuda":
            torch.cuda.empty_cache()
        clips = self.setting.batch_size
        return Latency(
            ms_per_clip=round(times["median_ms"] / clips, 3),
            spread=times["spread"],
            clips_per_second=round(1000 * clips / times["median_ms"], 3),
            ratio=times["ratio"],
            rounds=rounds,
        )

    def rounds(self, milliseconds: float) -> int:
        """Rounds for a network whose call takes so long."""
        in_time = int(1000 * SECONDS / (milliseconds + self.reference_ms))
        return min(self.setting.rounds, max(MIN_ROUNDS, in_time))

    def estimate_seconds(self, gmac: float) -> float:
        """About how long a network of so many multiply-adds will take, at the speed of those before it."""
        milliseconds = gmac * self.ms_per_gmac
        rounds = self.rounds(milliseconds)
        return (2 * milliseconds + rounds * (milliseconds + self.reference_ms)) / 1000

    def _ready(self, name: str, num_segments: int | None) -> Callable[[], Any]:
        setting = self.setting
        model = build(name, num_classes=setting.num_classes, num_segments=num_segments, device=setting.device)
        size = (
            setting.batch_size,
            model.num_segments,
            model.in_chans,
            setting.image_size,
            setting.image_size,
        )
        clip = torch.randn(size, device=setting.device)
        if not setting.optimize:
            return forward(model, clip, setting.dtype)
        ready: nn.Module = interlace.optimize(model, dtype=setting.dtype)
        return forward(ready, clip)
