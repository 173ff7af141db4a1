"""Processes and devices."""

from __future__ import annotations

import pytest
import torch

from interlace.training.launch import device_of_process, process_rank, require_processes


def test_half_precision_needs_a_gpu():
    with pytest.raises(ValueError, match=r"trainer\.precision=16 needs a GPU; use bf16 or 32"):
        device_of_process("cpu", "16")


def test_a_device_that_is_not_there():
    assert device_of_process("cpu", "bf16") == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match=r"device 'cuda:0' cannot be used .*; cpu always works"):
            device_of_process("gpu", "32")


def test_the_right_number_of_processes(monkeypatch):
    require_processes(1, 1)
    with pytest.raises(ValueError, match=r"needs 4 processes and 1 started.*--nnodes 2 --nproc-per-node 2"):
        require_processes(2, 2)
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    require_processes(2, 2)
    assert process_rank() == 3
    with pytest.raises(ValueError, match="needs 1 processes and 4 started"):
        require_processes(1, 1)
