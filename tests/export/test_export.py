"""A checkpoint becomes a file that answers the same, or there is no file."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import interlace
from interlace.checkpoints import ModelCard, load_checkpoint, save_checkpoint
from interlace.data.annotations import Annotations
from interlace.data.render import CLASSES, render
from interlace.data.splits import read_splits
from interlace.export import ExportError, files
from interlace.export import export as module
from interlace.export.export import export
from interlace.export.parity import ParityError
from interlace.export.report import ExportReport
from interlace.models import VideoModel

T, SIZE = 3, 32
FILES = ["model.onnx", "model.onnx.json"]

Network = Callable[..., VideoModel]


def _save(path: Path, model: VideoModel) -> Path:
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=CLASSES,
        sampling={"name": "segment", "num_segments": T},
        preprocessing={"image_size": SIZE, "mean": list(model.mean), "std": list(model.std), "color": "gray"},
    )
    return save_checkpoint(path, model, card)


def _network(build: Network, name: str) -> VideoModel:
    return build(name, num_classes=len(CLASSES), num_segments=T, in_chans=1, mean=(0.4,), std=(0.2,))


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory, small_network: Network
) -> tuple[Path, Path, ExportReport, list[str]]:
    """A checkpoint, its ONNX file, the report, and what was said meanwhile."""
    folder = tmp_path_factory.mktemp("exported")
    checkpoint = _save(folder / "best.safetensors", _network(small_network, "tin_resnet18"))
    said: list[str] = []
    report = export(checkpoint, folder / "out" / "model.onnx", num_clips=4, rounds=1, progress=said.append)
    return checkpoint, folder / "out" / "model.onnx", report, said


def test_the_file_answers_as_the_network(exported: tuple[Path, Path, ExportReport, list[str]]) -> None:
    checkpoint, output, _, _ = exported
    model, card = load_checkpoint(checkpoint)
    pixels = torch.randint(0, 256, (5, T, 1, SIZE, SIZE), dtype=torch.uint8)
    recognizer = interlace.load(output, device="cpu")
    assert recognizer.card == card
    with torch.inference_mode():
        wanted = model((pixels / 255 - 0.4) / 0.2)
    torch.testing.assert_close(recognizer.model(pixels), wanted, atol=1e-4, rtol=1e-4)


def test_the_report_tells_every_network(exported: tuple[Path, Path, ExportReport, list[str]]) -> None:
    checkpoint, output, report, said = exported
    others = [name for name in report.latency if name.startswith("optimized")]
    assert list(report.latency) == ["eager", *others, "onnxruntime", "openvino"]
    assert list(report.parity) == [*others, "onnxruntime", "openvino"]
    for name in ("onnxruntime", "openvino"):
        assert report.parity[name].relative_difference < 1e-4
        assert report.parity[name].num_answers == 4
        assert report.parity[name].top1 == 1.0
    assert len({clip.path for clip in report.parity["onnxruntime"].clips}) == 4
    text = str(report)
    for words in (
        "4 clips, from the built-in data, rendered as H.264 files, in batches of 1 and 3",
        "clip, uint8 pixels (batch, 3, 1, 32, 32), normalised inside",
        "onnxruntime *",
        str(output),
        "allowed is a relative difference of 0.0001",
    ):
        assert words in text
    assert report.megabytes == pytest.approx(output.stat().st_size / 1e6)
    assert said[0] == f"loading {checkpoint}"
    assert {"reading clips", "tracing and writing onnx", "comparing 4 clips", "timing in turn"} <= {
        message.partition(" (")[0] for message in said
    }
    json.dumps(report.to_dict(), allow_nan=False)


def test_parity_stands_beside_the_file(exported: tuple[Path, Path, ExportReport, list[str]]) -> None:
    _, output, report, _ = exported
    assert sorted(path.name for path in output.parent.iterdir()) == FILES
    beside = json.loads((output.parent / "model.onnx.json").read_text())
    assert beside["labels"] == list(CLASSES)
    assert beside["parity"]["max_difference"] == report.parity["onnxruntime"].max_difference
    assert beside["parity"]["limit"] == 0.0001
    assert "built-in data" in beside["parity"]["clips"]


def test_a_file_that_answers_otherwise_gets_no_name(
    exported: tuple[Path, Path, ExportReport, list[str]],
    small_network: Network,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The writer is one that writes the graph of other weights."""
    model = _network(small_network, "tin_resnet18")
    model.backbone.conv1.weight.data *= 1.01
    checkpoint = _save(tmp_path / "other.safetensors", model)
    output = tmp_path / "out" / "model.onnx"
    output.parent.mkdir()
    output.write_text("older")

    def write_others(graph, about, card, format, path, others, progress):  # type: ignore[no-untyped-def]
        shutil.copy(exported[1], path)
        return {"onnxruntime": path}

    monkeypatch.setattr(module, "write_files", write_others)
    with pytest.raises(ParityError, match=r"model\.onnx is not written: onnxruntime does not answer as"):
        export(checkpoint, output, num_clips=2, rounds=1, overwrite=True)
    assert [path.name for path in output.parent.iterdir()] == ["model.onnx"]
    assert output.read_text() == "older"


def test_a_network_that_diverged_is_told(
    small_network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _network(small_network, "tsn_resnet18")
    model.backbone.conv1.weight.data[0] = torch.nan
    checkpoint = _save(tmp_path / "best.safetensors", model)
    monkeypatch.setattr(module, "write_files", lambda *_: {})
    with pytest.raises(ValueError, match=r"best\.safetensors: the network gives numbers that are not finite"):
        export(checkpoint, tmp_path / "model.onnx", num_clips=1)
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]


