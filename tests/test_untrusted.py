"""Checkpoints of strangers: no code of theirs is run, and what they claim costs nothing."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import interlace
from interlace.audiovisual.models.localizer import EventLocalizer
from interlace.audiovisual.tasks.event_checkpoint import EventCard, load_event_model, save_event_model
from interlace.checkpoints import CheckpointError, ModelCard, load_checkpoint, read_card, save_checkpoint
from interlace.models.plain import WeightsError
from interlace.models.weights import load_backbone_weights
from interlace.released.reading import read_source
from interlace.released.refusal import ReleasedError

Outcome = Callable[[Callable[[], object]], Any]
LITTLE_MB = 100.0


class Evil:
    """A pickle that writes a file when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = interlace.create_model("tsn_resnet18", num_classes=2, num_segments=3)
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=("left", "right"),
        sampling={"name": "segment", "num_segments": 3},
        preprocessing={"image_size": 64, "mean": [0.5] * 3, "std": [0.5] * 3, "color": "rgb"},
    )
    return save_checkpoint(tmp_path_factory.mktemp("model") / "model.safetensors", model, card)


def with_card(source: Path, target: Path, key: str = "interlace", **changes: Any) -> Path:
    """The same file with other values in its card; those of a mapping are put into it."""
    content = source.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    card = json.loads(header["__metadata__"][key])
    for name, value in changes.items():
        card[name] = {**card[name], **value} if isinstance(value, dict) else value
    header["__metadata__"][key] = json.dumps(card)
    text = json.dumps(header).encode()
    target.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return target


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_args": {"num_classes": 10**9}}, "num_classes is 1000000000"),
        ({"model_args": {"num_classes": -1}}, "num_classes is -1"),
        ({"model_args": {"num_segments": 10**9}}, "num_segments is 1000000000"),
        ({"sampling": {"num_segments": 10**9}}, "num_segments is 1000000000"),
        ({"sampling": {"parts": 7}}, "parts of the sampling are 7"),
        ({"preprocessing": {"image_size": 10**6}}, "image_size is 1000000"),
        ({"preprocessing": {"image_size": "224"}}, "image_size is '224'"),
        ({"preprocessing": {"std": [0.0] * 3}}, "std is"),
        ({"preprocessing": {"mean": [float("nan")] * 3}}, "mean is"),
        ({"preprocessing": {"color": "/etc/passwd"}}, "color is '/etc/passwd'"),
        ({"preprocessing": {"modality": []}}, "modality is"),
        ({"preprocessing": {"frame_template": "{:>9999999999}"}}, "frame_template is '{:>9999999999}'"),
        ({"preprocessing": {"frame_template": "{0.__class__}"}}, "frame_template is"),
        ({"preprocessing": {"frame_template": "../../{:05d}.jpg"}}, "frame_template is"),
        ({"model_args": {"checkpoint_path": "/etc/passwd"}}, "'checkpoint_path' would read a file"),
        ({"model_args": {"pretrained_cfg": {"file": "/etc/passwd"}}}, "'file' would read a file"),
        ({"model_args": {"pad_type": "/etc/passwd"}}, "'pad_type' is '/etc/passwd', no word"),
        ({"model_args": {"base_width": 10**7}}, "'base_width' is 10000000"),
        ({"model_args": {"layers": [10**5] * 4}}, "layers is 100000"),
        ({"model_args": {"weights": [0.5] * 20_000}}, "more than 10000 values"),
        (
            {"model_args": {"members": [{"model": "tsn_resnet18", "model_args": {"pretrained": True}}]}},
            "'pretrained'",
        ),
        ({"labels": ["left", {"a": 1}]}, "labels holds something"),
        ({"labels": ["left", "r" * 10**6]}, "labels holds something"),
        ({"window_seconds": -1}, "window_seconds is -1"),
        ({"window_seconds": float("inf")}, "window_seconds is inf"),
        ({"metrics": {"top1": "<script>"}}, "metrics holds"),
        ({"training": {"split": {"train": ["/etc/passwd"]}}}, "training says split"),
        ({"training": {"clips": [1, 2]}}, "clips that are no list of text"),
    ],
)
def test_a_card_that_claims_what_no_network_has(
    checkpoint: Path, tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    path = with_card(checkpoint, tmp_path / "m.safetensors", **changes)
    for read in (load_checkpoint, read_card):
        with pytest.raises(CheckpointError) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert named in str(caught.value)


def test_weights_are_compared_before_memory_is_taken(
    checkpoint: Path, tmp_path: Path, outcome: Outcome
) -> None:
    """A million classes would be 2 GB; the file has two."""
    labels = [str(number) for number in range(1_000_000)]
    path = with_card(
        checkpoint, tmp_path / "m.safetensors", labels=labels, model_args={"num_classes": len(labels)}
    )
    found = outcome(lambda: load_checkpoint(path))
    assert found.kind == "CheckpointError"
    assert "[2] in the file, [1000000] in the network" in found.message
    assert found.grown_mb < 2 * LITTLE_MB + 100  # the labels themselves


@pytest.mark.parametrize(
    "model", ["i3d_resnet50", "tsn_resnet101", "ensemble", "no_such_network", "tsn_../../x"]
)
def test_a_card_of_another_network(checkpoint: Path, tmp_path: Path, outcome: Outcome, model: str) -> None:
    path = with_card(checkpoint, tmp_path / "m.safetensors", model=model)
    found = outcome(lambda: load_checkpoint(path))
    assert found.kind == "CheckpointError"
    assert str(path) in found.message
    assert found.grown_mb < LITTLE_MB


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        json.dumps({"w": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}).encode(),
        json.dumps({"w": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 16]}}).encode(),
        json.dumps({"__metadata__": {"interlace": "[" * 100_000}}).encode(),
    ],
)
def test_a_header_that_lies(tmp_path: Path, outcome: Outcome, header: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    for read in (load_checkpoint, load_event_model):
        found = outcome(lambda read=read: read(path))
        assert found.kind == "CheckpointError"
        assert str(path) in found.message
        assert found.grown_mb < LITTLE_MB


@pytest.mark.parametrize("length", [90_000_000, 2**62])
def test_a_header_of_a_hundred_megabytes(tmp_path: Path, outcome: Outcome, length: int) -> None:
    path = tmp_path / "m.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", length) + b"{")
        file.truncate(100_000_000)  # a hole, which takes no room on the disk
    for read in (load_checkpoint, load_event_model):
        found = outcome(lambda read=read: read(path))
        assert found.kind == "CheckpointError"
        assert found.grown_mb < LITTLE_MB


