from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from interlace.inference import Recognizer
from interlace.inference.batch import AnswerOptions, Failure, Stopped, answer, expand, predict_files


def names(paths: list[Path], root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in paths]


@pytest.fixture
def tree(make_video: Callable[..., Path], tmp_path: Path) -> Path:
    first = make_video(tmp_path / "a" / "one.mp4", num_frames=6)
    for name in ("a/deep/two.mp4", "b/three [x].mp4", "-dash-.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(first.read_bytes())
    (tmp_path / "a" / "readme.txt").write_text("text")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a/one.mp4"], ["a/one.mp4"]),
        (["a/one.mp4", "a/one.mp4"], ["a/one.mp4"]),
        (["a/readme.txt"], ["a/readme.txt"]),
        (["a"], ["a/deep/two.mp4", "a/one.mp4"]),
        (["*/*.mp4"], ["a/one.mp4", "b/three [x].mp4"]),
        (["**/*.mp4"], ["-dash-.mp4", "a/deep/two.mp4", "a/one.mp4", "b/three [x].mp4"]),
        (["b/three [x].mp4"], ["b/three [x].mp4"]),
        (["-dash-.mp4"], ["-dash-.mp4"]),
        (["[ab]"], ["a/deep/two.mp4", "a/one.mp4", "b/three [x].mp4"]),
        (["b", "a"], ["b/three [x].mp4", "a/deep/two.mp4", "a/one.mp4"]),
        (["absent.mp4"], ["absent.mp4"]),
        (["absent/*.mp4"], ["absent/*.mp4"]),
        (["empty"], ["empty"]),
        ([], []),
    ],
)
def test_expand(tree: Path, given: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    found = [str(path) for path in expand(given)]
    assert sorted(found) == sorted(expected)
    if given == ["b", "a"]:
        assert found[0] == expected[0]  # in the order in which they were named


def test_a_folder_of_frames_is_one_video(recognizer: Recognizer, tree: Path) -> None:
    folder = tree / "frames"
    folder.mkdir()
    for i in range(5):
        Image.new("RGB", (40, 30), (190, 190, 190)).save(folder / f"{i + 1:05d}.jpg")
    assert expand([folder]) == [folder]
    predictions, failures = predict_files(recognizer, [folder])
    assert failures == []
    assert [(p.path, p.label) for p in predictions] == [(str(folder), "bright")]


def test_what_cannot_be_read_is_listed_and_the_rest_is_done(
    recognizer: Recognizer, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    predictions, failures = predict_files(
        recognizer, ["absent.mp4", "a/readme.txt", "-dash-.mp4", "empty", "a"], top_k=2
    )
    assert [p.path for p in predictions] == ["-dash-.mp4", *[str(p) for p in expand(["a"])]]
    assert {(p.label, len(p.top), p.start_seconds) for p in predictions} == {("dark", 2, None)}
    assert [failure.path for failure in failures] == ["absent.mp4", "a/readme.txt", "empty"]
    assert failures[0].reason == "no such file or folder, and no file matches it as a pattern"
    for failure in failures:
        assert "\n" not in failure.reason
        assert not failure.reason.startswith(failure.path)
    assert str(failures[0]) == "absent.mp4: no such file or folder, and no file matches it as a pattern"


@pytest.mark.parametrize(
    ("timeline", "expected"),
    [
        ("auto", {"short.mp4": 1, "long.mp4": 12}),
        ("on", {"short.mp4": 2, "long.mp4": 12}),
        ("off", {"short.mp4": 1, "long.mp4": 1}),
    ],
)
def test_long_videos_become_timelines(
    recognizer: Recognizer,
    make_video: Callable[..., Path],
    tmp_path: Path,
    timeline: Any,
    expected: dict[str, int],
) -> None:
    make_video(tmp_path / "short.mp4", num_frames=12, fps=2.0)
    make_video(tmp_path / "long.mp4", num_frames=52, fps=2.0)
    predictions, failures = predict_files(recognizer, [tmp_path], timeline=timeline)
    assert failures == []
    counts = {name: sum(p.path.endswith(name) for p in predictions) for name in expected}
    assert counts == expected
    assert all((p.start_seconds is None) == (counts[Path(p.path).name] == 1) for p in predictions)


def test_four_windows_count_too(
    recognizer: Recognizer, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_video(tmp_path / "clip.mp4", num_frames=52, fps=2.0)  # 26 s
    assert len(predict_files(recognizer, [path], window_seconds=6.0)[0]) == 8
    assert len(predict_files(recognizer, [path], window_seconds=7.0)[0]) == 1


def test_progress_counts_videos_and_parts_of_them(
    recognizer: Recognizer, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    first = make_video(tmp_path / "a.mp4", num_frames=20, fps=2.0)
    second = tmp_path / "absent.mp4"
    seen: list[tuple[float, int, str]] = []
    predict_files(
        recognizer,
        [first, second],
        timeline="on",
        window_seconds=1.0,
        progress=lambda done, total, path: seen.append((round(done, 3), total, path.name)),
    )
    assert seen == [
        (round(8 / 19, 3), 2, "a.mp4"),
        (round(16 / 19, 3), 2, "a.mp4"),
        (1.0, 2, "a.mp4"),
        (1.0, 2, "a.mp4"),
        (2.0, 2, "absent.mp4"),
    ]


def test_ctrl_c_keeps_what_is_done(
    recognizer: Recognizer, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        make_video(tmp_path / name, num_frames=20, fps=2.0)

    def press_ctrl_c(done: float, total: int, path: Path) -> None:
        if 1 < done < 2:
            raise KeyboardInterrupt

    predictions, failures = predict_files(
        recognizer, [tmp_path], timeline="on", window_seconds=1.0, progress=press_ctrl_c
    )
    assert [Path(p.path).name for p in predictions] == ["a.mp4"] * 19 + ["b.mp4"] * 8
    assert failures == [
        Failure(str(tmp_path / "b.mp4"), "stopped by Ctrl-C before it was done; 1 more were not begun")
    ]


def test_one_video_is_answered_or_fails(
    recognizer: Recognizer, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=20, fps=2.0)
    assert answer(recognizer, path, AnswerOptions(top_k=2)) == [recognizer(path, top_k=2)]
    windows = answer(recognizer, path, AnswerOptions(timeline="on", window_seconds=4.0, hop_seconds=3.0))
    assert windows == recognizer.timeline(path, window_seconds=4.0, hop_seconds=3.0)
    assert answer(recognizer, tmp_path / "b.mp4") == Failure(
        str(tmp_path / "b.mp4"), "no such file or folder, and no file matches it as a pattern"
    )


def test_a_video_that_does_not_fit_into_memory_is_a_failure(
    recognizer: Recognizer, make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mp4")

    def full(path: Path) -> None:
        raise MemoryError

    monkeypatch.setattr(recognizer, "open", full)
    assert answer(recognizer, path) == Failure(str(path), "its frames do not fit into memory")


def test_ctrl_c_in_a_video_brings_the_windows_that_are_done(
    recognizer: Recognizer, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4", num_frames=20, fps=2.0)

    def press_ctrl_c(done: int, total: int) -> None:
        raise KeyboardInterrupt

    options = AnswerOptions(timeline="on", window_seconds=1.0)
    with pytest.raises(Stopped) as stop:
        answer(recognizer, path, options, press_ctrl_c)
    assert stop.value.predictions == recognizer.timeline(path, window_seconds=1.0)[:8]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"top_k": 0}, "top_k=0 asks for no label"),
        ({"window_seconds": 0.0}, r"window_seconds=0\.0 must be above zero"),
        ({"hop_seconds": float("nan")}, "hop_seconds=nan must be above zero"),
    ],
)
def test_what_no_video_can_answer_is_refused_at_once(asked: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        AnswerOptions(**asked)


@pytest.mark.real_data
def test_odd_videos_are_predicted_or_explained_in_one_line(recognizer: Recognizer, data_dir: Path) -> None:
    predictions, failures = predict_files(recognizer, [data_dir / "odd_videos"], timeline="off")
    predicted = {Path(p.path).name for p in predictions}
    failed = {Path(failure.path).name for failure in failures}
    assert predicted.isdisjoint(failed)
    assert {"-video-with-dash-.mp4", "av1_video.mkv", "h265_video.mp4", "awesome movie.mov"} <= predicted
    assert {"not_a_video.mp4", "zero_bytes.webm", "empty.flv"} <= failed
    assert all("\n" not in failure.reason and failure.reason for failure in failures)
