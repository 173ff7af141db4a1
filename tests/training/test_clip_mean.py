"""The mean over the clips of an update."""

from __future__ import annotations

import pytest
import torch

from interlace.training.clip_mean import ClipMean, scale_gradients


def test_uneven_batches_of_an_update_give_the_mean_over_its_clips():
    weight, clips = torch.nn.Parameter(torch.ones(3)), torch.randn(7, 3)
    mean = ClipMean()
    for batch in (clips[:4], clips[4:5], clips[5:]):
        ((batch @ weight).mean() * mean.part(len(batch), full=4) / 5).backward()  # 5 batches were expected
    scale_gradients([weight, torch.nn.Parameter(torch.ones(2))], mean.correction("cpu", accumulate=5))
    torch.testing.assert_close(weight.grad, clips.mean(0))


def test_full_updates_keep_every_bit():
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([0.1, 0.7])
    mean = ClipMean()
    assert [mean.part(3, full=3), mean.part(3, full=3)] == [1.0, 1.0]
    scale_gradients([weight], mean.correction("cpu", accumulate=2))
    assert torch.equal(weight.grad, torch.tensor([0.1, 0.7]))


def test_an_update_without_a_clip():
    mean = ClipMean()
    mean.part(0, full=4)
    with pytest.raises(
        ValueError, match="none of the clips of an update could be read; see `interlace check`"
    ):
        mean.correction("cpu", accumulate=1)
