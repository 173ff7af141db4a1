"""A job over a corpus, from the names of videos to a folder of Parquet parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from interlace.corpus import settings_file
from interlace.corpus.arrow import about_parquet, pyarrow
from interlace.corpus.engine import make_parts, pool_size
from interlace.corpus.inputs import read_inputs
from interlace.corpus.network import Network
from interlace.corpus.options import RayOptions
from interlace.corpus.plan import PREFIX, SUFFIX, Plan, plan, videos_per_part
from interlace.corpus.session import ray_session
from interlace.corpus.store import Store
from interlace.corpus.work import Work
from interlace.files import locked

READERS = 16
"""Parts that are looked into at a time: an object store takes long for each, and not longer for many."""


@dataclass(frozen=True)
class Summary:
    """How a job ended."""

    output: str
    done: int
    """Videos of which this run has made answers."""
    there: int
    """Videos whose answers were there."""
    failed: int
    """Videos whose row holds an error, in all of the output."""
    strangers: int
    """Videos in the output that the input does not hold."""
    seconds: float

    def __str__(self) -> str:
        if not self.done:
            told = f"{self.output}: finished already, {_videos(self.there)}"
        else:
            rate = self.done / self.seconds
            told = f"{self.output}: {_videos(self.done)} done in {self.seconds:.0f} s ({rate:.1f}/s)"
            told += f", {self.there} were there already" if self.there else ""
        told += f", {self.failed} failed (their rows have the error)" if self.failed else ", none failed"
        return told + (f"; {self.strangers} more that are not in the input" if self.strangers else "")


def run_on_ray(
    names: Sequence[str],
    *,
    column: str | None,
    work: Work,
    network: Network,
    output: str,
    options: RayOptions,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Make what is missing of a folder of Parquet parts, each row of the input in one of them.

    After a kill, a loss of processes or nodes, or Ctrl-C the same call goes on: what is whole is not done again.

    Args:
        names: Videos, folders and patterns; with a ``column`` Parquet tables of paths.
        column: Of the paths in them.
        work: What is done to each video.
        network: With what.
        output: The folder of the parts, or a URL that fsspec knows.
        options: Where the work is done.
        progress: Called with (videos done, videos in all).

    Raises:
        ValueError: an input or the output cannot be used, the output was begun with other settings, another run has it
            in hand, or Ray is not installed.

    Example:
        >>> from pathlib import Path
        >>> from interlace.corpus.job import run_on_ray
        >>> from interlace.corpus.network import read_network
        >>> from interlace.corpus.options import RayOptions
        >>> from interlace.corpus.work import Describing, How
        >>> print(run_on_ray(  # doctest: +SKIP
        ...     ["clips"], column=None, work=Describing("features", 1, How()),
        ...     network=read_network(Path("best.safetensors")), output="features", options=RayOptions(),
        ... ))
        features: 28 videos done in 25 s (1.1/s), 3 failed (their rows have the error)
    """
    pyarrow("--engine ray")
    store = Store(output if "://" in output else str(Path(output).resolve()))
    # What is wrong with the network is said before Ray begins; here there may be no GPU, where the work is done one.
    schema, _ = work.start(network, "cpu")
    inputs = read_inputs(names, column, schema.names)
    if not inputs.paths:
        raise ValueError(f"{', '.join(names)}: no row in it")
    digests = inputs.digests()
    settings = {**work.settings(), "model": network.fingerprint}
    there = part_names(store)
    began = time.perf_counter()
    if there:  # whether it is finished is known without Ray
        kept = settings_file.agree(store, settings, len(there), 1)
        todo = _plan(store, digests, options.batch or kept, there)
        if not todo.parts:
            return _summary(output, store, digests, todo, began)
    bytes_of_network = sum(map(len, network.files.values()))
    cores = None if options.concurrency is None else max(1, round(options.concurrency * options.num_cpus))
    with ray_session(options.address, num_cpus=cores, network_bytes=bytes_of_network) as ray:
        wanted = options.batch or videos_per_part(len(digests), pool_size(ray, options))
        with _alone(store):
            there = part_names(store)
            kept = settings_file.agree(store, settings, len(there), wanted)
            todo = _plan(store, digests, options.batch or kept, there)

            def report(done: int) -> None:
                if progress is not None:
                    progress(todo.done + done, len(digests))

            report(0)
            if todo.parts:  # else another run has made them meanwhile
                make_parts(
                    ray,
                    todo.parts,
                    inputs,
                    digests,
                    work=work,
                    network=network,
                    store=store,
                    options=options,
                    progress=report,
                )
    return _summary(output, store, digests, todo, began)


def _alone(store: Store) -> AbstractContextManager[None]:
    """One run at a time has a folder: two that cut the input otherwise would do videos twice. URLs have no locks."""
    folder = store.folder
    return nullcontext() if folder is None else locked(folder / ".lock", f"{folder}: a run for this folder")


def part_names(store: Store, suffix: str = SUFFIX) -> list[str]:
    """The parts that are there."""
    return [name for name in store.names() if name.startswith(PREFIX) and name.endswith(suffix)]


def _plan(store: Store, digests: Sequence[str], size: int, there: Sequence[str]) -> Plan:
    return plan(digests, size, there, lambda name: _about(store, name)["rows"])


def _about(store: Store, name: str) -> dict[str, Any]:
    """What a part says of itself."""
    with store.open(name) as file:
        return about_parquet(file, f"{store.url}/{name}")


def _summary(output: str, store: Store, digests: Sequence[str], todo: Plan, began: float) -> Summary:
    """Count what is there: every row of the input once.

    Raises:
        ValueError: a row is missing, or there twice.
    """
    with ThreadPoolExecutor(READERS) as pool:
        parts = list(pool.map(partial(_about, store), part_names(store)))
    rows = [row for part in parts for row in part["rows"]]
    known = set(digests)
    if len(set(rows)) < len(rows) or not known <= set(rows):
        raise ValueError(
            f"{store.url}: {len(known - set(rows))} videos are missing in it and {len(rows) - len(set(rows))} are "
            "there twice; did somebody change it meanwhile? Run the command again, or name another output"
        )
    return Summary(
        output=output,
        done=todo.left,
        there=todo.done,
        failed=sum(part["failed"] for part in parts),
        strangers=len(set(rows) - known),
        seconds=time.perf_counter() - began,
    )


def _videos(count: int) -> str:
    return "1 video" if count == 1 else f"{count} videos"
