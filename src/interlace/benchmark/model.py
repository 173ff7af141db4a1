"""The cost of one network, beside another one timed in the same rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import interlace
from interlace.benchmark.costs import count_macs, count_parameters
from interlace.benchmark.machine import describe_machine
from interlace.benchmark.memory import peak_bytes
from interlace.benchmark.parts import time_shares
from interlace.benchmark.timing import compare, stopwatch
from interlace.checkpoints import load_checkpoint
from interlace.devices import choose_device
from interlace.models import VideoModel, create_model
from interlace.models.create import parse_name
from interlace.models.ensemble import OF_FLOW, Ensemble
from interlace.models.modality import FLOW_LENGTH

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
NUM_CLASSES, IMAGE_SIZE = 174, 224  # of a network that is given by its name alone


@dataclass(frozen=True)
class BenchmarkReport:
    """What a network costs; the networks stand in the order in which they were timed."""

    model: str
    settings: dict[str, Any]
    """Clips in a batch, frames, size, precision, inference or training step, eager or optimised."""
    machine: dict[str, Any]
    networks: dict[str, dict[str, float]]
    """By name: ms_per_clip, spread, clips_per_second, ratio (to the one compared with), gmac, parameters_m,
    peak_mib, and the numbers of :func:`interlace.benchmark.compare`."""
    shares: dict[str, float]
    """Kind of operation to its share of the model's time."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def __str__(self) -> str:
        facts = ", ".join(f"{key} {value}" for key, value in self.machine.items())
        settings = ", ".join(f"{key} {value}" for key, value in self.settings.items())
        lines = [f"machine:  {facts}", f"settings: {settings}", "", _row("network", _COLUMNS)]
        for name, numbers in self.networks.items():
            cells = (f"{numbers[key]:.{digits}f}" for key, (_, digits) in _KEYS.items() if key in numbers)
            lines.append(_row(name, cells))
        lines += [
            f"ratio: to the time of {list(self.networks)[-1]} in the same round, the median of all rounds",
            "spread: the middle half of the times over their median; peak: tensors held beyond weights and input",
        ]
        lines += ["", f"where the time of {self.model} goes (decoding is not part of it):"]
        lines += [f"  {kind:<26}{share:7.1%}" for kind, share in self.shares.items() if share >= 0.005]
        return "\n".join(lines)


_KEYS = {
    "ms_per_clip": ("ms/clip", 2),
    "spread": ("spread", 2),
    "clips_per_second": ("clips/s", 2),
    "ratio": ("ratio", 3),
    "gmac": ("GMAC/clip", 2),
    "parameters_m": ("params M", 2),
    "peak_mib": ("peak MiB", 1),
}
_COLUMNS = [title for title, _ in _KEYS.values()]


def _row(name: str, cells: Any) -> str:
    return f"{name:<34}" + "".join(f"{cell:>11}" for cell in cells)


def benchmark_model(
    model: str | Path,
    *,
    against: str | Path | None = None,
    batch_size: int = 1,
    num_segments: int | None = None,
    image_size: int | None = None,
    dtype: str = "float32",
    optimize: bool = False,
    train: bool = False,
    device: str = "auto",
    rounds: int = 15,
    progress: Callable[[str], None] = lambda _: None,
) -> BenchmarkReport:
    """Time a network in turn with another one, count its arithmetic, and measure its memory and its parts.

    Args:
        model: name (``tin_resnet50``) or checkpoint.
        against: name or checkpoint of the network compared with; None for the plain TSN of the same backbone.
        batch_size: clips in a batch.
        num_segments: frames in a clip, of an ensemble all parts together; None for the checkpoint's, or as many
            as the method was published with.
        image_size: height and width; None for the checkpoint's, or 224.
        dtype: float32, bfloat16 or float16; below float32 with autocast, or as `interlace.optimize` does it.
        optimize: time `interlace.optimize(model)` of both networks.
        train: time a forward and a backward instead of a forward.
        device: auto, cpu, cuda, cuda:1 or mps.
        rounds: measurements of each network.
        progress: is told what is being done.

    Raises:
        ValueError: a name, file, number or device that is not there, or training of an optimised network.

    Example:
        >>> from interlace.benchmark import benchmark_model
        >>> report = benchmark_model("tin_resnet18", image_size=32, num_segments=4, device="cpu", rounds=1)
        >>> list(report.networks)
        ['tin_resnet18', 'tsn_resnet18']
    """
    _check(batch_size, rounds, num_segments, image_size, dtype, optimize, train)
    place = choose_device(device)
    progress("building the networks")
    network, size = _network(model, num_segments, image_size, place)
    if against is None:
        against = plain_network(network)
    if str(against) == str(model) or (network.builder.startswith("tsn_") and str(against) == network.builder):
        networks = {str(model): network}
    else:
        other = _network(against, network.num_segments, size, place, network)[0]
        networks = {str(model): network, str(against): other}
    calls: dict[str, Callable[[], Any]] = {}
    clips: dict[str, Tensor] = {}
    for name, plain in networks.items():
        if optimize:
            progress(f"optimising {name}; compiling can take minutes")
        ready = interlace.optimize(plain, dtype=DTYPES[dtype]) if optimize else plain.train(train)
        precision = torch.float32 if optimize else DTYPES[dtype]
        clips[name] = torch.randn(batch_size, plain.num_segments, plain.in_chans, size, size, device=place)
        step = training_step if train else forward
        calls[name] = step(ready, clips[name], precision)
    for name, call in calls.items():
        progress(f"first call of {name}")
        call()
    times = compare(
        calls,
        rounds=rounds,
        base=str(against) if str(against) in calls else None,
        measure=stopwatch(place),
        progress=lambda done, total: progress(f"round {done} of {total}"),
    )
    for name, plain in networks.items():
        progress(f"memory of {name}")
        times[name] |= _facts(plain, calls[name], clips[name], times[name]["median_ms"])
    progress(f"parts of {model}")
    return BenchmarkReport(
        model=str(model),
        settings={
            "clips": batch_size,
            "frames": network.num_segments,
            "size": size,
            "dtype": dtype,
            "step": "training" if train else "inference",
            "mode": "optimised" if optimize else "eager",
        },
        machine=describe_machine(place),
        networks=times,
        shares=time_shares(calls[str(model)], place, compiled=optimize),
    )


