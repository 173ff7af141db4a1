"""Two processes train as one does with the same clips in each update."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from interlace.checkpoints import load_checkpoint
from interlace.training.run import train


def table(folder: Path) -> list[dict[str, float]]:
    with (folder / "metrics.csv").open() as file:
        return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_two_processes_train_as_one(clips, tmp_path, one_thread, several_devices):
    train(several_devices.settings(clips, tmp_path / "one", 1))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, several_devices.__file__, str(clips), str(tmp_path / "two"), "2"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("epoch 2/2") == 1  # one process speaks for both
    for row, other in zip(table(tmp_path / "one"), table(tmp_path / "two"), strict=True):
        assert row == pytest.approx(other, rel=1e-4)
    one, two = (load_checkpoint(tmp_path / name / "last.safetensors")[0] for name in ("one", "two"))
    for (key, value), other in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        torch.testing.assert_close(other, value, rtol=1e-4, atol=1e-6, msg=key)
