"""report.html: one page for people, with everything inside it, so that it can be mailed or printed."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from interlace.evaluation.tables import Row
from interlace.printable import printable
from interlace.types import EvalReport

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; background: #fff; max-width: 62rem;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.sub, caption { color: #5b6470; text-align: left; margin-top: 0; }
.numbers { display: flex; gap: 2.5rem; flex-wrap: wrap; margin: 1.5rem 0; }
.numbers b { display: block; font-size: 2rem; line-height: 1.2; }
table { border-collapse: collapse; font-size: .9rem; } caption { padding-bottom: .4rem; }
th, td { border-bottom: 1px solid #d9dee4; padding: .25rem .9rem .25rem 0; text-align: left;
         vertical-align: top; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
img { max-width: 100%; } code { font-size: .85rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } .note { background: #fdf3d7; padding: .5rem .8rem; }
@media print { body { margin: 0; max-width: none; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""
NAMES = {"top1": "top-1", "top5": "top-5", "mean_class_accuracy": "mean class accuracy"}
LIMIT = 50
"""Rows of the lists of errors and skipped files that are shown; the CSV files have more."""


def report_page(
    report: EvalReport, classes: Sequence[Row], worst: Sequence[Row], picture: Path | None
) -> str:
    """The page as text: no script, no link to anything outside it.

    Example:
        >>> from interlace.evaluation.page import report_page
        >>> from interlace.types import EvalReport
        >>> page = report_page(EvalReport("full-res", {"top1": 91.25}, num_clips=400), [], [], None)
        >>> "<b>91.25 %</b>" in page
        True
    """
    details = report.details
    models = ", ".join(dict.fromkeys(str(member["model"]) for member in details.get("checkpoints", [])))
    title = f"{models or 'Evaluation'}: {report.protocol}"
    date = str(details.get("date", "")).replace("T", " ")
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="sub">{_text(details.get("data", ""))}<br>{report.num_clips} clips scored, '
        f"{len(report.skipped)} skipped, {len(report.damaged)} damaged. {_text(date)}</p>",
        '<div class="numbers">',
        *(
            f"<div><b>{value:.2f} %</b>{_text(NAMES.get(name, name))}</div>"
            for name, value in report.metrics.items()
        ),
        "</div>",
        *(f'<p class="note">{_text(note)}</p>' for note in details.get("notes", [])),
    ]
    if picture is not None:
        encoded = base64.b64encode(picture.read_bytes()).decode()
        parts += [
            "<h2>Confusion matrix</h2>",
            '<p class="sub">Rows are the true classes; color is the part of the row, numbers are clips.</p>',
            f'<img alt="Confusion matrix" src="data:image/png;base64,{encoded}">',
        ]
    parts += ["<h2>Classes</h2>", _table(classes)]
    if worst:
        shown = f"The {min(LIMIT, len(worst))} surest wrong answers; worst.csv has them for programs."
        parts += ["<h2>Worst errors</h2>", _table(worst[:LIMIT], shown)]
    if report.skipped:
        rows = [{"path": path, "reason": reason} for path, reason in report.skipped[:LIMIT]]
        shown = f"{len(rows)} of {len(report.skipped)}; metrics.json has all."
        parts += ["<h2>Skipped videos</h2>", _table(rows, shown)]
    if report.damaged:
        rows = [{"path": path, "note": note} for path, note in report.damaged[:LIMIT]]
        shown = f"{len(rows)} of {len(report.damaged)}; metrics.json has all. They are scored."
        parts += ["<h2>Damaged videos</h2>", _table(rows, shown)]
    parts += ["<h2>How it was measured</h2>", _table(list(_setup(report)))]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{_text(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _setup(report: EvalReport) -> Iterable[Row]:
    details = report.details
    views = details.get("views", {})
    pairs: list[tuple[str, object]] = [
        ("protocol", report.protocol),
        ("views of a video", f"{views.get('num_clips')} clips, crops: {views.get('crops')}"),
        ("averaged over views", details.get("average")),
    ]
    for member in details.get("checkpoints", []):
        weight = f", weight {member['weight']:g}" if len(details["checkpoints"]) > 1 else ""
        pairs.append(
            ("checkpoint", f"{member['path']} ({member['model']}{weight}), sha256 {member['sha256']}")
        )
    pairs += [
        (name, details.get(name)) for name in ("device", "precision", "batch_size", "seconds", "commit")
    ]
    pairs.append(
        ("versions", ", ".join(f"{name} {value}" for name, value in details.get("versions", {}).items()))
    )
    pairs.append(("command", details.get("command")))
    for name, value in pairs:
        if value not in (None, ""):
            yield {"what": name, "value": value}


def _table(rows: Sequence[Row], caption: str = "") -> str:
    if not rows:
        return "<p>None.</p>"
    columns = [name for name in rows[0] if any(row[name] != "" for row in rows)]
    numeric = {
        name for name in columns if all(isinstance(row[name], int | float) or row[name] == "" for row in rows)
    }
    head = "".join(f"<th{_right(name in numeric)}>{_text(name.replace('_', ' '))}</th>" for name in columns)
    lines = [
        "<tr>"
        + "".join(f"<td{_right(name in numeric)}>{_cell(name, row[name])}</td>" for name in columns)
        + "</tr>"
        for row in rows
    ]
    top = f"<caption>{_text(caption)}</caption>" if caption else ""
    body = "\n".join(lines)
    table = f"<table>{top}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def _right(yes: bool) -> str:
    return ' class="n"' if yes else ""


def _cell(name: str, value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if name.endswith("score") else f"{value:.2f}"
    return _text(value)


def _text(value: object) -> str:
    return html.escape(printable(str(value)))
