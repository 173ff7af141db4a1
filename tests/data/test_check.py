from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from interlace.data.annotations import Annotations, Sample
from interlace.data.check import _mark_outliers, check_videos
from interlace.data.check_report import CheckReport, ClipCheck
from interlace.data.video import find_videos


def text(report: CheckReport, width: int = 200) -> str:
    written = io.StringIO()
    report.print(Console(file=written, width=width))
    return written.getvalue()


@pytest.fixture
def annotations(tmp_path: Path, make_video: Callable[..., Path]) -> Annotations:
    """Two classes, five clips: one short, one unreadable, one a copy."""
    paths = [
        make_video(tmp_path / "jump" / "long.mp4", num_frames=20),
        make_video(tmp_path / "jump" / "short [1].mp4", num_frames=3),
        tmp_path / "jump" / "copy.mp4",
        tmp_path / "run" / "text.mp4",
        make_video(tmp_path / "run" / "other.mp4", num_frames=24),
    ]
    shutil.copy(paths[0], paths[2])
    paths[3].write_text("no video")
    samples = tuple(Sample(path, (0 if path.parent.name == "jump" else 1,)) for path in paths)
    return Annotations(samples, classes=("jump", "run"), source="test")


def test_report(annotations: Annotations, tmp_path: Path) -> None:
    report = check_videos(annotations, num_segments=8, num_workers=2, progress=False)
    assert [clip.path.name for clip in report.clips] == [s.path.name for s in annotations.samples]
    assert [clip.status for clip in report.clips] == ["ok", "ok", "ok", "unreadable", "ok"]
    assert [clip.num_frames for clip in report.clips] == [20, 3, 20, 0, 24]
    assert [clip.path.name for clip in report.short] == ["short [1].mp4"]
    assert report.clips[2].odd[-1] == f"a copy of {annotations.samples[0].path}"
    assert report.class_counts == {"jump": 3, "run": 1}
    assert report.small_classes == ["run"]
    assert report.imbalance == 3.0
    assert report.failures == ["unreadable clips: 1 of 5"]
    assert report.would_fail

    shown = text(report)
    assert "short [1].mp4" in shown
    assert "run/text.mp4: unreadable: not a video that FFmpeg can read; replace the file\n" in shown
    assert "a copy of jump/long.mp4" in shown
    assert "training would fail: unreadable clips: 1 of 5" in shown

    written = json.loads(report.to_json(tmp_path / "report.json").read_text())
    assert written["would_fail"] is True
    assert written["clips"][3]["problem"].startswith(str(annotations.samples[3].path))
    assert written["num_short"] == 1
    assert check_videos(annotations, num_workers=1, progress=False) == report


def test_lenient_training_fails_only_for_an_empty_class(annotations: Annotations) -> None:
    assert not check_videos(annotations, on_error="skip", progress=False).would_fail
    without = annotations.subset([0, 1, 3])
    report = check_videos(without, on_error="skip", progress=False)
    assert report.failures == ["classes without a readable clip: run"]
    assert report.imbalance is None


def test_bounds_decide_what_is_short(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=24, fps=12.0)
    samples = (Sample(path, (0,)), Sample(path, (1,), 0.5, 1.0), Sample(path, (1,), 9.0, 10.0))
    report = check_videos(Annotations(samples, ("a", "b"), "test"), progress=False)
    assert [(clip.num_frames, clip.short) for clip in report.clips] == [(24, False), (6, True), (0, False)]
    assert report.clips[2].status == "unreadable"


def test_plain_paths_one_class_and_nothing(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    path = make_video(tmp_path / "a.mp4")
    report = check_videos([str(path)], progress=False)
    assert not report.would_fail
    assert "1 clips: 0 unreadable" in str(report)
    one = check_videos(Annotations((Sample(path, (0,)),), ("a",), "test"), progress=False)
    assert one.failures == ["there is only one class (a)"]
    assert check_videos([], progress=False).failures == ["no clip can be read"]


def test_outliers_and_common_remarks(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    paths = [make_video(tmp_path / f"{i}.mp4", num_frames=10 + i, size=(32, 32)) for i in range(20)]
    paths.append(make_video(tmp_path / "long.mp4", num_frames=90, size=(32, 32)))
    paths.append(make_video(tmp_path / "large.mp4", num_frames=30, size=(160, 192)))
    report = check_videos(paths, progress=False)
    assert report.common == ("grey",)
    assert [clip.path.name for clip in report.odd] == ["long.mp4", "large.mp4"]
    assert report.clips[20].odd == ("lasts 7.50 s, usual are 1.71 s",)
    assert report.clips[21].odd == ("short side 160, usual is 32",)
    assert "most clips: grey" in text(report)


def test_what_is_usual_is_a_matter_of_the_class() -> None:
    def clips(label: str, durations: list[float]) -> list[ClipCheck]:
        return [
            ClipCheck(Path(f"{label}{i}"), (label,), "ok", height=32, width=64, duration_seconds=seconds)
            for i, seconds in enumerate(durations)
        ]

    jump, run = clips("jump", [2.0] * 20 + [9.0]), clips("run", [10.0] * 20 + [2.0])
    assert [clip.path.name for clip in _mark_outliers(jump + run) if clip.odd] == ["jump20", "run20"]
    assert [clip for clip in _mark_outliers(jump[1:]) if clip.odd] == []  # too few
    spread = clips("jump", [1.0, 2.0, 4.0, 8.0, 16.0, 32.0] * 5)
    assert [clip for clip in _mark_outliers(spread) if clip.odd] == []  # nothing is usual


@pytest.mark.real_data
def test_odd_videos(data_dir: Path) -> None:
    report = check_videos(find_videos(data_dir / "odd_videos"), progress=False)
    assert [clip.path.name for clip in report.unreadable] == [
        "empty.flv",
        "not_a_video.mp4",
        "zero_bytes.webm",
    ]
    assert [clip.path.name for clip in report.damaged] == ["corrupted.mp4"]
    assert "1 of 50 frames damaged (30)" in report.damaged[0].problem
    odd = {clip.path.name: clip.odd for clip in report.clips}
    assert "variable frame rate" in odd["awesome movie.mov"]
    assert report.failures == ["unreadable clips: 3 of 28", "damaged clips: 1 of 28"]
    narrow = text(report, width=80).splitlines()
    assert "not_a_video.mp4: unreadable: not a video that FFmpeg can read; replace the file" in narrow
    assert "zero_bytes.webm: unreadable: the file is empty (0 bytes); get it again" in narrow
    assert len(narrow) < 40
