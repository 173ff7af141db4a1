"""Several processes end together where the loss of one is no number, and that one's batch is on the disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("diverging_processes.py")


@pytest.mark.faults
@pytest.mark.parametrize(("where", "step"), [("train", 4), ("val", 6)])
def test_both_end_and_the_batch_is_that_of_the_second(clips, tmp_path, where, step):
    output = tmp_path / "run"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, str(SCRIPT), str(clips), str(output), where],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("error: ") == 2, said  # their lines may be printed as one
    whose = "the training loss" if where == "train" else "validation gives a loss"
    assert said.count(f"error: {whose} of another process") == 1
    assert said.count(f"error: {whose} {'is' if where == 'train' else 'of'} nan in epoch 2") == 1
    assert said.count(f"{output}/diverged-1.json") == 1
    assert sorted(path.name for path in output.glob("diverged*")) == [
        "diverged-1.json",
        "diverged-1.safetensors",
    ]
    told = json.loads((output / "diverged-1.json").read_text())
    assert (told["split"], told["epoch"], told["step"]) == (where, 2, step)
    assert [clip["loss"] == "nan" for clip in told["clips"]] == [True] + [False] * (len(told["clips"]) - 1)
    kept = torch.load(output / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 3
    assert all(value.isfinite().all() for value in kept["state_dict"].values())
