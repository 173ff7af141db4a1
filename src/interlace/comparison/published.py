"""What the papers state of cost and accuracy on Something-Something V1, typed once and as printed."""

from __future__ import annotations

from dataclasses import dataclass

NUM_CLASSES, IMAGE_SIZE = 174, 224  # of Something-Something V1, and of the papers' multiply-adds


@dataclass(frozen=True)
class Accuracy:
    """Percent of the validation clips, as somebody else states it."""

    top1: float
    top5: float | None = None


@dataclass(frozen=True)
class Published:
    """One row of a table, and which of our networks it is.

    Costs are texts: their digits tell how far they are rounded.
    """

    title: str
    """The row's model."""
    frames: str
    name: str
    """For :func:`interlace.create_model`."""
    gmac: str | None
    """Multiply-adds of one clip, in 10^9; None where the table has a dash."""
    parameters_m: str
    """Parameters, in 10^6."""
    paper: Accuracy | None
    """By Table 1 of the TIN paper; its authors trained TSM by themselves."""
    slides: Accuracy | None = None
    """By Table 2 of the TSM slides, where they differ from that or stand there only."""
    num_segments: int | None = None
    """Frames of our network; None for as many as its name stands for."""
    clips: int = 1
    """Clips of a video that are evaluated; the costs are of one."""

    @property
    def label(self) -> str:
        """Model and frames, as a picture has room for."""
        return f"{self.title}, {self.frames}"


# TIN (Shao et al., AAAI 2020), Table 1, in its order; "from the slides": TSM's authors, Table 2 of their slides.
TABLE_1 = (
    Published("TSN BNInception", "8", "tsn_bninception", "16", "10.7", Accuracy(19.5), num_segments=8),
    Published("TSN", "8", "tsn_resnet50", "33", "24.3", Accuracy(19.7, 46.6), num_segments=8),
    Published("TRN BNInception", "8", "trn_bninception", "16", "18.3", Accuracy(34.4), num_segments=8),
    Published("TRN", "8", "trn_resnet50", "33", "31.8", Accuracy(38.9, 68.1), num_segments=8),
    Published(
        *("TRN RGB+Flow BNInception", "8+8", "two_stream_trn_bninception", None, "36.6", Accuracy(42.0)),
        num_segments=8,
    ),
    Published("ECO", "8", "eco_bninception", "32", "47.5", Accuracy(39.6), num_segments=8),
    Published("ECO", "16", "eco_bninception", "64", "47.5", Accuracy(41.4), num_segments=16),
    Published("ECO EnLite", "92", "eco_enlite_bninception", "267", "150", Accuracy(46.4)),
    Published(
        *("ECO EnLite RGB+Flow", "92+92", "two_stream_eco_enlite_bninception", None, "300", Accuracy(49.5))
    ),
    Published("I3D", "32 x 2 clips", "i3d_resnet50", "153", "28.0", Accuracy(41.6, 72.2), clips=2),
    Published("NL I3D", "32 x 2 clips", "i3d_nl_resnet50", "168", "35.3", Accuracy(44.4, 76.0), clips=2),
    Published(
        *("NL I3D + GCN", "32 x 2 clips", "i3d_nl_gcn_resnet50", "303", "62.2", Accuracy(46.1, 76.8)), clips=2
    ),
    Published(
        *("TSM", "8", "tsm_resnet50", "33", "24.3", Accuracy(43.4, 73.2), Accuracy(45.6, 74.2)),
        num_segments=8,
    ),
    Published(
        *("TSM", "16", "tsm_resnet50", "65", "24.3", Accuracy(44.8, 74.5), Accuracy(47.2, 77.1)),
        num_segments=16,
    ),
    Published(
        *("TSM ensemble", "8+16", "tsm_en_resnet50", "98", "48.6", Accuracy(46.8, 76.1), Accuracy(49.7, 78.5))
    ),
    Published("TIN", "8", "tin_released_resnet50", "34", "24.3", Accuracy(45.8, 75.1), num_segments=8),
    Published("TIN", "16", "tin_released_resnet50", "67", "24.3", Accuracy(47.0, 76.5), num_segments=16),
    Published("TIN ensemble", "8+16", "tin_en_resnet50", "101", "48.6", Accuracy(49.6, 78.3)),
)
FROM_THE_SLIDES = (
    Published(
        *("TSM RGB+Flow", "16+16", "two_stream_tsm_resnet50", None, "48.6", None, Accuracy(52.6, 81.9)),
        num_segments=16,
    ),
)


def decimals(printed: str) -> int:
    """Digits behind the point.

    Example:
        >>> from interlace.comparison.published import decimals
        >>> decimals("24.3"), decimals("150")
        (1, 0)
    """
    return len(printed.partition(".")[2])


def rounds_to(value: float, printed: str) -> bool:
    """Whether a number, rounded to the digits of a printed one, is that one.

    Example:
        >>> from interlace.comparison.published import rounds_to
        >>> rounds_to(24.33, "24.3"), rounds_to(24.36, "24.3"), rounds_to(32.7, "33")
        (True, False, True)
    """
    return f"{value:.{decimals(printed)}f}" == printed
