from __future__ import annotations

import math
from pathlib import Path

import pytest

from interlace.audiovisual.timelines.event_list import ListedVideo, Region, read_event_list, relevant_segments


def read(folder: Path, *lines: str, header: str = "path,event,start,end") -> list[ListedVideo]:
    (folder / "train.csv").write_text("\n".join([header, *lines]), encoding="utf-8")
    return read_event_list(folder / "train.csv")


def test_lines_of_a_video_come_together(tmp_path: Path) -> None:
    videos = read(tmp_path, "a.mp4,bark,2,4.5", "b.mp4,,,", "", "./a.mp4,bark,7,8", "sub\\c d.mp4,bell,1,1.5")
    assert videos == [
        ListedVideo("a.mp4", "bark", (Region(2.0, 4.5, 2), Region(7.0, 8.0, 5)), 2),
        ListedVideo("b.mp4", "", (), 3),
        ListedVideo("sub/c d.mp4", "bell", (Region(1.0, 1.5, 6),), 6),
    ]


def test_columns_by_name_and_empty_times(tmp_path: Path) -> None:
    lines = ("5,,bark,me,a.mp4", ",3,bell,me,b.mp4", ',,"speech, male",me,c.mp4')
    assert read(tmp_path, *lines, header="\ufeffStart,End,Event,Who,Path") == [
        ListedVideo("a.mp4", "bark", (Region(5.0, math.inf, 2),), 2),
        ListedVideo("b.mp4", "bell", (Region(0.0, 3.0, 3),), 3),
        ListedVideo("c.mp4", "speech, male", (Region(0.0, math.inf, 4),), 4),
    ]


def test_a_short_line_has_no_times(tmp_path: Path) -> None:
    assert read(tmp_path, "a.mp4") == [ListedVideo("a.mp4", "", (), 2)]


def test_a_comma_in_a_name_is_not_the_end_of_it(tmp_path: Path) -> None:
    header = "path,start,end,event"
    with pytest.raises(ValueError, match=r"train\.csv:2: found 5 cells, expected 4, .* in quotes"):
        read(tmp_path, "c.mp4,1,2,speech, male", header=header)
    assert read(tmp_path, "c.mp4,1,2,speech,,", header=header)[0].event == "speech"  # empty cells say nothing


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("a.mp4,bark,0,1", "a.mp4,bell,2,3"), ":3: found 'bark' and 'bell' in a.mp4 (the first in line 2)"),
        (("a.mp4,bark,0,1", "a.mp4,,,"), ":3: found 'bark' and background in a.mp4 (the first in line 2)"),
        (("a.mp4,,,", "a.mp4,,,"), ":3: found a.mp4 once more, expected one line for a background video"),
        (("a.mp4,bark,3,2",), ":2: found start 3 s and end 2 s, expected an end after the start"),
        (("a.mp4,bark,3,3",), ":2: found start 3 s and end 3 s"),
        (("a.mp4,bark,-1,3",), ":2: found '-1', expected a time in seconds"),
        (("a.mp4,bark,0:30,1:00",), ":2: found '0:30', expected a time in seconds"),
        (("a.mp4,bark,0,inf",), ":2: found 'inf'"),
        (("a.mp4,bark,nan,1",), ":2: found 'nan'"),
        (("a.mp4,,0,1",), ":2: found times '0' to '1' of no event"),
        ((",bark,0,1",), ":2: found '', expected a path relative to the folder of the videos"),
        (("/data/a.mp4,bark,0,1",), ":2: found '/data/a.mp4'"),
        (("../a.mp4,bark,0,1",), ":2: found '../a.mp4'"),
        (('"a.mp4,bark,0,1',), ":2: found broken quoting"),
        (("a.mp4,,,", "b.mp4;bark;0;1"), ":3: found 'b.mp4;bark;0;1', expected 4 cells, separated by commas"),
        (("a.mp4\tbark\t0\t1",), ":2: found 'a.mp4\\tbark\\t0\\t1', expected 4 cells, separated by commas"),
        (("a.mp4;bark;0,5;1,5",), ":2: found 'a.mp4;bark;0,5;1,5', expected 4 cells, separated by commas"),
        ((), ": found no video"),
    ],
)
def test_lines_that_cannot_be(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError) as error:
        read(tmp_path, *lines)
    assert f"train.csv{message}" in str(error.value)


def test_a_header_is_needed(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"train\.csv:1: found 'a\.mp4,bark,0,1', expected the header path,event"
    ):
        read(tmp_path, header="a.mp4,bark,0,1")
    with pytest.raises(
        ValueError, match=r"train\.csv:1: found 'path;event;start;end', .*start,end, separated by commas$"
    ):
        read(tmp_path, header="path;event;start;end")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(
        ValueError, match=r"empty\.csv: found 'nothing', expected the header path,event,start,end"
    ):
        read_event_list(tmp_path / "empty.csv")
    with pytest.raises(ValueError, match=r"none\.csv: cannot be read"):
        read_event_list(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("regions", "length", "duration", "expected"),
    [
        ([(1.0, 3.0)], 4, 4.0, [1, 2]),
        ([(0.5, 1.5)], 4, 4.0, [0, 1]),  # exactly half of both
        ([(0.51, 1.49)], 4, 4.0, []),
        ([(0.2, 0.7)], 1, 1.0, [0]),  # half but for rounding: 0.7 - 0.2 < 0.5
        ([(0.0, math.inf)], 4, 3.7, [0, 1, 2, 3]),
        ([(3.0, 3.4)], 4, 3.7, [3]),  # 0.4 of the last 0.7 s
        ([(3.0, 3.3)], 4, 3.7, []),
        ([(3.0, 3.4)], 3, 3.4, []),  # the last 0.4 s of a video of 3 segments are in none
        ([(0.0, 0.1)], 1, 0.2, [0]),  # half of a video of 0.2 s
        ([(2.0, 2.3), (2.6, 2.9)], 4, 4.0, [2]),  # 0.6 together
        ([(2.0, 2.3), (2.1, 2.4)], 4, 4.0, []),  # 0.4: what is covered twice counts once
        ([(2.0, 3.0), (2.2, 2.4), (2.6, 3.6)], 4, 4.0, [2, 3]),  # 0.6 of segment 3
        ([(3.1, 4.0), (0.0, 0.9)], 4, 4.0, [0, 3]),  # in any order
        ([], 3, 3.0, []),
    ],
)
def test_relevant_segments(
    regions: list[tuple[float, float]], length: int, duration: float, expected: list[int]
) -> None:
    relevant = relevant_segments(regions, length, duration)
    assert relevant.shape == (length,)
    assert relevant.nonzero().flatten().tolist() == expected
