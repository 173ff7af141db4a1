"""Weights, gradients and momentum in parts, each on one device (FSDP): for networks that fill a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import chain
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from interlace.models.create import create_model
from interlace.models.model import VideoModel


class ShardedStrategy(ModelParallelStrategy):
    """Lightning's strategy for FSDP2, whose checkpoints are those of any other: one file, from and to any devices.

    Lightning writes whole files too, but tells the optimizer's numbers by the order of the network and not of the
    optimizer's groups: momentum would come to other weights.

    Args:
        world_size: devices.
        timeout: how long one waits for the others.
    """

    def __init__(self, world_size: int, timeout: timedelta) -> None:
        super().__init__(
            data_parallel_size=world_size,
            tensor_parallel_size=1,
            save_distributed_checkpoint=False,
            timeout=timeout,
        )

    @property
    def lightning_restore_optimizer(self) -> bool:
        """The optimizer is loaded as with any other strategy."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Whole weights, on every device."""
        assert self.lightning_module is not None
        return {name: whole(value) for name, value in self.lightning_module.state_dict().items()}

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Each device takes its part."""
        assert self.lightning_module is not None
        there = self.lightning_module.state_dict()
        parts = {name: part_like(value, there[name]) for name, value in checkpoint["state_dict"].items()}
        self.lightning_module.load_state_dict(parts, strict=strict, assign=False)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Whole momentum, on every device."""
        state = getattr(optimizer, "_optimizer", optimizer).state_dict()
        whole_state = {
            number: {name: whole(value) for name, value in values.items()}
            for number, values in state["state"].items()
        }
        return {**state, "state": whole_state}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Each device takes its part."""
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            numbers = chain.from_iterable(group["params"] for group in saved["param_groups"])
            weights = chain.from_iterable(group["params"] for group in optimizer.param_groups)
            weight_of = dict(zip(numbers, weights, strict=True))
            state = {
                number: {name: part_like(value, weight_of[number]) for name, value in values.items()}
                for number, values in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": state})

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None
    ) -> None:
        """The first device writes."""
        Strategy.save_checkpoint(self, checkpoint, filepath, storage_options)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Every device reads."""
        return Strategy.load_checkpoint(self, checkpoint_path, weights_only)


def shard_network(model: nn.Module, mesh: DeviceMesh) -> None:
    """Split the weights over the devices of a mesh, block by block, so that only one block is whole at a time.

    A block is what stands in a row with others (``nn.Sequential``, ``nn.ModuleList``) and has layers of its own.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.contiguous()  # not channels-last, which cannot be split yet
    rows = [module for module in model.modules() if isinstance(module, nn.Sequential | nn.ModuleList)]
    for row in reversed(rows):  # the innermost first
        for block in row:
            if not isinstance(block, nn.ModuleList) and any(True for _ in block.children()):
                fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole(value: Any) -> Any:
    """A tensor with the parts of all devices, in the host's memory; all devices must ask."""
    return value.full_tensor().cpu() if isinstance(value, DTensor) else value


def part_like(value: Any, example: Tensor) -> Any:
    """A device's part of a whole tensor, split as the example is; what is of another shape stays as it is."""
    if not isinstance(example, DTensor) or not isinstance(value, Tensor) or value.shape != example.shape:
        return value
    return distribute_tensor(
        value.to(example.device, example.dtype), example.device_mesh, example.placements, src_data_rank=None
    )


def whole_network(model: nn.Module) -> nn.Module:
    """The network itself, or one with whole weights of one whose devices have parts; all devices must ask."""
    if not any(isinstance(parameter, DTensor) for parameter in model.parameters()):
        return model
    assert isinstance(model, VideoModel)
    state = {name: whole(value) for name, value in model.state_dict().items()}
    with torch.device("meta"):
        plain = create_model(model.builder, **{**model.builder_args, "pretrained": False})
    plain.load_state_dict(state, assign=True)
    return plain
