"""Where the time of training goes, from the file to the updated weights, and what each saving saves.

    python benchmarks/pipeline.py stages [--backbone resnet18 --size 112 --batch 8] [--source utd_mhad_depth]
    python benchmarks/pipeline.py reading        opening, skipping, converting, keeping: each against without it
    python benchmarks/pipeline.py scaling        scaling while converting against converting, then resizing
    python benchmarks/pipeline.py workers        training with 0, 1 and 2 decoding processes
    python benchmarks/pipeline.py memory         size of the processes after each epoch
    python benchmarks/pipeline.py allocator      training steps with and without keeping freed memory

Sources are real videos under ../shared/data, where that is there, and H.264 clips of 720p and 1080p made here.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from torch import Tensor, nn
from torch.utils.data import DataLoader

import interlace
from interlace.allocator import keep_freed_memory
from interlace.data import video
from interlace.data.annotations import Annotations, Sample
from interlace.data.cache import ClipCache
from interlace.data.dataset import TrainDataset, collate
from interlace.data.pixels import to_array
from interlace.data.sampling import SegmentSampling
from interlace.data.transforms import Preprocess, train_transform
from interlace.data.views import resize_short_side
from interlace.data.workers import worker_arguments
from timing import compare, record

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
FRAMES = 8
MEANS = (0.485, 0.456, 0.406)


def render(path: Path, height: int, width: int, num_frames: int = 60) -> Path:
    """A texture that moves, encoded as x264 does by default but quicker."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (height // 16 + 12, width // 16 + 16, 3), dtype=np.uint8)
    texture = coarse.repeat(16, 0).repeat(16, 1) // 2 + rng.integers(0, 40, 3, dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(num_frames):
            picture = np.ascontiguousarray(texture[2 * i : 2 * i + height, 3 * i : 3 * i + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def sources(folder: Path, number: int) -> dict[str, list[Path]]:
    """Videos by where they are from."""
    found = {
        name: sorted((SHARED / name).glob("*/*.mp4"))
        for name in ("utd_mhad_depth", "surv_fight_small")
        if (SHARED / name).is_dir()
    }
    ordinary = SHARED / "odd_videos" / "05_default_juggle.mp4"
    if ordinary.is_file():
        found["film 720p"] = [ordinary]
    found["rendered 720p"] = [render(folder / "720.mp4", 720, 1280)]
    found["rendered 1080p"] = [render(folder / "1080.mp4", 1080, 1920)]
    spread_out = {name: paths[:: max(1, len(paths) // number)] for name, paths in found.items()}
    return {name: (paths * number)[:number] for name, paths in spread_out.items()}


def clips(paths: list[Path], size: int, **settings: Any) -> TrainDataset:
    samples = tuple(Sample(path, (i % 2,)) for i, path in enumerate(paths))
    annotations = Annotations(samples, ("zero", "one"), "benchmark")
    return TrainDataset(annotations, SegmentSampling(FRAMES), train_transform(size), seed=0, **settings)


def spread(num_frames: int) -> list[int]:
    return SegmentSampling(FRAMES).test_indices(num_frames)[0]


def trainer(backbone: str) -> tuple[nn.Module, Callable[[dict[str, Any]], None]]:
    """A network and its training step, optimizer included."""
    torch.manual_seed(0)
    network = interlace.create_model(f"tin_{backbone}", num_classes=27, num_segments=FRAMES).train()
    network = network.to(memory_format=torch.channels_last)
    preprocess = Preprocess(MEANS, (0.25, 0.25, 0.25))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    def step(batch: dict[str, Any]) -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(preprocess(batch["clip"])), batch["label"]).backward()
        optimizer.step()

    return network, step


def stages(options: argparse.Namespace, name: str, paths: list[Path]) -> dict[str, Any]:
    """Milliseconds of each stage for one clip, and what bounds training."""
    keep_freed_memory()
    network, step = trainer(options.backbone)
    dataset = clips(paths, options.size)

    def decode(path: Path) -> Tensor:
        with video.open(path) as reader:
            return reader.frames_at(spread(reader.num_frames))

    full = [decode(path) for path in paths]
    items = [dataset[i] for i in range(options.batch)]
    batch = collate(items)

    def forward() -> None:
        with torch.inference_mode():
            network(Preprocess(MEANS, (0.25, 0.25, 0.25))(batch["clip"]))

    torch.set_num_threads(1)
    ms = {
        "decode": mean_ms(lambda: [decode(path) for path in paths], len(paths)),
        "transform": mean_ms(lambda: [dataset.transform(clip, (0,)) for clip in full], len(paths)),
        "collate": mean_ms(lambda: collate(items), len(items)),
    }
    torch.set_num_threads(options.threads)
    ms["forward"] = mean_ms(forward, options.batch)
    ms["training step"] = mean_ms(lambda: step(batch), options.batch)
    reading = ms["decode"] + ms["transform"] + ms["collate"]
    rows: dict[str, Any] = {
        stage: {"ms_per_clip": round(value, 2), "clips_per_s": round(1000 / value, 1)}
        for stage, value in ms.items()
    }
    bound = "forward+backward" if ms["training step"] > reading else "reading"
    rows["bound by"] = {"stage": bound, "reading_to_step": round(reading / ms["training step"], 3)}
    return {f"stages, {name}, {options.backbone} {options.size}px batch {options.batch}": rows}


def mean_ms(run: Callable[[], Any], number: int) -> float:
    return compare({"it": run}, rounds=3, warmup=1)["it"]["median_ms"] / number


def reading(options: argparse.Namespace, name: str, paths: list[Path]) -> dict[str, Any]:
    """A clip's eight frames, each saving taken away in turn; the cache in memory and on the disk."""
    torch.set_num_threads(1)
    paths = list(dict.fromkeys(paths))[:16]
    kept = ClipCache(None, gigabytes=2.0)
    reduced = 128 if "p" in name.split()[-1] and name != "utd_mhad_depth" else None
    for path in paths:
        kept.open(path).close()
        kept.open(path, short_side=reduced).close()

    def read(*, probe: bool = False, skip: bool = True, convert_all: bool = False) -> None:
        for path in paths:
            with video.open(path) as reader:
                if probe:
                    reader._reopen(probe=True)
                reader._takes_short_cuts = skip
                wanted = spread(reader.num_frames)
                reader.frames_at(range(wanted[-1] + 1) if convert_all else wanted)

    def from_cache(short_side: int | None) -> None:
        for path in paths:
            with kept.open(path, short_side=short_side) as reader:
                reader.frames_at(spread(reader.num_frames))

    alternatives: dict[str, Callable[[], None]] = {
        "now": read,
        "looks at frames to open": lambda: read(probe=True),
        "skips no frame": lambda: read(skip=False),
        "neither (before)": lambda: read(probe=True, skip=False),
        "cache": lambda: from_cache(None),
        "cache, short side 128": lambda: from_cache(reduced),
    }
    if "1080" not in name and "film" not in name:
        alternatives["converts every frame"] = lambda: read(convert_all=True)
    rows = compare(alternatives, rounds=options.rounds, warmup=1)
    return {f"reading {FRAMES} frames of {len(paths)} clips, {name}": rows}


def scaling(options: argparse.Namespace, name: str, paths: list[Path]) -> dict[str, Any]:
    """One decoded frame brought to a short side of 256, and how far the pixels are from those of today."""
    del options
    torch.set_num_threads(1)
    with av.open(str(paths[0])) as container:
        frame = [frame for _, frame in zip(range(9), container.decode(video=0), strict=False)][-1]
    if min(frame.width, frame.height) < 512:
        return {}
    size = frame.width, frame.height
    reformatters = {kind: VideoReformatter() for kind in ("NONE", "AREA", "BICUBIC")}

    def plain() -> Tensor:
        return small(to_array(frame, reformatters["NONE"], "rgb", size))

    def scaled(kind: str, times: int) -> Tensor:
        height = 256 * times
        picture = reformatters[kind].reformat(
            frame,
            round(frame.width * height / frame.height),
            height,
            format="rgb24",
            interpolation=kind,
            src_colorspace=5,
            dst_colorspace=1,
            src_color_range=1,
            dst_color_range=2,
            threads=1,
        )
        return small(picture.to_ndarray())

    alternatives: dict[str, Callable[[], Tensor]] = {"convert, then resize": plain}
    for kind in ("AREA", "BICUBIC"):
        for times in (1, 2):
            alternatives[f"{kind} to {256 * times}, then resize"] = lambda k=kind, t=times: scaled(k, t)
    rows: dict[str, Any] = compare(alternatives, rounds=9)
    for alternative, run in alternatives.items():
        off = (run().float() - plain().float()).abs()
        rows[alternative] |= {"mean_difference": round(float(off.mean()), 2), "largest": float(off.max())}
    return {f"a frame to short side 256, {name}": rows}


def small(picture: np.ndarray) -> Tensor:
    clip = torch.from_numpy(picture).permute(2, 0, 1)[None]
    return resize_short_side(clip, 256)[..., :448]


def workers(options: argparse.Namespace, name: str, paths: list[Path]) -> dict[str, Any]:
    """Batches through the whole training step, by the number of processes that decode."""
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    _, step = trainer(options.backbone)
    dataset = clips((paths * 4 * options.batch)[: 4 * options.batch], options.size)
    loaders = {
        f"{number} workers": DataLoader(
            dataset,
            options.batch,
            collate_fn=collate,
            **worker_arguments(number, pin_memory=False),
        )
        for number in (0, 1, 2)
    }
    alternatives = {
        f"{what}, {number}": lambda loader=loader, run=run: [run(batch) for batch in loader]
        for number, loader in loaders.items()
        for what, run in (("training", step), ("loader alone", len))
    }
    rows = compare(alternatives, rounds=options.rounds, warmup=1)
    for row in rows.values():
        row["clips_per_s"] = round(1000 * len(dataset) / row["median_ms"], 1)
    title = f"4 batches of {options.batch}, {name}, {options.backbone} {options.size}px"
    return {title: rows}


def memory(options: argparse.Namespace, name: str, paths: list[Path]) -> dict[str, Any]:
    """Resident MiB of the main process and of its decoding processes after each epoch."""
    results = {}
    for cache in (None, ClipCache(None, gigabytes=2.0)):
        dataset = clips(paths, options.size, cache=cache)
        loader = DataLoader(
            dataset, options.batch, collate_fn=collate, **worker_arguments(2, pin_memory=False)
        )
        rows = {}
        for epoch in range(options.epochs):
            dataset.set_epoch(epoch)
            for _ in loader:
                pass
            if epoch in (0, 1, 2, 4, 9, 19, 29, 39, 59, 79, 99):
                processes = [os.getpid(), *(worker.pid for worker in loader._iterator._workers)]
                rows[f"epoch {epoch + 1}"] = {
                    who: round(own_mib(process), 1)
                    for who, process in zip(("main", "worker 0", "worker 1"), processes, strict=True)
                }
        case = (
            f"memory in MiB, {name}, {len(paths)} clips an epoch, cache {'off' if cache is None else 'ram'}"
        )
        results[case] = rows
    return results


def own_mib(process: int) -> float:
    """Resident memory that is no file: pages of a cache in memory belong to no process."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def allocator(options: argparse.Namespace) -> dict[str, Any]:
    """Each run in a process of its own, in turn."""
    rows: dict[str, Any] = {}
    settings: dict[str, dict[str, str]] = {
        "default": {},
        "keep_freed_memory()": {},
        "MALLOC_ variables": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"},
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in settings}
    free = {
        name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUN"))
    }
    for _ in range(options.rounds):
        for name, variables in settings.items():
            command = [sys.executable, __file__, "steps", "--backbone", options.backbone]
            command += ["--size", str(options.size), "--batch", str(options.batch)]
            command += ["--threads", str(options.threads), *(["--keep"] if name.startswith("keep") else [])]
            done = subprocess.run(command, env=free | variables, capture_output=True, text=True, check=True)
            runs[name].append(json.loads(done.stdout))
    for name, found in runs.items():
        rows[name] = {key: sorted(run[key] for run in found)[len(found) // 2] for key in found[0]}
        ratios = sorted(a["step_ms"] / b["step_ms"] for a, b in zip(found, runs["default"], strict=True))
        rows[name]["ratio"] = round(ratios[len(ratios) // 2], 3)
    title = f"allocator, {options.backbone} {options.size}px batch {options.batch}"
    return {title: rows}


def steps(options: argparse.Namespace) -> None:
    """Training steps in this process; prints their time, page faults, system time and the process's peak."""
    if options.keep and not keep_freed_memory():
        raise SystemExit("keep_freed_memory() has nothing to do here")
    torch.set_num_threads(options.threads)
    _, step = trainer(options.backbone)
    clip = torch.zeros(options.batch, FRAMES, 3, options.size, options.size, dtype=torch.uint8)
    batch = {"clip": clip, "label": torch.zeros(options.batch, dtype=torch.int64)}
    for _ in range(2):
        step(batch)
    before, times = resource.getrusage(resource.RUSAGE_SELF), []
    for _ in range(5):
        start = time.perf_counter()
        step(batch)
        times.append(1000 * (time.perf_counter() - start))
    after = resource.getrusage(resource.RUSAGE_SELF)
    numbers = {
        "step_ms": round(sorted(times)[2], 1),
        "page_faults": (after.ru_minflt - before.ru_minflt) // 5,
        "system_ms": round(200 * (after.ru_stime - before.ru_stime), 1),
        "peak_mib": after.ru_maxrss // 1024,
    }
    print(json.dumps(numbers))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = {part.__name__: part for part in (stages, reading, scaling, workers, memory)}
    parser.add_argument("part", choices=[*parts, "allocator", "steps"])
    parser.add_argument("--source", default="all")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--clips", type=int, default=16, help="of each source")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--keep", action="store_true", help="of steps: keep freed memory")
    options = parser.parse_args()
    if options.part == "steps":
        steps(options)
    elif options.part == "allocator":
        record("pipeline", allocator(options))
    else:
        results: dict[str, Any] = {}
        with tempfile.TemporaryDirectory() as folder:
            for name, paths in sources(Path(folder), options.clips).items():
                if options.source in ("all", name):
                    results |= parts[options.part](options, name, paths)
        record("pipeline", results)


if __name__ == "__main__":
    main()
