from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from interlace.export.parity import (
    RELATIVE_LIMIT,
    ParityError,
    answer_clips,
    answer_frames,
    compare_answers,
    in_batches,
    judge,
)

WANTED = torch.tensor([[[1.0, -4.0, 2.0]], [[0.5, 0.25, 0.0]]])
NAMES = ["a.mp4", "b.mp4"]


def test_differences_are_those_of_the_worst_answer() -> None:
    got = WANTED.clone()
    got[0, 0, 1] += 0.02  # of a largest logit of 4
    got[1, 0, 0] -= 0.01  # of a largest logit of 0.5
    parity = compare_answers(WANTED, got, NAMES)
    assert parity.max_difference == pytest.approx(0.02)
    assert parity.relative_difference == pytest.approx(0.02)  # 0.01 / 0.5 is more than 0.02 / 4
    assert [clip.relative_difference for clip in parity.clips] == pytest.approx([0.005, 0.02])
    assert parity.worst.path == "b.mp4"
    assert parity.top1 == 1.0
    assert not parity.is_close


def test_top1_counts_each_frame_of_a_stream() -> None:
    wanted = torch.eye(3)[None].repeat(2, 1, 1)
    got = wanted.clone()
    got[1, 2] = torch.tensor([5.0, 0.0, 0.0])
    parity = compare_answers(wanted, got, NAMES)
    assert parity.num_answers == 6
    assert parity.top1 == pytest.approx(5 / 6)
    assert [clip.top1 for clip in parity.clips] == pytest.approx([1.0, 2 / 3])


@pytest.mark.parametrize(("factor", "is_close"), [(0.9, True), (1.1, False)])
def test_the_limit_is_relative(factor: float, is_close: bool) -> None:
    for size in (1e-3, 1.0, 1e3):
        parity = compare_answers(size * WANTED, size * WANTED * (1 + factor * RELATIVE_LIMIT), NAMES)
        assert parity.is_close == is_close


def test_an_answer_next_to_zero_is_measured_by_ordinary_ones() -> None:
    """Of a single class the logit may be any number near 0."""
    wanted = torch.tensor([[[2.0]], [[-4.0]], [[1e-5]]])
    parity = compare_answers(wanted, wanted + 2e-6, [*NAMES, "c.mp4"])
    assert [clip.relative_difference for clip in parity.clips] == pytest.approx([1e-6, 5e-7, 1e-6], rel=0.1)


def test_no_number_is_not_close_and_the_worst() -> None:
    got = WANTED.clone()
    got[0, 0, 0] = math.nan
    got[1] += 100
    parity = compare_answers(WANTED, got, NAMES)
    assert not parity.is_close
    assert parity.worst.path == "a.mp4"


def test_logits_of_zero_have_no_difference() -> None:
    assert compare_answers(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3), ["a.mp4"]).is_close


def test_other_shapes_are_an_error() -> None:
    with pytest.raises(ParityError, match=r"\(2, 1, 2\).*\(2, 1, 3\)"):
        compare_answers(WANTED, WANTED[..., :2], NAMES)


def test_judge_names_file_clip_and_limit() -> None:
    judge(compare_answers(WANTED, WANTED + 1e-6, NAMES), Path("m.onnx"), "onnxruntime")
    got = WANTED.clone()
    got[1] = got[1].flip(-1)
    with pytest.raises(ParityError, match=r"m\.onnx is not written: onnxruntime does not .*0\.0001.*b\.mp4"):
        judge(compare_answers(WANTED, got, NAMES), Path("m.onnx"), "onnxruntime")


def test_batches_change_their_size() -> None:
    clips = torch.arange(10, dtype=torch.uint8)[:, None]
    batches = list(in_batches(clips))
    assert [len(batch) for batch in batches] == [1, 3, 1, 3, 1, 1]
    assert torch.equal(torch.cat(batches), clips)


def test_a_network_fixed_to_one_batch_does_not_pass() -> None:
    def fixed(clips: Tensor) -> Tensor:
        return clips.float().mean((1, 2, 3, 4)).reshape(1, 1)

    with pytest.raises(RuntimeError, match="shape"):
        answer_clips(fixed, torch.zeros(4, 2, 3, 5, 7, dtype=torch.uint8))


def test_each_clip_of_a_stream_begins_with_a_fresh_state() -> None:
    pixels = torch.randint(0, 256, (6, 4, 3, 5, 7), dtype=torch.uint8)

    def step(frame: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        total = state[0] + frame.float().mean((2, 3))
        return total, (total,)

    got = answer_frames(step, lambda batch: (torch.zeros(batch, 3),), pixels)
    torch.testing.assert_close(got, pixels.float().mean((3, 4)).cumsum(1))
