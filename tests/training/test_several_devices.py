"""Two processes train as one does with the same clips in each update; all runs of two in one start."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from interlace.checkpoints import load_checkpoint

LISTS = {
    # 9 clips in updates of 3: one process has two of them, the other one.
    "train.csv": [f"{name}/{i}.mp4,{name}" for name in ("dark", "long", "wide") for i in range(3)],
    "val.csv": [f"{name}/{i}.mp4,{name}" for name in ("dark", "long", "wide") for i in (3, 4)][:5],
    "several.csv": [f"{name}/{i}.mp4,{name};long" for name in ("dark", "wide") for i in range(3)]
    + ["long/0.mp4,dark", "long/1.mp4,wide"],
    "few.csv": ["long/4.mp4,long", "dark/4.mp4,dark;long", "wide/4.mp4,wide"],
    # Updates of 2: in some of them one process can read nothing.
    "broken.csv": [f"{name}/{i}.mp4,{name}" for name in ("dark", "wide") for i in range(4)]
    + ["dark/broken.mp4,dark", "wide/broken.mp4,wide", "wide/empty.mp4,wide"],
    "one.csv": ["long/3.mp4,wide"],
}
REFERENCE = {"sharded": "everything", "relay": "everything", "sharded_relay": "everything"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, clips, several_devices) -> Path:
    """Every case on one device and on two; the relays on one, two, one, each time stopped within an epoch."""
    root = tmp_path_factory.mktemp("several")
    data = shutil.copytree(clips, root / "data")
    for name, lines in LISTS.items():
        (data / name).write_text("\n".join(["path,label", *lines]))
    for name in ("dark/broken.mp4", "wide/broken.mp4"):
        (data / name).write_bytes(b"no video")
    (data / "wide/empty.mp4").touch()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the other processes: sums in another order have other last bits
    one, two = root / "one", root / "two"
    before = several_devices.parts.ClassificationModule, several_devices.saving.SECONDS_BETWEEN_AGREEMENTS
    try:
        for case in ("frozen", "everything", "multi_label", "broken"):
            several_devices.run(case, data, one, 1)
        for relay in ("everything:relay:1", "everything:sharded_relay:1"):
            several_devices.run(relay, data, two, 1)
        start_two(
            several_devices.__file__, data, two, "frozen", "everything", "sharded", "multi_label", "broken",
            "everything:relay:3", "sharded:sharded_relay:3",
        )  # fmt: skip
        for relay in ("everything:relay:0", "everything:sharded_relay:0"):
            several_devices.run(relay, data, two, 1)
    finally:
        torch.set_num_threads(threads)
        several_devices.parts.ClassificationModule = before[0]
        several_devices.saving.SECONDS_BETWEEN_AGREEMENTS = before[1]
    return root


def start_two(script: str, data: Path, output: Path, *cases: str) -> str:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, script, str(data), str(output), "2", *cases],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (output / "said.txt").write_text(done.stdout)
    return done.stdout


def table(folder: Path) -> list[dict[str, float]]:
    with (folder / "metrics.csv").open() as file:
        return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    "case", ["frozen", "everything", "sharded", "multi_label", "broken", "relay", "sharded_relay"]
)
def test_two_processes_train_as_one(runs, case):
    one, two = runs / "one" / REFERENCE.get(case, case), runs / "two" / case
    assert len(table(one)) == (1 if case == "broken" else 2)
    for row, other in zip(table(one), table(two), strict=True):
        assert other == pytest.approx(row, rel=1e-4)
    for name in ("best.safetensors", "last.safetensors"):
        (model, card), (other, other_card) = (load_checkpoint(folder / name) for folder in (one, two))
        assert other_card.metrics == pytest.approx(card.metrics, rel=1e-4)
        for (key, value), again in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
            torch.testing.assert_close(again, value, rtol=1e-3, atol=1e-5, msg=f"{name} {key}")


def test_one_process_speaks_for_both(runs):
    said = (runs / "two" / "said.txt").read_text()
    assert said.count("go on with --resume true") == 2
    assert said.count("epoch 2/2") == 4


def test_clips_that_one_process_cannot_read_are_in_the_list_of_both(runs):
    listed = [(runs / number / "broken" / "skipped.csv").read_text() for number in ("one", "two")]
    assert listed[0] == listed[1]
    assert listed[0].count("\n") == 4
