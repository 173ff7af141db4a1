from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import interlace
from interlace.checkpoints import CheckpointError, ModelCard, save_checkpoint
from interlace.exported import (
    ExportedModel,
    device_for,
    files_of,
    is_exported,
    load_model,
    read_card,
    refuse_to_optimize,
)
from interlace.exported.about import About, to_metadata
from interlace.exported.onnx_model import OnnxRuntime
from interlace.exported.openvino_model import OpenVinoRuntime
from interlace.exported.torch_model import TorchRuntime
from interlace.models import create_model

FORMATS = ("onnx", "pt2", "xml")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", ["clip", "stream"])
def test_the_card_comes_back_whole(
    make_export: Callable[..., Path], card: ModelCard, format: str, kind: str
) -> None:
    path = make_export(format, kind)
    assert read_card(path) == card
    model, read = load_model(str(path))
    assert isinstance(model, ExportedModel)
    assert (read, model.about.kind, model.path) == (card, kind, path)


def test_checkpoints_come_through_the_same_door(card: ModelCard, tmp_path: Path) -> None:
    built = create_model(card.model, **card.model_args)
    path = save_checkpoint(tmp_path / "model.safetensors", built, card)
    model, read = load_model(path, num_segments=6)
    assert (model.num_segments, read.num_segments, read_card(path)) == (6, 6, card)
    assert torch.equal(model.head.weight, built.head.weight)
    with pytest.raises(ValueError, match=r"PyTorch runs it, with the threads of torch.set_num_threads"):
        load_model(path, threads=1)


def test_endings() -> None:
    assert [is_exported(name) for name in ("a.onnx", "a.ONNX", "a.pt2", "a.xml", "a.pth", "a.bin")] == [
        *[True] * 4,
        *[False] * 2,
    ]
    assert files_of("a/b.xml") == (Path("a/b.xml"), Path("a/b.bin"))
    assert files_of("a/b.onnx") == (Path("a/b.onnx"),)


@pytest.mark.parametrize("format", FORMATS)
def test_there_is_no_such_file(format: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"no\.{format}: no such file; `interlace export` writes one"):
        interlace.load(tmp_path / f"no.{format}")
    for opening in (load_model, read_card):
        with pytest.raises(CheckpointError, match=rf"no\.{format}: there is no such file"):
            opening(tmp_path / f"no.{format}")


def test_weights_that_were_left_behind(make_export: Callable[..., Path], tmp_path: Path) -> None:
    path = Path(shutil.copy(make_export("xml"), tmp_path / "alone.xml"))
    with pytest.raises(
        CheckpointError, match=r"alone.xml: its weights are in alone.bin, which is not beside it"
    ):
        load_model(path)


