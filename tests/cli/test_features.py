"""The command `interlace features`, and what `--engine ray` says before it begins."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from interlace.cli.features import run
from interlace.cli.predict import run as run_predict

NETWORK = ["--model", "test_resnet", "--weights", "none", "--image_size", "32", "--num_segments", "3"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_video(folder / "a.mp4", num_frames=6, size=(32, 48))
    make_video(folder / "b.mp4", num_frames=2, size=(32, 48))
    (folder / "c.mp4").touch()
    return folder


def test_features_of_a_folder(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "f.safetensors"
    words = [str(clips), *NETWORK, "--output", str(output), "--device", "cpu"]
    assert run(words) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"{clips / 'c.mp4'}: FAILED: the file is empty (0 bytes); get it again",
        f"{output}: features of 3 videos computed, 0 were there already, 1 failed",
    ]
    assert printed.err == "error: no features of 1 videos\n"
    assert load_file(output)["features"].shape == (2, 96)
    with safe_open(output, framework="numpy") as file:
        metadata = file.metadata()
    assert json.loads(metadata["paths"]) == [str(clips / "a.mp4"), str(clips / "b.mp4")]
    assert json.loads(metadata["notes"]) == {
        str(clips / "b.mp4"): ["2 frames for 3 segments: frames are repeated"]
    }
    assert run(words) == 1
    assert f"{output}: finished already, 1 failed" in capsys.readouterr().out


def test_frames_of_one_video(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "f.safetensors"
    words = [str(clips / "a.mp4"), *NETWORK, "--output", str(output), "--what", "frames", "--num_clips", "2"]
    assert run(words) == 0
    assert (
        capsys.readouterr().out == f"{output}: frames of 1 videos computed, 0 were there already, 0 failed\n"
    )
    assert load_file(output)["frames"].shape == (1, 6, 96)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--what", "logits"], "test_resnet is a network without labels: its logits are random"),
        (["--output", "f.csv"], r"f.csv: unknown format '.csv'"),
        (["--column", "path"], "--column path: tables of paths are for --engine ray"),
        (["--model", "runs/best.safetensors"], "--weights: runs/best.safetensors brings its own"),
        (["--num_clips", "0"], "num_clips=0 must be at least 1"),
    ],
)
def test_wrong_words(clips: Path, tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run([str(clips), *NETWORK, "--output", str(tmp_path / "f.safetensors"), *words])
    assert not (tmp_path / "f.safetensors").exists()


@pytest.mark.parametrize("verb", [run, run_predict])
def test_without_ray(
    verb: Callable[[list[str]], int], clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    words = [str(clips), "--model", "absent.safetensors", "--engine", "ray"]
    with pytest.raises(ValueError, match=r'--engine ray needs pyarrow .*; pip install "interlace\[ray\]"'):
        verb([*words, "--output", str(tmp_path / "out")])


def test_predictions_of_ray_need_a_folder(clips: Path) -> None:
    with pytest.raises(ValueError, match="name it with --output FOLDER"):
        run_predict([str(clips), "--model", "absent.safetensors", "--engine", "ray"])


def test_a_run_that_is_stopped_says_what_is_kept(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("interlace.corpus.feature_file.features_of", stop)
    output = tmp_path / "f.safetensors"
    with pytest.raises(
        KeyboardInterrupt, match=r"f.safetensors.parts keeps what is done, the same command goes on"
    ):
        run([str(clips), *NETWORK, "--output", str(output), "--device", "cpu"])
    assert not output.exists()
