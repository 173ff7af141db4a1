"""Folds of the surveillance-camera fights (Akti et al., IPTA 2019) that keep each source video together.

    python examples/surv_fight_folds.py DATA OUT [--folds 3]

Clips cut from one source video look alike: a split by clip would measure memory. DATA/groups.csv
(path,label,group) names the source of each. Writes fold0_train.csv, fold0_val.csv, and so on; paths are
relative to DATA, the label is the folder's name.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from interlace.data.splits import group_folds


def write_folds(data: Path, output: Path, num_folds: int = 3) -> dict[str, int]:
    """Write the CSV files; returns file name -> number of clips."""
    with (data / "groups.csv").open(newline="", encoding="utf-8-sig") as file:
        records = list(csv.DictReader(file))
    labels = [int(record["label"]) for record in records]
    folds = group_folds(labels, [record["group"] for record in records], num_folds)
    output.mkdir(parents=True, exist_ok=True)
    written: dict[str, int] = {}
    for number, fold in enumerate(folds):
        held = set(fold)
        parts = {"train": [i for i in range(len(records)) if i not in held], "val": fold}
        for part, indices in parts.items():
            name = f"fold{number}_{part}.csv"
            with (output / name).open("w", newline="") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerow(["path", "label", "group"])
                for i in indices:
                    path = records[i]["path"]
                    rows.writerow([path, path.split("/")[0], records[i]["group"]])
            written[name] = len(indices)
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Folds that keep the clips of one source video together.")
    parser.add_argument("data", type=Path, help="folder that holds groups.csv")
    parser.add_argument("output", type=Path, help="folder that receives the CSV files")
    parser.add_argument("--folds", type=int, default=3, help="number of folds")
    arguments = parser.parse_args()
    for name, count in write_folds(arguments.data, arguments.output, arguments.folds).items():
        print(f"{arguments.output / name}: {count} clips")
