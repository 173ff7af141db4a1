"""`interlace flow`, and the other verbs on what it wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from interlace.cli import main


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("clips")
    for name, number in (("long", 15), ("short", 8)):
        for i in range(4):
            make_video(root / name / f"{i}.mp4", num_frames=number + i)
    return root


def test_flow_train_evaluate_predict_check(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow, run = tmp_path / "flow", tmp_path / "run"
    assert main(["flow", str(clips), "--output", str(flow)]) == 0
    said = capsys.readouterr().out
    assert "flow of 8 videos computed, 0 were there already" in said
    assert f"interlace train {clips} --flow {flow} --modality flow" in said
    assert main(["check", str(flow), "--modality", "flow", "--num_workers", "1"]) == 0
    options = [
        "--image_size=32",
        "--num_segments=2",
        "--epochs=1",
        "--trainer.num_workers=0",
        "--pretrained=false",
    ]
    where = ["--flow", str(flow), "--output", str(run), "--trainer.accelerator=cpu"]
    assert main(["train", str(clips), "--model", "two_stream_tsn_test_resnet", *where, *options]) == 0
    assert "13 channels, flow: " in capsys.readouterr().out
    model = ["--model", str(run / "best.safetensors"), "--device", "cpu"]
    assert main(["evaluate", str(clips), *model, "--flow", str(flow), "--num_workers", "0"]) == 0
    written = tmp_path / "stored.json"
    assert main(["predict", str(clips / "long"), *model, "--flow", str(flow), "--output", str(written)]) == 0
    assert len(json.loads(written.read_text())) > 0
    capsys.readouterr()
    assert main(["predict", str(clips / "long" / "0.mp4"), *model, "--flow", str(tmp_path)]) == 1
    assert "its flow is not in" in capsys.readouterr().out


def test_damaged_videos_are_listed(
    clips: Path, tmp_path: Path, make_video: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    make_video(tmp_path / "clips" / "a.mp4", num_frames=3)
    (tmp_path / "clips" / "b.mp4").write_text("no video")
    assert main(["flow", str(tmp_path / "clips"), "--output", str(tmp_path / "flow")]) == 1
    told = capsys.readouterr()
    assert "b.mp4: not a video" in told.out
    assert "flow of 1 videos computed" in told.out
    assert "no flow of 1 videos" in told.err
    assert main(["flow", str(clips), "--output", str(clips / "flow")]) == 1
    assert "choose a folder outside of it" in capsys.readouterr().err
    assert main(["flow", str(clips), "--output", str(tmp_path / "clips" / "b.mp4")]) == 1
    assert "b.mp4 is a file; give a folder" in capsys.readouterr().err


INTERRUPTED = """
import os, signal, sys
from interlace.cli import main
from interlace.data import flow_store

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
write = flow_store.write_flow

def interrupted(reader, folder, **arguments):
    if reader.path.name == "1.mp4":
        os.kill(os.getpid(), signal.SIGINT)
    return write(reader, folder, **arguments)

flow_store.write_flow = interrupted
sys.exit(main(["flow", sys.argv[1], "--output", sys.argv[2], "--num_workers", "1"]))
"""


def test_ctrl_c_leaves_whole_folders(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    root, flow = tmp_path / "clips", tmp_path / "flow"
    for i in range(8):
        make_video(root / f"{i}.mp4", num_frames=20)
    command = [sys.executable, "-c", INTERRUPTED, str(root), str(flow)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert f"stopped by Ctrl-C; {flow} keeps what is whole, the same command goes on" in done.stderr
    left = sorted(flow.iterdir())
    assert 1 <= len(left) < 8  # the next ones may be under way while the signal arrives
    assert all((folder / "flow.json").is_file() for folder in left)
    assert main(["flow", str(root), "--output", str(flow)]) == 0
    assert len(list(flow.glob("*/flow.json"))) == 8
