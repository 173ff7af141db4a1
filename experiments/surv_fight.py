"""TSN, TSM and TIN on surveillance fights: MobileNetV2 with ImageNet weights, fine-tuned, three folds by source video.

    python experiments/surv_fight.py DATA RUNS --weights mobilenetv2.safetensors [--methods tsn tsm tin]

300 clips of 2 s, half of them fights; clips cut from one source video stay on one side. 8 frames, 1 clip, centre crop.
The last epoch's weights are scored. About 3 minutes a network and fold on two cores; started again, it goes on.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from common import load_example, record, train_and_score

OPTIONS = [
    *["--image_size", "112", "--epochs", "4", "--batch_size", "8", "--optim.base_batch_size", "8"],
    *["--lr", "0.005", "--dropout", "0.5", "--trainer.precision", "bf16", "--trainer.validate_every", "4"],
    *["--model_args", '{"pad_type": "same", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}'],
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument(
        "--weights", type=Path, required=True, help="ImageNet weights of timm's mobilenetv2_100"
    )
    parser.add_argument("--methods", nargs="+", default=["tsn", "tsm", "tin"])
    parser.add_argument("--folds", type=int, default=3)
    given = parser.parse_args()
    load_example("surv_fight_folds").write_folds(given.data, given.runs, given.folds)
    results = []
    for method in given.methods:
        folds = []
        for fold in range(given.folds):
            files = (given.runs / f"fold{fold}_train.csv", given.runs / f"fold{fold}_val.csv")
            settings = ["--model", f"{method}_mobilenetv2_100", "--pretrained", str(given.weights), *OPTIONS]
            result = train_and_score(given.data, files, given.runs / f"{method}-fold{fold}", settings)
            folds.append({"method": method, "fold": fold, **result})
        mean = statistics.mean(result["top1"] for result in folds)
        results += [*folds, {"method": method, "fold": "mean", "top1": mean, "command": ""}]
    record(
        "surv_fight",
        {
            "data": "surveillance-camera fights, 300 clips",
            "protocol": "3 folds by group, 1clip-center, last epoch",
        },
        results,
    )


if __name__ == "__main__":
    main()
