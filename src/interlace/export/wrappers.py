"""What is exported: a network with the doors of a file, named inputs and outputs, and pixels or floats to come in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from interlace.export.graph import to_graph
from interlace.models import VideoModel
from interlace.temporal.stream import State


class _Pixels(nn.Module):
    """uint8 to what the network takes: (x / 255 - mean) / std, as one product and one sum."""

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        means, stds = (torch.tensor(v, dtype=torch.float64).view(-1, 1, 1) for v in (mean, std))
        self.register_buffer("scale", (1 / (255 * stds)).float())
        self.register_buffer("shift", (-means / stds).float())

    def forward(self, pixels: Shaped[Tensor, "*batch C H W"]) -> Float[Tensor, "*batch C H W"]:
        return pixels.float() * self.scale + self.shift


class ClipGraph(nn.Module):
    """Clips to logits: ``clip`` (B, T, C, H, W) in, ``logits`` (B, K) out, for any B.

    Args:
        model: the network; it is copied.
        pixels: the clip is uint8, and normalised inside; else it is float, normalised as for the network.

    Raises:
        ValueError: the network cannot be exported.

    Example:
        >>> import torch, interlace
        >>> from interlace.export import ClipGraph
        >>> model = interlace.create_model("tsm_resnet18", num_classes=5, num_segments=4)
        >>> graph = ClipGraph(model, pixels=True)
        >>> [part.shape for part in graph.example((64, 48))], graph(*graph.example((64, 48))).shape
        ([torch.Size([2, 4, 3, 64, 48])], torch.Size([2, 5]))
    """

    output_names = ("logits",)

    def __init__(self, model: VideoModel, *, pixels: bool = False) -> None:
        super().__init__()
        self.network = to_graph(model)
        self.pixels = _Pixels(model.mean, model.std) if pixels else None
        self.input_names = ("clip",)

    def forward(self, clip: Shaped[Tensor, "B T C H W"]) -> Float[Tensor, "B K"]:
        """Clips to logits."""
        return self.network(clip if self.pixels is None else self.pixels(clip))

    def example(self, image_size: int | tuple[int, int], batch: int = 2) -> tuple[Tensor, ...]:
        """Inputs of noise; the graph that is exported with them takes frames of their size, and any batch."""
        shape = (batch, self.network.num_segments, self.network.in_chans, *_sides(image_size))
        return (_noise(shape, as_pixels=self.pixels is not None),)


class StreamGraph(nn.Module):
    """One frame of each stream to its logits: ``frame`` (B, C, H, W) and the state in, ``logits`` and the state out.

    A tensor of the state comes in as ``past.NAME`` and goes out as ``next.NAME``; before the first frame it is zero.

    Args:
        model: a network that streams; it is copied.
        pixels: the frame is uint8, and normalised inside; else it is float, normalised as for the network.

    Raises:
        ValueError: the network cannot be exported, or looks at frames that have not come yet.

    Example:
        >>> import torch, interlace
        >>> from interlace.export import StreamGraph
        >>> graph = StreamGraph(interlace.create_model("tsm_causal_resnet18", num_classes=5))
        >>> graph.input_names[:2], graph.output_names[:2]
        (('frame', 'past.layer1.0.conv1.past1'), ('logits', 'next.layer1.0.conv1.past1'))
        >>> logits, *state = graph(*graph.example((64, 48)))
        >>> logits.shape, state[0].shape
        (torch.Size([2, 5]), torch.Size([2, 8, 16, 12]))
    """

    def __init__(self, model: VideoModel, *, pixels: bool = False) -> None:
        super().__init__()
        names = model.state_names()  # which says what is wrong, if it cannot stream
        self.network = to_graph(model)
        self.pixels = _Pixels(model.mean, model.std) if pixels else None
        self.input_names = ("frame", *(f"past.{name}" for name in names))
        self.output_names = ("logits", *(f"next.{name}" for name in names))

    def forward(self, frame: Shaped[Tensor, "B C H W"], *state: Tensor) -> tuple[Tensor, ...]:
        """The frame and the state to logits and the next state."""
        logits, after = self.network.step(frame if self.pixels is None else self.pixels(frame), state)
        return logits, *after

    def init_state(self, image_size: int | tuple[int, int], batch: int = 2) -> State:
        """The state before the first frame: zeros."""
        return self.network.init_state(batch, _sides(image_size))

    def example(self, image_size: int | tuple[int, int], batch: int = 2) -> tuple[Tensor, ...]:
        """A frame of noise and the state before it; see :meth:`ClipGraph.example`."""
        frame = _noise((batch, self.network.in_chans, *_sides(image_size)), as_pixels=self.pixels is not None)
        return frame, *self.init_state(image_size, batch)


Graph = ClipGraph | StreamGraph


def _sides(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width."""
    return (image_size, image_size) if isinstance(image_size, int) else image_size


def _noise(shape: tuple[int, ...], *, as_pixels: bool) -> Tensor:
    """The same at every call, and no draw from the global generator."""
    generator = torch.Generator().manual_seed(0)
    if as_pixels:
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return torch.randn(shape, generator=generator)
