"""Train, score and compare the arms of a study with several seeds; `make study NAME=...` does the same.

    python experiments/study.py NAME [--arms A ...] [--seeds 0 1 ...] [--splits S ...] [--jobs 2] [--table]
    python experiments/study.py --list

Results are lines of experiments/results/DATA.jsonl, one a run, with its commit, versions and command; runs that are
there are not done again. Killed or interrupted, the same command goes on where it was, in the middle of a training
too. The table goes to the terminal and to experiments/results/NAME.md, a picture beside it. Runs on a GPU if there is
one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import torch

from interlace.files import whole_file
from studies.curves import draw
from studies.every import STUDIES
from studies.job import folder_of, lists_of
from studies.lines import add_line, read_lines
from studies.plan import Job, Study
from studies.side_by_side import python, run_side_by_side
from studies.tables import markdown
from tin_forms import add_to_methods

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
JOBS_ON_A_GPU = 4


def main(words: list[str] | None = None) -> int:
    """Do what the words say; 0 if all went well."""
    add_to_methods()
    given = _parser().parse_args(words)
    if given.list or not given.name:
        for study in STUDIES.values():
            print(f"{study.name:<20} {len(study.arms)} arms, {len(study.jobs())} runs: {study.question}")
        return 0
    if given.name not in STUDIES:
        print(f"there is no study {given.name!r}; there are {', '.join(STUDIES)}", file=sys.stderr)
        return 2
    study = STUDIES[given.name]
    seeds = tuple(dict.fromkeys(given.seeds))
    file = given.results / f"{study.data.name}.jsonl"
    failed: list[int] = []
    try:
        jobs = study.jobs(given.arms, seeds, given.splits)
        if given.jobs < 1:
            raise ValueError(f"--jobs {given.jobs}: at least 1")
        if not given.table:
            failed = run_jobs(jobs, file, data=given.data, runs=given.runs, side_by_side=given.jobs)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on where it was", file=sys.stderr)
        return 130
    results = read_lines(file)
    tabled = study.with_seeds(seeds)
    if any(job.key in results for job in tabled.jobs()):
        write_table(tabled, results, given.results)
    else:
        print(f"{file} has no results of {study.name} yet")
    return 1 if failed else 0


def run_jobs(jobs: list[Job], file: Path, *, data: Path, runs: Path, side_by_side: int) -> list[int]:
    """Run what has no line yet, several at once, and add their lines; returns the numbers of those that failed."""
    left = [job for job in jobs if job.key not in read_lines(file)]
    print(f"{len(jobs) - len(left)} of {len(jobs)} runs are done", flush=True)
    if not left:
        return []
    left[0].study.data.folder(data, runs)  # makes it, or says that it is not there, before anything runs
    for job in left:  # here, since two of the runs would write the same lists
        lists_of(job, data, runs)
    script = HERE / "study_job.py"
    commands = [
        python(script, job.study.name, job.arm.name, job.split.name, str(job.seed), data, runs)
        for job in left
    ]
    logs = [runs / "logs" / f"{job.arm.name}-{job.split.name}-{job.seed}-{job.key}.log" for job in left]
    began, finished = time.monotonic(), 0

    def done(number: int, seconds: float) -> None:
        nonlocal finished
        finished += 1
        line = read_result(left[number], runs)
        add_line(file, line)
        remaining = (time.monotonic() - began) / finished * (len(left) - finished) / 60
        print(
            f"{finished}/{len(left)} {left[number]}: top1 {line['top1']:.1f}, {seconds:.0f} s; "
            f"about {remaining:.0f} min left",
            flush=True,
        )

    failed = run_side_by_side(
        commands, logs, jobs=side_by_side, environment=_environment(side_by_side), done=done
    )
    for number in failed:
        print(f"FAILED {left[number]}: see {logs[number]}", file=sys.stderr)
    return failed


def read_result(job: Job, runs: Path) -> dict[str, object]:
    """What a run has left in its folder."""
    return dict(json.loads((folder_of(job, runs) / "result.json").read_text()))


def write_table(study: Study, results: dict[str, dict[str, object]], folder: Path) -> None:
    """To the terminal and to a file; a picture beside it."""
    table = f"# {study.name}\n\n{study.question}\n\n`make study NAME={study.name}`\n\n{markdown(study, results)}\n"
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / f"{study.name}.md") as beside:
        beside.write_text(table)
    draw(study, results, folder / f"{study.name}.png")
    print(f"\n{table}")


def _environment(side_by_side: int) -> dict[str, str]:
    """Threads shared fairly, and an allocator that keeps its memory: with spinning threads all would crawl.

    OMP_NUM_THREADS, where it is set, holds: say 1 when two studies run beside each other.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // side_by_side)
    return {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": "100000000000",
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", help="of the study")
    parser.add_argument("--list", action="store_true", help="show all studies")
    parser.add_argument("--arms", nargs="+", default=[], metavar="ARM", help="only these")
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        default=[],
        metavar="SEED",
        help="run these; the table shows others than the study's, too",
    )
    parser.add_argument("--splits", nargs="+", default=[], metavar="SPLIT", help="only these")
    parser.add_argument(
        "--jobs", type=int, default=_jobs_at_once(), help="runs side by side (%(default)s here)"
    )
    parser.add_argument("--table", action="store_true", help="train nothing, show what there is")
    parser.add_argument(
        "--data", type=Path, default=HERE.parent.parent / "shared" / "data", help="folder of the data sets"
    )
    parser.add_argument(
        "--runs", type=Path, default=HERE.parent / "runs" / "studies", help="folder of the trainings"
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the lines, tables and pictures"
    )
    return parser


def _jobs_at_once() -> int:
    return JOBS_ON_A_GPU if torch.cuda.is_available() else len(os.sched_getaffinity(0))


if __name__ == "__main__":
    raise SystemExit(main())
