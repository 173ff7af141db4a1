"""The network of a job, as bytes: read once, so that every process has the very same, wherever it runs."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.data.flow import FlowMethod
from interlace.exported import files_of, is_exported, refuse_to_optimize
from interlace.inference import Recognizer, load
from interlace.modality import snippet_length
from interlace.models import WeightsError, create_model
from interlace.models.plain import is_backbone

IMAGE_SIZE = 224


@dataclass(frozen=True)
class Network:
    """All files of a network; the first is the one to open."""

    name: str
    """What the user called it."""
    files: Mapping[str, bytes]
    has_labels: bool = True
    """False for a network by name, whose classifier is as random as it began."""

    @property
    def fingerprint(self) -> str:
        """The same for the same network, whatever it is called."""
        digest = hashlib.sha256()
        for content in self.files.values():
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()

    def open(
        self,
        *,
        device: str = "auto",
        frame_template: str | None = None,
        optimize: bool = False,
        flow: FlowMethod | Path | None = None,
    ) -> Recognizer:
        """The network, ready; see :func:`interlace.load`."""
        with tempfile.TemporaryDirectory(prefix="interlace-") as folder:
            for name, content in self.files.items():
                (Path(folder) / name).write_bytes(content)
            opened = Path(folder) / next(iter(self.files))
            recognizer = load(
                opened, device=device, frame_template=frame_template, optimize=optimize, flow=flow
            )
        recognizer.path = Path(self.name)
        return recognizer


def read_network(path: Path, *, optimize: bool = False) -> Network:
    """The network of a checkpoint or an exported file.

    Raises:
        ValueError: there is no such file, or it is an export that is to be optimized.

    Example:
        >>> from pathlib import Path
        >>> from interlace.corpus.network import read_network
        >>> list(read_network(Path("best.safetensors")).files)  # doctest: +SKIP
        ['best.safetensors']
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name the checkpoint in it, e.g. {path / 'best.safetensors'}")
    if optimize:
        refuse_to_optimize(path)
    for file in files_of(path):
        if not file.is_file():
            raise ValueError(f"{file}: there is no such file")
    return Network(str(path), {file.name: file.read_bytes() for file in files_of(path)})


def network_by_name(
    name: str,
    *,
    weights: str = "auto",
    image_size: int | None = None,
    num_segments: int | None = None,
) -> Network:
    """A network by name: an image network (resnet50) that sees the frames one by one, or one of ours (tsm_resnet50).

    Args:
        name: As in :func:`interlace.create_model`, or timm's of an image network.
        weights: ``auto`` for those of timm's hub, ``none`` for random ones, the same each time, or a file.
        image_size: Side of the frames in pixels; 224 by default.
        num_segments: Frames of a clip; by default as many as the method was published with.

    Raises:
        ValueError: an unknown name, or a number below 1.
        WeightsError: the weights cannot be had, or do not fit.

    Example:
        >>> from interlace.corpus.network import network_by_name
        >>> network_by_name("resnet10t", weights="none", image_size=64).has_labels
        False
    """
    if image_size is not None and image_size < 1:
        raise ValueError(f"image_size={image_size} must be at least 1")
    pretrained: bool | str = {"auto": True, "none": False}.get(weights, weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            model = create_model(
                f"tsn_{name}" if is_backbone(name) else name,
                num_classes=1,
                num_segments=num_segments,
                pretrained=pretrained,
            )
        except WeightsError as error:
            reason = str(error).partition("; train from scratch")[0]
            raise WeightsError(f"{reason}; give a file with --weights FILE") from error
    snippet = {} if model.modality == "rgb" else {"snippet_length": snippet_length(model.modality)}
    segments = [{"name": "segment", "num_segments": length, **snippet} for length in model.segments]
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=("none",),
        sampling=segments[0] if len(segments) == 1 else {"name": "joined", "parts": segments},
        preprocessing={
            "image_size": image_size or IMAGE_SIZE,
            "mean": list(model.mean),
            "std": list(model.std),
            "color": "rgb",
            **({} if model.modality == "rgb" else {"modality": model.modality}),
        },
    )
    with tempfile.TemporaryDirectory(prefix="interlace-") as folder:
        content = save_checkpoint(Path(folder) / "network.safetensors", model, card).read_bytes()
    return Network(name, {"network.safetensors": content}, has_labels=False)


def is_file_name(name: str) -> bool:
    """Whether a name is that of a checkpoint or an exported file, not of a network.

    Example:
        >>> from interlace.corpus.network import is_file_name
        >>> is_file_name("resnet50"), is_file_name("best.safetensors"), is_file_name("runs/best")
        (False, True, True)
    """
    return Path(name).suffix == ".safetensors" or is_exported(name) or "/" in name or Path(name).exists()
