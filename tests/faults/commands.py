"""The commands that write files, as these tests give them, and how to look at what they leave."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import torch
from PIL import Image
from safetensors import safe_open

from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.data import video
from interlace.models import create_model

LABELS = ("long", "short")
OF_THE_RUN = {"date", "seconds", "seconds_each", "clips_per_second", "times", "time"}
"""What another run measures anew."""


@dataclass(frozen=True)
class Inputs:
    """What the commands read."""

    clips: Path
    model: Path
    other: Path
    released: Path


def make_inputs(folder: Path, make_video: Callable[..., Path]) -> Inputs:
    """Four clips of two classes, two networks of half a million weights, and one as its authors' code saves it."""
    for name, frames in (("long", 9), ("short", 4)):
        for number in range(2):
            make_video(folder / "clips" / name / f"{number}.mp4", num_frames=frames)
    lines = [f"{name}/{number}.mp4,{name}" for name in LABELS for number in range(2)]
    (folder / "clips" / "val.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    models = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = create_model("tsn_test_resnet", num_classes=2, num_segments=3)
        card = ModelCard(
            model=model.builder,
            model_args=model.builder_args,
            labels=LABELS,
            sampling={"name": "segment", "num_segments": 3},
            preprocessing={"image_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "color": "rgb"},
        )
        models.append(save_checkpoint(folder / f"{seed}.safetensors", model, card))
    released = folder / "released.pth.tar"
    state = {
        f"module.base_model.{name.removeprefix('backbone.')}": value
        for name, value in create_model("tsn_resnet18", num_classes=2, num_segments=3).state_dict().items()
        if name.startswith("backbone.")
    }
    state |= {"module.new_fc.weight": torch.ones(2, 512), "module.new_fc.bias": torch.zeros(2)}
    torch.save({"epoch": 1, "arch": "resnet18", "state_dict": state}, released)
    return Inputs(folder / "clips", models[0], models[1], released)


def arguments(name: str, inputs: Inputs, output: Path) -> list[str]:
    """The command of that name, writing into the folder ``output``."""
    model, other = str(inputs.model), str(inputs.other)
    tiny = ["--visual", "test_resnet", "--visual_weights", "none", "--image_size", "32", "--audio", "log_mel"]
    cpu = ["--device", "cpu", "--num_workers", "0"]
    few = ["--clips_per_class", "1", "--val_clips_per_class", "1", "--size", "32"]
    found = {
        "render": ["render", output / "moves", *few],
        "flow": ["flow", inputs.clips, "--output", output, "--num_workers", "1"],
        "av features": ["av", "features", inputs.clips, "--output", output, "--device", "cpu", *tiny],
        "ensemble": ["ensemble", model, other, "--output", output / "both.safetensors", "--overwrite"],
        "import": ["import", inputs.released, "--output", output / "tsn.safetensors", "--overwrite"],
        "evaluate": ["evaluate", inputs.clips, "--model", model, "--output", output, *cpu],
        "predict": [
            "predict",
            inputs.clips,
            "--model",
            model,
            "--device",
            "cpu",
            "--output",
            output / "told.csv",
        ],
        "shard": ["shard", inputs.clips, output / "shards"],
        "export torch": ["export", model, "--output", output / "net.pt2", "--rounds", "1", "--overwrite"],
        "export onnx": ["export", model, "--output", output / "net.onnx", "--rounds", "1", "--overwrite"],
        "export openvino": ["export", model, "--output", output / "net.xml", "--rounds", "1", "--overwrite"],
    }
    return [str(word) for word in found[name]]


def contents(folder: Path) -> dict[str, bytes]:
    """What stands under the names in a folder that are not hidden, each file opened by what it is for.

    Numbers that another run measures anew are left out, hidden files, which nobody takes for results, and what is
    there only as long as shards are written.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            content = _read(path)
            if path.name != "sharding.json" and not path.name.endswith(".tar.json"):
                found[name.as_posix()] = content
    return found


def leftovers(folder: Path) -> list[str]:
    """The hidden files and folders."""
    return [path.name for path in folder.rglob(".*")]


def _read(path: Path) -> bytes:
    match path.suffix:
        case ".safetensors":
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    file.get_tensor(name)
        case ".json":
            return json.dumps(_timeless(json.loads(path.read_text())), sort_keys=True).encode()
        case ".csv":
            rows = list(csv.reader(path.read_text().splitlines(keepends=True)))
            assert len({len(row) for row in rows}) == 1, path
        case ".png" | ".jpg":
            Image.open(path).load()
        case ".html":
            assert path.read_text().rstrip().endswith("</html>"), path
            return b""  # it shows how long it took
        case ".mp4":
            with video.open(path) as reader:
                assert reader.frames_at([reader.num_frames - 1]).shape[0] == 1
        case ".pt2":
            assert zipfile.ZipFile(path).testzip() is None
            return b""  # the archive holds when it was written
        case ".onnx":
            import onnx

            onnx.checker.check_model(str(path))
        case ".xml":
            import openvino

            ElementTree.parse(path)
            openvino.Core().read_model(path)
    return path.read_bytes()


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: _timeless(part) for key, part in value.items() if key not in OF_THE_RUN}
    return [_timeless(part) for part in value] if isinstance(value, list) else value
