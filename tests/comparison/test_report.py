"""Tables, files and the page of networks."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from interlace.comparison import Costs, Entry, Latency, OwnAccuracy, Row, Setting, agreement
from interlace.comparison.picture import panels
from interlace.comparison.published import TABLE_1
from interlace.comparison.report import (
    BEGIN,
    END,
    between_markers,
    check_markers,
    generated,
    write_report,
)
from interlace.comparison.table import costs_table, disagreements_table, record, times_table
from interlace.comparison.terminal import COLUMNS, explanations, rows_table

ROOT = Path(__file__).resolve().parents[2]
SETTING = Setting(174, 224, 1, torch.device("cpu"))
TIN = next(row for row in TABLE_1 if row.name == "tin_released_resnet50")
I3D = next(row for row in TABLE_1 if row.name == "i3d_resnet50")


@pytest.fixture
def rows() -> list[Row]:
    costs = Costs((8,), 3, "rgb", 32.7002, 23.8956)
    own = OwnAccuracy("rtcn_resnet50", 88.25, protocol="1clip-center")
    return [
        Row(
            Entry(TIN.name, 8, TIN),
            costs,
            agreement(TIN, "parameters_m", costs),
            agreement(TIN, "gmac", costs),
            Latency(200.0, 0.05, 5.0, 1.02, 9),
        ),
        Row(Entry("rtcn_resnet50", own=own), Costs((8, 16), 3, "rgb", 98.0, 47.0)),
    ]


def test_counts_stand_beside_the_papers(rows: list[Row]) -> None:
    assert costs_table(rows).splitlines()[2:] == [
        "| `tin_released_resnet50` | 8 | 23.90 | 24.3 | 0.983, explained | 32.70 | 34 | 0.962, open |",
        "| `rtcn_resnet50` | 8+16 | 47.00 |  |  | 98.00 |  |  |",
    ]


def test_reasons_are_told_once(rows: list[Row]) -> None:
    text = disagreements_table([*rows, rows[0]])
    lines = text.splitlines()[2:]
    assert lines[0] == "| `tin_released_resnet50, 8 frames` | parameters (M) | 23.90 | 24.3 | 24.36 | a |"
    assert lines[1] == "| `tin_released_resnet50, 8 frames` | multiply-adds (G) | 32.70 | 34 |  | b |"
    assert text.count("- a: The paper's figure has the classifier of Kinetics") == 1
    assert text.count("- b: Not reproduced.") == 1
    none = "The papers state no costs of these networks, or not for these sizes."
    assert disagreements_table(rows[1:]) == none


def test_only_what_was_measured_has_a_time(rows: list[Row]) -> None:
    assert times_table(rows).splitlines()[2:] == [
        "| `tin_released_resnet50` | 8 | 200.0 | 0.05 | 5.00 | 1.02 | 9 |"
    ]


def test_accuracies_say_whose_they_are(rows: list[Row]) -> None:
    theirs, ours = (record(row) for row in rows)
    assert (theirs["top1_tin_paper"], theirs["top1_tsm_slides"], theirs["top1_own"]) == (45.8, None, None)
    assert (ours["top1_tin_paper"], ours["top1_own"], ours["protocol_own"]) == (None, 88.25, "1clip-center")
    tsm = next(row for row in TABLE_1 if row.name == "tsm_resnet50")
    both = record(replace(rows[0], entry=Entry(tsm.name, 8, tsm)))
    assert (both["top1_tin_paper"], both["top1_tsm_slides"], both["top5_tsm_slides"]) == (43.4, 45.6, 74.2)


def test_all_files(rows: list[Row], tmp_path: Path) -> None:
    files = write_report(tmp_path / "new" / "folder", rows, SETTING, complete=False)
    assert [file.name for file in files] == ["compare.md", "compare.csv", "compare.json", "compare.png"]
    page = files[0].read_text()
    assert "**Stopped before all networks were measured.**" in page
    assert "## Accuracy on Something-Something V1, by others" in page
    assert "top-1 (yours)" in page
    with files[1].open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == ["tin_released_resnet50", "rtcn_resnet50"]
    assert (lines[0]["gmac_published"], lines[0]["gmac_verdict"], lines[1]["ms_per_clip"]) == (
        "34",
        "open",
        "",
    )
    facts = json.loads(files[2].read_text())
    assert {"commit", "versions", "machine", "settings", "date", "rows", "notes"} <= set(facts)
    assert facts["complete"] is False
    assert facts["settings"]["dtype"] == "float32"
    assert facts["machine"]["threads"] == torch.get_num_threads()
    assert facts["rows"][0]["ms_per_clip"] == 200.0
    assert files[3].read_bytes().startswith(b"\x89PNG")


def test_without_accuracies_there_is_no_picture(rows: list[Row], tmp_path: Path) -> None:
    plain = [replace(rows[1], entry=Entry("rtcn_resnet50"))]
    files = write_report(tmp_path, plain, SETTING, complete=True)
    assert [file.suffix for file in files] == [".md", ".csv", ".json"]
    assert "Stopped" not in files[0].read_text()
    assert "Measured here" not in files[0].read_text()


def test_discs_are_of_whole_videos(rows: list[Row]) -> None:
    i3d = Row(Entry(I3D.name, None, I3D), Costs((32,), 3, "rgb", 152.5, 27.6))
    theirs, own = panels([*rows, i3d])
    assert [(disc.label, disc.gmac, disc.accuracy) for disc in theirs.discs] == [
        ("TIN, 8", 32.7002, 45.8),
        ("I3D, 32 x 2", 305.0, 41.6),
    ]
    assert "not measured here" in theirs.title
    assert own.title == "Top-1 (%) as given by the user: 1clip-center"
    assert [(disc.label, disc.family) for disc in own.discs] == [("rtcn_resnet50, 8+16 frames", "other")]


def test_both_statements_about_tsm_are_drawn() -> None:
    tsm = next(row for row in TABLE_1 if row.name == "tsm_resnet50")
    (panel,) = panels([Row(Entry(tsm.name, 8, tsm), Costs((8,), 3, "rgb", 32.7, 23.9))])
    assert [(disc.label, disc.accuracy, disc.hollow) for disc in panel.discs] == [
        ("TSM, 8", 43.4, False),
        ("TSM, 8 (slides)", 45.6, True),
    ]


def test_a_narrow_terminal_shows_fewer_columns(rows: list[Row]) -> None:
    assert len(rows_table(rows, 120).columns) == len(COLUMNS) == 10
    assert len(rows_table(rows, 80).columns) == 8
    assert [list(column.cells) for column in rows_table(rows).columns][3:6] == [
        ["~24.3", ""],
        ["32.70", "98.00"],
        ["?34", ""],
    ]
    assert "  tin_released_resnet50: Not reproduced." in explanations(rows)


def test_markers(tmp_path: Path) -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    new = between_markers(text, "| new |", Path("a.md"))
    assert new == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"
    assert between_markers(new, "| new |", Path("a.md")) == new
    (tmp_path / "a.md").write_text("nothing")
    with pytest.raises(ValueError, match=r"a\.md needs the lines <!-- costs:begin -->"):
        check_markers(tmp_path / "a.md")
    with pytest.raises(ValueError, match="missing"):
        check_markers(tmp_path / "missing.md")


def test_the_page_of_networks_has_what_the_code_counts(default_rows: list[Row]) -> None:
    page = ROOT / "docs" / "networks.md"
    text = page.read_text()
    assert between_markers(text, generated(default_rows), page) == text, (
        "run `interlace compare --no_latency --write docs/networks.md`"
    )


def test_the_page_of_networks_speaks_of_every_method() -> None:
    from interlace.models.ensembles import ENSEMBLES
    from interlace.models.methods import METHODS

    prose = (ROOT / "docs" / "networks.md").read_text().split(BEGIN)[0]
    prose = re.sub(r"`_(\w+)`", r"`two_stream_\1`", prose)  # listed as `two_stream_tsn`, `_trn`, ...
    assert [name for name in (*METHODS, *ENSEMBLES) if f"`{name}`" not in prose] == []
