"""A comparison on the terminal: a table whose rows fill as they are known, and a line that says what is being done."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from interlace.comparison.agreement import Agreement
from interlace.comparison.rows import Row
from interlace.comparison.table import disagreements, number, reason

COLUMNS = (
    "network",
    "frames",
    "params M",
    "paper",
    "GMAC",
    "paper",
    "top-1*",
    "ms/clip",
    "spread",
    "clips/s",
)
NARROW, NARROW_COLUMNS = 100, 8
"""A terminal with fewer characters in a line shows so many columns; the files have all."""


class LiveTable:
    """Shows rows while they come; what was shown last stays when it is left, also by Ctrl-C.

    Where the output is no terminal, the table is written once, at the end, and what is being done on stderr.
    """

    def __init__(self) -> None:
        self.console = Console()
        self.rows: Sequence[Row] = ()
        self.message = ""
        self.live = Live(console=self.console, auto_refresh=False, vertical_overflow="visible")

    def __enter__(self) -> LiveTable:
        self.live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.message = ""
        self._refresh()
        self.live.__exit__(kind, error, trace)

    def tell(self, message: str) -> None:
        """Say what is being done."""
        self.message = message
        if not self.console.is_terminal:
            print(message, file=sys.stderr, flush=True)
        self._refresh()

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows instead of the earlier ones."""
        self.rows = rows
        self._refresh()

    def explain(self) -> None:
        """What the marks of the table mean, below it."""
        self.console.print(explanations(self.rows), markup=False, highlight=False)

    def _refresh(self) -> None:
        parts = [rows_table(self.rows, self.console.width)] if self.rows else []
        self.live.update(Group(*parts, Text(self.message, style="dim")), refresh=self.console.is_terminal)


def rows_table(rows: Sequence[Row], width: int = 120) -> Table:
    """Costs and times; the papers' figures beside ours, marked where they are not equal."""
    shown = len(COLUMNS) if width >= NARROW else NARROW_COLUMNS
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in COLUMNS[:shown]:
        first = column == COLUMNS[0]
        table.add_column(column, justify="left" if first else "right", no_wrap=not first, overflow="fold")
    for row in rows:
        table.add_row(*_cells(row)[:shown])
    return table


def _cells(row: Row) -> list[str]:
    published = row.entry.published
    accuracy = (published.paper or published.slides) if published else None
    cells = [
        row.entry.name,
        row.costs.frames,
        number(row.costs.parameters_m, 2),
        _theirs(row.parameters_m),
        number(row.costs.gmac, 2),
        _theirs(row.gmac),
        number(accuracy.top1 if accuracy else None),
    ]
    if row.latency is None:
        return [*cells, "", "", ""]
    times = row.latency
    return [*cells, number(times.ms_per_clip), number(times.spread, 2), number(times.clips_per_second, 2)]


def explanations(rows: Sequence[Row]) -> str:
    """What the marks of the table mean, and why a figure is not the papers', each reason once."""
    reasons: dict[str, list[str]] = {}
    for row, _, found in disagreements(rows):
        names = reasons.setdefault(reason(found), [])
        if row.entry.name not in names:
            names.append(row.entry.name)
    lines = ["* by others, on Something-Something V1: the TIN paper, else the TSM slides; not measured here"]
    if reasons:
        lines.append(
            "~ is more than 1 % from ours and does not round to it; ? is that, and no count gives it:"
        )
    lines += [f"  {', '.join(names)}: {why}" for why, names in reasons.items()]
    return "\n".join(lines)


def _theirs(found: Agreement | None) -> str:
    if found is None:
        return ""
    return {"explained": "~", "open": "?"}.get(found.verdict, "") + found.printed
