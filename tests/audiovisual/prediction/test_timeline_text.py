from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from interlace.audiovisual.prediction.event_prediction import BACKGROUND as O
from interlace.audiovisual.prediction.event_prediction import MATCH, EventPrediction, EventQuery
from interlace.audiovisual.prediction.timeline_text import (
    lines,
    print_timelines,
    table,
    to_csv,
    to_json,
    write_timelines,
)

BELL = EventPrediction(
    "bells.mp4",
    (O, "bell [x]", "bell [x]"),
    2.5,
    relevance=(0.125, 0.75, 1.0),
    heard=(0.25, 0.5, 1.0),
    seen=(0.0, 1.0, 1.0),
    scores=(("bell [x]", 0.875), ("horn", 0.125)),
    has_sound=(True, True, False),
    notes=("2 audio tracks, stream 1 is used",),
)
FOUND = EventPrediction("b.mp4", (O, MATCH), 2.0, fit=(-1.5, 0.25), query=EventQuery("audio", 0.0, 1.0))


def test_lines() -> None:
    assert lines([BELL, FOUND], [("c.mp4", "the file is empty")]) == [
        "bells.mp4: bell [x] (87.5%) from 1 to 2.5 s (2 audio tracks, stream 1 is used)",
        "    0-1 s  heard p^A 0.250  seen p^V 0.000  relevance p 0.125  background",
        "    1-2 s  heard p^A 0.500  seen p^V 1.000  relevance p 0.750  bell [x]",
        "  2-2.5 s  heard p^A 1.000  seen p^V 1.000  relevance p 1.000  bell [x], no sound",
        "b.mp4: what is heard from 0 to 1 s is seen from 1 to 2 s",
        "  0-1 s  fit -1.500  background",
        "  1-2 s  fit +0.250  match",
        "c.mp4: FAILED: the file is empty",
    ]


def test_a_long_video_is_told_in_stretches_and_written_second_by_second() -> None:
    labels = [O] * 40 + ["x"] * 20 + [O]
    relevance = (*[0.75, 0.25] * 30, 0.0)
    long = EventPrediction("long.mp4", tuple(labels), 61.0, relevance=relevance)
    assert lines([long])[1:] == [
        "   0-40 s  relevance p 0.500  background",
        "  40-60 s  relevance p 0.500  x",
        "  60-61 s  relevance p 0.000  background",
    ]
    assert len(to_csv([long]).splitlines()) == 62
    assert len(lines([EventPrediction("short.mp4", tuple(labels[:60]), 60.0)])) == 61


def test_table_shows_labels_as_they_are() -> None:
    console = Console(width=90, file=io.StringIO(), force_terminal=False)
    console.print(table(BELL))
    rows = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [row.split() for row in rows if " s " in row] == [
        ["0-1", "s", "0.250", "0.000", "0.125", "█░░░░░░░░░", "background"],
        ["1-2", "s", "0.500", "1.000", "0.750", "████████░░", "bell", "[x]"],
        ["2-2.5", "s", "1.000", "1.000", "1.000", "██████████", "bell", "[x],", "no", "sound"],
    ]


def test_print_into_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_timelines([FOUND])
    assert (
        capsys.readouterr().out.splitlines()[0] == "b.mp4: what is heard from 0 to 1 s is seen from 1 to 2 s"
    )


def test_csv_and_json_hold_every_number() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([BELL, FOUND], [("c,\n.mp4", "empty")]))))
    assert [row["label"] for row in rows] == [O, "bell [x]", "bell [x]", O, "match", ""]
    assert [row["relevance"] for row in rows] == ["0.125000", "0.750000", "1.000000", "", "", ""]
    assert (rows[2]["end_seconds"], rows[2]["has_sound"], rows[3]["has_sound"]) == ("2.500", "false", "")
    assert (rows[-1]["path"], rows[-1]["error"]) == ("c,\n.mp4", "empty")
    told = json.loads(to_json([BELL, FOUND], [("c.mp4", "empty")]))
    bell, found = told["predictions"]
    assert (bell["event"], bell["events"]) == (
        "bell [x]",
        [{"label": "bell [x]", "start_seconds": 1.0, "end_seconds": 2.5}],
    )
    assert [second["seen"] for second in bell["seconds"]] == [0.0, 1.0, 1.0]
    assert (found["event"], found["query"]) == (
        None,
        {"modality": "audio", "start_seconds": 0.0, "end_seconds": 1.0},
    )
    assert [second["fit"] for second in found["seconds"]] == [-1.5, 0.25]
    assert told["failures"] == [{"path": "c.mp4", "reason": "empty"}]


def test_files_are_written_whole_and_others_refused(tmp_path: Path) -> None:
    odd = EventPrediction("\udcff.mp4", (O,), 1.0)
    assert (
        write_timelines(tmp_path / "sub" / "a.csv", [odd])
        .read_bytes()
        .splitlines()[1]
        .startswith(b"\xff.mp4,0.000")
    )
    assert lines([odd])[0] == "�.mp4: background only"
    with pytest.raises(ValueError, match=r"a\.txt: unknown format '\.txt'; end the name in \.csv or \.json"):
        write_timelines(tmp_path / "a.txt", [odd])
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(ValueError, match="is a folder; name a file"):
        write_timelines(tmp_path / "b.csv", [odd])


def test_what_is_below_half_does_not_look_like_half() -> None:
    prediction = EventPrediction("a.mp4", (O, "bark"), 2.0, relevance=(0.49997, 0.5))
    assert [line.split("  ")[2] for line in lines([prediction])[1:]] == [
        "relevance p 0.499",
        "relevance p 0.500",
    ]


def test_a_name_cannot_move_the_cursor() -> None:
    told = lines([], [("two\nlines\x1b[2J.mp4", "the file is empty")])
    assert told == [r"two\nlines\x1b[2J.mp4: FAILED: the file is empty"]
