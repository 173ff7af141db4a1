"""Lists of events: what was written comes back; any content ends in events or in one error."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import strategies as st

from interlace.audiovisual.timelines.ave_annotations import read_ave_events
from interlace.audiovisual.timelines.event_list import read_event_list, relevant_segments
from interlace.data.annotations import AnnotationError

LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
anything = st.characters(exclude_categories=["Cs"], exclude_characters="/\\&" + LINE_ENDS)
names = st.text(anything, max_size=20).map(lambda text: f"n{text}".strip())
times = st.tuples(st.floats(0, 1e4), st.floats(0.001, 1e4)).map(lambda pair: (pair[0], sum(pair)))

PIECES = (
    *(
        "path,event,start,end\n",
        "Category&VideoID&Quality&StartTime&EndTime\n",
        "a.mp4",
        "bark",
        "good",
        "&",
        ",",
        ";",
    ),
    *(
        "\n",
        '"',
        "..",
        "/",
        "\\",
        "0",
        "2.5",
        "-1",
        "nan",
        "inf",
        "1e400",
        "\x00",
        "\ufeff",
        "\u2028",
        "\t",
        " ",
        "٣",
    ),
)
contents = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=16).map(lambda parts: "".join(parts).encode()),
    st.lists(st.sampled_from(PIECES), max_size=16).map(lambda parts: (PIECES[0] + "".join(parts)).encode()),
    st.lists(st.sampled_from(PIECES), max_size=16).map(lambda parts: (PIECES[1] + "".join(parts)).encode()),
)


def test_ave_events_come_back(for_all, tmp_path: Path) -> None:
    def holds(rows: list[tuple[str, str, tuple[float, float]]]) -> None:
        lines = [f"{event}&{video}&good&{start!r}&{end!r}" for event, video, (start, end) in rows]
        file = tmp_path / "Annotations.txt"
        file.write_text("\n".join(lines), encoding="utf-8")
        found = [(e.category, e.video_id, (e.start_seconds, e.end_seconds)) for _, e in read_ave_events(file)]
        assert found == rows

    for_all(holds, rows=st.lists(st.tuples(names, names, times), min_size=1, max_size=5))


def test_listed_events_come_back(for_all, tmp_path: Path) -> None:
    def holds(videos: dict[str, tuple[str, list[tuple[float, float]]]]) -> None:
        file = tmp_path / "train.csv"
        with file.open("w", newline="", encoding="utf-8") as text:
            writer = csv.writer(text)
            writer.writerow(("path", "event", "start", "end"))
            for path, (event, regions) in videos.items():
                writer.writerows((path, event, start, end) for start, end in regions)
                writer.writerows([(path, "", "", "")] * (not regions))
        found = {
            video.path: (video.event, [(r.start_seconds, r.end_seconds) for r in video.regions])
            for video in read_event_list(file)
        }
        assert found == {
            path: (event if regions else "", regions) for path, (event, regions) in videos.items()
        }

    listed = st.tuples(names, st.lists(times, max_size=3))
    for_all(holds, videos=st.dictionaries(names, listed, min_size=1, max_size=4))


@contextmanager
def refused_by_name(file: Path) -> Iterator[None]:
    """What is done inside goes well, or is refused by an error that names the file."""
    refusal = ""
    try:
        yield
    except AnnotationError as error:
        refusal = str(error)
    assert not refusal or str(file) in refusal


@pytest.mark.parametrize("read", [read_ave_events, read_event_list])
def test_any_content_is_read_or_refused(for_all, tmp_path: Path, read) -> None:
    file = tmp_path / "list"

    def holds(content: bytes) -> None:
        file.write_bytes(content)
        with refused_by_name(file):
            assert read(file)

    for_all(holds, content=contents)


def test_relevant_segments_are_those_that_a_fine_ruler_finds(for_all) -> None:
    """Regions in hundredths of a second: how many hundredths of each second are covered can be counted."""

    def holds(regions: list[tuple[int, int]], num_segments: int) -> None:
        covered = [any(a <= tick < b for a, b in regions) for tick in range(100 * num_segments)]
        wanted = [sum(covered[100 * k : 100 * k + 100]) >= 50 for k in range(num_segments)]
        seconds = [(a / 100, b / 100) for a, b in regions]
        assert relevant_segments(seconds, num_segments, math.inf).tolist() == wanted

    ticks = st.tuples(st.integers(0, 700), st.integers(1, 300)).map(lambda pair: (pair[0], sum(pair)))
    for_all(holds, regions=st.lists(ticks, max_size=5), num_segments=st.integers(1, 8))
