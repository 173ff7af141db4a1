"""Which process of how many this is, and what it runs on."""

from __future__ import annotations

import os

from interlace.devices import best_device, choose_device


def process_rank() -> int:
    """Number of this process among those that torchrun or srun has started; 0 without them.

    Example:
        >>> from interlace.training.launch import process_rank
        >>> process_rank()
        0
    """
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")))


def require_processes(devices: int, num_nodes: int) -> None:
    """Check that one process for each device was started.

    Raises:
        ValueError: there are more or fewer, with the command that starts the right number.

    Example:
        >>> from interlace.training.launch import require_processes
        >>> require_processes(devices=1, num_nodes=1)
    """
    wanted = devices * num_nodes
    by_slurm = os.environ.get("SLURM_NTASKS", "1") if wanted > 1 else "1"
    started = int(os.environ.get("WORLD_SIZE", by_slurm))
    if started != wanted:
        nodes = f"--nnodes {num_nodes} " if num_nodes > 1 else ""
        raise ValueError(
            f"trainer.devices={devices} x trainer.num_nodes={num_nodes} needs {wanted} processes and "
            f"{started} started; on each machine: "
            f"torchrun {nodes}--nproc-per-node {devices} --no-python interlace train ..."
        )


def device_of_process(accelerator: str, precision: str) -> str:
    """The device of this process: cuda:N, mps or cpu.

    Raises:
        ValueError: there is no such device, or it cannot compute in this precision.

    Example:
        >>> from interlace.training.launch import device_of_process
        >>> device_of_process("cpu", "bf16")
        'cpu'
    """
    kind = {"auto": best_device(), "gpu": "cuda"}.get(accelerator, accelerator)
    if precision == "16" and kind == "cpu":
        raise ValueError("trainer.precision=16 needs a GPU; use bf16 or 32 on the CPU")
    return str(choose_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if kind == "cuda" else kind))
