"""Is a trained TIN a regularised temporal convolution, as the paper's analysis says?

    python experiments/rtcn_equivalence.py DATA CHECKPOINT [CHECKPOINT ...] [--num_clips 215]

Each TIN module is replaced by the r-TCN with its offsets and weights averaged over clips, the same for every clip. The
clips are those that training validated on, and the averages are taken over the same ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from common import record
from interlace.checkpoints import ModelCard, load_checkpoint
from interlace.cli.data import evaluation_clips
from interlace.cli.plot import spread, watch_offsets
from interlace.data.annotations import Annotations
from interlace.evaluation import get_protocol
from interlace.evaluation.loop import score_clips
from interlace.models import VideoModel
from interlace.temporal import to_temporal_conv


def predictions(model: VideoModel, card: ModelCard, clips: Annotations) -> list[int]:
    """The class of each clip."""
    scores = {}
    for batch in score_clips(model, card, clips, get_protocol("1clip-center")):
        scores.update(zip(batch.indices, batch.scores, strict=True))
    return [int(scores[index].argmax()) for index in range(len(clips))]


def percent(first: list[int], second: list[int]) -> float:
    """Of how many clips both say the same."""
    return 100 * sum(a == b for a, b in zip(first, second, strict=True)) / len(first)


def compare(path: Path, data: Path, num_clips: int) -> dict[str, object]:
    """Accuracies of the network as it is and as r-TCN."""
    model, card = load_checkpoint(path)
    clips = spread(evaluation_clips(data, None, card=card), num_clips)
    true = [sample.labels[0] for sample in clips.samples]
    tally = watch_offsets(model, card, clips)
    as_it_is = predictions(model, card, clips)
    spreads = []
    for layer in tally.layers():
        offset, weight = (torch.as_tensor(mean, dtype=torch.float32) for mean in (layer.offset, layer.weight))
        model.set_submodule(layer.name, to_temporal_conv(model.get_submodule(layer.name), offset, weight))
        spreads.append(float(layer.offset_spread.mean()))
    as_rtcn = predictions(model, card, clips)
    return {
        "command": f"python experiments/rtcn_equivalence.py DATA {path.parent.name}/{path.name} "
        f"--num_clips {num_clips}",
        "network": card.model,
        "run": path.parent.name,
        "num_clips": len(clips),
        "top1_tin": percent(as_it_is, true),
        "top1_rtcn": percent(as_rtcn, true),
        "same_prediction": percent(as_it_is, as_rtcn),
        "mean_spread_of_offset_frames": round(sum(spreads) / len(spreads), 4),
    }


def main() -> None:
    """Compare the networks that are named, and record it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--num_clips", type=int, default=215)
    given = parser.parse_args()
    if missing := [path for path in (given.data, *given.checkpoints) if not path.exists()]:
        parser.error(f"{missing[0]}: no such file or folder")
    results = [compare(path, given.data, given.num_clips) for path in given.checkpoints]
    record("rtcn_equivalence", {"protocol": "1clip-center, clips that training validated on"}, results)


if __name__ == "__main__":
    main()
