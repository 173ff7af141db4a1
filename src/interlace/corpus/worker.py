"""One process of the cluster: it holds the network, and makes parts out of rows, whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from interlace.corpus.arrow import Row, pyarrow, to_parquet, to_table
from interlace.corpus.inputs import Inputs
from interlace.corpus.network import Network
from interlace.corpus.store import Store
from interlace.corpus.work import Work
from interlace.inference.batch import Failure

LOST_DEVICE = 3
"""Exit status of a process whose GPU fails all that follows."""


@dataclass(frozen=True)
class Job:
    """All that a worker must know; the network and the ledger are Ray's references to them."""

    work: Work
    store: Store
    folder: str
    """Where the command runs: relative paths begin there."""
    threads: int
    attempts: int
    """How often a video may take its worker with it before it is given up."""


class Worker:
    """Made once in each process of the pool, called for each part."""

    def __init__(self, job: Job, network: Any, ledger: Any) -> None:
        import ray

        torch.set_num_threads(job.threads)
        if Path(job.folder).is_dir():
            os.chdir(job.folder)
        self.job, self.ledger, self.ray = job, ledger, ray
        self.problem = ""
        opened: Network = ray.get(network)
        try:
            self.schema, self.do = job.work.start(opened)
        except (ValueError, OSError) as problem:  # another error would be Ray's, pages long
            self.problem = str(problem)

    def __call__(self, batch: Any) -> dict[str, list[Any]]:
        """A batch is one row: the name of a part, the digests of its rows, and these.

        Gives back how many videos it was, and what was wrong, if the part cannot be made or put into its place.
        """
        name, about = batch["name"][0].as_py(), batch["digests"][0].as_py()
        if not self.problem:
            content = self.part(about, unpack(batch["rows"][0].as_py()))
            try:
                self.job.store.write(name, content)
            except (ValueError, OSError) as problem:
                self.problem = str(problem)
        return {"name": [name], "videos": [len(about)], "problem": [self.problem]}

    def part(self, digests: list[str], inputs: Inputs) -> bytes:
        """The file of a part."""
        rows: list[Row] = []
        of_row: list[int] = []
        failed, finished = 0, None
        for position, (path, digest) in enumerate(zip(inputs.paths, digests, strict=True)):
            before = self.ray.get(self.ledger.begin.remote(digest, finished))
            found = self.answer(path, before)
            if isinstance(found, Failure):
                found = [{"error": found.reason}]
                failed += 1
            rows += found
            of_row += [position] * len(found)
            finished = digest
        self.ledger.begin.remote("", finished)
        whole = inputs.take(of_row)
        table = to_table([path or "" for path in whole.paths], rows, self.schema, whole.carried)
        return to_parquet(table, {"rows": digests, "failed": failed})

    def answer(self, path: str | None, begun_before: int) -> list[Row] | Failure:
        """What is said of one video, whatever goes wrong with it."""
        if not path:
            return Failure("", "the row has no path")
        if begun_before >= self.job.attempts:
            return Failure(
                path, f"its worker died or was killed {begun_before} times while it was worked on; given up"
            )
        try:
            return self.do(Path(path))
        except torch.AcceleratorError:  # all that follows in this process would fail, too
            os._exit(LOST_DEVICE)
        except Exception as problem:  # a fault of ours must not cost the other videos their answers
            return Failure(path, f"{type(problem).__name__}: {' '.join(str(problem).split())}")


def pack(inputs: Inputs) -> bytes:
    """Rows of the input as bytes, so that Ray makes nothing else of their types.

    Example:
        >>> from interlace.corpus.inputs import Inputs
        >>> from interlace.corpus.worker import pack, unpack
        >>> unpack(pack(Inputs(("a.mp4", None)))).paths
        ('a.mp4', None)
    """
    pa = pyarrow("--engine ray")
    paths = [None if path is None else os.fsencode(path) for path in inputs.paths]
    table = pa.table({"": pa.array(paths, pa.binary())})
    for name in inputs.carried.column_names if inputs.carried is not None else ():
        table = table.append_column(name, inputs.carried[name])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def unpack(content: bytes) -> Inputs:
    """What :func:`pack` was given."""
    pa = pyarrow("--engine ray")
    with pa.ipc.open_stream(content) as stream:
        table = stream.read_all()
    paths = tuple(None if path is None else os.fsdecode(path) for path in table[""].to_pylist())
    others = table.drop_columns([""])
    return Inputs(paths, others if others.num_columns else None)
