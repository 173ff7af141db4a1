"""The lists of clips of a split, as `interlace train` reads them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

Rows = Sequence[tuple[str, str]]
"""(path below the folder of the videos, label)."""


def write_lists(folder: Path, train: Rows, scored: Rows) -> tuple[Path, Path]:
    """Returns train.csv and scored.csv."""
    for name, rows in (("train", train), ("scored", scored)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["path", "label"])
            table.writerows(rows)
    return folder / "train.csv", folder / "scored.csv"
