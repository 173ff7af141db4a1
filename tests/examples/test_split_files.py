"""The scripts that write CSV files for the real data sets."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from interlace.data.splits import read_splits

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_utd_mhad_subjects(tmp_path: Path) -> None:
    write_splits = runpy.run_path(str(EXAMPLES / "utd_mhad_splits.py"))["write_splits"]
    for action, name in ((1, "a01_swipe_left"), (3, "a03_wave")):
        for subject in range(1, 9):
            clip = tmp_path / "data" / name / f"a{action}_s{subject}_t1.mp4"
            clip.parent.mkdir(parents=True, exist_ok=True)
            clip.touch()
    written = write_splits(tmp_path / "data", tmp_path / "out", 7)
    assert written == {
        "train.csv": 6,
        "order_train.csv": 3,
        "test.csv": 8,
        "order_test.csv": 4,
        "val.csv": 2,
        "order_val.csv": 1,
    }
    assert (tmp_path / "out" / "val.csv").read_text() == (
        "path,label\na01_swipe_left/a1_s7_t1.mp4,a01_swipe_left\na03_wave/a3_s7_t1.mp4,a03_wave\n"
    )
    with pytest.raises(ValueError, match=r"val_subject=2 must be one of the training subjects"):
        write_splits(tmp_path / "data", tmp_path / "out", 2)


@pytest.mark.real_data
def test_utd_mhad(tmp_path: Path, data_dir: Path) -> None:
    write_splits = runpy.run_path(str(EXAMPLES / "utd_mhad_splits.py"))["write_splits"]
    written = write_splits(data_dir / "utd_mhad_depth", tmp_path)
    assert written == {"train.csv": 431, "order_train.csv": 96, "test.csv": 430, "order_test.csv": 96}
    train, test = read_splits(data_dir / "utd_mhad_depth", tmp_path / "train.csv", tmp_path / "test.csv")
    assert (len(train), len(test), len(train.classes)) == (431, 430, 27)


@pytest.mark.real_data
def test_surv_fight(tmp_path: Path, data_dir: Path) -> None:
    write_folds = runpy.run_path(str(EXAMPLES / "surv_fight_folds.py"))["write_folds"]
    data = data_dir / "surv_fight_small"
    write_folds(data, tmp_path)
    groups = dict(line.split(",")[::2] for line in (data / "groups.csv").read_text().split()[1:])
    held: list[str] = []
    for fold in range(3):
        train, val = read_splits(data, tmp_path / f"fold{fold}_train.csv", tmp_path / f"fold{fold}_val.csv")
        paths = [[s.path.relative_to(data).as_posix() for s in part.samples] for part in (train, val)]
        assert len(train) + len(val) == 300
        assert not {groups[path] for path in paths[0]} & {groups[path] for path in paths[1]}
        assert all(45 <= count <= 55 for count in val.class_counts)
        held += paths[1]
    assert sorted(held) == sorted(groups)
