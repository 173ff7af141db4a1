"""Predictions that go on after a fault, as the command line has them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import interlace
from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.cli import main
from interlace.cli.progress import bar_of_videos
from interlace.files import locked
from interlace.inference import Recognizer
from interlace.inference.journal import journal_file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = {"layers": (1, 1, 1, 1), "channels": (16, 16, 32, 32)}
    network = interlace.create_model("tsn_resnet18", num_classes=3, num_segments=2, **tiny)
    card = ModelCard(
        model=network.builder,
        model_args=network.builder_args,
        labels=("left", "right", "still"),
        sampling={"name": "segment", "num_segments": 2},
        preprocessing={"image_size": 32, "mean": [0.5] * 3, "std": [0.25] * 3, "color": "rgb"},
    )
    return save_checkpoint(tmp_path_factory.mktemp("model") / "tiny.safetensors", network, card)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Five videos, the second of them is broken, the fourth is long enough for windows."""
    folder = tmp_path_factory.mktemp("videos")
    for number, frames in enumerate((6, 0, 8, 45, 7)):
        path = folder / f"{number}.mp4"
        if frames:
            make_video(path, num_frames=frames, fps=2.0)
        else:
            path.write_text("no video")
    return folder


def words(videos: Path, model: Path, output: Path, *more: str) -> list[str]:
    return ["predict", str(videos), "--model", str(model), "--device=cpu", "--output", str(output), *more]


@pytest.fixture(scope="module")
def undisturbed(videos: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of whole outputs."""
    folder = tmp_path_factory.mktemp("whole")
    for name in ("day.csv", "day.json"):
        assert main(words(videos, model, folder / name)) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["day.csv", "day.events.csv", "day.json"]
    return folder


def stop_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Press Ctrl-C when this video is opened."""
    opened = Recognizer.open

    def stopping(self: Recognizer, path: str | Path) -> object:
        if Path(path).name == name:
            raise KeyboardInterrupt
        return opened(self, path)

    monkeypatch.setattr(Recognizer, "open", stopping)


@pytest.mark.parametrize("name", ["day.csv", "day.json"])
def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(
    name: str,
    videos: Path,
    model: Path,
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / name
    with monkeypatch.context() as patch:
        stop_at(patch, "2.mp4")
        assert main(words(videos, model, output)) == 130
    told = capsys.readouterr()
    assert told.err == (
        "error: stopped by Ctrl-C; 2 of 5 videos are done, "
        f"and kept in {journal_file(output)}; the same command goes on\n"
    )
    assert [line.split(":")[0] for line in told.out.splitlines()] == [
        str(videos / f"{k}.mp4") for k in (0, 1)
    ]
    assert [path.name for path in tmp_path.iterdir()] == [f".{name}.journal"]

    assert main(words(videos, model, output)) == 1
    told = capsys.readouterr()
    assert told.err == (
        "going on: 2 of 5 videos are done\nerror: no prediction for 1 of 5 videos (listed above)\n"
    )
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (undisturbed / path.name).read_bytes()
    beside = [] if name == "day.json" else ["day.events.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, *beside])


def test_without_an_output_ctrl_c_prints_what_is_done(
    videos: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_at(monkeypatch, "2.mp4")
    assert main(["predict", str(videos), "--model", str(model)]) == 130
    told = capsys.readouterr()
    assert told.err == "error: stopped by Ctrl-C; 2 of 5 videos are done\n"
    assert len(told.out.splitlines()) == 2


def test_what_changed_meanwhile_is_refused_or_done_again(
    videos: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own, output = tmp_path / "videos", tmp_path / "day.csv"
    shutil.copytree(videos, own)
    with monkeypatch.context() as patch:
        stop_at(patch, "4.mp4")
        assert main(words(own, model, output)) == 130
    capsys.readouterr()
    kept = journal_file(output).read_bytes()

    assert main(words(own, model, output, "--top_k", "2", "--timeline")) == 1
    said = capsys.readouterr().err
    assert f"error: {journal_file(output)}: holds 4 answers" in said
    assert "(top_k 5, now 2; timeline auto, now on)" in said
    with locked(journal_file(output).with_suffix(".lock"), "day.csv: a prediction"):
        assert main(words(own, model, output)) == 1
    assert "day.csv: a prediction is under way in process" in capsys.readouterr().err
    assert journal_file(output).read_bytes() == kept

    shutil.copy(own / "4.mp4", own / "1.mp4")  # mended
    (own / "0.mp4").unlink()
    assert main(words(own, model, output)) == 0
    assert "going on: 2 of 4 videos are done" in capsys.readouterr().err
    fresh = tmp_path / "fresh.csv"
    assert main(words(own, model, fresh)) == 0
    assert output.read_bytes() == fresh.read_bytes()
    assert output.read_text().count("1.mp4") == 1


def test_what_is_printed_stays_in_its_pipe_under_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # stderr is taken for a terminal
    with bar_of_videos("predicting") as report:
        report(1, 3, Path("a.mp4"))
        print("a.mp4: wave 90.0%")
    told = capsys.readouterr()
    assert told.out == "a.mp4: wave 90.0%\n"
    assert "a.mp4" in told.err
