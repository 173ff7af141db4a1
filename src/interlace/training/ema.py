"""Averaged weights: a second network that follows the first one slowly."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class AveragedModel(nn.Module):
    """A copy of a network whose weights and buffers are an exponential average of the network's.

    The average starts fast, with the decay (1 + n) / (10 + n) after n updates, so that short runs do not
    keep their random start. Whole numbers, such as a count of batches, are copied.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from interlace.training.ema import AveragedModel
        >>> network = nn.Linear(2, 3)
        >>> averaged = AveragedModel(network, decay=0.99)
        >>> averaged.update(network)
        >>> averaged.model(torch.zeros(1, 2)).shape
        torch.Size([1, 3])
    """

    num_updates: Tensor

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        super().__init__()
        if not 0 < decay < 1:
            raise ValueError(
                f"ema_decay={decay} is not between 0 and 1; 0.999 is usual, 0 turns averaging off"
            )
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move a little towards the network, after each update of its weights."""
        step = 1 - torch.clamp((1 + self.num_updates) / (10 + self.num_updates), max=self.decay)
        for average, value in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(value, step)
            else:
                average.copy_(value)
        self.num_updates += 1
