from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from interlace.inference import journal as journals
from interlace.inference.batch import Failure
from interlace.inference.journal import Journal, journal_file
from interlace.inference.settings import source_of
from interlace.types import Prediction

SETTINGS: dict[str, Any] = {"top_k": 5, "timeline": "auto", "window_seconds": None}


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "videos" / f"{name}.mp4" for name in "abcd"]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * (number + 1))
    return paths


@pytest.fixture
def answers(videos: list[Path]) -> list[Any]:
    a, b, c, d = map(str, videos)
    return [
        [Prediction(a, (("wave", 1 / 3), ("clap", 0.1)), notes=("2 of 50 frames damaged", 'a "note"\n'))],
        Failure(b, "is empty; get it again"),
        [Prediction(c, (("wave", 0.1 + 0.2),), 1.5 * i, 1.5 * i + 3.0) for i in range(3)],
        [Prediction(d, (("clap", 1.0),))],
    ]


def fill(path: Path, videos: list[Path], answers: list[Any], *positions: int) -> None:
    with Journal(path, SETTINGS, videos) as journal:
        for position in positions:
            journal.add(position, source_of(videos[position]), answers[position])


def held(path: Path, videos: list[Path]) -> list[Any]:
    with Journal(path, SETTINGS, videos) as journal:
        found = [journal.answer(position) for position in range(len(videos))]
        assert journal.num_found == sum(answer is not None for answer in found)
        return found


def test_answers_come_back_as_they_were_in_the_order_of_the_videos(
    tmp_path: Path, videos: list[Path], answers: list[Any]
) -> None:
    path = journal_file(tmp_path / "day.csv")
    fill(path, videos, answers, 2, 0)
    fill(path, videos, answers, 3)
    assert held(path, videos) == [answers[0], None, answers[2], answers[3]]
    fill(path, videos, answers, 1)
    with Journal(path, SETTINGS, videos) as journal:
        for _ in range(2):  # they can be gone through again
            assert list(journal.predictions) == [*answers[0], *answers[2], *answers[3]]
            assert list(journal.failures) == [answers[1]]
        journal.remove()
    assert not path.exists()


def test_a_file_that_ends_anywhere_holds_its_whole_lines(
    tmp_path: Path, videos: list[Path], answers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals.os, "fsync", lambda number: None)  # takes its time, hundreds of times
    path = tmp_path / "journal"
    fill(path, videos, answers, 0, 1, 2, 3)
    content = path.read_bytes()
    header = content.index(b"\n") + 1
    ends = [
        end
        for k in range(header, len(content) + 1)
        if content[k - 1 : k] == b"\n"
        for end in (k - 1, k, k + 1)
    ]
    for size in (*(end for end in ends if end >= header), *range(header, len(content), 41)):
        path.write_bytes(content[:size])
        done = content[:size].count(b"\n") - 1
        assert held(path, videos) == [answer if k < done else None for k, answer in enumerate(answers)]
    path.write_bytes(content[:-5])
    fill(path, videos, answers, 3)
    assert path.read_bytes() == content


@pytest.mark.parametrize("damage", [b"\0" * 40, b"\0" * 30 + b"\n", b"[1, 2]\n", b"{}\n", b"\xff\n"])
def test_what_follows_a_damaged_line_is_done_again(
    tmp_path: Path, videos: list[Path], answers: list[Any], damage: bytes
) -> None:
    path = tmp_path / "journal"
    fill(path, videos, answers, 0, 1)
    before = path.read_bytes()
    last = before.splitlines(keepends=True)[-1]
    path.write_bytes(before + damage + last)
    assert held(path, videos) == [answers[0], answers[1], None, None]
    assert path.read_bytes() == before


def test_videos_that_changed_or_were_not_there_are_done_again(
    tmp_path: Path, videos: list[Path], answers: list[Any]
) -> None:
    path = tmp_path / "journal"
    videos[1].unlink()
    fill(path, videos, answers, 0, 1, 2, 3)
    videos[0].write_bytes(b"longer")
    os.utime(videos[2], ns=(0, 5))
    assert held(path, videos) == [None, None, None, answers[3]]
    fill(path, videos, answers, 0)
    videos[1].write_bytes(b"now it is there")
    assert held(path, videos) == [answers[0], None, None, answers[3]]
    videos[3].unlink()
    assert held(path, videos) == [answers[0], None, None, None]