@pytest.mark.parametrize(
    ("output", "arguments", "message"),
    [
        ("model.pth", {}, r"model\.pth: .*told by the ending: \.onnx \(onnx\), \.pt2"),
        ("model.onnx", {"format": "openvino"}, r"a file of format openvino ends in \.xml"),
        ("model.onnx", {"int8": True}, r"model\.onnx: int8 is made of an OpenVINO graph"),
        ("model.xml", {"int8": True}, "int8 needs real clips"),
        ("model.onnx", {"num_clips": 0}, "num_clips=0 must be at least 1"),
        ("model.onnx", {"max_drop": float("nan")}, "max_drop=nan must be at least 0"),
        ("model.onnx", {"streaming": True}, "causal"),
    ],
)
def test_what_cannot_be_is_an_error_before_anything_is_written(
    exported: tuple[Path, Path, ExportReport, list[str]],
    tmp_path: Path,
    output: str,
    arguments: dict[str, object],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        export(exported[0], tmp_path / output, **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_there_are_not_replaced_unasked(
    exported: tuple[Path, Path, ExportReport, list[str]], tmp_path: Path
) -> None:
    checkpoint, output, _, _ = exported
    with pytest.raises(ValueError, match=r"model\.onnx exists; give another output"):
        export(checkpoint, output)
    (tmp_path / "model.bin").write_text("of somebody else")
    with pytest.raises(ValueError, match=r"model\.bin exists"):
        export(checkpoint, tmp_path / "model.xml")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ValueError, match=r"folder\.onnx is a folder"):
        export(checkpoint, tmp_path / "folder.onnx", overwrite=True)
    with pytest.raises(ValueError, match=r"model\.onnx is exported already"):
        export(output, tmp_path / "again.onnx")


def test_without_the_extra_it_says_what_to_install(
    exported: tuple[Path, Path, ExportReport, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    for name in ("model.onnx", "model.xml"):
        with pytest.raises(ExportError, match=r'pip install "interlace\[export\]"'):
            export(exported[0], tmp_path / name)
    assert files.missing_for("torch-export") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_openvino_is_written_where_onnxruntime_is_not(
    exported: tuple[Path, Path, ExportReport, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "find_spec", lambda name: None if name == "onnxruntime" else name)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    report = export(exported[0], tmp_path / "model.xml", num_clips=2, rounds=1)
    assert list(report.parity)[1:] == ["openvino"]
    assert report.notes == ("onnxruntime is not compared: not installed",)
    assert "in batches of 1\n" in str(report)


@pytest.fixture(scope="module")
def moves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Annotations, Annotations]:
    """Labelled clips for training and for scoring."""
    folder = tmp_path_factory.mktemp("data") / "moves"
    return read_splits(render(folder, clips_per_class=1, val_clips_per_class=1, size=SIZE, progress=False))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tsm_causal_resnet18", "tin_causal_resnet18"])
@pytest.mark.parametrize("ending", [".onnx", ".xml", ".pt2"])
def test_a_stream_is_compared_step_by_step(
    small_network: Network, tmp_path: Path, name: str, ending: str
) -> None:
    checkpoint = _save(tmp_path / "best.safetensors", _network(small_network, name))
    report = export(
        checkpoint, tmp_path / f"model{ending}", streaming=True, preprocessing="beside", num_clips=4, rounds=1
    )
    own = report.parity[report.exported]
    assert own.num_answers == 4 * 2 * T
    assert own.relative_difference < 1e-4
    assert interlace.load(tmp_path / f"model{ending}", device="cpu").model.streams
    assert "ms/frame" in str(report)


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [False, True])
def test_int8_is_scored_before_and_after(
    small_network: Network, tmp_path: Path, moves: tuple[Annotations, Annotations], streaming: bool
) -> None:
    train, val = moves
    name = "tin_causal_resnet18" if streaming else "tin_resnet18"
    checkpoint = _save(tmp_path / "best.safetensors", _network(small_network, name))
    arguments = {
        "clips": val,
        "calibration": train,
        "int8": True,
        "streaming": streaming,
        "num_clips": 4,
        "rounds": 1,
    }
    report = export(checkpoint, tmp_path / "model.xml", max_drop=100, **arguments)  # type: ignore[arg-type]
    assert report.accuracy is not None
    assert report.accuracy.num_clips == len(val)
    assert report.exported == "openvino int8"
    assert report.parity["openvino"].is_close
    assert "held to its accuracy" in str(report)
    beside = json.loads((tmp_path / "model.xml.json").read_text())
    assert (beside["precision"], beside["parity"]["limit"]) == ("int8", None)
    assert beside["parity"]["accuracy"]["before"] == report.accuracy.before
    assert sorted(path.name for path in tmp_path.glob("model*")) == [
        "model.bin",
        "model.xml",
        "model.xml.json",
    ]


@pytest.mark.slow
def test_int8_that_loses_too_much_gets_no_name(
    small_network: Network,
    tmp_path: Path,
    moves: tuple[Annotations, Annotations],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The clips are labelled by what the network says, so that it is always right and int8 can only lose."""
    train, val = moves
    checkpoint = _save(tmp_path / "best.safetensors", _network(small_network, "tin_resnet18"))
    scored = module.score
    calls: list[object] = []

    def turned(model, card, clips, name, **arguments):  # type: ignore[no-untyped-def]
        scores = scored(model, card, clips, name, **arguments)
        calls.append(name)
        probabilities = torch.nn.functional.one_hot(scores.labels, len(CLASSES)).double()
        return type(scores)(scores.samples, scores.classes, probabilities.roll(len(calls) - 1, 1))

    monkeypatch.setattr(module, "score", turned)
    with pytest.raises(ParityError, match=r"100\.00 before and 0\.00 after"):
        export(
            checkpoint, tmp_path / "model.xml", clips=val, calibration=train, int8=True, num_clips=2, rounds=1
        )
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]