def forward(model: nn.Module, clip: Tensor, dtype: torch.dtype = torch.float32) -> Callable[[], Any]:
    """One inference on a batch, as a function without arguments; below float32 with autocast."""

    def run() -> Tensor:
        with torch.inference_mode(), torch.autocast(clip.device.type, dtype, enabled=dtype != torch.float32):
            return model(clip)

    return run


def training_step(model: nn.Module, clip: Tensor, dtype: torch.dtype = torch.float32) -> Callable[[], Any]:
    """One forward and backward on a batch; the gradients are given back, as an optimiser's zero_grad does."""

    def run() -> None:
        with torch.autocast(clip.device.type, dtype, enabled=dtype != torch.float32):
            loss = model(clip).float().square().mean()
        loss.backward()
        model.zero_grad(set_to_none=True)

    return run


def _network(
    model: str | Path,
    num_segments: int | None,
    image_size: int | None,
    device: torch.device,
    like: VideoModel | None = None,
) -> tuple[VideoModel, int]:
    """The network of a name or checkpoint, and the size of its frames; with the classes and channels of `like`."""
    if Path(model).is_file() or Path(model).suffix:
        network, card = load_checkpoint(model, device=device, num_segments=num_segments)
        return network, image_size or int(card.preprocessing["image_size"])
    network = create_model(
        str(model),
        num_classes=like.num_classes if like else NUM_CLASSES,
        num_segments=num_segments,
        **_input_of(like, str(model)) if like else {},
    )
    return network.to(device).eval(), image_size or IMAGE_SIZE


def plain_network(network: VideoModel) -> str:
    """The TSN of the same backbone, or of the first member's.

    Example:
        >>> import interlace
        >>> from interlace.benchmark.model import plain_network
        >>> plain_network(interlace.create_model("tsm_in_place_resnet18", num_classes=5))
        'tsn_resnet18'
    """
    if isinstance(network, Ensemble):
        return plain_network(network.networks[0])
    return f"tsn_{parse_name(network.builder)[1]}"


def _input_of(like: VideoModel, name: str) -> dict[str, Any]:
    """The arguments with which a network sees what another one does; beside two streams only the colors."""
    if like.modality == "rgb_flow":
        return {"in_chans": like.in_chans - OF_FLOW}
    if like.modality == "rgb_diff":
        return {"in_chans": like.in_chans // (FLOW_LENGTH + 1), "modality": "rgb_diff"}
    is_color = like.modality == "rgb" or name.startswith("two_stream_")
    return {"in_chans": like.in_chans} if is_color else {"modality": like.modality}


def _facts(model: nn.Module, call: Callable[[], Any], clip: Tensor, ms: float) -> dict[str, float]:
    clips = clip.shape[0]
    facts = {
        "ms_per_clip": round(ms / clips, 4),
        "clips_per_second": round(1000 * clips / ms, 3),
        "gmac": round(count_macs(model, (1, *clip.shape[1:])) / 1e9, 3),
        "parameters_m": round(count_parameters(model) / 1e6, 3),
    }
    if clip.device.type in ("cpu", "cuda"):
        facts["peak_mib"] = round(peak_bytes(call, clip.device) / 2**20, 2)
    return facts


def _check(
    batch_size: int,
    rounds: int,
    num_segments: int | None,
    image_size: int | None,
    dtype: str,
    optimize: bool,
    train: bool,
) -> None:
    numbers = {
        "batch_size": batch_size,
        "rounds": rounds,
        "num_segments": num_segments,
        "image_size": image_size,
    }
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(f"{name}={number} must be at least 1")
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    if optimize and train:
        raise ValueError("an optimised network is for inference; leave out either optimize or train")
