"""Cross-subject splits of UTD-MHAD (Chen et al., ICIP 2015) from its file names aNN_name/aA_sS_tT.mp4.

    python examples/utd_mhad_splits.py DATA OUT [--val-subject 7]

Subjects 1, 3, 5, 7 train, 2, 4, 6, 8 test. Writes train.csv, test.csv and, with --val-subject, val.csv with
that training subject's clips, which then are not in train.csv: tune on it, not on the test subjects. The
files order_*.csv hold the six classes that only the order of the frames tells apart. Paths are
relative to DATA.
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

TRAIN_SUBJECTS = (1, 3, 5, 7)
TEST_SUBJECTS = (2, 4, 6, 8)
ORDER_DEPENDENT = (1, 2, 9, 10, 24, 25)
"""Swipe left / right, circle clockwise / counter-clockwise, sit to stand / stand to sit."""
CLIP = re.compile(r"a(\d+)_s(\d+)_t(\d+)\.mp4")


def write_splits(data: Path, output: Path, val_subject: int | None = None) -> dict[str, int]:
    """Write the CSV files; returns file name -> number of clips."""
    clips = sorted(path for path in data.glob("a*/*.mp4") if CLIP.fullmatch(path.name))
    if not clips:
        raise ValueError(f"{data}: no clip named like a01_swipe_left/a1_s1_t1.mp4; give UTD-MHAD's folder")
    if val_subject is not None and val_subject not in TRAIN_SUBJECTS:
        raise ValueError(f"val_subject={val_subject} must be one of the training subjects {TRAIN_SUBJECTS}")
    subjects = {"train": [s for s in TRAIN_SUBJECTS if s != val_subject], "test": list(TEST_SUBJECTS)}
    if val_subject is not None:
        subjects["val"] = [val_subject]
    output.mkdir(parents=True, exist_ok=True)
    written: dict[str, int] = {}
    for split, chosen in subjects.items():
        in_split = [clip for clip in clips if _numbers(clip)[1] in chosen]
        in_order = [clip for clip in in_split if _numbers(clip)[0] in ORDER_DEPENDENT]
        for name, part in ((f"{split}.csv", in_split), (f"order_{split}.csv", in_order)):
            with (output / name).open("w", newline="") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerow(["path", "label"])
                rows.writerows([clip.relative_to(data).as_posix(), clip.parent.name] for clip in part)
            written[name] = len(part)
    return written


def _numbers(clip: Path) -> tuple[int, int]:
    """(action, subject) of a clip, both counted from 1."""
    match = CLIP.fullmatch(clip.name)
    assert match is not None
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Cross-subject splits of UTD-MHAD as CSV files.")
    parser.add_argument(
        "data", type=Path, help="UTD-MHAD's folder, which holds a01_swipe_left and the others"
    )
    parser.add_argument("output", type=Path, help="folder that receives the CSV files")
    parser.add_argument("--val-subject", type=int, help="training subject whose clips go to val.csv, e.g. 7")
    arguments = parser.parse_args()
    for name, count in write_splits(arguments.data, arguments.output, arguments.val_subject).items():
        print(f"{arguments.output / name}: {count} clips")
