"""Counts under another reading of a table: what its figure must have been counted with, put to the test."""

from __future__ import annotations

from typing import Any

from interlace.benchmark import count_parameters
from interlace.comparison.costs import build, count_costs
from interlace.comparison.published import IMAGE_SIZE, NUM_CLASSES, TABLE_1, Published

KINETICS_CLASSES = 400
GRID: dict[str, Any] = {"proposals": "grid"}
"""Regions that cost nothing to find."""


def parameters_of_kinetics(row: Published) -> float:
    """Parameters with a classifier of Kinetics' 400 classes, in 10^6.

    Example:
        >>> from interlace.comparison.published import TABLE_1
        >>> from interlace.comparison.recount import parameters_of_kinetics
        >>> round(parameters_of_kinetics(TABLE_1[1]), 2)
        24.33
    """
    model = build(row.name, num_classes=KINETICS_CLASSES, num_segments=row.num_segments, device="meta")
    return count_parameters(model) / 1e6


def parameters_of_single_relations(row: Published) -> float:
    """Parameters of a multi-scale TRN in which no two relations share theirs, in 10^6; 400 classes.

    1 relation of all 8 frames and 3 of each smaller number: 19 times Linear(s * 256, 256) and
    Linear(256, 400). In the released code the relations of as many frames share them.
    """
    dimension, relations = 256, {8: 1, 7: 3, 6: 3, 5: 3, 4: 3, 3: 3, 2: 3}
    streams = 2 if row.name.startswith("two_stream_") else 1
    plain = build(f"tsn_{row.name.rpartition('_')[2]}", num_classes=dimension, num_segments=8, device="meta")
    of_relations = sum(
        times * (frames * dimension * dimension + dimension + (dimension + 1) * KINETICS_CLASSES)
        for frames, times in relations.items()
    )
    return streams * (count_parameters(plain) + of_relations) / 1e6


def parameters_with_a_plain_detector(row: Published) -> float:
    """Parameters of the region graph, and of a ResNet-50 without a classifier for its regions; 400 classes, in 10^6."""
    detector = build("tsn_resnet50", num_classes=1, num_segments=1, device="meta").get_submodule("backbone")
    graph = build(row.name, num_classes=KINETICS_CLASSES, num_segments=None, device="meta", **GRID)
    return (count_parameters(graph) + count_parameters(detector)) / 1e6


def gmac_with_a_plain_detector(row: Published) -> float:
    """Multiply-adds that the paper has without the graph, of the graph, and of a ResNet-50 on all 32 frames; 10^9."""
    without = next(other for other in TABLE_1 if other.name == "i3d_nl_resnet50")
    graph, blocks = (
        count_costs(name, num_classes=NUM_CLASSES, image_size=IMAGE_SIZE, **proposals).gmac
        for name, proposals in ((row.name, GRID), (without.name, {}))
    )
    detector = count_costs("tsn_resnet50", num_classes=1, image_size=IMAGE_SIZE, num_segments=32)
    return float(without.gmac or 0) + graph - blocks + detector.gmac
