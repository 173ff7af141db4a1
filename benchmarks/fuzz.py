"""Damaged files by the thousand: each must end in a result or in one line that names the file.

    python benchmarks/fuzz.py                          # 10,000 cases, about an hour on one core
    python benchmarks/fuzz.py --cases 300 --seed 1     # other cases
    python benchmarks/fuzz.py --case 4711              # one of them again, here and now, with its traceback
    python benchmarks/fuzz.py --kinds video sound      # of some kinds only

Cases are small videos in every container that PyAV writes (and ../shared/data/odd_videos, where it is there), their
sound, folders of pictures, stored flow, annotation files of every format, checkpoints, exported files, files of
features, and training runs to go on with. Each is damaged by bits, bytes, lengths, lines, values of JSON, and whole
parts of its format. It goes through the public functions in a forked child, bounded in time and memory. A child runs
many cases; that it grows or leaves files open is found as well.

Findings (a traceback, an error that does not name the file, a crash, a hang, too much memory) stay in --folder with the
damaged file. What is done is written down there, case by case: the same command goes on after it was stopped.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from fuzzing.cases import SHARES, make_case
from fuzzing.children import Child, Limits
from fuzzing.seeds import write_seeds
from fuzzing.targets import attempts, judged
from timing import Record

ROOT = Path(__file__).resolve().parents[1]
ODD_VIDEOS = ROOT.parent / "shared" / "data" / "odd_videos"
LOADED = (
    *("interlace.inference", "interlace.exported", "interlace.training.run", "interlace.released.reading"),
    *("interlace.audiovisual.tasks.event_checkpoint", "interlace.audiovisual.timelines.timeline_file"),
)
CASES_A_CHILD = 250
GROWTH_MIB = 300.0
"""A child may keep so much: libraries and the allocator hold on to what was freed, a leak goes on."""


def main() -> int:
    options = _options().parse_args()
    torch.set_num_threads(1)
    kinds = tuple(kind for kind in SHARES if kind in options.kinds)
    odd_videos = options.videos if options.videos.is_dir() else None
    _in_child(lambda: write_seeds(options.folder / "seeds", kinds, odd_videos))
    if options.case is not None:
        return show(options, kinds)
    entries = run(options, kinds)
    rows = summary(entries)
    Record("fuzz", folder=options.results).add(f"seed {options.seed}, {options.cases} cases", rows)
    bad = [entry for entry in entries if entry["findings"]]
    for entry in bad[:20]:
        print(f"case {entry['case']} ({entry.get('kind')}): {', '.join(entry['findings'])}")
    print(
        f"{len(entries)} cases, {len(bad)} findings"
        + (f", kept in {options.folder / 'findings'}" if bad else "")
    )
    return 1 if bad else 0


def run(options: argparse.Namespace, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    """All cases that are not in the journal yet, and what came of each."""
    journal = options.folder / f"seed-{options.seed}-{'-'.join(kinds)}.jsonl"
    entries = read_journal(journal)
    done = {entry["case"] for entry in entries}
    left = [number for number in range(options.cases) if number not in done]
    for module in LOADED if left else ():  # children share them, and all of a run's cases see the same code
        importlib.import_module(module)
    child = None
    began = time.monotonic()
    with journal.open("a") as file:
        try:
            for place, number in enumerate(left):
                if child is None or not child.pid or len(child.grown_mib) >= CASES_A_CHILD:
                    _retire(child)
                    child = Child(
                        *(options.seed, options.folder / "seeds", options.folder / "child", kinds),
                        Limits(options.seconds, options.memory_mib),
                    )
                    child.start()
                entry = {**child.run(number), "case": number}
                entry["child_grown_mib"] = round(sum(child.grown_mib), 1)
                if entry["child_grown_mib"] > GROWTH_MIB:
                    entry["findings"]["growth"] = (
                        f"MiB in the {len(child.grown_mib)} cases up to here: {child.grown_mib}"
                    )
                    child.stop()
                if entry["findings"]:
                    keep(options.folder, options.seed, entry)
                file.write(json.dumps(entry) + "\n")
                file.flush()
                entries.append(entry)
                _progress(place + 1, len(left), entries, began)
        finally:
            _retire(child)
    return [entry for entry in entries if entry["case"] < options.cases]


def read_journal(journal: Path) -> list[dict[str, Any]]:
    """What is done already; a last line that was cut off when the power went is done again."""
    entries = []
    for line in journal.read_text().splitlines(keepends=True) if journal.exists() else []:
        if line.endswith("\n"):
            entries.append(json.loads(line))
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return entries


def keep(folder: Path, seed: int, entry: dict[str, Any]) -> Path:
    """Put the case aside: the damaged file, and what was wrong."""
    to = folder / "findings" / f"{seed}-{entry['case']:05d}-{entry.get('kind')}"
    shutil.rmtree(to, ignore_errors=True)
    to.parent.mkdir(exist_ok=True)
    shutil.copytree(folder / "child" / "case", to, symlinks=True)
    (to / "finding.json").write_text(json.dumps({"seed": seed, **entry}, indent=1))
    (to / "finding.txt").write_text(
        "\n\n".join(f"{what}: {text}" for what, text in entry["findings"].items())
    )
    return to


def summary(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows for the result: counts by kind, what cases ended in, the slowest, the largest."""
    rows: dict[str, Any] = {}
    for kind in SHARES:
        of_kind = [entry for entry in entries if entry.get("kind") == kind]
        if of_kind:
            ends = Counter(f"{name} {end}" for entry in of_kind for name, end in entry["outcomes"].items())
            slowest = max(of_kind, key=lambda entry: entry["seconds"])
            rows[kind] = {
                "cases": len(of_kind),
                "findings": sum(bool(entry["findings"]) for entry in of_kind),
                "seconds": round(sum(entry["seconds"] for entry in of_kind), 1),
                "slowest_seconds": slowest["seconds"],
                "slowest_case": slowest["case"],
                "largest_peak_mib": max(entry.get("peak_mib", 0.0) for entry in of_kind),
                "ends": dict(ends.most_common()),
            }
    found = Counter(what for entry in entries for what in entry["findings"])
    rows["all"] = {
        "cases": len(entries),
        "findings": dict(found),
        "cases_with_findings": sorted(entry["case"] for entry in entries if entry["findings"]),
        "largest_growth_of_a_child_mib": max(
            (entry.get("child_grown_mib", 0.0) for entry in entries), default=0.0
        ),
        "largest_resident_mib": max((entry.get("resident_mib", 0.0) for entry in entries), default=0.0),
        "most_open_files": max((entry.get("open_files", 0) for entry in entries), default=0),
    }
    return rows


