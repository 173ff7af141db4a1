"""Videos a second: one process, and Ray with one and with two of them, in turn.

    python benchmarks/corpus.py --videos 200                 # about ten minutes on two cores
    python benchmarks/corpus.py --videos 12 --rounds 1       # small

Each video is rendered anew by `interlace render` and is short; the network is --model, or TSN with MobileNetV2 and
random weights, on 224 x 224 pixels. All ways make features, each process with one thread, and all write what they
make. A cluster of this machine is started once for all runs of Ray.

videos_per_second      of the whole call: for Ray with the start of its processes, which each load torch and the network
working_per_second     the same from the first part that is done to the last, without the first part's videos
startup_seconds        until the first part is done
"""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from interlace.corpus.feature_file import write_features
from interlace.corpus.job import run_on_ray
from interlace.corpus.network import Network, network_by_name, read_network
from interlace.corpus.options import RayOptions
from interlace.corpus.session import ray_session
from interlace.corpus.work import Describing, How
from interlace.data.render import CLASSES, render
from interlace.data.video import find_videos
from timing import Record, common_options, prepare

WORK = Describing("features", 1, How(device="cpu"))
ACTORS = (1, 2)


class Clock:
    """When which number of videos was done."""

    def __init__(self) -> None:
        self.told: list[tuple[float, int]] = []
        self.began = perf_counter()

    def __call__(self, done: int, *_: object) -> None:
        self.told.append((perf_counter() - self.began, done))

    def row(self, num_videos: int) -> dict[str, float]:
        seconds = perf_counter() - self.began
        steps = [(when, done) for when, done in self.told if done]
        (first, done), last = steps[0], steps[-1][0]
        working = (steps[-1][1] - done) / (last - first) if last > first else float("nan")
        return {
            "videos_per_second": num_videos / seconds,
            "working_per_second": working,
            "startup_seconds": first,
        }


def ways(
    videos: list[Path], network: Network, batch: int | None
) -> dict[str, Callable[[Path], dict[str, float]]]:
    """Name to what makes the features in a folder, and says how fast."""

    def local(folder: Path) -> dict[str, float]:
        clock = Clock()
        write_features(videos, folder / "features.parquet", WORK, network, clock)
        clock(len(videos))
        return clock.row(len(videos))

    def on_ray(actors: int) -> Callable[[Path], dict[str, float]]:
        def run(folder: Path) -> dict[str, float]:
            clock = Clock()
            run_on_ray(
                [str(video) for video in videos],
                column=None,
                work=WORK,
                network=network,
                output=str(folder / "parts"),
                options=RayOptions(concurrency=actors, batch=batch),
                progress=clock,
            )
            return clock.row(len(videos))

        return run

    return {"local": local, **{f"ray, {actors} actors": on_ray(actors) for actors in ACTORS}}


def measure(
    videos: list[Path], network: Network, *, rounds: int, batch: int | None
) -> dict[str, dict[str, Any]]:
    """Medians over the rounds, in each of which every way has its turn; and the spread of the whole calls."""
    found: dict[str, list[dict[str, float]]] = {}
    with ray_session(num_cpus=max(ACTORS)):
        for _ in range(rounds):
            for name, way in ways(videos, network, batch).items():
                with tempfile.TemporaryDirectory() as folder:
                    found.setdefault(name, []).append(way(Path(folder)))
    return {
        name: {
            "videos": len(videos),
            **{key: round(statistics.median(row[key] for row in rows), 3) for key in rows[0]},
            "slowest": round(min(row["videos_per_second"] for row in rows), 3),
            "fastest": round(max(row["videos_per_second"] for row in rows), 3),
        }
        for name, rows in found.items()
    }


def main() -> None:
    parser = common_options(__doc__)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path, help="a folder of videos, in place of rendered ones")
    options = parser.parse_args()
    prepare(1)
    network = (
        read_network(options.model) if options.model else network_by_name("mobilenetv2_100", weights="none")
    )
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or rendered(Path(folder), options.videos)
        videos = find_videos(data)[: options.videos]
        rows = measure(videos, network, rounds=options.rounds, batch=options.batch)
    Record("corpus").add(Path(network.name).name, rows)


def rendered(folder: Path, num_videos: int) -> Path:
    """So many short videos, or a few more."""
    clips = math.ceil(num_videos / len(CLASSES))
    return render(folder / "data", clips_per_class=clips, val_clips_per_class=1, progress=False)


if __name__ == "__main__":
    main()
