"""Frames of a stream, one or a few at a time: what causal modules remember comes in and goes out as plain tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import get_ident
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from interlace.layout import clip_to_frames
from interlace.ops.look_back_conv import LookBack, can_look_back
from interlace.temporal.displacement import has_hooks

State = tuple[Tensor, ...]
"""What a module, or all of a network, remembers of the frames before."""


@runtime_checkable
class Causal(Protocol):
    """A temporal module that looks back only, and so can go on where the last frames ended."""

    passage: Passage | None
    """Set by :func:`passing` for as long as frames of a stream go through the network."""

    def state_names(self) -> tuple[str, ...]:
        """One for each tensor that it remembers."""
        ...

    def init_state(self, batch: int, dtype: torch.dtype, device: torch.device) -> State:
        """What it remembers before the first frame: zeros. Maps have one pixel, which fits frames of any size."""
        ...

    def go_on(
        self, clip: Float[Tensor, "B T C H W"], state: State
    ) -> tuple[Float[Tensor, "B T C H W"], State]:
        """The next frames, and what to remember of them."""
        ...

    def look_back(self, clip: Float[Tensor, "B 1 C H W"], state: State) -> tuple[LookBack, State]:
        """The same of one frame, where a convolution reads the past by itself."""
        ...


_TWO_THREADS = (
    "two threads use the same network at once, while frames of a stream go through it; give each a copy of its own "
    "(copy.deepcopy(model)), or step their streams as one batch"
)


class Passage:
    """One module's memory while the frames of a stream pass it, for the thread that they are stepped in."""

    def __init__(self, batch: int | torch.SymInt, state: State) -> None:
        self.batch = batch
        self.state = state
        # The compiler does not know threads.
        self._thread = None if torch.compiler.is_compiling() else get_ident()

    def __call__(self, module: Causal, frames: Float[Tensor, "BT C H W"]) -> Float[Tensor, "BT C H W"]:
        """Frames in, frames out; the state is afterwards that of the last frame."""
        self.check_thread()
        clip, self.state = module.go_on(frames.unflatten(0, (self.batch, -1)), self.state)
        return clip_to_frames(clip)

    def look_back(self, module: Causal, frame: Float[Tensor, "B C H W"]) -> LookBack:
        """What a convolution has to read; the state is afterwards that of this frame."""
        self.check_thread()
        seen, self.state = module.look_back(frame.unsqueeze(1), self.state)
        return seen

    def check_thread(self) -> None:
        """RuntimeError in any other thread than that of the stream."""
        if not torch.compiler.is_compiling() and self._thread != get_ident():
            raise RuntimeError(_TWO_THREADS)

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        """No stream passes a copy of the network."""


def looks_back(module: nn.Module, frames: Float[Tensor, "BT C H W"]) -> bool:
    """Whether these are one frame of each stream, and the convolution behind the module may read the past itself."""
    passage = getattr(module, "passage", None)
    return (
        passage is not None
        and frames.shape[0] == passage.batch
        and can_look_back(frames)
        and not has_hooks(module)
    )


@contextmanager
def passing(modules: Sequence[Causal], batch: int | torch.SymInt, state: State) -> Iterator[list[Passage]]:
    """Within the block, frames that go through the modules follow those that the state remembers.

    Raises:
        ValueError: the state has other tensors than the modules remember.
        RuntimeError: frames pass the modules in another thread.

    Example:
        >>> import torch
        >>> from interlace.temporal import TemporalShift
        >>> from interlace.temporal.stream import passing
        >>> shift = TemporalShift(8, mode="causal")
        >>> with passing([shift], batch=1, state=(torch.full((1, 1, 1, 1), 7.0),)) as passages:
        ...     shift(torch.ones(2, 8, 1, 1))[:, 0].flatten()
        tensor([7., 1.])
        >>> passages[0].state[0].item()
        1.0
    """
    counts = [len(module.state_names()) for module in modules]
    if len(state) != sum(counts) or any(memory.shape[0] != batch for memory in state):
        batches = sorted({len(memory) for memory in state})
        raise ValueError(
            f"the state has {len(state)} tensors for batches of {batches}; this network remembers {sum(counts)}, "
            f"here of a batch of {batch}: begin with init_state({batch})"
        )
    remaining = iter(state)
    passages = [Passage(batch, tuple(next(remaining) for _ in range(count))) for count in counts]
    entered = list(zip(modules, passages, strict=True))
    try:
        for module, passage in entered:
            if module.passage is not None:
                module.passage.check_thread()
            module.passage = passage
        yield passages
        if any(module.passage is not passage for module, passage in entered):
            raise RuntimeError(_TWO_THREADS)
    finally:
        for module, passage in entered:
            if module.passage is passage:
                module.passage = None


def fitting(memory: Float[Tensor, "B F h w"], u: Float[Tensor, "B T F H W"]) -> Float[Tensor, "B F H W"]:
    """A map that is remembered, in the size of the frames that come now: that of the start has one pixel.

    Raises:
        ValueError: it is of frames of another size, or of another network.

    Example:
        >>> import torch
        >>> from interlace.temporal.stream import fitting
        >>> fitting(torch.zeros(2, 8, 1, 1), torch.zeros(2, 1, 8, 5, 7)).shape
        torch.Size([2, 8, 5, 7])
    """
    if memory.shape[1:] == u.shape[2:]:
        return memory
    if memory.shape[1:] != (u.shape[2], 1, 1):
        raise ValueError(
            f"the state remembers maps of (C, H, W) = {tuple(memory.shape[1:])}, and these frames give "
            f"{tuple(u.shape[2:])}: all frames of a stream have one size; begin the next one with init_state"
        )
    return torch.empty_like(u[:, 0]).copy_(memory)  # laid out as the maps that will be remembered


def put_before(
    moved: Float[Tensor, "B T F H W"], rest: Float[Tensor, "B T rest H W"]
) -> Float[Tensor, "B T C H W"]:
    """The channels of a clip from its fold and the others.

    Example:
        >>> import torch
        >>> from interlace.temporal.stream import put_before
        >>> put_before(torch.zeros(2, 4, 1, 5, 7), torch.ones(2, 4, 3, 5, 7))[0, 0, :, 0, 0]
        tensor([0., 1., 1., 1.])
    """
    # As frames, because only of four axes does `cat` keep channels-last.
    frames = torch.cat([clip_to_frames(moved), clip_to_frames(rest)], 1)
    return frames.unflatten(0, moved.shape[:2])


def causal_modules(network: nn.Module) -> Mapping[str, Causal]:
    """The modules of a network that remember something of a stream, by their names.

    Example:
        >>> from torch import nn
        >>> from interlace.temporal import TemporalShift
        >>> from interlace.temporal.stream import causal_modules
        >>> list(causal_modules(nn.Sequential(TemporalShift(8, mode="causal"), nn.ReLU())))
        ['0']
    """
    return {
        name: cast(Causal, module) for name, module in network.named_modules() if hasattr(module, "go_on")
    }
