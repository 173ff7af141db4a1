"""Which process of how many this is, what it runs on, and what to say when another one is gone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from interlace.devices import best_device, choose_device

# What gloo and NCCL say, in a RuntimeError, of a process that is gone or does not answer.
_LOST = re.compile(
    r"gloo|NCCL|connection (was )?(closed|reset|refused)|broken pipe|timed out|timeout|socket|store",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Place:
    """A process among those of the run."""

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1
    launcher: str = "none"
    """torchrun, srun, other (its variables are there and nothing else of it) or none."""


def place() -> Place:
    """As Lightning finds it: torchrun's variables, also within a SLURM job, then srun's.

    Example:
        >>> from interlace.training.launch import place
        >>> place()
        Place(rank=0, local_rank=0, world_size=1, launcher='none')
    """
    if TorchElasticEnvironment.detect():
        return Place(_number("RANK"), _number("LOCAL_RANK"), _number("WORLD_SIZE", 1), "torchrun")
    if SLURMEnvironment.detect():
        return Place(_number("SLURM_PROCID"), _number("SLURM_LOCALID"), _number("SLURM_NTASKS", 1), "srun")
    if "RANK" in os.environ or "WORLD_SIZE" in os.environ:
        return Place(_number("RANK"), _number("LOCAL_RANK"), _number("WORLD_SIZE", 1), "other")
    return Place()


def process_rank() -> int:
    """Number of this process among those that torchrun or srun has started; 0 without them.

    Example:
        >>> from interlace.training.launch import process_rank
        >>> process_rank()
        0
    """
    return place().rank


def require_processes(devices: int, num_nodes: int) -> None:
    """Check that one process for each device was started.

    Raises:
        ValueError: there are more or fewer, or not as SLURM is to start them; with what starts the right number.

    Example:
        >>> from interlace.training.launch import require_processes
        >>> require_processes(devices=1, num_nodes=1)
    """
    wanted, here = devices * num_nodes, place()
    started = here.world_size
    if wanted == 1 and here.launcher == "srun":  # a job may have room for more tasks than a step of it starts
        started = _number("SLURM_STEP_NUM_TASKS", 1)
    nodes = f"--nnodes {num_nodes} " if num_nodes > 1 else ""
    remedy = f"on each machine: torchrun {nodes}--nproc-per-node {devices} --no-python interlace train ..."
    if here.launcher == "srun":
        remedy = f"#SBATCH --nodes={num_nodes} --ntasks-per-node={devices}, then srun interlace train ..."
    asked = f"trainer.devices={devices} x trainer.num_nodes={num_nodes}"
    if started != wanted:
        raise ValueError(f"{asked} needs {wanted} processes and {started} started; {remedy}")
    if wanted == 1:
        return
    if here.launcher == "other":
        raise ValueError(
            f"RANK={here.rank} and WORLD_SIZE={started} are set, but not by torchrun or srun, which say more; {remedy}"
        )
    if here.launcher == "srun":
        given = (
            os.environ.get("SLURM_NTASKS_PER_NODE", "nothing"),
            os.environ.get("SLURM_NNODES", str(num_nodes)),
        )
        if given != (str(devices), str(num_nodes)):
            raise ValueError(
                f"{asked}, but SLURM_NTASKS_PER_NODE is {given[0]} and SLURM_NNODES is {given[1]}; {remedy}"
            )


def require_one_process(what: str) -> None:
    """Refuse to do the same work, into the same files, in several processes.

    Raises:
        ValueError: torchrun or srun has started several.

    Example:
        >>> from interlace.training.launch import require_one_process
        >>> require_one_process("interlace evaluate")
    """
    here = place()
    started = _number("SLURM_STEP_NUM_TASKS", 1) if here.launcher == "srun" else here.world_size
    if started > 1:
        raise ValueError(
            f"{what} works in one process, and {started} were started; start it without torchrun or srun"
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
    return str(choose_device(f"cuda:{place().local_rank}" if kind == "cuda" else kind))


@contextmanager
def lost_processes(world_size: int, *, remedy: str) -> Iterator[None]:
    """What the processes that are left say when one of them is gone: one line.

    Raises:
        ConnectionError: a message between the processes failed or took too long.

    Example:
        >>> from interlace.training.launch import lost_processes
        >>> with lost_processes(2, remedy="resume"):  # doctest: +ELLIPSIS
        ...     raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [::1]:4711")
        Traceback (most recent call last):
        ConnectionError: process 0 hears no more of another one of 2: it has ended or does not answer ...
    """
    try:
        yield
    except RuntimeError as error:
        if world_size == 1 or not _LOST.search(str(error)):
            raise
        reason = re.sub(r"^\[[^\]]*\] *", "", str(error).strip().splitlines()[0]).split(". ")[0]
        raise ConnectionError(
            f"process {process_rank()} hears no more of another one of {world_size}: it has ended or does not answer "
            f"({reason}); its own message, if it had time for one, says why; {remedy}"
        ) from error


def _number(name: str, default: int = 0) -> int:
    return int(os.environ.get(name, default))
