"""Put networks through all that a network must do, in a process of its own: every_network.py BACKEND NAME ...

Prints a line of JSON for each: {"name", "problem" (empty if there was none), "seconds"}. The shapes of signatures
are not checked here, as the compiler cannot trace functions that are.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import interlace
from interlace.checkpoints import ModelCard, load_checkpoint, save_checkpoint
from interlace.inference import Recognizer
from interlace.models import VideoModel
from interlace.models.modality import channels_of
from interlace.training.optim import parameter_groups

LABELS = ("left", "right", "still")
# The fewest frames that say something of each; all else is shown 4.
SEGMENTS = {"tin_en": 6, "tsm_en": 6, "eco_enlite": 23, "two_stream_eco_enlite": 23, "i3d": 8}

DEEP = (
    "resnet26",
    "resnet34",
    "resnet50",
    "resnet50d",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "wide_resnet50_2",
    "seresnet50",
)


def small(name: str) -> dict[str, Any]:
    """Arguments that make a network small without making it another one."""
    method = max((known for known in SEGMENTS if name.startswith(known)), key=len, default="")
    arguments: dict[str, Any] = {"num_segments": SEGMENTS.get(method, 4)}
    if name.endswith(DEEP):
        arguments["layers"] = (2, 2, 2, 2)
    if "convnext" in name:
        arguments["depths"] = (2, 1, 1, 1)
    if "gcn" in name:
        arguments["proposals"] = "grid"
    return arguments


def build(name: str) -> VideoModel:
    """The network, with a classifier that says something."""
    torch.manual_seed(0)
    model = interlace.create_model(name, num_classes=len(LABELS), dropout=0.0, **small(name))
    for module in model.modules():
        if getattr(module, "head", None) is not None and isinstance(module.head, torch.nn.Linear):
            torch.nn.init.normal_(module.head.weight, std=0.05)
    return model


def check(name: str, backend: str) -> None:
    """Build, train a step, compile in bfloat16, save, load, predict."""
    size = 64
    model = build(name)
    clip = torch.rand(2, model.num_segments, model.in_chans, size, size)
    takes_a_step(model, clip)
    model.eval()
    with torch.no_grad():
        logits = model(clip)
    compiles(model, clip[:1], logits[:1], backend)
    predicts_from_its_file(model, clip, logits, size)


def takes_a_step(model: VideoModel, clip: Tensor) -> None:
    """Every parameter that learns gets a finite gradient, and the classifier moves."""
    optimizer = torch.optim.SGD(parameter_groups(model, lr=0.01, weight_decay=0.0))
    before = {name: value.clone() for name, value in model.state_dict().items() if "head." in name}
    loss = torch.nn.functional.cross_entropy(model.train()(clip), torch.tensor([0, 2]))
    loss.backward()
    optimizer.step()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not without, f"no gradient reaches {without[:5]}"
    infinite = [n for n, p in model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    assert not infinite, f"the gradient of {infinite[:5]} is not finite"
    assert before, "it has no classifier"
    after = model.state_dict()
    assert not any(torch.equal(value, after[name]) for name, value in before.items()), "no step was taken"


def compiles(model: VideoModel, clip: Tensor, logits: Tensor, backend: str) -> None:
    """The compiled forward in bfloat16 says what the eager one in float32 says, to the precision of bfloat16."""
    torch._dynamo.reset()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        eager = model(clip)
        compiled = torch.compile(model, backend=backend)(clip)
    assert compiled.shape == (1, len(LABELS)), compiled.shape
    scale = logits.abs().max().item()
    rounding = (eager.float() - logits).abs().max().item()
    difference = (compiled.float() - eager.float()).abs().max().item()
    assert rounding < 0.1 * scale + 0.02, f"bfloat16 differs by {rounding:.3g} of {scale:.3g}"
    assert difference < 0.1 * scale + 0.02, f"compiled differs by {difference:.3g} of {scale:.3g}"


def predicts_from_its_file(model: VideoModel, clip: Tensor, logits: Tensor, size: int) -> None:
    """What is saved and loaded gives the same logits, bit for bit, and a prediction from pixels."""
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=LABELS,
        sampling=sampling_of(model),
        preprocessing={
            "image_size": size,
            "mean": list(model.mean),
            "std": list(model.std),
            "color": "rgb",
            "modality": model.modality,
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        loaded, card = load_checkpoint(save_checkpoint(Path(folder) / "model.safetensors", model, card))
    with torch.no_grad():
        assert torch.equal(loaded(clip), logits), "other logits after loading"
    recognizer = Recognizer(loaded, card, device="cpu")
    assert recognizer.model.in_chans == channels_of(model.modality)
    frames = torch.randint(0, 256, (11, 3, 72, 80), dtype=torch.uint8)
    prediction = recognizer(frames)
    assert {label for label, _ in prediction.top} == set(LABELS)
    assert abs(sum(score for _, score in prediction.top) - 1) < 1e-5


def sampling_of(model: VideoModel) -> dict[str, Any]:
    """One frame from each segment, for each part of the clip."""
    parts = [{"name": "segment", "num_segments": number} for number in model.segments]
    return parts[0] if len(parts) == 1 else {"name": "joined", "parts": parts}


def problem_of(name: str, backend: str) -> str:
    """Where it went wrong, and how; empty if it did not."""
    try:
        check(name, backend)
    except Exception as error:  # any fault of a network is its test's result
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
    return ""


if __name__ == "__main__":
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    for name in sys.argv[2:]:
        start = time.perf_counter()
        problem = problem_of(name, sys.argv[1])
        torch._dynamo.reset()
        gc.collect()  # compiled code and its network hold each other
        seconds = round(time.perf_counter() - start, 2)
        print(json.dumps({"name": name, "problem": problem, "seconds": seconds}), flush=True)
