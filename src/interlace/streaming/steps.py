"""The steps that fit a network."""

from __future__ import annotations

from interlace.inference.recognizer import Recognizer
from interlace.streaming.causal_steps import CausalSteps
from interlace.streaming.frame_steps import FrameSteps
from interlace.streaming.window_steps import WindowSteps

__all__ = ["CausalSteps", "FrameSteps", "WindowSteps", "frame_steps"]


def frame_steps(
    recognizer: Recognizer,
    *,
    frame_rate: float | None = None,
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
) -> FrameSteps:
    """Steps for a network: frame by frame if it is causal, window by window if not.

    Raises:
        ValueError: a number is not above zero, or ``hop_seconds`` is given for a causal network.

    Example:
        >>> import interlace, torch
        >>> from interlace.streaming.steps import frame_steps
        >>> steps = frame_steps(interlace.load("best.safetensors"))  # doctest: +SKIP
        >>> steps.step(torch.zeros(3, 240, 320, dtype=torch.uint8), 0.0)  # doctest: +SKIP
    """
    if not recognizer.model.streams:
        return WindowSteps(
            recognizer, frame_rate=frame_rate, window_seconds=window_seconds, hop_seconds=hop_seconds
        )
    if hop_seconds is not None:
        raise ValueError(
            f"hop_seconds={hop_seconds:g} is for networks that see windows; {recognizer.card.model} is causal and "
            "answers every frame: leave it out, or say how many frames a second with fps"
        )
    return CausalSteps(recognizer, frame_rate=frame_rate, window_seconds=window_seconds)