def test_onnx_weights_that_were_left_behind(make_export: Callable[..., Path], tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "alone.onnx"
    model = onnx.load(make_export("onnx"))
    onnx.save(model, path, save_as_external_data=True, location="alone.data", size_threshold=100)
    assert isinstance(load_model(path)[0], ExportedModel)
    (tmp_path / "alone.data").unlink()
    with pytest.raises(
        CheckpointError, match=r"alone.onnx: its weights are in a second file, which must lie"
    ):
        load_model(path)


@pytest.mark.parametrize("format", FORMATS)
def test_files_of_others(make_export: Callable[..., Path], format: str) -> None:
    path = make_export(format, metadata={"author": "somebody"})
    with pytest.raises(
        CheckpointError, match=rf"\d\.{format}: not exported by interlace \(it has no 'interlace'"
    ):
        load_model(path)


@pytest.mark.parametrize("format", FORMATS)
def test_files_of_newer_versions(make_export: Callable[..., Path], card: ModelCard, format: str) -> None:
    metadata = to_metadata(About("clip", pixels=False, image_size=8), card)
    metadata["interlace_graph"] = json.dumps({**json.loads(metadata["interlace_graph"]), "format": 9})
    path = make_export(format, metadata=metadata)
    with pytest.raises(CheckpointError, match=rf"\.{format}: exported by interlace .* in format 9; this is"):
        read_card(path)


@pytest.mark.parametrize("format", FORMATS)
def test_the_graph_is_not_the_one_that_the_metadata_tells_of(
    make_export: Callable[..., Path], card: ModelCard, format: str
) -> None:
    about = About("stream", pixels=False, image_size=8)
    path = make_export(format, metadata=to_metadata(about, card))
    names = r"its graph takes \['clip'\] .* metadata says \['frame'\]"
    sizes = r"its graph takes a frame of \(None, 4, 3, 8, 8\), its metadata says \(None, 3, None, None\)"
    with pytest.raises(CheckpointError, match=sizes if format == "pt2" else names):  # which has no names
        load_model(path)


def test_the_graph_takes_other_clips_than_the_card_says(
    make_export: Callable[..., Path], card: ModelCard
) -> None:
    other = replace(card, sampling={"name": "segment", "num_segments": 6})
    metadata = to_metadata(About("clip", pixels=False, image_size=8), other)
    with pytest.raises(
        CheckpointError, match=r"takes a clip of \(None, 4, 3, 8, 8\), its metadata says \(None, 6, 3"
    ):
        load_model(make_export("onnx", metadata=metadata))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_damaged_files(make_export: Callable[..., Path], tmp_path: Path, format: str, part: float) -> None:
    source, *rest = files_of(make_export(format))
    path = tmp_path / f"damaged.{format}"
    path.write_bytes(source.read_bytes()[: int(part * source.stat().st_size)])
    for file in rest:
        shutil.copy(file, path.with_suffix(file.suffix))
    with pytest.raises(CheckpointError, match=rf"^\S*damaged.{format}: .* again"):
        load_model(path)


def test_damaged_weights(make_export: Callable[..., Path], tmp_path: Path) -> None:
    path = Path(shutil.copy(make_export("xml"), tmp_path / "damaged.xml"))
    path.with_suffix(".bin").write_bytes(b"1")
    with pytest.raises(CheckpointError, match=r"OpenVINO cannot read it and damaged.bin"):
        load_model(path)


@pytest.mark.parametrize(("format", "library"), [("onnx", "onnxruntime"), ("xml", "openvino")])
def test_what_runs_it_is_not_installed(
    make_export: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, format: str, library: str
) -> None:
    path = make_export(format)
    monkeypatch.setitem(sys.modules, library, None)
    for opening in (load_model, read_card):
        with pytest.raises(ValueError, match=rf"{library} is needed .* pip install \"interlace\[export\]\""):
            opening(path)


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_keeps_its_frames_and_its_graph(make_export: Callable[..., Path], format: str) -> None:
    path = make_export(format)
    assert load_model(path, num_segments=4)[0].num_segments == 4
    with pytest.raises(ValueError, match=r"always sees 4 frames in a clip, not 8; give the checkpoint"):
        load_model(path, num_segments=8)
    with pytest.raises(ValueError, match=r"is optimized already, .* leave optimize out"):
        refuse_to_optimize(path)


@pytest.mark.parametrize("format", ["onnx", "xml"])
def test_a_device_that_it_cannot_run_on(make_export: Callable[..., Path], format: str) -> None:
    path = make_export(format)
    assert device_for(path, "auto") == torch.device("cpu")
    with pytest.raises(ValueError, match=rf"\.{format}: device 'meta' cannot be used for this file, cpu"):
        load_model(path, device="meta")
    with pytest.raises(ValueError, match="device 'toaster' cannot be used"):
        load_model(path, device="toaster")


def test_a_program_of_pytorch_moves_to_the_device(make_export: Callable[..., Path]) -> None:
    for kind in ("clip", "stream"):
        runtime = load_model(make_export("pt2", kind), device="meta")[0].runtime
        assert isinstance(runtime, TorchRuntime)
        assert runtime.device == torch.device("meta")
        inputs = [
            torch.zeros([size or 2 for size in shape], device="meta")
            for shape in runtime.input_shapes.values()
        ]
        outputs = runtime._module(*inputs)
        assert {tensor.device.type for tensor in (outputs if kind == "stream" else [outputs])} == {"meta"}


def test_sessions_have_as_many_threads_as_pytorch(make_export: Callable[..., Path]) -> None:
    onnx, xml = make_export("onnx"), make_export("xml")
    for threads, expected in ((None, torch.get_num_threads()), (1, 1)):
        runtime = load_model(onnx, threads=threads)[0].runtime
        assert isinstance(runtime, OnnxRuntime)
        assert runtime._session.get_session_options().intra_op_num_threads == expected
        runtime = load_model(xml, threads=threads)[0].runtime
        assert isinstance(runtime, OpenVinoRuntime)
        compiled = runtime._request.get_compiled_model()
        assert compiled.get_property("INFERENCE_NUM_THREADS") == expected
        assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() in ("f32", "float")
    with pytest.raises(ValueError, match="threads=0 must be at least 1"):
        load_model(onnx, threads=0)
    with pytest.raises(
        ValueError, match=r"\.pt2: PyTorch runs it, with the threads of torch.set_num_threads"
    ):
        load_model(make_export("pt2"), threads=1)
