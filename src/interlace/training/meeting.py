"""How processes find each other again when torchrun has started them anew."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from uuid import uuid4

import torch
import torch.distributed as dist

from interlace.training.launch import place

PAUSE_SECONDS = 0.01


def meet_again(device: str, timeout: timedelta) -> None:
    """Connect the processes of a run that torchrun may restart; of any other, Lightning does it.

    torchrun (seen in PyTorch 2.15) keeps the addresses of the processes that were before: after a restart, new ones try
    to reach dead ones. So all of a start agree on a name under which nothing old is kept.

    Args:
        device: of this process.
        timeout: how long one waits for the others.
    """
    here = place()
    kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    restarts = int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0"))
    if (
        here.launcher != "torchrun"
        or here.world_size == 1
        or not kept
        or not restarts
        or dist.is_initialized()
    ):
        return
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.TCPStore(  # type: ignore[attr-defined]
        address, port, here.world_size, is_master=False, timeout=timeout
    )
    name = agreed_name(store, here.rank, here.world_size, timeout)
    is_cuda = torch.device(device).type == "cuda"
    dist.init_process_group(
        "nccl" if is_cuda else "gloo",
        store=dist.PrefixStore(name, store),  # type: ignore[attr-defined]
        rank=here.rank,
        world_size=here.world_size,
        timeout=timeout,
        device_id=torch.device(device) if is_cuda else None,
    )


def agreed_name(store: dist.Store, rank: int, world_size: int, timeout: timedelta) -> str:
    """A name that all processes of this start have in common, and none of an earlier one has used.

    Each process leaves a word of its own; the first process answers every word that it finds with the name, also old
    ones, until each of the others has thanked for it.

    Raises:
        RuntimeError: timed out.

    Example:
        >>> from datetime import timedelta
        >>> from torch.distributed import HashStore
        >>> from interlace.training.meeting import agreed_name
        >>> store = HashStore()
        >>> names = {agreed_name(store, 0, 1, timedelta(seconds=1)) for start in range(2)}
        >>> len(names)
        2
    """
    word = uuid4().hex
    if rank > 0:
        store.set(f"interlace/word/{rank}", word)
        store.wait([f"interlace/answer/{rank}/{word}"], timeout)
        name = store.get(f"interlace/answer/{rank}/{word}").decode()
        store.set(f"interlace/thanks/{name}/{rank}", "")
        return name
    missing, began = set(range(1, world_size)), time.monotonic()
    while missing:
        missing = {other for other in missing if not _answered(store, other, word)}
        if missing and time.monotonic() - began > timeout.total_seconds():
            raise RuntimeError(f"timed out: processes {sorted(missing)} have not come")
        time.sleep(PAUSE_SECONDS)
    return word


def _answered(store: dist.Store, other: int, name: str) -> bool:
    """Whether a process has thanked; else it is told the name, under the word that it has left last."""
    if store.check([f"interlace/thanks/{name}/{other}"]):
        return True
    if store.check([f"interlace/word/{other}"]):
        word = store.get(f"interlace/word/{other}").decode()
        store.set(f"interlace/answer/{other}/{word}", name)
    return False
