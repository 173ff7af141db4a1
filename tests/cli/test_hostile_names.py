"""A data set whose classes and files have names that a terminal, a browser, a shell or a table would obey."""

from __future__ import annotations

import csv
import json
import os
import unicodedata
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from interlace.checkpoints import read_card
from interlace.cli import main

pytestmark = pytest.mark.faults  # trains, evaluates, predicts and draws

CLASSES = (
    "clap\x1b[2J\x1b]0;title\x07",
    "two\nlines: FAILED",
    "<script>alert(1)<img src=x onerror=alert(1)>\"'&",
    "cost $x_{ of $",
    "=1+1,[bold]a|b[nothing]",
)
FILES = (
    "\u202egpj.exe",
    "\x1b]52;c;aGk=\x07$(touch mark)`touch mark`",
    "new\nline",
    "<svg onload=alert(1)> [red] {0} %s",
    "$\\frac{",
)
NO_TEXT = os.fsdecode(b"\xff\xfe")
"""What stands for bytes that are no UTF-8; in one file's name."""


class Page(HTMLParser):
    """Elements of a page, names of their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def clips(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    """Five classes of three videos."""
    for number, name in enumerate(CLASSES):
        for i in range(3):
            file = FILES[(number + i) % len(FILES)] + (NO_TEXT if number == i == 0 else "")
            plain = make_video(tmp_path / "plain.mp4", num_frames=4 + number, size=(32, 48))
            (tmp_path / "clips" / name).mkdir(parents=True, exist_ok=True)
            plain.rename(tmp_path / "clips" / name / f"{file}.mp4")
    return tmp_path / "clips"


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as text:
        return list(csv.DictReader(text))


def test_from_training_to_pictures(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = ""

    def run(*words: str | Path) -> None:
        nonlocal shown
        assert main([str(word) for word in words]) == 0, capsys.readouterr().err
        told = capsys.readouterr()
        shown += told.out + told.err

    tiny = [
        "--model",
        "tin_test_resnet",
        "--pretrained",
        "false",
        "--image_size",
        "32",
        "--num_segments",
        "2",
    ]
    once = ["--epochs", "1", "--batch_size", "4", "--val_fraction", "0.34", "--trainer.num_workers", "0"]
    run("train", clips, *tiny, *once, "--output", "run")
    model = Path("run/last.safetensors")
    assert sorted(read_card(model).labels) == sorted(CLASSES)

    run("evaluate", clips, "--model", model, "--num_workers", "0", "--device", "cpu", "--output", "report")
    page = Page(Path("report/report.html").read_text(encoding="utf-8"))
    assert not page.elements & {"script", "svg", "iframe", "object"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert "<script>alert(1)<img src=x onerror=alert(1)>" in page.text  # its letters
    assert {row["class"] for row in rows(Path("report/per_class.csv"))} == set(CLASSES)
    assert json.loads(Path("report/metrics.json").read_text(encoding="utf-8"))["num_clips"] == 5

    run("predict", clips, "--model", model, "--device", "cpu", "--output", "told.csv")
    told = rows(Path("told.csv"))
    assert {row["path"] for row in told} == {str(path) for path in clips.rglob("*.mp4")}
    assert {row["label"] for row in told} <= set(CLASSES)

    run("plot", "offsets", model, clips, "--num_workers", "0", "--device", "cpu", "--output", "a.png")
    run("check", clips, "--json", "check.json")
    assert len(json.loads(Path("check.json").read_text(encoding="utf-8"))["clips"]) == 15

    assert "\\x1b[2J" in shown  # written out
    for line in shown.splitlines():
        assert not [letter for letter in line if unicodedata.category(letter) in ("Cc", "Cf", "Cs")], line
    assert not list(tmp_path.rglob("mark"))
