"""A causal network, frame by frame."""

from __future__ import annotations

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from interlace.inference.recognizer import Recognizer
from interlace.streaming.frame_steps import FrameSteps, positive


class CausalSteps(FrameSteps):
    """A causal network takes each frame once, and remembers what it needs of those before.

    Args:
        recognizer: of a network with ``streams``.
        frame_rate: frames to take in a second; by default as many as training saw in one, so that motion looks as
            fast as there.
        window_seconds: time that a training clip spans; by default what the checkpoint says, else 4 s.

    Raises:
        ValueError: the network sees whole clips only; the rate or the window is not above zero.
    """

    is_repeatable = False

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        frame_rate: float | None = None,
        window_seconds: float | None = None,
    ) -> None:
        window = positive("window_seconds", window_seconds, recognizer.window_seconds)
        # A network that was loaded for more frames has still learned from as many as it was trained with.
        trained_with = recognizer.card.training.get("num_segments", recognizer.model.num_segments)
        super().__init__(recognizer, window, positive("fps", frame_rate, trained_with / window))
        # In clip mode the logits of all frames are averaged: those of a mean age of half a window.
        self.smooth_seconds = self.window_seconds / 2
        self._state = recognizer.model.init_state(1, self._image_size)

    @property
    def about(self) -> str:
        """In words."""
        return f"{self.frame_rate:.3g} frames a second, one by one"

    def take(self, pixels: UInt8[Tensor, "3 H W"], time_seconds: float) -> UInt8[Tensor, "..."] | None:
        """The frame, cut and small (C, S, S), at the network's rate."""
        return self._cut(pixels) if self._thinning.wants(time_seconds) else None

    @torch.inference_mode()
    def answer(self, seen: UInt8[Tensor, "..."]) -> Float64[Tensor, " K"]:
        """One step of the network; the order of the frames counts."""
        recognizer = self.recognizer
        frame = recognizer.preprocess(seen[None].to(recognizer.device))
        logits, self._state = recognizer.model.step(frame, self._state)
        if not logits.isfinite().all():
            raise ValueError(
                f"{recognizer.path or recognizer.card.model}: the network gives numbers that are not finite; "
                "it diverged in training: train it again with a lower learning rate"
            )
        return recognizer.probabilities(logits[0].cpu().double())

    def last(self) -> None:
        """Nothing: each frame was answered."""

    def reset(self) -> None:
        """Begin with the state of before the first frame."""
        super().reset()
        self._state = self.recognizer.model.init_state(1, self._image_size)
