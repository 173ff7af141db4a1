"""Windows compared with a query as a whole: its first segment with the window's first, and so on."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def aligned_sums(similarity: Float[Tensor, "B N N"], relevant: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
    """For each start m: sum over i of similarity[start of the query + i, m + i], i over the query's segments.

    Args:
        similarity: of each segment of the query's modality (rows) with each of the other (columns).
        relevant: the query, one run of segments.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.models.aligned import aligned_sums
        >>> aligned_sums(torch.eye(4)[None], torch.tensor([[False, True, True, False]]))
        tensor([[0., 2., 0., 0.]])
    """
    num_segments = similarity.shape[1]
    segment = torch.arange(num_segments, device=similarity.device)
    begin = relevant.int().argmax(1)
    # Row n of the query is the partner of column m + (n - begin) of the window that starts at m, if it has that one.
    column = segment[None, None] + (segment[None] - begin[:, None])[:, :, None]
    is_pair = relevant[:, :, None] & (column >= 0) & (column < num_segments)
    partner = similarity.gather(2, column.clamp(0, num_segments - 1))
    return (partner * is_pair).sum(1)