def show(options: argparse.Namespace, kinds: tuple[str, ...]) -> int:
    """One case in this process, with whatever it raises."""
    place = options.folder / "one case"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    case = make_case(options.case, options.seed, options.folder / "seeds", place, kinds)
    print(
        f"case {case.number}: {case.kind}, {case.source}, {', '.join(case.steps)}\nin {case.path}", flush=True
    )
    status = 0
    for name, attempt in attempts(case, options.folder / "seeds").items():
        try:
            print(f"{name}: {attempt()}", flush=True)
        except Exception as error:
            wrong = judged(error, case)
            print(f"{name}: {type(error).__name__}: {error}", flush=True)
            if wrong is not None:
                sys.excepthook(type(error), error, error.__traceback__)
                print(f"wrong: {wrong}", flush=True)
                status = 1
    return status


def _in_child(work: Any) -> None:
    """Run it in a process of its own: this one is forked later, and must have no threads by then."""
    import os

    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit("the seeds cannot be written; see above")


def _retire(child: Child | None) -> None:
    if child is not None:
        child.stop()


def _progress(done: int, total: int, entries: list[dict[str, Any]], began: float) -> None:
    if done % 25 and done != total:
        return
    bad = sum(bool(entry["findings"]) for entry in entries)
    left = (time.monotonic() - began) / done * (total - done)
    print(f"{done} of {total} cases, {bad} findings, about {left / 60:.0f} min left", flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000, help="cases 0 to N - 1")
    parser.add_argument(
        "--case", type=int, help="run only this one, in this process, and show what it raises"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed is other damage")
    parser.add_argument(
        "--kinds", nargs="+", choices=tuple(SHARES), default=tuple(SHARES), help="kinds of files"
    )
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "runs" / "fuzz", help="seeds, journal and findings"
    )
    parser.add_argument(
        "--videos", type=Path, default=ODD_VIDEOS, help="folder of real videos to damage as well"
    )
    parser.add_argument("--results", type=Path, help="folder of the result; benchmarks/results if omitted")
    parser.add_argument("--seconds", type=float, default=60.0, help="a case that takes longer hangs")
    parser.add_argument(
        "--memory_mib", type=int, default=2048, help="a case may take as much above the idle process"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
