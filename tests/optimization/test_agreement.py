from __future__ import annotations

import pytest
import torch

from interlace.optimization.agreement import measure_agreement

CLIPS = torch.zeros(3, 2, 3, 5, 7)
WANTED = torch.tensor([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]])


def networks(got: torch.Tensor):
    return (lambda clips: WANTED[: len(clips)]), (lambda clips: got[: len(clips)])


def test_numbers():
    got = WANTED.clone()
    got[0, 1] = 4.0  # another best class; the difference (0, 4, 0) without its mean has length sqrt(32 / 3)
    agreement = measure_agreement(*networks(got), CLIPS, torch.bfloat16, False)
    assert agreement.max_difference == 4
    assert agreement.relative_error == pytest.approx((32 / 3 / 18) ** 0.5)
    assert agreement.top1 == pytest.approx(2 / 3)
    assert agreement.num_clips == 3
    assert agreement.speed_up == agreement.eager_ms / agreement.optimized_ms
    assert not agreement.is_good
    assert str(agreement).startswith("bfloat16: relative error 0.8, top-1 the same for 67% of 3 clips, ")


def test_what_the_softmax_does_not_see_is_no_error():
    agreement = measure_agreement(*networks(WANTED + 1), CLIPS, torch.float32, True)
    assert agreement.relative_error < 1e-6
    assert agreement.is_good
    assert str(agreement).startswith("float32, compiled: ")


def test_not_a_number_is_not_good():
    agreement = measure_agreement(*networks(WANTED * float("nan")), CLIPS, torch.float32, False)
    assert not agreement.is_good
