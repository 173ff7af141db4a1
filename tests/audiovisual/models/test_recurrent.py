from __future__ import annotations

import pytest
import torch

from interlace.audiovisual.models.recurrent import SegmentContext, run_over


def test_each_video_is_run_over_as_if_it_were_alone() -> None:
    lstm = torch.nn.LSTM(7, 3, batch_first=True, bidirectional=True).double()
    x, sizes = torch.randn(2, 5, 7).double(), [5, 3]
    found = run_over(lstm, x, torch.arange(5) < torch.tensor(sizes)[:, None])
    for row, out, n in zip(x, found, sizes, strict=True):
        torch.testing.assert_close(out[:n], lstm(row[None, :n])[0][0])
    assert torch.equal(found[1, 3:], torch.zeros(2, 6).double())


def test_context_looks_both_ways() -> None:
    layer, x, everywhere = SegmentContext(8, 8), torch.randn(1, 5, 8), torch.ones(1, 5, dtype=torch.bool)
    before = layer(x, x, everywhere)
    x[0, 2] += 1
    changed = (layer(x, x, everywhere) - before).abs().amax(2)[0]
    assert (changed > 1e-5).all()


def test_an_odd_width_is_an_error() -> None:
    with pytest.raises(ValueError, match="width=7"):
        SegmentContext(7, 7)