def test_the_list_of_videos_may_change(tmp_path: Path, videos: list[Path], answers: list[Any]) -> None:
    path = tmp_path / "journal"
    fill(path, videos, answers, 0, 2)
    assert held(path, [videos[3], videos[2], videos[1]]) == [None, answers[2], None]
    with pytest.raises(ValueError, match=r"holds 2 answers .* none of them to the 1 videos .* delete that"):
        held(path, [videos[3]])


def test_other_settings_are_named_and_refused(tmp_path: Path, videos: list[Path], answers: list[Any]) -> None:
    path = tmp_path / "journal"
    fill(path, videos, answers)
    other = {**SETTINGS, "top_k": 3, "hop_seconds": 2.0}
    Journal(path, other, videos).__exit__(None, None, None)  # there was no answer yet
    with Journal(path, other, videos) as journal:
        journal.add(0, source_of(videos[0]), answers[0])
    before = path.read_bytes()
    expected = (
        r"journal: holds 1 answers .*\(top_k 3, now 5; hop_seconds 2\.0, now None\); go on with .* delete"
    )
    with pytest.raises(ValueError, match=expected):
        Journal(path, SETTINGS, videos)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["", "path,label\n", '{"path": "a.mp4"}\n', '{"settings": 1'])
def test_other_files_are_not_written_over(tmp_path: Path, videos: list[Path], content: str) -> None:
    path = tmp_path / "journal"
    path.write_text(content)
    with pytest.raises(ValueError, match="is no journal of predictions; move it away, or delete it"):
        Journal(path, SETTINGS, videos)
    assert path.read_text() == content


def test_another_format_is_refused(tmp_path: Path, videos: list[Path], answers: list[Any]) -> None:
    path = tmp_path / "journal"
    fill(path, videos, answers, 0)
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(ValueError, match="in format 2, not 1"):
        Journal(path, SETTINGS, videos)


def test_every_line_is_with_the_system_at_once_and_on_the_disk_now_and_then(
    tmp_path: Path, videos: list[Path], answers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    now = 100.0
    monkeypatch.setattr(journals.os, "fsync", lambda number: synced.append(number))
    monkeypatch.setattr(journals.time, "monotonic", lambda: now)
    with Journal(tmp_path / "journal", SETTINGS, videos) as journal:
        synced.clear()
        for position, seconds in enumerate((0.4, 0.7, 0.4, 0.5)):  # 1.1 and 0.9 after the last one
            now += seconds
            journal.add(position, None, answers[position])
            assert (tmp_path / "journal").read_bytes().count(b"\n") == position + 2
        assert len(synced) == 1
    assert len(synced) == 2


def test_a_line_that_cannot_be_written_is_told_and_the_rest_stays(
    tmp_path: Path, videos: list[Path], answers: list[Any]
) -> None:
    path = tmp_path / "journal"
    with Journal(path, SETTINGS, videos) as journal:
        journal.add(0, source_of(videos[0]), answers[0])
        file = journal._file
        with Path("/dev/full").open("wb", buffering=0) as journal._file:
            with pytest.raises(OSError, match=r"journal cannot be written: No space left .* command goes on"):
                journal.add(1, source_of(videos[1]), answers[1])
            assert journal.answer(1) is None
        journal._file = file
    assert held(path, videos) == [answers[0], None, None, None]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    video = tmp_path / os.fsdecode(b"caf\xe9\n.mp4")
    video.write_bytes(b"x")
    failure = Failure(str(video), "is no video")
    fill(tmp_path / "journal", [video], [failure], 0)
    assert held(tmp_path / "journal", [video]) == [failure]
    first = json.loads((tmp_path / "journal").read_text().splitlines()[0])
    assert first == {"format": 1, "settings": SETTINGS}
