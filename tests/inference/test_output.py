from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path

import pytest

from interlace.inference.batch import Failure
from interlace.inference.output import (
    MOST_IN_TABLE,
    Printer,
    check_suffix,
    events_file,
    events_to_csv,
    lines,
    print_predictions,
    table,
    to_csv,
    to_json,
    write_predictions,
)
from interlace.types import Prediction

PREDICTIONS = [
    Prediction(
        "clips/a [1].mp4", (("wave", 0.75), ("clap, twice", 0.25)), notes=("2 of 50 frames are damaged",)
    ),
    Prediction("b.mp4", (("wave", 0.5), ("clap", 0.5)), 0.0, 4.0),
    Prediction("b.mp4", (("wave", 0.7), ("clap", 0.3)), 2.0, 6.0),
    Prediction("b.mp4", (("clap", 0.8), ("wave", 0.2)), 4.0, 8.0, ("1 of 99 frames are damaged",)),
]
FAILURES = [Failure("c.mp4", "is empty; record it again")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines() -> None:
    assert lines(PREDICTIONS, FAILURES) == [
        "clips/a [1].mp4: wave 75.0%, clap, twice 25.0% (2 of 50 frames are damaged)",
        "b.mp4 [0.0-5.0 s]: wave 60.0% (1 of 99 frames are damaged)",
        "b.mp4 [5.0-8.0 s]: clap 80.0%",
        "c.mp4: FAILED: is empty; record it again",
    ]
    assert lines([]) == []


def test_in_a_pipe_lines_are_whole_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    long = Prediction("/".join(["folder"] * 60), (("wave", 1.0),))
    print_predictions([long], FAILURES)
    assert capsys.readouterr().out.splitlines() == lines([long], FAILURES)


def test_on_a_terminal_a_table_with_every_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("TERM", "xterm")
    print_predictions(PREDICTIONS, FAILURES)
    text = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue())  # colors
    shown = [" ".join(line.split()) for line in text.splitlines()]
    assert "video label score then notes" in shown
    assert "clips/a [1].mp4 wave 75.0% clap, twice 25.0% 2 of 50 frames are damaged" in shown
    assert "b.mp4 [0.0-5.0 s] wave 60.0% 1 of 99 frames are damaged" in shown
    assert "c.mp4 - is empty; record it again" in shown


def test_answers_are_printed_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    with Printer(num_videos=3) as show:
        show(FAILURES[0])
        assert capsys.readouterr().out == "c.mp4: FAILED: is empty; record it again\n"
        show(PREDICTIONS[1:])
        assert capsys.readouterr().out.splitlines() == lines(PREDICTIONS[1:])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("num_videos", "in_table"), [(MOST_IN_TABLE, True), (MOST_IN_TABLE + 1, False)])
def test_few_answers_are_a_table_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, num_videos: int, in_table: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "150")
    with Printer(num_videos) as show:
        show(PREDICTIONS[:1])
        show(FAILURES[0])
        assert terminal.getvalue().splitlines() == ([] if in_table else lines(PREDICTIONS[:1], FAILURES))
    assert ("video" in terminal.getvalue()) == in_table
    assert "c.mp4" in terminal.getvalue()


def test_a_table_without_notes_has_no_column_for_them() -> None:
    assert [column.header for column in table(PREDICTIONS[1:3]).columns] == [
        "video",
        "label",
        "score",
        "then",
    ]


def test_csv_reads_back() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(PREDICTIONS, FAILURES))))
    assert [row["path"] for row in rows] == ["clips/a [1].mp4", "b.mp4", "b.mp4", "b.mp4", "c.mp4"]
    assert rows[0]["label_2"] == "clap, twice"
    assert (rows[0]["score"], rows[0]["score_2"]) == ("0.750000", "0.250000")
    assert rows[0]["start_seconds"] == rows[0]["error"] == ""
    assert (rows[2]["start_seconds"], rows[2]["end_seconds"]) == ("2.000", "6.000")
    assert rows[3]["notes"] == "1 of 99 frames are damaged"
    assert rows[4] == {**dict.fromkeys(rows[0], ""), "path": "c.mp4", "error": "is empty; record it again"}


def test_csv_rows_have_one_length_when_tops_differ() -> None:
    short = Prediction("d.mp4", (("wave", 1.0),))
    rows = list(csv.reader(io.StringIO(to_csv([short, *PREDICTIONS], FAILURES))))
    assert {len(row) for row in rows} == {9}


