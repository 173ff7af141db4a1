"""What docs/export.md shows works as it stands there, and the example that needs no interlace."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.cli.export import run
from interlace.data import video
from interlace.data.views import spatial_views
from interlace.export import ClipGraph, StreamGraph, why_not, write_onnx
from interlace.export.files import SUFFIXES, about_graph
from interlace.export.int8 import PROTOCOL
from interlace.exported.about import to_metadata
from interlace.exported.beside import describe, write_beside
from interlace.models import VideoModel
from interlace.models.methods import METHODS

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "export.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.S | re.M)
LABELS = ("left", "right", "still", "up", "down")
T, SIZE = 3, 40


def _card(model: VideoModel) -> ModelCard:
    return ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=LABELS,
        sampling={"name": "segment", "num_segments": T},
        preprocessing={
            "image_size": SIZE,
            "mean": list(model.mean),
            "std": list(model.std),
            "color": "rgb",
        },
        window_seconds=0.5,
    )


def _write(graph: ClipGraph | StreamGraph, card: ModelCard, path: Path) -> None:
    about = about_graph(graph, SIZE)
    write_onnx(graph, graph.example(SIZE), path, metadata=to_metadata(about, card), optimize=False)
    write_beside(path, about, card)


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    small_network: Callable[..., VideoModel],
    make_video: Callable[..., Path],
) -> Path:
    """What the page's examples find: clip.mp4, best.safetensors, and an export of it."""
    folder = tmp_path_factory.mktemp("docs")
    make_video(folder / "clip.mp4", num_frames=24, size=(48, 66))
    model = small_network("tsm_causal_resnet18", num_segments=T)
    save_checkpoint(folder / "best.safetensors", model, _card(model))
    _write(ClipGraph(model, pixels=True), _card(model), folder / "model.onnx")
    return folder


def test_the_examples_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    told = []
    for example in EXAMPLES:
        exec(example, {})
        told.append(capsys.readouterr().out.splitlines())
    (of_checkpoint, of_export), of_others = told[0], told[1]
    assert of_checkpoint.split() == ["True", of_export.split()[1]]
    assert of_export.split()[0] == "False"  # a causal network, exported for clips
    assert of_export.split()[1] in LABELS
    (line,) = of_others
    assert re.fullmatch(r"\['(\w+)', '(\1)'\]", line)  # two clips, both black


@pytest.mark.parametrize("pixels", [True, False])
def test_a_program_without_interlace_says_the_same(
    pixels: bool,
    folder: Path,
    small_network: Callable[..., VideoModel],
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = small_network("tsm_causal_resnet18", num_segments=T)
    path = folder / f"stream-{pixels}.onnx"
    _write(StreamGraph(model, pixels=pixels), _card(model), path)
    script = ROOT / "examples" / "stream_onnx.py"
    assert "interlace" not in re.findall(r"^(?:import|from) (\w+)", script.read_text(), re.M)
    runpy.run_path(str(script))["main"](str(path), str(folder / "clip.mp4"))
    told = [
        re.fullmatch(r"([\d.]+) s: (\w+) ([\d.]+)%", line) for line in capsys.readouterr().out.splitlines()
    ]

    # 6 frames a second of 12.
    with video.open(folder / "clip.mp4") as clip:
        frames = spatial_views(clip.frames_at(list(range(0, 24, 2))), "center", SIZE)[0]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.mean, model.std))
    with torch.inference_mode():
        probabilities = model.forward_frames((frames[None] / 255 - mean) / std)[0].softmax(1)
    assert [float(line[1]) for line in told if line] == pytest.approx(np.arange(12) / 6, abs=0.006)
    for line, row in zip(told, probabilities, strict=True):
        assert line is not None
        assert LABELS[row.argmax()] == line[2]
        assert float(line[3]) == pytest.approx(100 * row.max().item(), abs=1.0)  # two ways to round a pixel


def test_what_is_stated_is_what_is_done() -> None:
    assert set(re.findall(r"^\| `([\w-]+)`, (\.\w+) \|", PAGE, re.M)) == set(SUFFIXES.items())
    cannot = {name for name in METHODS if why_not(f"{name}_resnet50") is not None}
    assert cannot == set(re.findall(r"^- `(\w+)` and `(\w+)` as published", PAGE, re.M)[0])
    streams = {f"`{name}_*`" for name, method in METHODS.items() if method.streams}
    (listed,) = re.findall(r"`--streaming` is for (.*?);", PAGE)
    assert streams == set(listed.replace(" and", ",").split(", "))
    module = import_module("interlace.export.export")
    assert f"({module.CALIBRATION_CLIPS}, or the steps of about {module.CALIBRATION_FRAMES} frames" in PAGE
    assert import_module("interlace.export.onnx_file").OPSET == 18
    assert import_module("interlace.export.parity").BATCHES == (1, 3)
    assert PROTOCOL == "1clip-center"


def test_the_keys_of_the_json_are_named(small_network: Callable[..., VideoModel]) -> None:
    model = small_network("tsm_causal_resnet18", num_segments=T)
    described = describe(about_graph(StreamGraph(model), SIZE), _card(model))
    sentence = re.search(r"in plain words for other programs: (.*?)\.$", PAGE, re.S | re.M)
    assert sentence is not None
    named = re.findall(r"`(\w+)`", sentence[1])
    assert set(named) - {"parity"} <= set(described)  # which is added when it has been measured


def test_the_options_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["--help"])
    there = set(re.findall(r"--([\w-]+)", capsys.readouterr().out))
    of_others = {"model", "optimize", "device"}  # of predict, evaluate and stream
    of_others |= {"onnx", "saveEngine", "minShapes", "optShapes", "maxShapes", "noTF32", "fp16", "opt_out"}
    assert set(re.findall(r"--(\w[\w-]*)", PAGE)) - of_others <= there
