"""What a module that moves channels along time has to say to the convolution behind it."""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeGuard

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook


class Displacement(NamedTuple):
    """The arguments of :func:`interlace.ops.interlace`; together they are the module's output."""

    clip: Float[Tensor, "B T C H W"]
    offset: Float[Tensor, "B G"]
    weight: Float[Tensor, "B T G"] | None
    fold: int


def fold_of(channels: int, shift_div: int, num_groups: int = 1) -> int:
    """Channels that are moved along time: channels // shift_div, the first ones, in groups.

    Raises:
        ValueError: a number below 1, or a fold that is empty or does not divide into the groups.

    Example:
        >>> from interlace.temporal.displacement import fold_of
        >>> fold_of(64, shift_div=4, num_groups=4)
        16
    """
    if shift_div < 1 or num_groups < 1:
        raise ValueError(
            f"shift_div={shift_div} and {num_groups} groups of channels; both must be at least 1"
        )
    fold = channels // shift_div
    if fold < num_groups or fold % num_groups:
        raise ValueError(
            f"the fold of {fold} channels ({channels} // shift_div={shift_div}) does not divide into {num_groups} "
            "groups; choose a shift_div with which it does"
        )
    return fold


class Displacing(Protocol):
    """A temporal module whose output is its displaced input.

    The convolution behind it may then displace what it reads, and the displaced frames need not be written.
    """

    def displacement(self, frames: Float[Tensor, "BT C H W"]) -> Displacement:
        """How far each channel is to be moved, in frames."""
        ...


def displaces(module: nn.Module) -> TypeGuard[Displacing]:
    """Whether the output of a module is its displaced input, and no one but the next layer looks at it.

    A subclass with a forward of its own does something else, and so does a module while a stream passes it, where
    frames come in from the past; a hook wants to see the output.
    """
    if getattr(module, "passage", None) is not None:
        return False
    with_forward = next(base for base in type(module).__mro__ if "forward" in vars(base))
    return "displacement" in vars(with_forward) and not has_hooks(module)


def has_hooks(module: nn.Module) -> bool:
    """Whether someone looks at what goes into the module or comes out of it, or gave it a forward of its own."""
    return bool(
        "forward" in vars(module)
        or module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or _has_any_global_hook()
    )