@pytest.mark.parametrize(
    ("network", "named"),
    [
        ({"audio_features": 10**9}, "'audio_features' is 1000000000"),
        ({"width": 90_000}, "other weights than the network"),
        ({"audio_features": "os.system"}, "cannot build its network"),
    ],
)
def test_a_card_of_events_that_claims_too_much(
    tmp_path: Path, outcome: Outcome, network: dict[str, Any], named: str
) -> None:
    model = EventLocalizer(audio_features=3, visual_features=5, num_events=2, width=4)
    card = EventCard("sel", "dam", model.builder_args, ("bark", "horn"))
    source = save_event_model(tmp_path / "events.safetensors", model, card)
    assert load_event_model(source).card.labels == ("bark", "horn")
    path = with_card(source, tmp_path / "m.safetensors", "interlace_events", network=network)
    found = outcome(lambda: load_event_model(path))
    assert found.kind == "CheckpointError"
    assert named in found.message
    assert found.grown_mb < LITTLE_MB


@pytest.mark.parametrize("name", ["evil.pth", "evil.pth.tar", "evil.bin", "evil.safetensors"])
@pytest.mark.parametrize("plain", [True, False])
def test_a_pickle_runs_nothing(tmp_path: Path, name: str, plain: bool) -> None:
    path, mark = tmp_path / name, tmp_path / "mark"
    content = {"state_dict": {"conv1.weight": Evil(mark)}}
    if plain:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    with pytest.raises(ReleasedError, match=name):
        read_source(path)
    with pytest.raises(WeightsError, match=name):
        load_backbone_weights(interlace.create_model("tsn_resnet18", num_classes=2), path)
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(path)
    assert not mark.exists()


def test_a_few_numbers_that_claim_to_be_gigabytes(tmp_path: Path, outcome: Outcome) -> None:
    path = tmp_path / "wide.pth"
    torch.save({"state_dict": {"fc.weight": torch.zeros(1).expand(10**10)}}, path)
    found = outcome(lambda: read_source(path))
    assert found.kind == "ReleasedError"
    assert "fc.weight repeats a few numbers 10000000000 times" in found.message
    assert found.grown_mb < LITTLE_MB


def test_plain_weights_are_told_from_a_checkpoint(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="weights only"):
        load_checkpoint(tmp_path / "w.safetensors")


@pytest.mark.parametrize("place", ["../secret.bin", "{tmp}/secret.bin", "link.bin"])
def test_an_onnx_file_reads_nothing_outside_of_its_folder(tmp_path: Path, place: str) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from interlace.exported.onnx_model import onnx_metadata

    (tmp_path / "secret.bin").write_bytes(bytes(16))
    path = tmp_path / "model" / "model.onnx"
    path.parent.mkdir()
    (path.parent / "link.bin").symlink_to("../secret.bin")
    weights = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[4])
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", place.format(tmp=tmp_path)), ("offset", "0"), ("length", "16")):
        weights.external_data.add(key=key, value=value)
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in ("x", "y")]
    add = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph([add], "graph", ends[:1], ends[1:], [weights])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=r"model\.onnx: .*(escapes|not allowed)"):
        onnx_metadata(path)


def test_a_configuration_makes_no_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from interlace.cli import main

    mark, file = tmp_path / "mark", tmp_path / "run.yaml"
    file.write_text(f"data: !!python/object/apply:os.system ['touch {mark}']\n")
    with pytest.raises(SystemExit) as ended:
        main(["train", "--config", str(file)])
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err
    assert not mark.exists()
