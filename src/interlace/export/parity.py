"""Whether an exported network answers as the one that it was made of: the same clips through both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from interlace.temporal.stream import State

BATCHES = (1, 3)
"""Clips in a batch, in turn: an export that was fixed to the batch of its example does not pass."""

# Reordered float32 arithmetic moves logits by 1e-6 of their size. One wrong group in one block of a trained TIN moved
# them by 2e-4 at least, in its last blocks; a wrong border, a missing frame or bfloat16 by far more.
RELATIVE_LIMIT = 1e-4


class ParityError(ValueError):
    """An exported network does not answer as the network that it was made of."""


@dataclass(frozen=True)
class ClipParity:
    """The answers to one clip: one, or in a stream one for each frame."""

    path: str
    max_difference: float
    """Largest difference of two logits."""
    relative_difference: float
    """That of each answer over its largest logit or, where all of it is small, over that of an ordinary answer; the
    largest of the answers."""
    top1: float
    """Share of the answers with the same best class."""


@dataclass(frozen=True)
class Parity:
    """Two networks' answers to the same clips; one line when printed.

    Example:
        >>> import torch
        >>> from interlace.export.parity import compare_answers
        >>> wanted = torch.tensor([[[1.0, 3.0]], [[4.0, 2.0]]])
        >>> print(compare_answers(wanted, wanted + torch.tensor([0.0, 0.0003]), ["a.mp4", "b.mp4"]))
        largest difference 0.0003 (relative 0.0001), top-1 the same for 100.0% of 2 answers
    """

    clips: tuple[ClipParity, ...]
    num_answers: int
    max_difference: float
    relative_difference: float
    top1: float

    @property
    def is_close(self) -> bool:
        """Whether the differences are those of rounding; where one is no number they are not."""
        return self.relative_difference <= RELATIVE_LIMIT

    @property
    def worst(self) -> ClipParity:
        """The clip with the largest relative difference; one without a number is worse than all others."""
        return max(
            self.clips,
            key=lambda clip: (clip.relative_difference != clip.relative_difference, clip.relative_difference),
        )

    def __str__(self) -> str:
        return (
            f"largest difference {self.max_difference:.2g} (relative {self.relative_difference:.1g}), "
            f"top-1 the same for {self.top1:.1%} of {self.num_answers} answers"
        )


def compare_answers(
    wanted: Float[Tensor, "N S K"], got: Float[Tensor, "N2 S2 K2"], paths: Sequence[str]
) -> Parity:
    """Compare the logits of two networks for N clips, with S answers to each.

    Raises:
        ParityError: the answers have different shapes.

    Example:
        >>> import torch
        >>> from interlace.export.parity import compare_answers
        >>> compare_answers(torch.ones(1, 2, 3), torch.ones(1, 2, 3), ["a.mp4"]).max_difference
        0.0
    """
    if wanted.shape != got.shape:
        raise ParityError(
            f"the exported network gives logits of shape {tuple(got.shape)} (clips, answers, classes), "
            f"the network {tuple(wanted.shape)}"
        )
    wanted, got = wanted.double(), got.double()
    difference = (got - wanted).abs().amax(-1)
    largest = wanted.abs().amax(-1)
    # All logits of a clip may be next to 0, of one class or of two: rounding does not shrink with them.
    size = largest.clamp_min(largest.median()).clamp_min(torch.finfo(torch.float32).tiny)  # 0 of 0 is none
    relative = difference / size
    same = (got.argmax(-1) == wanted.argmax(-1)).double()
    return Parity(
        clips=tuple(
            ClipParity(path, *(value.item() for value in values))
            for path, *values in zip(paths, difference.amax(1), relative.amax(1), same.mean(1), strict=True)
        ),
        num_answers=same.numel(),
        max_difference=difference.max().item(),
        relative_difference=relative.max().item(),
        top1=same.mean().item(),
    )


def judge(parity: Parity, output: Path, runtime: str) -> None:
    """An exported network has to be as close as rounding leaves it.

    Raises:
        ParityError: it is not; the message has the clip that differs most.

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> from interlace.export.parity import compare_answers, judge
        >>> judge(compare_answers(torch.ones(1, 1, 3), torch.ones(1, 1, 3), ["a.mp4"]), Path("m.onnx"), "onnxruntime")
    """
    if parity.is_close:
        return
    worst = parity.worst
    raise ParityError(
        f"{output} is not written: {runtime} does not answer as the network; {parity}, allowed is a relative "
        f"difference of {RELATIVE_LIMIT:g}. The clip that differs most is {worst.path} "
        f"({worst.relative_difference:.1g}). Try another format, or other versions of torch and of what runs the file"
    )


@torch.inference_mode()
def answer_clips(
    network: Callable[[UInt8[Tensor, "B T C H W"]], Float[Tensor, "B K"]], clips: UInt8[Tensor, "N T C H W"]
) -> Float[Tensor, "N 1 K"]:
    """The logits of each clip, in batches of 1 and 3 in turn.

    Example:
        >>> import torch
        >>> from interlace.export.parity import answer_clips
        >>> clips = torch.zeros(5, 4, 3, 6, 7, dtype=torch.uint8)
        >>> answer_clips(lambda clips: clips.float().mean((1, 3, 4)), clips).shape
        torch.Size([5, 1, 3])
    """
    return torch.cat([network(batch) for batch in in_batches(clips)])[:, None]


@torch.inference_mode()
def answer_frames(
    step: Callable[[UInt8[Tensor, "B C H W"], State], tuple[Float[Tensor, "B K"], State]],
    init_state: Callable[[int], State],
    clips: UInt8[Tensor, "N S C H W"],
) -> Float[Tensor, "N S K"]:
    """The logits after each frame, one step after another from a fresh state, in batches of 1 and 3 clips in turn.

    Example:
        >>> import torch
        >>> from interlace.export.parity import answer_frames
        >>> def step(frame, state):  # counts the frames
        ...     return state[0], (state[0] + 1,)
        >>> frames = torch.zeros(2, 4, 3, 6, 7, dtype=torch.uint8)
        >>> answer_frames(step, lambda batch: (torch.zeros(batch, 1),), frames)[:, :, 0].tolist()
        [[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]]
    """
    answers = []
    for batch in in_batches(clips):
        state, steps = init_state(len(batch)), []
        for frame in batch.unbind(1):
            logits, state = step(frame, state)
            steps.append(logits)
        answers.append(torch.stack(steps, dim=1))
    return torch.cat(answers)


def in_batches(clips: UInt8[Tensor, "N *shape"]) -> Iterator[UInt8[Tensor, "B *shape"]]:
    """The clips in batches of 1 and 3 in turn; the last one is what is left.

    Example:
        >>> import torch
        >>> from interlace.export.parity import in_batches
        >>> [len(batch) for batch in in_batches(torch.zeros(10, 2, dtype=torch.uint8))]
        [1, 3, 1, 3, 1, 1]
    """
    first, turn = 0, 0
    while first < len(clips):
        size = BATCHES[turn % len(BATCHES)]
        yield clips[first : first + size]
        first, turn = first + size, turn + 1
