"""A network that takes pixels, one clip or one frame at a time, in PyTorch or out of an exported file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from interlace.checkpoints import ModelCard
from interlace.data.transforms import Preprocess
from interlace.export.parity import answer_clips, answer_frames
from interlace.exported import ExportedModel
from interlace.models import VideoModel
from interlace.optimization import OptimizedModel
from interlace.temporal.stream import State


class Network:
    """What is compared and timed: pixels to logits, the same way for all.

    Args:
        model: the network, on the CPU; an exported one takes pixels as they are, one in PyTorch is given them
            normalised.
        card: what it was trained with.
        streaming: it steps through frames; else it takes clips.

    Example:
        >>> import torch, interlace
        >>> from interlace.checkpoints import ModelCard
        >>> from interlace.export.network import Network
        >>> model = interlace.create_model("tsn_resnet18", num_classes=5, num_segments=4).eval()
        >>> card = ModelCard(
        ...     model=model.builder, model_args=model.builder_args, labels=tuple("abcde"),
        ...     sampling={"name": "segment", "num_segments": 4},
        ...     preprocessing={"image_size": 32, "mean": list(model.mean), "std": list(model.std), "color": "rgb"},
        ... )
        >>> Network(model, card, streaming=True).answers(torch.zeros(2, 6, 3, 32, 32, dtype=torch.uint8)).shape
        torch.Size([2, 6, 5])
    """

    def __init__(
        self, model: VideoModel | OptimizedModel | ExportedModel, card: ModelCard, *, streaming: bool
    ) -> None:
        self.model, self.streaming = model, streaming
        self.image_size = int(card.preprocessing["image_size"])
        self._preprocess = Preprocess(card.preprocessing["mean"], card.preprocessing["std"])

    def answers(self, pixels: UInt8[Tensor, "N T C H W"]) -> Float[Tensor, "N S K"]:
        """The logits of each clip; of a stream those after each frame of it."""
        if self.streaming:
            return answer_frames(self._step, self._init_state, pixels)
        return answer_clips(lambda clips: self.model(self._as_taken(clips)), pixels)

    def one_call(self, pixels: UInt8[Tensor, "N T C H W"]) -> Callable[[], Any]:
        """A function that answers the first clip, or one more frame of a stream; what is timed."""
        clip = pixels[:1]
        if not self.streaming:
            return torch.inference_mode()(lambda: self.model(self._as_taken(clip)))
        frame, state = clip[:, 0].contiguous(), self._init_state(1)

        @torch.inference_mode()
        def step() -> None:
            nonlocal state
            _, state = self._step(frame, state)

        return step

    def _init_state(self, batch: int) -> State:
        return self.model.init_state(batch, self.image_size)

    def _step(self, frame: Tensor, state: State) -> tuple[Tensor, State]:
        logits, state = self.model.step(self._as_taken(frame), state)
        return logits, state

    def _as_taken(self, pixels: Tensor) -> Tensor:
        return pixels if isinstance(self.model, ExportedModel) else self._preprocess(pixels)
