"""`interlace av features`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from interlace.audiovisual.features.feature_store import FeatureStore
from interlace.cli import main
from interlace.cli.av_features import run

SMALL = [
    "--visual",
    "resnet10t",
    "--visual_weights",
    "none",
    "--image_size",
    "32",
    "--frames_per_second",
    "2",
]
QUICK = ["--audio", "log_mel", "--device", "cpu", *SMALL]


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("encoded")
    for i in range(7):
        make_video(root / f"{i}.mp4", num_frames=12)
    return root


@pytest.fixture
def clips(tmp_path: Path, encoded: Path) -> Path:
    """A copy that may be changed."""
    return shutil.copytree(encoded, tmp_path / "my clips")


def test_run_and_go_on(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "features"
    assert run([str(clips), "--output", str(output), *QUICK]) == 0
    said = capsys.readouterr().out
    assert f"{output}: features of 7 videos computed, 0 were there already" in said
    assert "without sound: 7 (0.mp4, 1.mp4, 2.mp4, 3.mp4, 4.mp4, ...); their rows of it are zeros" in said
    (output / "3.mp4.safetensors").unlink()
    (clips / "8.mp4").write_text("no video")
    assert run([str(clips), "--output", str(output), *QUICK, "--num_workers", "2"]) == 1
    told = capsys.readouterr()
    assert "8.mp4: not a video" in told.out
    assert "features of 1 videos computed, 6 were there already" in told.out
    assert "no features of 1 videos (listed above)" in told.err
    assert FeatureStore(output).read("3.mp4").visual.shape == (1, 1, 512)


def test_options_reach_the_networks(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "features"
    for i in range(1, 7):
        (clips / f"{i}.mp4").unlink()
    options = ["--map", "on", "--crop", "whole", "--visual_args", '{"pad_type": "same"}']
    options += ["--audio_args", '{"num_steps": 2}', "--audio", "log_mel", "--image_size", "64"]
    options += ["--visual", "mobilenetv2_050", "--visual_weights", "none", "--frames_per_second", "1"]
    assert run([str(clips), "--output", str(output), "--device", "cpu", *options]) == 0
    store = FeatureStore(output)
    assert store.spec["audio"]["num_steps"] == 2
    visual = {name: store.spec["visual"][name] for name in ("map", "crop", "pad_type", "frames_per_second")}
    assert visual == {"map": True, "crop": "whole", "pad_type": "same", "frames_per_second": 1}
    assert repr(store.read("0.mp4")) == "Features(1 s, audio (1, 128), 0 s heard, visual (1, 4, 1280))"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--visual", "resnet1"], "there is no network 'resnet1'"),
        (["--visual", "resnett50"], "there is no network 'resnett50'; did you mean resnet50"),
        (["--visual", "tin_resnett50"], "did you mean tin_resnet50"),
        (["--visual_args", '{"glitter": 1}'], "'glitter'"),
        (["--frames_per_second", "0"], "--frames_per_second 0 must be at least 1"),
        (["--image_size", "-3"], "--image_size -3 must be at least 1"),
        (["--visual", "a.safetensors"], "--visual_weights none: the checkpoint a.safetensors brings its own"),
        (
            ["--visual", "missing.safetensors", "--visual_weights", "auto"],
            "missing.safetensors: there is no such file",
        ),
        (["--visual_weights", "missing.pth"], "missing.pth: there is no such file of weights"),
        (["--audio_weights", "missing.pth"], "missing.pth: log_mel has no weights"),
        (["--audio", "vggish", "--audio_weights", "missing.pth"], "missing.pth"),
        (["--audio_args", '{"glitter": 1}'], "log_mel does not take them"),
        (["--num_workers", "0"], "--num_workers 0"),
        (["--device", "nowhere"], "device 'nowhere' cannot be used"),
    ],
)
def test_what_is_wrong_is_said(clips: Path, tmp_path: Path, options: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        run([str(clips), "--output", str(tmp_path / "features"), *QUICK, *options])
    assert not (tmp_path / "features").exists()


def test_places_that_cannot_be(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a file; give a folder"):
        run([str(clips), "--output", str(clips / "0.mp4"), *QUICK])
    with pytest.raises(ValueError, match=r"cannot be made: .*0\.mp4 is a file; give a folder"):
        run([str(clips), "--output", str(clips / "0.mp4" / "features"), *QUICK])
    with pytest.raises(ValueError, match=r"0\.mp4 is a file; give the folder that it is in"):
        run([str(clips / "0.mp4"), "--output", str(tmp_path / "features"), *QUICK])
    with pytest.raises(ValueError, match="there is no such folder"):
        run([str(tmp_path / "nothing"), "--output", str(tmp_path / "features"), *QUICK])


def test_ctrl_c(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from interlace.audiovisual.features import feature_store

    write = feature_store.write_features

    def interrupted(path: Path, *arguments: object, **named: object) -> None:
        if path.name.startswith("2"):
            raise KeyboardInterrupt
        write(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(feature_store, "write_features", interrupted)
    output = tmp_path / "features"
    assert main(["av", "features", str(clips), "--output", str(output), *QUICK]) == 130
    assert f"stopped by Ctrl-C; {output} keeps what is whole" in capsys.readouterr().err
    assert FeatureStore(output).names()[:2] == ["0.mp4", "1.mp4"]
    monkeypatch.undo()
    assert run([str(clips), "--output", str(output), *QUICK]) == 0
    assert len(FeatureStore(output).names()) == 7


def test_help_explains_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        run(["--help"])
    assert leaving.value.code == 0
    text = capsys.readouterr().out
    assert "interlace av features" in text
    assert "A video without sound has rows of zeros" in " ".join(text.split())
    options = re.findall(r"^  --(\w+)", text, flags=re.M)
    assert {
        "output",
        "audio",
        "visual",
        "audio_weights",
        "visual_weights",
        "map",
        "num_workers",
        "device",
    } <= {*options}


def test_the_header_tells_of_the_source(clips: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    run([str(clips), "--output", str(tmp_path / "features"), *QUICK])
    with safe_open(tmp_path / "features" / "0.mp4.safetensors", framework="pt") as file:
        told = json.loads(file.metadata()["interlace_features"])
    assert told["source"]["bytes"] == (clips / "0.mp4").stat().st_size
    assert (told["seconds_heard"], told["duration_seconds"]) == (0, pytest.approx(1.0))
    assert any("no sound track" in note for note in told["notes"])
