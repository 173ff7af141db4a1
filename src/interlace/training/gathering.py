"""What each process has counted for itself, brought together."""

from __future__ import annotations

from typing import Any

import torch.distributed


def of_all_processes(value: Any) -> list[Any]:
    """The value of each process, on all; every process must ask.

    Example:
        >>> from interlace.training.gathering import of_all_processes
        >>> of_all_processes(3)
        [3]
    """
    if not torch.distributed.is_initialized():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def is_first_process() -> bool:
    """Whether this process goes on with what was counted of all."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0
