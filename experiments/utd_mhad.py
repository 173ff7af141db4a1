"""TSN, TSM and TIN on UTD-MHAD depth video, cross-subject: ResNet-18 from scratch, or MobileNetV2 fine-tuned.

    python experiments/utd_mhad.py scratch DATA RUNS [--methods tsn tsm tin] [--seeds 0]
    python experiments/utd_mhad.py finetune DATA RUNS --weights mobilenetv2.safetensors

Train on subjects 1, 3, 5, 7 (431 clips), test on 2, 4, 6, 8 (430 clips); 8 frames, 1 clip, centre crop. No mirroring:
swipe left and right are different classes. The last epoch's weights are scored, so nothing is selected on the test
subjects. Needs about 20 minutes a network on two cores; started again, it goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import accuracy_on, load_example, record, train_and_score

ORDER_DEPENDENT = (
    "a01_swipe_left",
    "a02_swipe_right",
    "a09_draw_circle_cw",
    "a10_draw_circle_ccw",
    "a24_sit2stand",
    "a25_stand2sit",
)
COMMON = [
    *["--augment.flip", "false", "--augment.crop_scales", "[1.0, 0.875]", "--trainer.precision", "bf16"],
    *["--trainer.validate_every", "10", "--batch_size", "8", "--optim.base_batch_size", "8"],
]
SCRATCH = [
    *["--color", "gray", "--pretrained", "false", "--image_size", "64", "--epochs", "50"],
    *["--lr", "0.02", "--optim.head_lr_factor", "1", "--dropout", "0.2"],
]
FINETUNE = [
    *["--image_size", "112", "--epochs", "6", "--lr", "0.01", "--dropout", "0.5"],
    *["--model_args", '{"pad_type": "same", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}'],
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("setting", choices=["scratch", "finetune"])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--methods", nargs="+", default=["tsn", "tsm", "tin"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument(
        "--weights", type=Path, help="ImageNet weights of timm's mobilenetv2_100, for finetune"
    )
    parser.add_argument("--epochs", type=int, help="another length; the runs and results are kept apart")
    given = parser.parse_args()
    backbone = "resnet18" if given.setting == "scratch" else "mobilenetv2_100"
    options = SCRATCH if given.setting == "scratch" else [*FINETUNE, "--pretrained", str(given.weights)]
    setting = given.setting
    if given.epochs:
        options = [*options, "--epochs", str(given.epochs)]
        setting += str(given.epochs)
    load_example("utd_mhad_splits").write_splits(given.data, given.runs)
    results = []
    for seed in given.seeds:
        for method in given.methods:
            output = given.runs / f"{setting}-{method}-{seed}"
            settings = ["--model", f"{method}_{backbone}", "--seed", str(seed), *COMMON, *options]
            result = train_and_score(
                given.data, (given.runs / "train.csv", given.runs / "test.csv"), output, settings
            )
            order = accuracy_on(output / "evaluation", ORDER_DEPENDENT)
            results.append({"method": method, "seed": seed, **result, "top1_order_dependent": order})
    record(
        f"utd_mhad_{setting}",
        {"data": "UTD-MHAD depth video, 128 x 128", "protocol": "cross-subject, 1clip-center, last epoch"},
        results,
    )


if __name__ == "__main__":
    main()
