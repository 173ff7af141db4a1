"""The processes that decode: how many, how each begins, how all end."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader, get_worker_info
from torch.utils.data._utils.signal_handling import _set_SIGCHLD_handler

from interlace.data.limits import Limit

# With a GPU more processes than these have not been needed; each holds its own decoder and batches.
_MOST = 8
WAIT_SECONDS = Limit("INTERLACE_MAX_WAIT_SECONDS", 0, "seconds without a batch")
"""Then training, or evaluation, ends with an error that names the clips. By default it waits: a disk may sleep, a
process may be stopped for the night (Ctrl-Z) and go on, and neither is a fault."""


def usable_cores() -> int:
    """Cores that this process may use, which on a shared machine are fewer than there are.

    Example:
        >>> from interlace.data.workers import usable_cores
        >>> usable_cores() >= 1
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_workers(num_workers: int | Literal["auto"], device: str) -> int:
    """How many processes decode for the network on ``device``; a number given stays as it is.

    ``auto``: with the network on a GPU one for each core but the one that feeds it, 8 at most. On the CPU the network
    uses all cores itself: two processes decode, or none where there is one core. Processes that torchrun
    started on this machine share its cores.

    Example:
        >>> from interlace.data.workers import count_workers
        >>> count_workers(3, "cpu")
        3
    """
    if num_workers != "auto":
        return num_workers
    cores = usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if torch.device(device).type == "cpu":
        return 2 if cores > 1 else 0
    return max(0, min(_MOST, cores - 1))


def worker_arguments(num_workers: int, *, pin_memory: bool) -> dict[str, Any]:
    """Arguments of a DataLoader whose processes live as long as it does.

    How long it waits for a batch is set by the environment variable INTERLACE_MAX_WAIT_SECONDS; by default for ever.
    """
    arguments: dict[str, Any] = {"num_workers": num_workers, "pin_memory": pin_memory}
    if num_workers > 0:
        arguments |= {"persistent_workers": True, "prefetch_factor": 2, "worker_init_fn": begin_worker}
        arguments["timeout"] = WAIT_SECONDS.value
    return arguments


def hear_of_ended_workers() -> None:
    """From now on an ended worker is an error that tells its signal.

    PyTorch listens from the first loader with workers on, and believes to listen for ever. Whoever puts handlers
    of signals back later, as Lightning does after a training, is to find PyTorch's among them.
    """
    _set_SIGCHLD_handler()


def stop_workers(loader: DataLoader[Any]) -> None:
    """End a loader's processes now.

    PyTorch ends them with the last reference to the loader, and the training loop, the module and the traceback
    of an error all hold some.
    """
    iterator, loader._iterator = loader._iterator, None
    if iterator is not None:
        iterator._shutdown_workers()  # type: ignore[attr-defined]


def begin_worker(worker: int) -> None:
    """Decode in one thread, and stop only when the training process says so.

    Ctrl-C, schedulers and `timeout` signal the whole group. A worker that obeyed would take the batch with it
    that training still needs to end its step.
    """
    del worker
    torch.set_num_threads(1)
    if get_worker_info() is None:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_await_parent, daemon=True).start()


def _await_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
