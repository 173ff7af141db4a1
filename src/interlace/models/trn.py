"""Temporal Relation Network (Zhou et al., ECCV 2018): plain frames, and relations between what they say.

Its network is that of TSN. The classifier of a frame is a narrower feature, and the consensus classifies
ordered tuples of them.
"""

from __future__ import annotations

from torch import nn

from interlace.models.classifier import linear_head
from interlace.temporal import RelationConsensus


def multi_scale_relations(
    num_features: int,
    num_classes: int,
    *,
    num_segments: int,
    bottleneck: int = 256,
    random_tuples: bool = False,
) -> tuple[nn.Module, nn.Module]:
    """Relations of all scales: among all T frames, T - 1, ..., pairs.

    Args:
        num_features: of a frame (D).
        num_classes: classes (K).
        num_segments: frames in a clip (T).
        bottleneck: features of a frame that the relations see.
        random_tuples: draw the tuples of frames in training, as the released code does.

    Example:
        >>> from interlace.models.trn import multi_scale_relations
        >>> multi_scale_relations(512, 5, num_segments=8)[1].scales
        (8, 7, 6, 5, 4, 3, 2)
    """
    relations = RelationConsensus(
        bottleneck,
        num_classes,
        num_segments=num_segments,
        scales=tuple(range(num_segments, 1, -1)),
        hidden=256,
        random_tuples=random_tuples,
    )
    return linear_head(num_features, bottleneck), relations


def single_relation(
    num_features: int, num_classes: int, *, num_segments: int, bottleneck: int = 256
) -> tuple[nn.Module, nn.Module]:
    """One relation among all T frames.

    Args:
        num_features: of a frame (D).
        num_classes: classes (K).
        num_segments: frames in a clip (T).
        bottleneck: features of a frame that the relation sees.

    Example:
        >>> from interlace.models.trn import single_relation
        >>> single_relation(512, 5, num_segments=8)[1].relations[0].fc1
        Linear(in_features=2048, out_features=512, bias=True)
    """
    relation = RelationConsensus(
        bottleneck, num_classes, num_segments=num_segments, scales=(num_segments,), hidden=512
    )
    return linear_head(num_features, bottleneck), relation
