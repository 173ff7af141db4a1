"""How several processes work on one network."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import torch.distributed
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh

from interlace.training.config import TrainerConfig
from interlace.training.sharded import ShardedStrategy, shard_network


def is_sharded(settings: TrainerConfig) -> bool:
    """Whether the devices have parts of the weights; one device has them all."""
    return settings.strategy == "fsdp" and settings.devices * settings.num_nodes > 1


def make_strategy(settings: TrainerConfig) -> Strategy | str:
    """What Lightning is told.

    Example:
        >>> from interlace.training.config import TrainerConfig
        >>> from interlace.training.strategy import make_strategy
        >>> make_strategy(TrainerConfig())
        'auto'
        >>> make_strategy(TrainerConfig(devices=2))  # doctest: +ELLIPSIS
        <lightning.pytorch.strategies.ddp.DDPStrategy object at ...>
    """
    devices = settings.devices * settings.num_nodes
    if devices == 1:
        return "auto"
    timeout = timedelta(minutes=settings.timeout_minutes)
    if is_sharded(settings):
        return ShardedStrategy(devices, timeout)
    return DDPStrategy(timeout=timeout)


def sharding(settings: TrainerConfig) -> Callable[[nn.Module, DeviceMesh], None] | None:
    """What splits a network's weights, if they are to be split."""
    return shard_network if is_sharded(settings) else None


def share_buffers(module: nn.Module) -> None:
    """Give all devices the statistics of the first one, whose network is saved; FSDP does not do it by itself."""
    if torch.distributed.is_initialized():
        for buffer in module.buffers():
            torch.distributed.broadcast(buffer, src=0)
