"""What an export did: the file, how its answers compare, how fast it is, and, of int8, what it costs in accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from interlace.export.int8 import Accuracy
from interlace.export.parity import RELATIVE_LIMIT, Parity
from interlace.exported.beside import beside


@dataclass(frozen=True)
class ExportReport:
    """All of it; a table when printed.

    Attributes: ``parity`` and ``latency`` are by name of the network; the first of them, eager, is the one that all
    others are compared with. ``exported`` is the name of what the file holds.
    """

    checkpoint: str
    model: str
    output: Path
    format: str
    takes: str
    """Kind, shape and type of the input, in words."""
    megabytes: float
    clips: str
    """What was compared on, in words."""
    exported: str
    parity: dict[str, Parity]
    latency: dict[str, dict[str, float]]
    machine: dict[str, Any]
    unit: str = "clip"
    """What a time is for: a clip, or a frame of a stream."""
    accuracy: Accuracy | None = None
    """Of int8: before and after."""
    notes: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "output": str(self.output)}

    def summary(self) -> dict[str, Any]:
        """What stands in the file beside the exported one: its own parity, without each clip, and its accuracy."""
        parity = asdict(self.parity[self.exported])
        del parity["clips"]
        summary = {"clips": self.clips, **parity, "limit": None if self.accuracy else RELATIVE_LIMIT}
        return summary | ({"accuracy": asdict(self.accuracy)} if self.accuracy else {})

    def __str__(self) -> str:
        facts = ", ".join(f"{key} {value}" for key, value in self.machine.items())
        lines = [
            f"exported: {self.output} ({self.format}, {self.megabytes:.1f} MB), {self.model} of {self.checkpoint}",
            f"takes:    {self.takes}",
            f"beside:   {beside(self.output)} (labels, preprocessing, parity)",
            f"compared: {self.clips}",
            f"machine:  {facts}",
            "",
            _row("network", (*_PARITY, f"ms/{self.unit}", "spread", "ratio")),
        ]
        for name, numbers in self.latency.items():
            times = (f"{numbers['median_ms']:.2f}", f"{numbers['spread']:.2f}", f"{numbers['ratio']:.3f}")
            marked = f"{name} *" if name == self.exported else name
            lines.append(_row(marked, (*_parity_cells(self.parity.get(name)), *times)))
        lines += [
            "* this file; difference: the largest of two logits, relative: over its largest logit",
            "ratio: to the time of eager in the same round, the median of all rounds",
            "",
            f"parity:   {self._verdict()}",
        ]
        return "\n".join([*lines, *(f"note:     {note}" for note in self.notes)])

    def _verdict(self) -> str:
        """What was asked of the file, and that it was kept."""
        own = self.parity[self.exported]
        if self.accuracy is None:
            return f"{own}; allowed is a relative difference of {RELATIVE_LIMIT:g}"
        return (
            f"{own}\n"
            f"accuracy: {self.accuracy}\n"
            "note:     int8 rounds every number, so its logits have no limit: it is held to its accuracy. The graph "
            f"that it was made of has the limit of float32, {RELATIVE_LIMIT:g} relative, and kept it"
        )


_PARITY = ("difference", "relative", "top-1 same")


def _parity_cells(parity: Parity | None) -> tuple[str, ...]:
    if parity is None:
        return ("",) * len(_PARITY)
    return (f"{parity.max_difference:.1e}", f"{parity.relative_difference:.1e}", f"{parity.top1:.1%}")


def _row(name: str, cells: Iterable[str]) -> str:
    return f"{name:<24}" + "".join(f"{cell:>12}" for cell in cells)
