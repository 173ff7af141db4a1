from __future__ import annotations

import torch

from interlace.temporal import AverageConsensus


def test_the_mean_over_frames():
    logits = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [5.0, 1.0]]])
    assert AverageConsensus()(logits).tolist() == [[3.0, 3.0]]
