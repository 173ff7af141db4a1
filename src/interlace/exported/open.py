"""One door for every file that holds a network: checkpoints and exports, by the ending of the name."""

from __future__ import annotations

from pathlib import Path

import torch

from interlace import checkpoints
from interlace.checkpoints import CheckpointError, ModelCard
from interlace.devices import choose_device
from interlace.exported.about import About, from_metadata
from interlace.exported.model import ExportedModel
from interlace.exported.onnx_model import OnnxRuntime, check_onnx_device, onnx_metadata
from interlace.exported.openvino_model import OpenVinoRuntime, check_openvino_device, openvino_metadata
from interlace.exported.runtime import Runtime, check_threads
from interlace.exported.torch_archive import torch_metadata
from interlace.exported.torch_model import TorchRuntime
from interlace.models import VideoModel

SUFFIXES = (".onnx", ".pt2", ".xml")
"""Endings of exported files."""


def is_exported(path: str | Path) -> bool:
    """Whether a file of that name is an export; all others are taken for checkpoints.

    Example:
        >>> from interlace.exported import is_exported
        >>> is_exported("model.onnx"), is_exported("best.safetensors")
        (True, False)
    """
    return Path(path).suffix.lower() in SUFFIXES


def files_of(path: str | Path) -> tuple[Path, ...]:
    """All files that a network consists of: OpenVINO has its weights in a second one.

    Example:
        >>> from interlace.exported import files_of
        >>> [file.name for file in files_of("model.xml")]
        ['model.xml', 'model.bin']
    """
    path = Path(path)
    return (path, path.with_suffix(".bin")) if path.suffix.lower() == ".xml" else (path,)


def load_model(
    path: str | Path,
    *,
    num_segments: int | None = None,
    device: str | torch.device = "cpu",
    threads: int | None = None,
) -> tuple[VideoModel | ExportedModel, ModelCard]:
    """The network of a checkpoint or of an exported file, ready to predict.

    Opening a file of a stranger runs nothing that is in it. For .pt2, of which torch.export.load says the contrary, see
    :mod:`interlace.exported.torch_archive`.

    Args:
        path: a .safetensors checkpoint, or an exported .onnx, .pt2 or .xml.
        num_segments: frames in a clip, for a checkpoint only; an export keeps its own.
        device: auto, cpu, cuda, cuda:1 or mps; auto is the best one that can run this file.
        threads: of an onnxruntime or OpenVINO session; by default as many as PyTorch has.

    Raises:
        CheckpointError: there is no such file, it is not ours, damaged, or of a newer version.
        ValueError: the device, num_segments or threads do not fit the file, or what runs it is not installed.

    Example:
        >>> from interlace.exported import load_model
        >>> model, card = load_model("model.onnx")  # doctest: +SKIP
        >>> model.streams  # doctest: +SKIP
        False
    """
    path = Path(path)
    target = device_for(path, device)
    if threads is not None and path.suffix.lower() not in (".onnx", ".xml"):
        raise ValueError(
            f"{path}: PyTorch runs it, with the threads of torch.set_num_threads; leave threads out"
        )
    if not is_exported(path):
        return checkpoints.load_checkpoint(path, device=target, num_segments=num_segments)
    about, card = read_about(path)
    if num_segments not in (None, card.num_segments):
        raise ValueError(
            f"{path}: an exported file always sees {card.num_segments} frames in a clip, not {num_segments}; "
            "give the checkpoint, or export it again with that number"
        )
    return ExportedModel(path, _runtime(path, target, threads, about), about, card), card


def read_card(path: str | Path) -> ModelCard:
    """What a checkpoint or an exported file says of itself.

    Raises:
        CheckpointError: there is no such file, it is not ours, damaged, or of a newer version.
        ValueError: what reads it is not installed.

    Example:
        >>> from interlace.exported import read_card
        >>> read_card("model.onnx").labels  # doctest: +SKIP
        ('wave', 'clap')
    """
    return read_about(Path(path))[1] if is_exported(path) else checkpoints.read_card(path)


def read_about(path: Path) -> tuple[About, ModelCard]:
    """What an exported file says of its graph, and of the network.

    Raises:
        CheckpointError: there is no such file, it is not ours, damaged, or of a newer version.
        ValueError: what reads it is not installed.

    Example:
        >>> from pathlib import Path
        >>> from interlace.exported.open import read_about
        >>> read_about(Path("model.onnx"))[0].kind  # doctest: +SKIP
        'clip'
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    read = {".onnx": onnx_metadata, ".pt2": torch_metadata, ".xml": openvino_metadata}[path.suffix.lower()]
    return from_metadata(path, read(path))


def device_for(path: str | Path, device: str | torch.device) -> torch.device:
    """The device of a name for that file: `auto` is the CPU where what runs the file knows no other.

    Raises:
        ValueError: there is no such device, or the file cannot run there.

    Example:
        >>> from interlace.exported import device_for
        >>> device_for("model.xml", "auto")
        device(type='cpu')
    """
    path = Path(path)
    suffix = path.suffix.lower()
    chosen = choose_device(device)
    try:
        if suffix == ".onnx":
            check_onnx_device(path, chosen)
        elif suffix == ".xml":
            check_openvino_device(path, chosen)
    except ValueError:
        if device != "auto" or chosen.type == "cpu":
            raise
        return torch.device("cpu")
    return chosen


def refuse_to_optimize(path: str | Path) -> None:
    """An exported graph is what it is: folded already, and optimized by what runs it.

    Raises:
        ValueError: the file is an export.

    Example:
        >>> from interlace.exported import refuse_to_optimize
        >>> refuse_to_optimize("best.safetensors")
    """
    if is_exported(path):
        raise ValueError(
            f"{path}: an exported file is optimized already, by the export and by what runs it; leave optimize out"
        )


def _runtime(path: Path, device: torch.device, threads: int | None, about: About) -> Runtime:
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return OnnxRuntime(path, device, check_threads(threads))
    if suffix == ".xml":
        return OpenVinoRuntime(path, device, check_threads(threads))
    return TorchRuntime(path, device, about)
