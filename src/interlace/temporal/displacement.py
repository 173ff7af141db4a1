"""What a module that moves channels along time has to say to the convolution behind it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from jaxtyping import Float
from torch import Tensor


class Displacement(NamedTuple):
    """The arguments of :func:`interlace.ops.interlace`; together they are the module's output."""

    clip: Float[Tensor, "B T C H W"]
    offset: Float[Tensor, "B G"]
    weight: Float[Tensor, "B T G"] | None
    fold: int


class Displacing(Protocol):
    """A temporal module whose output is its displaced input.

    The convolution behind it may then displace what it reads, and the displaced frames need not be written.
    """

    def displacement(self, frames: Float[Tensor, "BT C H W"]) -> Displacement:
        """How far each channel is to be moved, in frames."""
        ...
