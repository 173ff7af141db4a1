"""The rows of a comparison: counted first, which takes seconds, then timed, which takes minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from interlace.comparison.agreement import Agreement, agreement
from interlace.comparison.costs import Costs, count_costs
from interlace.comparison.entries import Entry
from interlace.comparison.latency import Latency, Setting, Stopwatch
from interlace.comparison.published import IMAGE_SIZE

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """A network with all that is known of its cost."""

    entry: Entry
    costs: Costs
    parameters_m: Agreement | None = None
    gmac: Agreement | None = None
    latency: Latency | None = None

    @property
    def label(self) -> str:
        """Name and frames."""
        return f"{self.entry.name}, {self.costs.frames} frames"


def counted(entries: Sequence[Entry], setting: Setting, progress: Progress) -> Iterator[Row]:
    """Count each network, and set it beside its row of the papers; multiply-adds only where the size is theirs.

    Raises:
        ValueError: a name that is not known, or arguments that its network does not take.
    """
    for number, entry in enumerate(entries, 1):
        progress(f"counting {entry.name} ({number} of {len(entries)})")
        costs = count_costs(
            entry.name,
            num_classes=setting.num_classes,
            image_size=setting.image_size,
            num_segments=entry.num_segments,
        )
        row, published = Row(entry, costs), entry.published
        if published is not None:
            row = replace(row, parameters_m=agreement(published, "parameters_m", costs))
        if published is not None and setting.image_size == IMAGE_SIZE:
            row = replace(row, gmac=agreement(published, "gmac", costs))
        yield row


def timed(rows: Sequence[Row], setting: Setting, progress: Progress) -> Iterator[Row]:
    """The same rows, each with its time as soon as it is measured; tells about how long the rest takes."""
    progress("measuring the reference")
    watch = Stopwatch(setting)
    for number, row in enumerate(rows, 1):
        left = sum(watch.estimate_seconds(later.costs.gmac) for later in rows[number - 1 :])
        progress(f"measuring {row.label} ({number} of {len(rows)}), about {duration(left)} left")
        yield replace(row, latency=watch.measure(row.entry.name, row.entry.num_segments))


def duration(seconds: float) -> str:
    """Seconds or minutes.

    Example:
        >>> from interlace.comparison.rows import duration
        >>> duration(12.3), duration(400.0)
        ('12 s', '7 min')
    """
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
