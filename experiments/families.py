"""Does each family of networks learn? A few epochs of each on UTD-MHAD depth video, from scratch, one seed.

    python experiments/families.py DATA RUNS [--only NAME ...] [--flow FLOW] [--epochs 10]

Cross-subject as in utd_mhad.py: trained on subjects 1, 3, 5, 7, tested on 2, 4, 6, 8; 64 x 64, 1 clip, centre crop, the
last epoch's weights. All rows have the same settings, tuned for none of them: this is a check that they learn, not a
ranking. FLOW is what `interlace flow DATA --output FLOW` wrote, for the rows that see it. Started again, it goes on
where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import accuracy_on, load_example, record, train_and_score
from utd_mhad import COMMON, ORDER_DEPENDENT, SCRATCH

FLOW = ["--modality", "flow"]
ROWS: dict[str, list[str]] = {
    "tsn_resnet18": [],
    "tsm_resnet18": [],
    "tin_resnet18": [],
    "trn_resnet18": [],
    "trn_single_resnet18": [],
    "tsn_bninception": [],
    "trn_bninception": [],
    "tsm_in_place_resnet18": [],
    "tsm_two_conv_resnet18": [],
    "tsm_tpool_resnet18": [],
    "tsm_nl_resnet18": [],
    "tsm_causal_resnet18": [],
    "tin_nl_resnet18": [],
    "tsn_nl_resnet18": [],
    "rtcn_resnet18": [],
    "tcn_resnet18": [],
    "i3d_resnet18": ["--num_segments", "8"],
    "i3d_light_resnet18": ["--num_segments", "8"],
    "i3d_nl_resnet18": ["--num_segments", "8"],
    "i3d_gcn_resnet18": ["--num_segments", "8", "--model_args", '{"proposals": "grid"}'],
    "eco_lite_bninception": ["--num_segments", "8"],
    "eco_bninception": ["--num_segments", "8"],
    "eco_lite_resnet18": ["--num_segments", "8"],
    "tsn_resnet18-flow": FLOW,
    "tin_resnet18-flow": FLOW,
    "tsn_resnet18-rgb_diff": ["--modality", "rgb_diff"],
    "two_stream_tsn_resnet18": [],
    "two_stream_tin_resnet18": [],
    "tin_en_resnet18": ["--num_segments", "24"],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="NAME")
    parser.add_argument("--flow", type=Path, help="stored flow; computed on the fly without it")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    load_example("utd_mhad_splits").write_splits(given.data, given.runs)
    lists = (given.runs / "train.csv", given.runs / "test.csv")
    results = []
    for row in given.only:
        name = row.partition("-")[0]
        options = [*COMMON, *SCRATCH, "--epochs", str(given.epochs), *ROWS[row]]
        sees_flow = "flow" in row or "two_stream" in row
        stored = ["--flow", str(given.flow)] if given.flow and sees_flow else []
        output = given.runs / f"families{given.epochs}-{row}-{given.seed}"
        settings = ["--model", name, "--seed", str(given.seed), *options, *stored]
        result = train_and_score(given.data, lists, output, settings, evaluation=stored)
        order = accuracy_on(output / "evaluation", ORDER_DEPENDENT)
        results.append({"row": row, "seed": given.seed, **result, "top1_order_dependent": order})
    record(
        "utd_mhad_families",
        {"data": "UTD-MHAD depth video, 128 x 128", "protocol": "cross-subject, 1clip-center, last epoch"},
        results,
    )


if __name__ == "__main__":
    main()
