"""Processes and devices."""

from __future__ import annotations

import pytest
import torch

from interlace.training.launch import (
    Place,
    device_of_process,
    lost_processes,
    place,
    process_rank,
    require_one_process,
    require_processes,
)

SLURM = {
    "SLURM_NTASKS": "4",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_NNODES": "2",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_JOB_NAME": "train",
    "SLURM_STEP_NUM_TASKS": "4",
}
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "2",
    "LOCAL_RANK": "0",
    "WORLD_SIZE": "4",
}


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    for name in {**SLURM, **TORCHRUN}:
        monkeypatch.delenv(name, raising=False)


def set_all(monkeypatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_half_precision_needs_a_gpu():
    with pytest.raises(ValueError, match=r"trainer\.precision=16 needs a GPU; use bf16 or 32"):
        device_of_process("cpu", "16")


def test_a_device_that_is_not_there():
    assert device_of_process("cpu", "bf16") == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match=r"device 'cuda:0' cannot be used .*; cpu always works"):
            device_of_process("gpu", "32")


def test_torchrun(monkeypatch):
    require_processes(1, 1)
    with pytest.raises(ValueError, match=r"needs 4 processes and 1 started.*--nnodes 2 --nproc-per-node 2"):
        require_processes(2, 2)
    set_all(monkeypatch, TORCHRUN)
    require_processes(2, 2)
    assert place() == Place(2, 0, 4, "torchrun")
    assert process_rank() == 2
    with pytest.raises(ValueError, match="needs 1 processes and 4 started"):
        require_processes(1, 1)


def test_srun(monkeypatch):
    set_all(monkeypatch, SLURM)
    require_processes(2, 2)
    assert place() == Place(3, 1, 4, "srun")
    with pytest.raises(
        ValueError, match=r"needs 8 .* 4 started; #SBATCH --nodes=2 --ntasks-per-node=4, then srun"
    ):
        require_processes(4, 2)
    with pytest.raises(ValueError, match=r"SLURM_NTASKS_PER_NODE is 2 and SLURM_NNODES is 2"):
        require_processes(4, 1)
    with pytest.raises(ValueError, match="needs 1 processes and 4 started"):
        require_processes(1, 1)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")  # srun --ntasks=4
    with pytest.raises(ValueError, match=r"SLURM_NTASKS_PER_NODE is nothing"):
        require_processes(2, 2)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device 'cuda:1' cannot be used"):  # the second task's own
            device_of_process("gpu", "32")


def test_one_process_within_a_job_with_room_for_more(monkeypatch):
    set_all(monkeypatch, {**SLURM, "SLURM_PROCID": "0", "SLURM_LOCALID": "0"})
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")  # sbatch's script itself, not srun
    require_processes(1, 1)


def test_torchrun_within_a_slurm_job(monkeypatch):
    set_all(monkeypatch, {**SLURM, **TORCHRUN, "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1"})
    require_processes(2, 2)
    assert place().rank == 2


def test_an_interactive_slurm_shell_is_one_process(monkeypatch):
    set_all(monkeypatch, {**SLURM, "SLURM_JOB_NAME": "interactive"})
    assert place() == Place()


def test_evaluation_is_not_done_several_times(monkeypatch):
    require_one_process("interlace evaluate")
    set_all(monkeypatch, TORCHRUN)
    with pytest.raises(ValueError, match="interlace evaluate works in one process, and 4 were started"):
        require_one_process("interlace evaluate")


def test_variables_of_nobody(monkeypatch):
    set_all(monkeypatch, {"RANK": "1", "WORLD_SIZE": "2"})
    with pytest.raises(ValueError, match=r"RANK=1 and WORLD_SIZE=2 are set, but not by torchrun or srun"):
        require_processes(2, 1)


def test_what_is_no_lost_process_stays_as_it_is():
    with pytest.raises(RuntimeError, match="size mismatch"), lost_processes(2, remedy=""):
        raise RuntimeError("size mismatch")
    gone = RuntimeError("[a/b.cc:1] Timed out waiting 1000ms for recv operation to complete. More.")
    with pytest.raises(RuntimeError, match="Timed out"), lost_processes(1, remedy=""):
        raise gone
    with (
        pytest.raises(
            ConnectionError, match=r"process 0 .* of 2: .*\(Timed out waiting 1000ms .*complete\).*; resume"
        ),
        lost_processes(2, remedy="resume"),
    ):
        raise gone
