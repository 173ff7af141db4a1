"""A 3-D convolution whose gradients can be trusted."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Conv3d(nn.Conv3d):
    """torch's, but in float32 where its gradients are wrong.

    On a CPU with bfloat16 instructions, torch 2.15 gives a wrong gradient of the weights (among it memory that was
    never written, up to infinity) if a clip has more than one frame and fewer than the kernel spans. The forward and
    the gradient of the input are right. LOG.md has the shapes that were tried.

    Example:
        >>> import torch
        >>> from interlace.models.conv3d import Conv3d
        >>> Conv3d(4, 6, 3, padding=1)(torch.zeros(2, 4, 2, 5, 7)).shape
        torch.Size([2, 6, 2, 5, 7])
    """

    def forward(self, input: Float[Tensor, "B C T H W"]) -> Float[Tensor, "B D T2 H2 W2"]:
        """Clips in, maps out."""
        dtype = _low_precision(input)
        if dtype is None or not (torch.is_grad_enabled() and 1 < input.shape[2] < self.kernel_size[0]):
            return super().forward(input)
        bias = None if self.bias is None else self.bias.float()
        with torch.autocast("cpu", enabled=False):
            return self._conv_forward(input.float(), self.weight.float(), bias).to(dtype)


def _low_precision(input: Tensor) -> torch.dtype | None:
    """The 16-bit type that a convolution on the CPU would compute in, if it would."""
    if input.device.type != "cpu" or input.dtype == torch.float64:
        return None
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype
    return dtype if dtype in (torch.bfloat16, torch.float16) else None
