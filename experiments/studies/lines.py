"""Results as JSON lines, one a run, which studies only ever add to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlace.files import locked

_PATIENCE = 60.0
"""Seconds for which a study waits for another that adds its line; that takes milliseconds."""


def read_lines(file: Path) -> dict[str, dict[str, Any]]:
    """The results by their keys; of two with the same key the later one.

    A line that a crash cut off is left out, its run is done again or found in its folder.
    """
    found: dict[str, dict[str, Any]] = {}
    if file.exists():
        for line in file.read_text().splitlines():
            try:
                told = json.loads(line)
            except json.JSONDecodeError:
                continue
            found[told["key"]] = told
    return found


def add_line(file: Path, told: Mapping[str, Any]) -> None:
    """Add a result, and have it on the disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(told, sort_keys=True) + "\n"
    with locked(file.with_name(f".{file.name}"), f"{file}: another study", patience=_PATIENCE):
        cut_off = file.exists() and file.stat().st_size and not file.read_bytes().endswith(b"\n")
        with file.open("a") as lines:
            lines.write("\n" * bool(cut_off) + line)
            lines.flush()
            os.fsync(lines.fileno())
