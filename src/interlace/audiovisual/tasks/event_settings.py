"""How a network of events is fitted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from interlace.audiovisual.tasks.answers import require_task

EpochRow = dict[str, int | float]
"""One line of a history."""
Progress = Callable[[EpochRow, EpochRow], None]
"""Told after each epoch: its row of the history, and the best so far."""


@dataclass(frozen=True)
class EventSettings:
    """How a network is fitted. No paper gives DAM's optimizer; these are our choices."""

    task: Literal["sel", "cml"] = "sel"
    epochs: int = 60
    """At most."""
    patience: int = 15
    """Epochs without a better validation score after which training ends; 0 is never."""
    batch_size: int = 64
    lr: float = 1e-3
    """Of Adam."""
    weight_decay: float = 0.0
    """Decoupled (AdamW)."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Of the learning rate, epoch by epoch; cosine ends at zero after the last epoch."""
    clip_gradient: float = 0.0
    """Largest norm of an update's gradient; 0 is no limit."""
    network: dict[str, Any] = field(default_factory=dict)
    """Arguments of the network beside those that the data give."""
    device: str = "auto"

    def __post_init__(self) -> None:
        require_task(self.task)
        for name, least in (("epochs", 1), ("patience", 0), ("batch_size", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")
        for name in ("weight_decay", "clip_gradient"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)} must be a number from 0 on")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr={self.lr} must be above 0")
