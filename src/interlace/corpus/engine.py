"""Parts made by a pool of processes on a Ray cluster; Ray Data hands them out, and again if a process dies."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from interlace.corpus.arrow import pyarrow
from interlace.corpus.inputs import Inputs
from interlace.corpus.ledger import Ledger
from interlace.corpus.network import Network
from interlace.corpus.options import RayOptions
from interlace.corpus.plan import Part
from interlace.corpus.store import Store
from interlace.corpus.work import Work
from interlace.corpus.worker import Job, Worker, pack


def pool_size(ray: ModuleType, options: RayOptions) -> int:
    """Processes that are to work at a time.

    Raises:
        ValueError: not one fits the cluster.

    Example:
        >>> from types import ModuleType
        >>> from interlace.corpus.engine import pool_size
        >>> from interlace.corpus.options import RayOptions
        >>> ray = ModuleType("ray")
        >>> ray.cluster_resources = lambda: {"CPU": 16.0, "GPU": 2.0}
        >>> pool_size(ray, RayOptions(num_cpus=3)), pool_size(ray, RayOptions(num_gpus=0.25))
        (5, 8)
    """
    there = ray.cluster_resources()
    fitting = [there.get("CPU", 0) / options.num_cpus]
    if options.num_gpus:
        fitting.append(there.get("GPU", 0) / options.num_gpus)
    if min(fitting) < 1:
        raise ValueError(
            f"--ray.num_cpus {options.num_cpus} --ray.num_gpus {options.num_gpus}: no process of that size fits the "
            f"cluster, which has {there.get('CPU', 0):g} cores and {there.get('GPU', 0):g} GPUs"
        )
    return options.concurrency or int(min(fitting))


def make_parts(
    ray: ModuleType,
    parts: Sequence[Part],
    inputs: Inputs,
    digests: Sequence[str],
    *,
    work: Work,
    network: Network,
    store: Store,
    options: RayOptions,
    progress: Callable[[int], None],
) -> None:
    """Make all parts.

    Ray Data starts a process anew that has died, on another node if need be, and gives it its part again. A part that
    is made twice is written twice, under the same name, with the same content. The video that was in hand is counted
    by the ledger.

    Args:
        ray: The module, connected.
        parts: What is to be made.
        inputs: All rows of the input.
        digests: And their digests.
        work: What is done to each video.
        network: With what.
        store: Where the parts are put.
        options: How many processes there are.
        progress: Called with the number of videos that are done, after each part.

    Raises:
        ValueError: a process cannot open the network or write a part, or Ray gives up.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    # Should its node die, it begins anew elsewhere: it forgets its counts, and no process waits for it in vain.
    ledger = (
        ray.remote(Ledger)
        .options(num_cpus=0, scheduling_strategy=here, max_restarts=-1, max_task_retries=-1)
        .remote()
    )
    held = ray.put(network)
    job = Job(work, store, os.getcwd(), max(1, int(options.num_cpus)), options.attempts)  # noqa: PTH109
    size = min(pool_size(ray, options), len(parts))
    settings = ray.data.DataContext.get_current()
    before = settings.enable_progress_bars, settings.print_on_execution_start
    settings.enable_progress_bars = settings.print_on_execution_start = False
    try:
        made = ray.data.from_arrow([_task(part, inputs, digests) for part in parts]).map_batches(
            Worker,
            fn_constructor_args=(job, held, ledger),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=size, initial_size=size),
            num_cpus=options.num_cpus,
            num_gpus=options.num_gpus,
        )
        done = 0
        for row in made.iter_rows():
            if row["problem"]:
                raise ValueError(f"{row['problem']} (in a process of the cluster); what is done is kept")
            done += row["videos"]
            progress(done)
    except KeyboardInterrupt as stop:
        # What Ray Data iterates with ends now; at the exit of Python it would start Ray once more.
        made = None
        traceback.clear_frames(stop.__traceback__)
        raise
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"Ray gave up ({reason}); what is done is kept, the same command goes on") from error
    finally:
        settings.enable_progress_bars, settings.print_on_execution_start = before


def _task(part: Part, inputs: Inputs, digests: Sequence[str]) -> Any:
    """One row of Ray's data set, in a block of its own."""
    pa = pyarrow("--engine ray")
    rows = pack(inputs.take(part.positions))
    return pa.table(
        {
            "name": [part.name],
            "digests": [[digests[i] for i in part.positions]],
            "rows": pa.array([rows], pa.binary()),
        }
    )
