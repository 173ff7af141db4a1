"""Processes of one start, threads here, find each other among what an earlier start has left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from torch.distributed import HashStore

from interlace.training.meeting import agreed_name

TIMEOUT = timedelta(seconds=30)


def test_every_start_has_a_name_of_its_own_whoever_comes_first():
    store, names = HashStore(), []
    # A process of an earlier start that was killed before it was answered, and one that was answered already.
    store.set("interlace/word/1", "old")
    store.set("interlace/word/2", "older")
    store.set("interlace/answer/2/older", "gone")
    with ThreadPoolExecutor(3) as pool:
        for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
            told = [pool.submit(agreed_name, store, rank, 3, TIMEOUT) for rank in order]
            [name] = {one.result() for one in told}
            names.append(name)
    assert len(set(names)) == 3
    assert not {"gone", "old", "older"} & set(names)


def test_one_that_does_not_come():
    with pytest.raises(RuntimeError, match=r"timed out: processes \[1, 2\] have not come"):
        agreed_name(HashStore(), 0, 3, timedelta(seconds=0))
