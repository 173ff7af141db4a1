"""Dual attention matching and its baselines on timelines composed of AVLetters, for both tasks, with ablations.

    python experiments/avletters.py PART DATA RUNS [--seeds 5]

DATA is the folder of AVLetters, RUNS any folder. PART is one of:

    sel, cml        each method of the task, with every seed
    sel_ablations   DAM (joint) for SEL without matching, and in one direction
    sel_weights     the same with another weight of the loss
    sel_parts       the same without what it has beside the slides, one at a time
    dam_ablations, dam_weights
                    ablations and weights for DAM as in the slides
    cml_ablations   DAM for CML with one part less
    out_of_step     cml on timelines whose event sounds another utterance of its letter than it shows

4000 / 1000 / 2000 timelines of 10 segments for training, validation and test; 5 / 2 / 3 talkers, no one in two splits
(see letter_rows.py). The epoch is selected on validation; the test split is scored once, at the end. The settings below
were chosen on validation with seed 0: for dam_joint and concat from the same four (width 128 or 256, lr 0.001 or
0.002); the other networks of SEL have those of concat, dam the width of dam_joint; for CML two rates were tried.
Started again, it goes on where it was. About a minute a run on one core.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from common import interlace, record
from letter_rows import write_sets

COUNTS = {"train": 4000, "val": 1000, "test": 2000}
COMMON = ["--epochs", "12", "--schedule", "cosine", "--test"]
SEL = ["--task", "sel", "--lr", "0.002", "--patience", "0", *COMMON]
CML = ["--task", "cml", "--lr", "0.001", "--patience", "4", *COMMON]
SLIDES = ["--method", "dam", "--network.width", "256"]
BASELINE = ["--network.width", "128", "--network.dropout", "0.5"]
PARTS: dict[str, dict[str, list[str]]] = {
    "sel": {
        "dam_joint": [*SEL, "--method", "dam_joint"],
        "concat": [*SEL, "--method", "concat", *BASELINE],
        "dam": [*SEL, *SLIDES],
        "avel": [*SEL, "--method", "avel", *BASELINE],
        "audio": [*SEL, "--method", "audio", *BASELINE],
        "visual": [*SEL, "--method", "visual", *BASELINE],
        "concat_as_published": [*SEL, "--method", "concat"],
        "chance": [*SEL, "--method", "chance"],
    },
    "cml": {
        "dam_local": [*CML, "--method", "dam_local"],
        "avdln": [*CML, "--method", "avdln"],
        "dam": [*CML, "--method", "dam"],
        "cca": [*CML, "--method", "cca"],
        "chance": [*CML, "--method", "chance"],
    },
    "sel_ablations": {
        "joint_without_matching": [*SEL, "--method", "dam_joint", "--network.cross", "false"],
        "joint_heard_only": [*SEL, "--method", "dam_joint", "--network.direction", "heard"],
        "joint_seen_only": [*SEL, "--method", "dam_joint", "--network.direction", "seen"],
    },
    "sel_weights": {
        "joint_category_weight_0": [*SEL, "--method", "dam_joint", "--network.category_weight", "0"],
        "joint_category_weight_1": [*SEL, "--method", "dam_joint", "--network.category_weight", "1"],
    },
    "dam_ablations": {
        "without_matching": [*SEL, *SLIDES, "--network.cross", "false"],
        "heard_only": [*SEL, *SLIDES, "--network.direction", "heard"],
        "seen_only": [*SEL, *SLIDES, "--network.direction", "seen"],
    },
    "dam_weights": {
        "category_weight_0": [*SEL, *SLIDES, "--network.category_weight", "0"],
        "category_weight_1": [*SEL, *SLIDES, "--network.category_weight", "1"],
    },
    "sel_parts": {
        "joint_without_self_attention": [*SEL, "--method", "dam_joint", "--network.self_attention", "false"],
        "joint_without_focus": [*SEL, "--method", "dam_joint", "--network.focus", "false"],
        "own_context": [*SEL, "--method", "dam_joint", "--network.context", "own"],
        "without_context": [*SEL, "--method", "dam_joint", "--network.context", "none"],
    },
    "cml_ablations": {
        "without_event_region": [*CML, "--method", "dam", "--network.region", "false"],
        "without_self_attention": [*CML, "--method", "dam", "--network.self_attention", "false"],
        "each_direction_for_itself": [*CML, "--method", "dam", "--network.each", "true"],
        "avdln_unaligned": [*CML, "--method", "avdln", "--network.aligned", "false"],
        "cca_unaligned": [*CML, "--method", "cca", "--network.aligned", "false"],
    },
    "out_of_step": {
        "dam_local": [*CML, "--method", "dam_local"],
        "avdln": [*CML, "--method", "avdln"],
        "dam": [*CML, "--method", "dam"],
        "cca": [*CML, "--method", "cca"],
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    in_step = given.part != "out_of_step"
    sets = given.runs / ("sets" if in_step else "sets_out_of_step")
    write_sets(given.data, sets, COUNTS, seed=0, in_step=in_step)
    results = []
    for name, options in PARTS[given.part].items():
        output = given.runs / given.part / name
        command = interlace("av", "train", sets, *options, "--seeds", str(given.seeds), "--output", output)
        rows = json.loads((output / "results.json").read_text())
        results.append(
            {
                "name": name,
                "command": command,
                "best_epochs": rows["best_epochs"],
                "results": rows["results"],
            }
        )
    record(
        f"avletters_{given.part}",
        {
            "data": "AVLetters, composed timelines of 10 segments: 4000 / 1000 / 2000",
            "protocol": "unseen talkers; epoch selected on validation; mean and sample deviation over the seeds",
            "in_step": in_step,
        },
        results,
    )


if __name__ == "__main__":
    main()
