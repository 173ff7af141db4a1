"""What verbs with `--engine ray` have in common: the bar, the summary, Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from interlace.cli.progress import bar_of_videos

if TYPE_CHECKING:
    from interlace.corpus.network import Network
    from interlace.corpus.options import RayOptions
    from interlace.corpus.work import Work


def refuse_what_is_for_ray(column: str | None, output: str | None) -> None:
    """--engine local reads no tables of paths and writes to no URL, which would become a folder called ``s3:``.

    Raises:
        ValueError: one of them is asked for.
    """
    if column is not None:
        raise ValueError(f"--column {column}: tables of paths are for --engine ray")
    if output is not None and "://" in output:
        raise ValueError(f"--output {output}: URLs are for --engine ray; give a file on a disk")


def run_ray(
    paths: list[str],
    *,
    column: str | None,
    work: Work,
    network: Callable[[], Network],
    output: str | None,
    options: RayOptions,
) -> int:
    """Do the job and print how it ended; the exit status is 1 if a video of the output failed."""
    from interlace.corpus.arrow import pyarrow
    from interlace.corpus.job import run_on_ray

    if output is None:
        raise ValueError("--engine ray writes a folder of Parquet files; name it with --output FOLDER")
    pyarrow("--engine ray")  # before the network is fetched
    try:
        with bar_of_videos("on Ray") as report:
            summary = run_on_ray(
                paths,
                column=column,
                work=work,
                network=network(),
                output=output,
                options=options,
                progress=lambda done, total: report(done, total, Path(output)),
            )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{output} keeps what is done, the same command goes on") from stop
    print(summary)
    return 1 if summary.failed else 0