def test_json_reads_back() -> None:
    found = json.loads(to_json(PREDICTIONS, FAILURES))
    assert found["failures"] == [{"path": "c.mp4", "reason": "is empty; record it again"}]
    assert found["predictions"][1] == {
        "path": "b.mp4",
        "start_seconds": 0.0,
        "end_seconds": 4.0,
        "top": [{"label": "wave", "score": 0.5}, {"label": "clap", "score": 0.5}],
        "notes": [],
    }


@pytest.mark.parametrize("predictions", [PREDICTIONS, PREDICTIONS[:1], []])
@pytest.mark.parametrize("failures", [FAILURES, []])
def test_json_in_parts_is_json_as_a_whole(predictions: list[Prediction], failures: list[Failure]) -> None:
    text = to_json(predictions, failures)
    assert text == json.dumps(json.loads(text), indent=2) + "\n"


def test_a_csv_has_room_for_as_many_labels_as_are_told(tmp_path: Path) -> None:
    path = write_predictions(tmp_path / "x.csv", [], FAILURES, num_ranks=2)
    assert path.read_text().splitlines() == [
        "path,start_seconds,end_seconds,label,score,label_2,score_2,notes,error",
        "c.mp4,,,,,,,,is empty; record it again",
    ]
    write_predictions(path, PREDICTIONS, FAILURES, num_ranks=2)
    assert path.read_text() == to_csv(PREDICTIONS, FAILURES)


@pytest.mark.parametrize("name", ["x.csv", "x.json", "deep/er/x.JSON"])
def test_write_leaves_one_whole_file(tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    assert write_predictions(output, PREDICTIONS, FAILURES) == output
    write_predictions(output, PREDICTIONS, FAILURES)
    expected = to_csv if output.suffix == ".csv" else to_json
    assert output.read_text() == expected(PREDICTIONS, FAILURES)
    beside = [events_file(output).name] if output.suffix == ".csv" else []
    assert sorted(path.name for path in output.parent.iterdir()) == sorted([output.name, *beside])


@pytest.mark.parametrize("name", ["x.txt", "x", "x.csv.gz"])
def test_other_suffixes_are_refused_before_and_while_writing(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"end the name in \.csv or \.json"):
        check_suffix(tmp_path / name)
    with pytest.raises(ValueError, match="unknown format"):
        write_predictions(tmp_path / name, PREDICTIONS)
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_text_are_shown_and_written(tmp_path: Path) -> None:
    name = b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    prediction = Prediction(name, (("wave", 1.0),))
    assert lines([prediction]) == ["caf\ufffd.mp4: wave 100.0%"]
    assert b"caf\xe9.mp4" in write_predictions(tmp_path / "x.csv", [prediction]).read_bytes()
    written = write_predictions(tmp_path / "x.json", [prediction]).read_text()
    assert json.loads(written)["predictions"][0]["path"] == name


def test_windows_are_merged_to_events(tmp_path: Path) -> None:
    expected = [
        {
            "path": "b.mp4",
            "start_seconds": 0.0,
            "end_seconds": 5.0,
            "label": "wave",
            "score": 0.6,
            "peak": 0.7,
        },
        {
            "path": "b.mp4",
            "start_seconds": 5.0,
            "end_seconds": 8.0,
            "label": "clap",
            "score": 0.8,
            "peak": 0.8,
        },
    ]
    assert json.loads(to_json(PREDICTIONS))["events"] == [pytest.approx(event) for event in expected]
    rows = list(csv.DictReader(io.StringIO(events_to_csv(PREDICTIONS))))
    assert [(row["label"], row["start_seconds"], row["score"], row["peak"]) for row in rows] == [
        ("wave", "0.000", "0.600000", "0.700000"),
        ("clap", "5.000", "0.800000", "0.800000"),
    ]
    write_predictions(tmp_path / "day.csv", PREDICTIONS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["day.csv", "day.events.csv"]
    assert events_file(tmp_path / "day.csv").read_text() == events_to_csv(PREDICTIONS)


def test_videos_predicted_as_a_whole_have_no_events(tmp_path: Path) -> None:
    assert json.loads(to_json(PREDICTIONS[:1]))["events"] == []
    write_predictions(tmp_path / "day.csv", PREDICTIONS[:1])
    assert [path.name for path in tmp_path.iterdir()] == ["day.csv"]
