"""Where the package itself uses the optimized copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from interlace.checkpoints import ModelCard, save_checkpoint
from interlace.data.annotations import Annotations, Sample
from interlace.evaluation.evaluate import evaluate
from interlace.inference import Recognizer
from interlace.models import create_model
from interlace.optimization import OptimizedModel

ARGUMENTS = {"num_classes": 3, "num_segments": 4}
CARD = ModelCard(
    model="tin_resnet18",
    model_args=ARGUMENTS,
    labels=("wave", "clap", "turn"),
    sampling={"name": "segment", "num_segments": 4},
    preprocessing={"image_size": 32, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3], "color": "rgb"},
)


def test_a_recognizer_gives_the_same_answer():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("tin_resnet18", **ARGUMENTS)
        torch.nn.init.normal_(model.head.weight, std=0.5)
    clip = torch.randint(0, 256, (9, 3, 40, 48), dtype=torch.uint8)
    fast = Recognizer(model, CARD, device="cpu", optimize=True)
    assert isinstance(fast.model, OptimizedModel)
    assert fast.model.agreement.is_good
    wanted = dict(Recognizer(model, CARD, device="cpu")(clip, num_clips=3).top)
    for label, score in fast(clip, num_clips=3).top:
        assert abs(score - wanted[label]) < 0.05


def test_an_evaluation_gives_the_same_scores_and_says_how_it_came_to_them(
    tmp_path: Path, make_video: Callable[..., Path]
):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("tin_resnet18", **ARGUMENTS)
        torch.nn.init.normal_(model.head.weight, std=0.5)
    checkpoint = save_checkpoint(tmp_path / "best.safetensors", model, CARD)
    samples = tuple(Sample(make_video(tmp_path / f"{k}.mp4", num_frames=6 + k), (k,)) for k in range(3))
    clips = Annotations(samples, CARD.labels, source="three clips")
    probabilities = []
    for optimize in (False, True):
        report = evaluate(
            [checkpoint],
            clips,
            batch_size=2,
            num_workers=0,
            output=tmp_path / str(optimize),
            optimize=optimize,
        )
        rows = (tmp_path / str(optimize) / "predictions.csv").read_text().splitlines()[1:]
        probabilities.append([float(value) for row in rows for value in row.split(",")[-3:]])
    assert probabilities[1] == pytest.approx(probabilities[0], abs=1e-4)
    assert report.details["optimized"][0].startswith("best.safetensors: float32: relative error ")
    assert report.details["precision"] == "32, optimized"
