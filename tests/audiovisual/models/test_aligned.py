from __future__ import annotations

import torch

from interlace.audiovisual.models.aligned import aligned_sums


def test_every_window_is_compared_first_to_first() -> None:
    similarity = torch.randn(3, 6, 6).double()
    regions = [(1, 3), (0, 6), (5, 1)]  # first segment, length
    relevant = torch.stack([(torch.arange(6) >= s) & (torch.arange(6) < s + n) for s, n in regions])
    found = aligned_sums(similarity, relevant)
    for b, (first, length) in enumerate(regions):
        for start in range(6 - length + 1):
            expected = sum(similarity[b, first + i, start + i] for i in range(length))
            torch.testing.assert_close(found[b, start], expected)
