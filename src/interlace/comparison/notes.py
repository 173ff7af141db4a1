"""Why a figure of the papers is not ours: data, each with the count that it can be checked by."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from interlace.comparison.published import Published
from interlace.comparison.recount import (
    gmac_with_a_plain_detector,
    parameters_of_kinetics,
    parameters_of_single_relations,
    parameters_with_a_plain_detector,
)

Figure = Literal["parameters_m", "gmac"]


@dataclass(frozen=True)
class Note:
    """One explanation, and the rows and figure that it is for."""

    figure: Figure
    names: tuple[str, ...]
    """Shell patterns of our networks' names."""
    sentence: str
    recount: Callable[[Published], float] | None = None
    """The figure as the sentence says it was counted; None where no count was found that gives it."""


NOTES = (
    Note(
        "parameters_m",
        ("trn_*", "two_stream_trn_*"),
        "The paper's figure is what a TRN has in which each of 19 relations (1 of 8 frames, 3 of each smaller number) "
        "has weights of its own, with 400 classes. In the released code, and here, the relations of as many frames "
        "share theirs.",
        parameters_of_single_relations,
    ),
    Note(
        "parameters_m",
        ("i3d_nl_gcn_*",),
        "The paper's figure fits a network that finds the regions of which only a ResNet-50 counts, and 400 classes. "
        "Ours is torchvision's region proposal network on ResNet-50 with a feature pyramid.",
        parameters_with_a_plain_detector,
    ),
    Note(
        "parameters_m",
        ("*",),
        "The paper's figure has the classifier of Kinetics (400 classes), ours that of Something-Something V1 (174).",
        parameters_of_kinetics,
    ),
    Note(
        "gmac",
        ("i3d_nl_gcn_*",),
        "The paper's figure fits its own 168 G of the non-local I3D, our graph, and a ResNet-50 on all 32 frames. "
        "Ours finds regions in every second frame, with a feature pyramid, and has the non-local blocks in full.",
        gmac_with_a_plain_detector,
    ),
    Note(
        "gmac",
        ("i3d_nl_*",),
        "Not reproduced. The paper has 15 G for five non-local blocks. On the maps of an I3D that has the paper's "
        "153 G (16 frames of 28 x 28 and 14 x 14) their 1x1 convolutions alone are 33 G and their matrix products "
        "48 G; the lighter form of I3D has 11 G for all of both.",
    ),
    Note(
        "gmac",
        ("tin_*",),
        "Not reproduced. The paper has 1 G in 8 frames more for TIN than for TSM. TIN's own convolutions and matrix "
        "products are 0.0002 G, and the products of its interpolation and weights, which are not counted here, "
        "0.03 G.",
    ),
)
ACCURACY_NOTES = (
    "Accuracies are the papers' own, of training runs and test protocols that differ between the rows. None of "
    "them was measured with this code.",
    "TIN: the released evaluation averaged only the last few batches. Retrained with that mended, others report "
    "44.04 for ResNet-50 with 8 frames and one crop, and the authors' later model zoo 46.0.",
    "TSM: the TIN paper has its authors' own training runs (43.4, 44.8, 46.8), the TSM slides those of TSM's authors "
    "(45.6, 47.2, 49.7).",
)
METHOD_NOTES = (
    "Multiply-adds are those of convolutions and matrix products, those of a detector of regions among them. Pooling, "
    "sampling (RoIAlign), the choice of boxes, optical flow and decoding are not counted.",
    '"2 clips": the papers\' accuracy is of two clips of each video, so a video costs twice what stands here, as '
    'in their "153G * 2".',
    "A two-stream network has a first convolution for 10 channels of flow; the papers state no multiply-adds of "
    "theirs, and twice the parameters of one stream.",
)


def note_for(row: Published, figure: Figure) -> Note | None:
    """The first note that fits a row's figure.

    Example:
        >>> from interlace.comparison.notes import note_for
        >>> from interlace.comparison.published import TABLE_1
        >>> note_for(TABLE_1[1], "gmac") is None
        True
    """
    fitting = (
        note
        for note in NOTES
        if note.figure == figure and any(fnmatch.fnmatchcase(row.name, name) for name in note.names)
    )
    return next(fitting, None)
