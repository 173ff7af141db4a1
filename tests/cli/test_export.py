"""`interlace export` as a person meets it; what it writes is tested in tests/export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from interlace.benchmark.machine import describe_machine
from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.cli.export import _Progress, run
from interlace.export import export as module
from interlace.export.parity import compare_answers
from interlace.export.report import ExportReport
from interlace.models import create_model

LABELS = ("long", "short")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Two classes, split by lists."""
    root = tmp_path_factory.mktemp("clips")
    for name, frames in (("long", 9), ("short", 4)):
        for number in range(3):
            make_video(root / name / f"{number}.mp4", num_frames=frames)
    for split, numbers in (("train", (0, 1)), ("val", (2,))):
        lines = [f"{name}/{number}.mp4,{name}" for name in LABELS for number in numbers]
        (root / f"{split}.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    """A network that was trained on these."""
    model = create_model("tsn_test_resnet", num_classes=2, num_segments=3)
    split = {"train": None, "val": None, "format": "auto", "labels": None, "val_fraction": 0.2}
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=LABELS,
        sampling={"name": "segment", "num_segments": 3},
        preprocessing={"image_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "color": "rgb"},
        training={"data": str(clips.resolve()), "split": split, "seed": 0},
    )
    return save_checkpoint(tmp_path_factory.mktemp("run") / "best.safetensors", model, card)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the verb asks of the export, which is not made."""
    arguments: dict[str, Any] = {}
    logits = torch.tensor([[[1.0, 2.0]]])

    def stand_in(checkpoint: Path, output: Path, **more: Any) -> ExportReport:
        arguments.update(checkpoint=checkpoint, output=output, **more)
        more["progress"]("reading clips (1 of 2)")
        more["progress"]("reading clips (2 of 2)")
        more["progress"]("timing in turn")
        times = {"median_ms": 2.0, "min_ms": 1.0, "max_ms": 3.0, "spread": 0.1, "ratio": 1.0}
        return ExportReport(
            checkpoint=str(checkpoint),
            model="tsn_test_resnet",
            output=output,
            format="onnx",
            takes="clip",
            megabytes=1.5,
            clips="1 clip",
            exported="onnxruntime",
            parity={"onnxruntime": compare_answers(logits, logits + 0.0005, ["a.mp4"])},
            latency={"eager": times, "onnxruntime": {**times, "ratio": 0.5}},
            machine=describe_machine(),
        )

    monkeypatch.setattr(module, "export", stand_in)
    return arguments


def test_table_progress_and_file(
    checkpoint: Path, asked: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    assert run([str(checkpoint), "--output", "model.onnx", "--json", str(file), "--clips", "7"]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == ["reading clips", "timing in turn"]
    row = next(line for line in said.out.splitlines() if line.startswith("onnxruntime *"))
    assert row.split()[2:] == ["5.0e-04", "2.5e-04", "100.0%", "2.00", "0.10", "0.500"]
    assert f"written:  {file}" in said.out
    numbers = json.loads(file.read_text())
    assert numbers["parity"]["onnxruntime"]["clips"][0]["path"] == "a.mp4"
    assert {"commit", "versions", "machine", "latency"} <= set(numbers)
    assert (asked["num_clips"], asked["streaming"], asked["preprocessing"]) == (7, False, "inside")
    assert (asked["clips"], asked["calibration"], asked["max_drop"]) == (None, None, 1.0)


def test_any_videos_serve_to_compare_on(checkpoint: Path, asked: dict[str, Any], clips: Path) -> None:
    run(
        [
            str(checkpoint),
            "--output",
            "model.pt2",
            "--data",
            str(clips),
            "--streaming",
            "--preprocessing=beside",
        ]
    )
    assert len(asked["clips"]) == 6
    assert (asked["streaming"], asked["preprocessing"], asked["calibration"]) == (True, "beside", None)


def test_int8_takes_the_split_of_the_training(
    checkpoint: Path, asked: dict[str, Any], clips: Path, tmp_path: Path
) -> None:
    run([str(checkpoint), "--output", "model.xml", "--data", str(clips), "--int8", "--max-drop", "2.5"])
    assert [sample.path.name for sample in asked["clips"].samples] == ["2.mp4", "2.mp4"]
    assert len(asked["calibration"]) == 4
    assert asked["max_drop"] == 2.5
    one = tmp_path / "one.csv"
    one.write_text("path,label\nlong/1.mp4,long\n")
    lists = ["--calibration", str(one), "--annotations", str(clips / "train.csv")]
    run([str(checkpoint), "--output", "model.xml", "--data", str(clips), "--int8", *lists])
    assert len(asked["clips"]) == 4
    assert [sample.path for sample in asked["calibration"].samples] == [clips / "long" / "1.mp4"]
    assert asked["calibration"].classes == LABELS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--int8"], "--int8 needs --data"),
        (["--annotations", "a.csv"], "--annotations needs --data"),
        (["--threads", "0"], "--threads 0 must be at least 1"),
        (["--clips", "0"], "--clips 0 must be at least 1"),
        (["--data", "nowhere"], "nowhere: there is no such folder"),
        (["--data", ".", "--calibration", "a.csv"], "--calibration is for --int8"),
    ],
)
def test_errors_say_what_to_change(
    checkpoint: Path, asked: dict[str, Any], arguments: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run([str(checkpoint), "--output", "model.xml", *arguments])
    assert not asked


def test_an_unknown_format_is_told(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run([str(checkpoint), "--output", "model.onnx", "--format", "tensorrt"])
    assert "--format 'tensorrt' is not onnx, torch-export, openvino or null" in capsys.readouterr().err


def test_on_a_terminal_counts_change_in_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = _Progress()
    progress.in_place = True
    for message in ("loading", "reading (1 of 2)", "reading (2 of 2)"):
        progress(message)
    progress.end()
    assert capsys.readouterr().err == "loading\nreading (1 of 2)\r\033[Kreading (2 of 2)\n"
