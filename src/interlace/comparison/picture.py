"""Which discs the picture of accuracy against cost has."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.comparison.published import Published
from interlace.comparison.rows import Row
from interlace.plots.cost import Disc, Panel

THEIRS = (
    "Top-1 on Something-Something V1 as stated by others (TIN paper, Table 1; rings: TSM slides, Table 2), not "
    "measured here.\nMultiply-adds and parameters as counted here."
)
FAMILIES = ("ECO", "I3D", "TIN", "TRN", "TSM", "TSN")


def panels(rows: Sequence[Row]) -> list[Panel]:
    """One panel for the papers' accuracies, one for the user's; without those that have no disc.

    Of the papers' accuracies those of the TIN paper are filled, those of the TSM slides are rings. Multiply-adds
    are those of all clips of a video.
    """
    theirs, own = [], []
    for row in rows:
        published = row.entry.published
        if published is not None:
            for accuracy, of_slides in ((published.paper, False), (published.slides, True)):
                if accuracy is not None:
                    theirs.append(_disc(row, _label(published, of_slides), accuracy.top1, of_slides))
        if row.entry.own is not None:
            own.append(_disc(row, row.label, row.entry.own.top1, False))
    protocols = sorted({row.entry.own.protocol for row in rows if row.entry.own and row.entry.own.protocol})
    yours = f"Top-1 (%) as given by the user{': ' if protocols else ''}{', '.join(protocols)}"
    return [Panel(title, discs) for title, discs in ((THEIRS, theirs), (yours, own)) if discs]


def family(name: str) -> str:
    """The method that a network belongs to, for its color.

    Example:
        >>> from interlace.comparison.picture import family
        >>> family("two_stream_eco_enlite_bninception"), family("tin_en_resnet50"), family("rtcn_resnet50")
        ('ECO', 'TIN', 'other')
    """
    parts = name.upper().split("_")
    return next((known for known in FAMILIES if known in parts), "other")


def _label(published: Published, of_slides: bool) -> str:
    frames = published.frames.removesuffix(" clips")
    return f"{published.title}, {frames}{' (slides)' if of_slides else ''}"


def _disc(row: Row, label: str, accuracy: float, hollow: bool) -> Disc:
    published = row.entry.published
    return Disc(
        label=label,
        family=family(row.entry.name),
        gmac=(published.clips if published else 1) * row.costs.gmac,
        accuracy=accuracy,
        parameters_m=row.costs.parameters_m,
        hollow=hollow,
    )
