"""The files of a comparison: compare.md, compare.csv, compare.json, compare.png."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from interlace.benchmark import describe_machine
from interlace.comparison import table
from interlace.comparison.latency import Setting
from interlace.comparison.picture import panels
from interlace.comparison.rows import Row
from interlace.files import whole_file
from interlace.plots.cost import accuracy_against_cost
from interlace.provenance import provenance

BEGIN, END = "<!-- costs:begin -->", "<!-- costs:end -->"


def write_report(folder: Path, rows: Sequence[Row], setting: Setting, *, complete: bool) -> list[Path]:
    """Write what is known; without the picture if no row has an accuracy.

    Args:
        folder: made if it is not there.
        rows: at least one.
        setting: what they were counted and timed with.
        complete: False for a comparison that was stopped, which the files then say.

    Returns:
        the files that were written.
    """
    facts = document(rows, setting, complete=complete)
    records = facts["rows"]
    files = [folder / f"compare.{ending}" for ending in ("md", "csv", "json")]
    with whole_file(files[0]) as beside:
        beside.write_text(markdown(rows, facts), encoding="utf-8")
    with whole_file(files[1]) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    with whole_file(files[2]) as beside:
        beside.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    found = panels(rows)
    if found:
        files.append(folder / "compare.png")
        with whole_file(files[-1]) as beside:
            accuracy_against_cost(found, beside)
    return files


def document(rows: Sequence[Row], setting: Setting, *, complete: bool) -> dict[str, Any]:
    """All of it as JSON holds it."""
    settings = {
        **asdict(setting),
        "device": str(setting.device),
        "dtype": str(setting.dtype).removeprefix("torch."),
    }
    return {
        **provenance(),
        "machine": describe_machine(setting.device),
        "settings": settings,
        "complete": complete,
        "notes": table.general_notes().replace("- ", "").splitlines(),
        "rows": [table.record(row) for row in rows],
    }


def markdown(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """The report for a reader."""
    machine = ", ".join(f"{key} {value}" for key, value in facts["machine"].items())
    settings = ", ".join(f"{key} {value}" for key, value in facts["settings"].items())
    versions = ", ".join(f"{key} {value}" for key, value in facts["versions"].items())
    sections = [
        "# Cost of the networks, beside the papers' tables",
        "" if facts["complete"] else "**Stopped before all networks were measured.**",
        f"{facts['date']}, commit {facts['commit'] or 'unknown'}; `{facts['command']}`",
        f"Machine: {machine}\\\nSettings: {settings}\\\nVersions: {versions}",
        "## Counted",
        table.costs_table(rows),
        "## Where a count is not the paper's",
        table.disagreements_table(rows),
        *(("## Measured here", table.times_table(rows)) if any(row.latency for row in rows) else ()),
        "## Accuracy on Something-Something V1, by others",
        table.accuracy_table(rows),
        table.general_notes(),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def check_markers(file: Path) -> None:
    """ValueError if :func:`write_between_markers` could not write to a file."""
    between_markers(_text(file), "", file)


def write_between_markers(file: Path, rows: Sequence[Row]) -> None:
    """Put the table of counts between the two markers of a Markdown file.

    Raises:
        ValueError: the file has not exactly one pair of them, or cannot be read.
    """
    new = between_markers(_text(file), generated(rows), file)
    with whole_file(file) as beside:
        beside.write_text(new, encoding="utf-8")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: cannot be read ({error})") from error


def generated(rows: Sequence[Row]) -> str:
    """What stands between the markers."""
    return "\n\n".join((table.costs_table(rows), table.disagreements_table(rows), table.general_notes()))


def between_markers(text: str, part: str, file: Path) -> str:
    r"""The text with the part between its markers.

    Raises:
        ValueError: it has not exactly one pair of them.

    Example:
        >>> from pathlib import Path
        >>> from interlace.comparison.report import BEGIN, END, between_markers
        >>> between_markers(f"a{BEGIN}old{END}b", "new", Path("a.md"))
        'a<!-- costs:begin -->\nnew\n<!-- costs:end -->b'
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{file} needs the lines {BEGIN} and {END}, once each and in this order")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{part}\n{END}{rest.split(END)[1]}"
