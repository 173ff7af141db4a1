"""Batch norm over the clips of all devices, on any kind of device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode


class BatchNormOver(TorchFunctionMode):
    """While it is on, batch norms that learn take their statistics over all devices.

    PyTorch's own layer for it needs GPUs and another network around the same weights. Here ``torch`` asks before it
    computes a batch norm, of whatever layer, and gets this instead.

    Args:
        all_devices: statistics over the clips of all; otherwise each device has its own, as usual.
        counts: this device's clips are real ones; if not, they leave no trace in any statistics.

    Example:
        >>> import torch
        >>> from interlace.training.shared_batch_norm import BatchNormOver
        >>> norm = torch.nn.BatchNorm1d(2)
        >>> with BatchNormOver(all_devices=False, counts=False):
        ...     _ = norm(torch.ones(3, 2))
        >>> norm.running_mean
        tensor([0., 0.])
    """

    def __init__(self, *, all_devices: bool, counts: bool = True) -> None:
        super().__init__()
        self.all_devices = all_devices and dist.is_initialized()
        self.counts = counts

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Called with every function of torch."""
        del types
        kwargs = kwargs or {}
        if func is F.batch_norm:
            return self.batch_norm(*args, **kwargs)
        return func(*args, **kwargs)

    def batch_norm(
        self,
        input: Float[Tensor, "B C ..."],
        running_mean: Float[Tensor, " C"] | None,
        running_var: Float[Tensor, " C"] | None,
        weight: Float[Tensor, " C"] | None = None,
        bias: Float[Tensor, " C"] | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Float[Tensor, "B C ..."]:
        """``torch.nn.functional.batch_norm`` over the devices."""
        if not training or (self.counts and not self.all_devices):
            return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
        if not self.all_devices:
            return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
        mean, var, count = statistics(input.detach(), counts=self.counts)
        if running_mean is not None and running_var is not None:
            step = momentum * (count > 0)  # no device had a clip: nothing is learned
            running_mean.lerp_(mean.to(running_mean.dtype), step.to(running_mean.dtype))
            unbiased = var * count / (count - 1).clamp(min=1)
            running_var.lerp_(unbiased.to(running_var.dtype), step.to(running_var.dtype))
        normalized: Tensor = _Normalized.apply(input, mean, var, count, weight, bias, eps, self.counts)
        return normalized


def statistics(
    input: Float[Tensor, "B C ..."], *, counts: bool
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"], Float[Tensor, ""]]:
    """Mean, variance and number of the values of each channel, over all devices.

    Each device's own are brought together (Chan's formula): differences of large sums would lose digits.
    """
    var, mean = torch.var_mean(input.float(), dim=_all_but_channels(input), correction=0)
    own = torch.full_like(mean[:1], input.numel() / input.shape[1] if counts else 0.0)
    gathered = [torch.empty(2 * len(mean) + 1, device=mean.device) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, torch.cat([mean, var, own]))
    every = torch.stack(gathered).double()
    means, variances = every[:, :-1].chunk(2, dim=1)
    each, count = every[:, -1:], every[:, -1].sum()
    share = each / count.clamp(min=1)
    mean64 = (share * means).sum(0)
    var64 = (share * (variances + (means - mean64).square())).sum(0)
    return mean64.float(), var64.float(), count.float()


class _Normalized(torch.autograd.Function):
    """(x - mean) / std * weight + bias, where mean and std come from the x of all devices."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        mean: Tensor,
        var: Tensor,
        count: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
        counts: bool,
    ) -> Tensor:
        ctx.save_for_backward(input, mean, var, count, weight)
        ctx.eps, ctx.counts, ctx.has_bias = eps, counts, bias is not None
        return F.batch_norm(input, mean, var, weight, bias, False, 0.0, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        input, mean, var, count, weight = ctx.saved_tensors
        per_channel = (1, -1) + (1,) * (input.ndim - 2)
        std = (var + ctx.eps).sqrt()
        x = (input.float() - mean.view(per_channel)) / std.view(per_channel)
        out = grad.float()
        dims = _all_but_channels(input)
        sums = torch.stack([out.sum(dims), (out * x).sum(dims)])
        grad_bias, grad_weight = sums.clone()
        dist.all_reduce(sums)  # through the statistics every device's loss depends on this input
        if ctx.counts:
            from_mean, from_std = (sums / count).view(2, *per_channel)
            out = out - from_mean - x * from_std
        scale = 1 / std if weight is None else weight.float() / std
        grad_input = (out * scale.view(per_channel)).to(input.dtype)
        return (
            grad_input,
            None,
            None,
            None,
            None if weight is None else grad_weight.to(weight.dtype),
            grad_bias.to(weight.dtype if weight is not None else grad.dtype) if ctx.has_bias else None,
            None,
            None,
        )


def _all_but_channels(input: Tensor) -> tuple[int, ...]:
    return tuple(dim for dim in range(input.ndim) if dim != 1)
