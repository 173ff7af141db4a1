"""Names that a stranger has chosen: shown letter by letter, and obeyed by nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import unicodedata
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from rich.console import Console

from interlace.audiovisual.tasks.seed_table import SeedRow, markdown_table
from interlace.cli.parser import complain, say, warn
from interlace.cli.progress import bar_of_videos
from interlace.data.annotations import Sample
from interlace.data.check import check_videos
from interlace.evaluation.report import write_report
from interlace.evaluation.scores import Scores
from interlace.inference.batch import Failure
from interlace.inference.output import lines, table, to_csv
from interlace.plots import accuracy_bars, confusion_matrix, training_curves
from interlace.printable import markdown_cell, printable
from interlace.streaming.events import Event
from interlace.streaming.json_lines import JsonLines
from interlace.streaming.terminal import Terminal
from interlace.types import EvalReport, Prediction

EVIL = (
    "wave\x1b[2J\x1b]0;title\x07",
    "two\nlines: FAILED",
    "\u202egpj.exe",
    "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&",
    "cost $x_{ of $",
    "a|b [c](javascript:d) `e`",
    "=1+1",
    "[bold]/[/nothing]",
    os.fsdecode(b"\xff\xfe.mp4"),
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u30ef\u30a4\u30f3\u3000\U0001f469\u200d\U0001f33e",
)

DRAWN = (*EVIL[:-2], "caf\u00e9")
"""Those that matplotlib's font has letters for."""


def is_shown(text: str) -> bool:
    """Nothing in it would be obeyed by a terminal, and it is one line."""
    kinds = {unicodedata.category(letter) for letter in text if letter not in "\u200c\u200d"}
    return not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize("name", EVIL)
def test_a_line_for_people(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert is_shown(printable(name))
    for show in (say, warn, complain):
        show(name)
    shown = capsys.readouterr()
    for line in [*shown.out.splitlines(), *shown.err.splitlines()]:
        assert is_shown(line)
    assert shown.out == printable(name) + "\n"
    assert [line[:1] for line in shown.err.splitlines() if not line.startswith(("error: ", "warning: "))] in (
        [],
        [" "] * 2,
    )


def test_words_of_all_languages_stay() -> None:
    assert printable(EVIL[-1]) == EVIL[-1]


@pytest.mark.parametrize("name", EVIL)
def test_predictions(name: str) -> None:
    answers = [Prediction(name, ((name, 0.75), ("b", 0.25)), notes=(name,))]
    failures = [Failure(name, name)]
    assert all(map(is_shown, lines(answers, failures)))
    assert len(lines(answers, failures)) == 2
    text = io.StringIO()
    Console(file=text, width=500).print(table(answers, failures))
    assert all(map(is_shown, text.getvalue().splitlines()))
    written = list(csv.reader(io.StringIO(to_csv(answers))))  # for programs: as it is
    assert written[1][0] == written[1][3] == name


@pytest.mark.parametrize("name", EVIL)
def test_streams(name: str) -> None:
    text, events = io.StringIO(), io.StringIO()
    with Terminal(Console(file=text, width=500)) as terminal:
        terminal.say(name)
    assert all(map(is_shown, text.getvalue().splitlines()))
    JsonLines(events).event(Event(name, 3.25, None, score=0.5, peak=0.75))
    assert events.getvalue().count("\n") == 1
    assert json.loads(events.getvalue())["label"] == name


class Elements(HTMLParser):
    """The elements of a page, and what their attributes are called."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_report_of_an_evaluation(tmp_path: Path) -> None:
    clips = tuple(Sample(Path(name), (i,)) for i, name in enumerate(DRAWN))
    scores = Scores(clips, DRAWN, torch.eye(len(DRAWN)).roll(1, 0))
    pairs = tuple((name, name) for name in DRAWN)
    details = {"data": EVIL[3], "notes": list(DRAWN), "command": EVIL[3], "checkpoints": []}
    report = EvalReport(
        "full-res", {"top1": 0.0}, num_clips=len(DRAWN), skipped=pairs, damaged=pairs, details=details
    )
    write_report(tmp_path, report, scores)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    elements = Elements(page)
    assert "script" not in elements.found
    assert not {name for name in elements.attributes if name.startswith("on")}
    assert page.count("<img ") == 1  # the confusion matrix
    assert all(map(is_shown, page.splitlines()))
    told = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert [entry["path"] for entry in told["skipped"]] == list(DRAWN)
    with (tmp_path / "per_class.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert [row["class"] for row in csv.DictReader(file)] == list(DRAWN)


def test_pictures(tmp_path: Path) -> None:
    """A dollar begins no formula, also where none ends it."""
    counts = torch.eye(len(DRAWN), dtype=torch.int64)
    assert confusion_matrix(counts, DRAWN, tmp_path / "a.png", title=EVIL[4]).stat().st_size > 0
    assert accuracy_bars(DRAWN, [50.0] * len(DRAWN), tmp_path / "b.png", title=EVIL[4]).stat().st_size > 0
    metrics = tmp_path / "metrics.csv"
    metrics.write_text(f"epoch,{EVIL[4]}\n0,1\n1,2\n")
    runs = dict.fromkeys(DRAWN, metrics)
    assert training_curves(runs, tmp_path / "c.png", title=EVIL[4]).stat().st_size > 0


@pytest.mark.parametrize("name", EVIL)
def test_tables_of_markdown(name: str) -> None:
    row = markdown_table([SeedRow(name, {0: {"accuracy": 74.0}}, {1: name})]).splitlines()[2:]
    assert len(row) == 1
    assert row[0].replace("\\|", "").count("|") == 5
    assert "<" not in markdown_cell(name)


def test_the_check_of_files_with_such_names(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    names = [name.replace("/", "_") for name in EVIL]
    for name in names:
        make_video(tmp_path / "plain.mp4", num_frames=4).rename(tmp_path / f"{name}.mp4")
    report = check_videos([tmp_path / f"{name}.mp4" for name in [*names, "missing"]], progress=False)
    assert [clip.status for clip in report.clips] == ["ok"] * len(names) + ["unreadable"]
    text = io.StringIO()
    report.print(Console(file=text, width=500))
    assert all(map(is_shown, text.getvalue().splitlines()))
    told = json.loads(report.to_json(tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["clips"][0]["path"] == str(tmp_path / f"{names[0]}.mp4")


def test_a_bar_takes_no_name_for_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with bar_of_videos("looking") as tell:
        for name in EVIL:
            tell(1, 2, Path(name))
