"""Any network, on the last seconds again and again."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from interlace.data.decoded_clip import DecodedClip
from interlace.data.reduce import reduced_size
from interlace.data.sampling import SegmentSampling
from interlace.data.snippets import SNIPPET_SHORT_SIDE
from interlace.data.views import resize_short_side, spatial_views
from interlace.inference.recognizer import Recognizer
from interlace.streaming.frame_steps import FrameSteps, positive

FRAMES_PER_SEGMENT = 4
"""Frames of a window that are kept for each one that the network sees: it takes those nearest to the middles."""
ROUNDING = 1e-6
"""Seconds."""


class WindowSteps(FrameSteps):
    """Any network: it sees the last seconds as a clip, chosen by its own sampling, again and again.

        frames  . . . . . . . . . . . . . .
        clips   |----window----|
                  hop |----window----|

    The first answer comes when a window is full. Answers depend on nothing but what they are about, so one may be
    computed while the next frames are taken.

    Args:
        recognizer: of any network.
        frame_rate: frames to keep of a second; by default four for each that the network sees, or all where it
            needs neighbours (dense sampling, optical flow).
        window_seconds: what a clip spans; by default the median length of the training clips, else 4 s.
        hop_seconds: from one clip to the next; by default one segment of the window.

    Raises:
        ValueError: the rate, the window or the hop is not above zero, or the hop is longer than the window.
    """

    is_repeatable = True

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        frame_rate: float | None = None,
        window_seconds: float | None = None,
        hop_seconds: float | None = None,
    ) -> None:
        window = positive("window_seconds", window_seconds, recognizer.window_seconds)
        segments = recognizer.model.num_segments
        sampling = recognizer.sampling
        is_sparse = isinstance(sampling, SegmentSampling) and sampling.snippet_length == 1
        kept = FRAMES_PER_SEGMENT * segments / window if is_sparse else None
        rate = kept if frame_rate is None else positive("fps", frame_rate, frame_rate)
        super().__init__(recognizer, window, rate)
        self.hop_seconds = positive("hop_seconds", hop_seconds, window / segments)
        if self.hop_seconds > window:
            raise ValueError(
                f"hop_seconds={self.hop_seconds:g} is longer than the window of {window:g} s: what happens between "
                "two windows would never be seen; give a longer window or a shorter hop"
            )
        self.smooth_seconds = self.hop_seconds
        card_flow = recognizer.card.preprocessing.get("flow", "dis")
        self._flow_method = card_flow if isinstance(recognizer.flow, Path) else recognizer.flow
        self._full_after = window * (1 - 1 / segments)  # when the last segment begins
        self._frames: deque[tuple[float, Tensor]] = deque()
        self._first_seconds: float | None = None
        self._due_seconds: float | None = None
        self._has_asked = False

    @property
    def about(self) -> str:
        """In words."""
        return f"the last {self.window_seconds:.3g} s, every {self.hop_seconds:.3g} s"

    def take(self, pixels: UInt8[Tensor, "3 H W"], time_seconds: float) -> UInt8[Tensor, "..."] | None:
        """All frames that are kept (N, C, H, W), every hop."""
        if not self._thinning.wants(time_seconds):
            return None
        if self._first_seconds is None:
            self._first_seconds = time_seconds
        self._frames.append((time_seconds, self._small(pixels)))
        while self._frames[0][0] <= time_seconds - self.window_seconds + ROUNDING:
            self._frames.popleft()
        due = self._first_seconds + self._full_after if self._due_seconds is None else self._due_seconds
        if time_seconds < due - ROUNDING:
            return None
        is_in_time = time_seconds < due + self.hop_seconds
        self._due_seconds = (due if is_in_time else time_seconds) + self.hop_seconds
        return self._kept()

    def answer(self, seen: UInt8[Tensor, "..."]) -> Float64[Tensor, " K"]:
        """The network's answer to the clip that its sampling makes of the window."""
        indices = self.recognizer.sampling.test_indices(len(seen))[0]
        if self.recognizer.modality == "rgb":
            clip = seen[indices]
        else:
            snippets = DecodedClip(seen).snippets(self.recognizer.modality, self._flow_method)
            with snippets as reader:
                clip = spatial_views(reader.frames_at(indices), "center", self._image_size)[0]
        return self.recognizer.probabilities(self.recognizer.logits(clip[None]))[0]

    def last(self) -> UInt8[Tensor, "..."] | None:
        """The frames of a stream that has not filled a window."""
        return None if self._has_asked or not self._frames else self._kept()

    def reset(self) -> None:
        """Begin with an empty window."""
        super().reset()
        self._due_seconds = None
        self._frames.clear()
        self._first_seconds = None
        self._has_asked = False

    def _kept(self) -> Tensor:
        self._has_asked = True
        return torch.stack([frame for _, frame in self._frames])

    def _small(self, pixels: Tensor) -> Tensor:
        """Flow is computed between whole frames of the size that training computed it in."""
        if self.recognizer.modality == "rgb":
            return self._cut(pixels)
        frame = self._in_color(pixels)
        height, width = frame.shape[-2:]
        if reduced_size(height, width, SNIPPET_SHORT_SIDE) == (height, width):
            return frame
        return resize_short_side(frame[None], SNIPPET_SHORT_SIDE)[0]
