"""What a check of a data set found: tables, JSON, and whether training would fail."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from interlace.data.reader import OnError
from interlace.files import whole_file
from interlace.printable import printable


@dataclass(frozen=True)
class ClipCheck:
    """One clip, decoded from end to end."""

    path: Path
    labels: tuple[str, ...]
    status: Literal["ok", "damaged", "unreadable"]
    problem: str = ""
    """What is wrong with a damaged or unreadable clip."""
    num_frames: int = 0
    """Frames within the annotation's bounds."""
    height: int = 0
    width: int = 0
    fps: float = 0.0
    duration_seconds: float = 0.0
    short: bool = False
    """Fewer frames than segments: frames are repeated in training."""
    odd: tuple[str, ...] = ()
    """What is unusual, but no mistake in itself."""

    @property
    def short_side(self) -> int:
        """The smaller of height and width; 0 if nothing was read."""
        return min(self.height, self.width)

    def with_oddity(self, oddity: str) -> ClipCheck:
        """The same with one more oddity."""
        return replace(self, odd=(*self.odd, oddity))

    def without_oddities(self, oddities: tuple[str, ...]) -> ClipCheck:
        """The same without these."""
        return replace(self, odd=tuple(oddity for oddity in self.odd if oddity not in oddities))


@dataclass(frozen=True)
class CheckReport:
    """What :func:`interlace.data.check.check_videos` found."""

    clips: tuple[ClipCheck, ...]
    """In the order in which they were given."""
    classes: tuple[str, ...]
    """Class names; empty if the clips came without labels."""
    num_segments: int
    on_error: OnError
    common: tuple[str, ...] = ()
    """Remarks on more than half of the clips; not repeated for each."""

    @property
    def unreadable(self) -> list[ClipCheck]:
        """Clips of which nothing can be read."""
        return [clip for clip in self.clips if clip.status == "unreadable"]

    @property
    def damaged(self) -> list[ClipCheck]:
        """Clips of which a part can be read."""
        return [clip for clip in self.clips if clip.status == "damaged"]

    @property
    def short(self) -> list[ClipCheck]:
        """Clips with fewer frames than segments."""
        return [clip for clip in self.clips if clip.short]

    @property
    def odd(self) -> list[ClipCheck]:
        """Clips with something unusual about them."""
        return [clip for clip in self.clips if clip.odd]

    @property
    def class_counts(self) -> dict[str, int]:
        """Readable clips of each class."""
        counts = Counter(label for clip in self.clips if clip.status != "unreadable" for label in clip.labels)
        return {name: counts[name] for name in self.classes}

    @property
    def small_classes(self) -> list[str]:
        """Classes with fewer than two readable clips: too few to train and to validate on."""
        return [name for name, count in self.class_counts.items() if count < 2]

    @property
    def imbalance(self) -> float | None:
        """Clips of the largest class for each of the smallest; None without labels or with an empty class."""
        counts = self.class_counts.values()
        return max(counts) / min(counts) if counts and min(counts) > 0 else None

    @property
    def failures(self) -> list[str]:
        """Why training would fail, a sentence each."""
        reasons = []
        readable = len(self.clips) - len(self.unreadable)
        if self.on_error == "raise" and self.unreadable:
            reasons.append(f"unreadable clips: {len(self.unreadable)} of {len(self.clips)}")
        if self.on_error == "raise" and self.damaged:
            reasons.append(f"damaged clips: {len(self.damaged)} of {len(self.clips)}")
        if readable == 0:
            reasons.append("no clip can be read")
        if len(self.classes) == 1:
            reasons.append(f"there is only one class ({self.classes[0]})")
        if empty := [name for name, count in self.class_counts.items() if count == 0]:
            reasons.append(f"classes without a readable clip: {', '.join(empty)}")
        return reasons

    @property
    def would_fail(self) -> bool:
        """True if training under the ``on_error`` policy would fail on these clips."""
        return bool(self.failures)

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types that JSON has."""
        return {
            "would_fail": self.would_fail,
            "failures": self.failures,
            "num_clips": len(self.clips),
            "num_unreadable": len(self.unreadable),
            "num_damaged": len(self.damaged),
            "num_short": len(self.short),
            "num_odd": len(self.odd),
            "num_segments": self.num_segments,
            "on_error": self.on_error,
            "class_counts": self.class_counts,
            "small_classes": self.small_classes,
            "imbalance": self.imbalance,
            "common": list(self.common),
            "clips": [asdict(clip) | {"path": str(clip.path)} for clip in self.clips],
        }

    def to_json(self, path: str | Path) -> Path:
        """Write everything to a JSON file."""
        path = Path(path)
        with whole_file(path) as beside:
            beside.write_text(
                json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n",
                encoding="utf-8",
                errors="backslashreplace",  # names of files that are no UTF-8: as JSON writes them
            )
        return path

    def print(self, console: Console | None = None) -> None:
        """Show the tables in the terminal."""
        (console or Console()).print(self)

    def __str__(self) -> str:
        verdict = (
            "training would fail: " + "; ".join(self.failures) if self.would_fail else "ready for training"
        )
        return (
            f"{len(self.clips)} clips: {len(self.unreadable)} unreadable, {len(self.damaged)} damaged, "
            f"{len(self.short)} short (under {self.num_segments} frames), {len(self.odd)} odd; {verdict}"
        )

    def __rich__(self) -> Group:
        return Group(*self._tables())

    def _tables(self) -> list[Table | Text]:
        parts: list[Table | Text] = []
        listed = [clip for clip in self.clips if clip.problem or clip.short or clip.odd]
        if listed:
            # Clips of a list file may lie anywhere, of which nothing is common.
            common = os.path.commonpath([clip.path.parent for clip in listed])
            folder = f"{common}{os.sep}" if Path(common).name else ""
            parts.append(Text(printable(f"clips to look at in {folder}" if folder else "clips to look at")))
            if rows := [clip for clip in listed if clip.short or clip.odd]:
                table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
                table.add_column("clip", overflow="fold")
                table.add_column("frames", justify="right")
                table.add_column("size", justify="right")
                table.add_column("remarks")
                for clip in rows:
                    path, size = str(clip.path).removeprefix(folder), f"{clip.width}x{clip.height}"
                    remarks = Text(printable(self._remarks(clip).replace(folder, "")))
                    table.add_row(Text(printable(path)), str(clip.num_frames), size, remarks)
                parts.append(table)
            for clip in [*self.damaged, *self.unreadable]:
                problem = clip.problem.removeprefix(f"{clip.path}: ").removeprefix("damaged: ")
                line = f"{str(clip.path).removeprefix(folder)}: {clip.status}: {problem}"
                parts.append(Text(printable(line)))
        if self.classes:
            title = (
                "classes"
                if self.imbalance is None
                else f"classes (largest : smallest = {self.imbalance:.1f})"
            )
            table = Table("class", "readable clips", title=title)
            for name, count in self.class_counts.items():
                table.add_row(
                    Text(printable(name)), f"{count} - too few" if name in self.small_classes else str(count)
                )
            parts.append(table)
        parts += [Text(printable(f"most clips: {remark}")) for remark in self.common]
        return [*parts, Text(printable(str(self)))]

    def _remarks(self, clip: ClipCheck) -> str:
        return "; ".join([*(["short"] if clip.short else []), *clip.odd])
