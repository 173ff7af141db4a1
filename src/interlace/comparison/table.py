"""The rows as records for files, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from interlace.comparison.agreement import Agreement
from interlace.comparison.notes import ACCURACY_NOTES, METHOD_NOTES, Figure
from interlace.comparison.rows import Row

FIGURES: dict[Figure, str] = {"parameters_m": "parameters (M)", "gmac": "multiply-adds (G)"}


def record(row: Row) -> dict[str, Any]:
    """One flat line; None where there is nothing to say.

    Accuracies are by whom the column says. Times are of this machine.
    """
    entry, costs, published, latency = row.entry, row.costs, row.entry.published, row.latency
    paper = published.paper if published else None
    slides = published.slides if published else None
    return {
        "name": entry.name,
        "title": published.title if published else None,
        "frames": costs.frames,
        "clips": published.clips if published else 1,
        "modality": costs.modality,
        "parameters_m": round(costs.parameters_m, 3),
        **_of_agreement("parameters_m", row.parameters_m),
        "gmac": round(costs.gmac, 3),
        **_of_agreement("gmac", row.gmac),
        "ms_per_clip": latency and latency.ms_per_clip,
        "spread": latency and latency.spread,
        "clips_per_second": latency and latency.clips_per_second,
        "ratio_to_tsn": latency and latency.ratio,
        "rounds": latency and latency.rounds,
        "top1_tin_paper": paper and paper.top1,
        "top5_tin_paper": paper and paper.top5,
        "top1_tsm_slides": slides and slides.top1,
        "top5_tsm_slides": slides and slides.top5,
        "top1_own": entry.own and entry.own.top1,
        "protocol_own": entry.own and entry.own.protocol,
    }


def _of_agreement(figure: str, found: Agreement | None) -> dict[str, Any]:
    return {
        f"{figure}_published": found and found.printed,
        f"{figure}_ratio": found and round(found.ratio, 3),
        f"{figure}_verdict": found and found.verdict,
        f"{figure}_recount": found.recount and round(found.recount, 3) if found else None,
    }


def costs_table(rows: Sequence[Row]) -> str:
    """Counts beside the papers', as Markdown: what does not depend on the machine."""
    columns = (
        "network",
        "frames",
        "parameters M",
        "paper",
        "ours / paper",
        "GMAC a clip",
        "paper",
        "ours / paper",
    )
    return _markdown(columns, (_cost_cells(row) for row in rows))


def times_table(rows: Sequence[Row]) -> str:
    """Times of this machine, as Markdown; without the rows that were not measured."""
    columns = ("network", "frames", "ms a clip", "spread", "clips/s", "time / TSN", "rounds")
    cells = (
        (
            f"`{row.entry.name}`",
            row.costs.frames,
            f"{row.latency.ms_per_clip:.1f}",
            f"{row.latency.spread:.2f}",
            f"{row.latency.clips_per_second:.2f}",
            f"{row.latency.ratio:.2f}",
            str(row.latency.rounds),
        )
        for row in rows
        if row.latency
    )
    return _markdown(columns, cells)


def accuracy_table(rows: Sequence[Row]) -> str:
    """Accuracies of the papers, and the user's if there are any, as Markdown."""
    own = any(row.entry.own for row in rows)
    columns = (
        *("network", "as printed", "top-1 (TIN paper)", "top-5", "top-1 (TSM slides)", "top-5"),
        *(("top-1 (yours)", "protocol") if own else ()),
    )
    lines = []
    for row in rows:
        facts, published = record(row), row.entry.published
        if published or row.entry.own:
            keys = ("top1_tin_paper", "top5_tin_paper", "top1_tsm_slides", "top5_tsm_slides")
            printed = f"{published.title}, {published.frames}" if published else ""
            cells = [f"`{row.label}`", printed, *(number(facts[key]) for key in keys)]
            lines.append([*cells, number(facts["top1_own"]), facts["protocol_own"] or ""][: len(columns)])
    return _markdown(columns, lines) if lines else "None is known of these networks."


def disagreements_table(rows: Sequence[Row]) -> str:
    """Every figure that is more than 1 % from the paper's and does not round to it, and the reasons, as Markdown."""
    columns = ("network", "figure", "ours", "paper", "recounted", "why")
    letters: dict[str, str] = {}
    lines = []
    for row, figure, found in disagreements(rows):
        recount = "" if found.recount is None else f"{found.recount:.2f}"
        letter = letters.setdefault(reason(found), "abcdefghijklmnopqrstuvwxyz"[len(letters)])
        ours = f"{getattr(row.costs, figure):.2f}"
        lines.append((f"`{row.label}`", FIGURES[figure], ours, found.printed, recount, letter))
    if not lines and not any(getattr(row, figure) for row in rows for figure in FIGURES):
        return "The papers state no costs of these networks, or not for these sizes."
    if not lines:
        return "Every figure is within 1 % of the paper's, or rounds to it."
    reasons = "\n".join(f"- {letter}: {sentence}" for sentence, letter in letters.items())
    return f"{_markdown(columns, lines)}\n\n{reasons}"


def reason(found: Agreement) -> str:
    """Why a figure is not the paper's."""
    return found.note.sentence if found.note else "No explanation is known."


def disagreements(rows: Sequence[Row]) -> Iterator[tuple[Row, Figure, Agreement]]:
    """The figures that are neither within 1 % of the papers' nor round to them."""
    for row in rows:
        for figure in FIGURES:
            found: Agreement | None = getattr(row, figure)
            if found is not None and found.verdict in ("explained", "open"):
                yield row, figure, found


def general_notes() -> str:
    """What holds for all rows, as a Markdown list."""
    return "\n".join(f"- {sentence}" for sentence in (*METHOD_NOTES, *ACCURACY_NOTES))


def number(value: float | None, digits: int = 1) -> str:
    """A number, or nothing.

    Example:
        >>> from interlace.comparison.table import number
        >>> number(45.6), number(None)
        ('45.6', '')
    """
    return "" if value is None else f"{value:.{digits}f}"


def ratio(found: Agreement | None) -> str:
    """Ours over theirs, and `rounded` where theirs is the rounded number.

    Example:
        >>> from interlace.comparison.agreement import Agreement
        >>> from interlace.comparison.table import ratio
        >>> ratio(Agreement("16", 1.02, "rounded")), ratio(None)
        ('1.020, rounded', '')
    """
    if found is None:
        return ""
    return f"{found.ratio:.3f}" + ("" if found.verdict == "equal" else f", {found.verdict}")


def _cost_cells(row: Row) -> Sequence[str]:
    cells = [f"`{row.entry.name}`", row.costs.frames]
    for figure in FIGURES:
        found: Agreement | None = getattr(row, figure)
        cells += [f"{getattr(row.costs, figure):.2f}", found.printed if found else "", ratio(found)]
    return cells


def _markdown(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    table = [columns, ["---"] * len(columns), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in table)
