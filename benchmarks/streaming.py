"""What a frame of a stream costs: beside a frame of plain TSN, over ten thousand frames, and out of a real file.

    python benchmarks/streaming.py                                 # cost and frames: about half an hour on two cores
    python benchmarks/streaming.py --parts cost                    # a step beside a frame of TSN, timed in turn
    python benchmarks/streaming.py --parts file --video demo.mp4   # the path of `interlace stream`, from a file

cost    ratio of one step to one frame of TSN with the same backbone, as a clip of one frame. state_bytes is what the
        network remembers.
frames  the optimized network takes frames that lie ready; frames a second, the latency of each, and how large the
        process is after every thousandth.
file    the video's packets are repeated to the number of frames, without encoding them anew; then it is decoded,
        resized, stepped, smoothed and searched for events, by the calls of `interlace stream --pace fast --optimize`.

Frames are 224 x 224, the batch is 1. Weights are random, and moved away from where training starts.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import av
import numpy as np
import torch
from torch import Tensor

import interlace
from interlace.allocator import keep_freed_memory
from interlace.benchmark.memory import held_bytes
from interlace.benchmark.model import forward
from interlace.checkpoints import ModelCard
from interlace.data.live import open_live
from interlace.inference import Recognizer
from interlace.models import VideoModel
from interlace.optimization import OptimizedModel
from interlace.streaming.events import EventFinder
from interlace.streaming.loop import StreamLoop
from interlace.streaming.smoothing import Exponential
from interlace.streaming.steps import frame_steps
from interlace.streaming.summary import percentiles
from moved import moved_from_start
from timing import Record, common_options, compare, prepare, stopwatch

NUM_CLASSES, SIZE = 174, 224
METHODS = ("tsm_causal", "tin_causal")
BACKBONES = ("resnet50", "mobilenetv2_100")
MODES = ("eager float32", "optimized float32", "optimized bfloat16")
NETWORKS = ("tsm_causal_mobilenetv2_100", "tin_causal_mobilenetv2_100")
PARTS = ("cost", "frames", "file")
READY_FRAMES = 16
"""Different frames that lie ready, taken in turn."""
WARM_UP_FRAMES = 20
EVERY_FRAME = 1000.0
"""Frames a second that the network is to take: more than any video has."""


def network(
    name: str, mode: str, device: str, num_segments: int | None = None
) -> VideoModel | OptimizedModel:
    """A network as it is, or optimized."""
    built = interlace.create_model(name, num_classes=NUM_CLASSES, num_segments=num_segments)
    model = moved_from_start(built).to(device)
    if mode == MODES[0]:
        return model
    example = torch.randn(2, model.num_segments, 3, SIZE, SIZE, device=device)
    dtype = torch.float32 if mode == MODES[1] else torch.bfloat16
    return interlace.optimize(model, dtype=dtype, example=example)


class Stream:
    """A stream on its way: each call is one more frame, and its answer."""

    def __init__(self, model: VideoModel | OptimizedModel, device: str) -> None:
        self.model = model
        self.frames = torch.randn(READY_FRAMES, 1, 3, SIZE, SIZE, device=device)
        self.count = 0
        self.state = model.init_state(1, SIZE)

    @torch.inference_mode()
    def __call__(self) -> Tensor:
        frame = self.frames[self.count % READY_FRAMES]
        logits, self.state = self.model.step(frame, self.state)
        self.count += 1
        return logits

    @property
    def state_bytes(self) -> int:
        return held_bytes(self.state)


def measure_cost(backbone: str, mode: str, options: argparse.Namespace) -> dict[str, Any]:
    """A frame of TSN and a step of each causal network, in turn."""
    plain = network(f"tsn_{backbone}", mode, options.device, num_segments=1)
    streams = {
        name: Stream(network(f"{name}_{backbone}", mode, options.device), options.device) for name in METHODS
    }
    frame = torch.randn(1, 1, 3, SIZE, SIZE, device=options.device)
    rows = compare(
        {"tsn": forward(plain, frame), **streams},
        rounds=options.rounds,
        warmup=5,
        calls=options.calls,
        measure=stopwatch(options.device),
    )
    return {
        name: {**row, "state_bytes": streams[name].state_bytes if name in streams else 0}
        for name, row in rows.items()
    }


class Follower:
    """Counts frames, keeps their latencies, and looks at the size of the process every now and then."""

    def __init__(self, num_frames: int, every: int, title: str) -> None:
        # All of it at once: lists that grow would be part of what is measured.
        self.latencies = np.zeros(num_frames)
        self.resident: dict[str, float] = {}
        self.every, self.title = every, title
        self.count = 0
        self.began = perf_counter()

    def __call__(self, latency_seconds: float) -> bool:
        """Take in one more; whether there are to be more of them."""
        self.latencies[self.count] = latency_seconds
        self.count += 1
        total = len(self.latencies)
        if self.count % self.every == 0:
            self.resident[str(self.count)] = resident_mib()
            print(f"\r{self.title}: frame {self.count} of {total} ", end="", flush=True)
        return self.count < total

    def rows(self) -> dict[str, dict[str, float]]:
        seconds = perf_counter() - self.began
        latencies = self.latencies[: self.count]
        found = {f"{part}_ms": round(value, 3) for part, value in percentiles(latencies).items()}
        speed = {
            "frames": self.count,
            "frames_per_second": round(self.count / seconds, 2),
            **found,
            "max_ms": round(1000 * float(latencies.max(initial=0.0)), 3),
        }
        sizes = list(self.resident.values())
        half = len(sizes) // 2  # what libraries keep settles before that; a leak would not
        growth = (
            {"growth": sizes[-1] - sizes[0], "growth of the last half": sizes[-1] - sizes[half]}
            if sizes
            else {}
        )
        return {
            "speed": speed,
            "resident_mib": {**self.resident, **{name: round(size, 1) for name, size in growth.items()}},
        }


def resident_mib() -> float:
    """Size of this process in memory; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmRSS:")), 0.0)


def measure_frames(name: str, mode: str, options: argparse.Namespace) -> dict[str, Any]:
    """The network alone, one frame after the other as fast as it can."""
    stream = Stream(network(name, mode, options.device), options.device)
    for _ in range(WARM_UP_FRAMES):
        stream().cpu()
    follower = Follower(options.frames, options.every, name)
    goes_on = True
    while goes_on:
        began = perf_counter()
        stream().cpu()
        goes_on = follower(perf_counter() - began)
    return follower.rows()


class Repeated(NamedTuple):
    """A video that goes on for as long as it is needed."""

    path: Path
    width: int
    height: int


def repeated(source: Path, folder: Path, num_frames: int) -> Repeated:
    """The packets of a video again and again, each time later by its length."""
    path = folder / f"repeated{source.suffix}"
    with av.open(str(source)) as taken, av.open(str(path), "w") as written:
        picture = taken.streams.video[0]
        copy = written.add_stream_from_template(picture)
        assert picture.time_base is not None, "a file's streams have one"
        packets = [
            (bytes(packet), packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe)
            for packet in taken.demux(picture)
            if packet.dts is not None and packet.pts is not None
        ]
        if not packets:
            raise ValueError(f"{source}: no packet with a time stamp; give another video")
        length = max(pts + duration for _, pts, _, duration, _ in packets) - min(
            pts for _, pts, *_ in packets
        )
        for i in range(num_frames):
            turn, place = divmod(i, len(packets))
            content, pts, dts, duration, is_keyframe = packets[place]
            packet = av.Packet(content)
            packet.stream, packet.time_base = copy, picture.time_base
            packet.pts, packet.dts, packet.duration = pts + turn * length, dts + turn * length, duration
            packet.is_keyframe = is_keyframe
            written.mux(packet)
        return Repeated(path, picture.width, picture.height)


def recognizer_of(name: str, device: str) -> Recognizer:
    """What `interlace stream --optimize` makes of a checkpoint."""
    model = moved_from_start(interlace.create_model(name, num_classes=NUM_CLASSES))
    card = ModelCard(
        model=model.builder,
        model_args=model.builder_args,
        labels=tuple(f"class {i}" for i in range(NUM_CLASSES)),
        sampling={"name": "segment", "num_segments": model.num_segments},
        preprocessing={
            "image_size": SIZE,
            "mean": list(model.mean),
            "std": list(model.std),
            "color": "rgb",
        },
    )
    return Recognizer(model, card, device=device, optimize=True)


def measure_file(name: str, video: Path, options: argparse.Namespace) -> dict[str, Any]:
    """From the file to events, frame by frame."""
    recognizer = recognizer_of(name, options.device)
    steps = frame_steps(recognizer, frame_rate=EVERY_FRAME)
    steps.warm_up()
    smoothing, finder = Exponential(steps.smooth_seconds), EventFinder(recognizer.card.labels)
    with tempfile.TemporaryDirectory() as folder:
        # Some more, for those that the decoder gives only when others follow.
        long = repeated(video, Path(folder), options.frames + 100)
        with (
            open_live(long.path, pace="fast") as live,
            StreamLoop(live, steps, smoothing=smoothing, events=finder) as loop,
        ):
            follower = Follower(options.frames, options.every, f"{name}, {video.name}")
            for update in loop.updates():
                if update.answer is not None and not follower(update.answer.latency_seconds):
                    break
            rows = follower.rows()
    dtype = str(getattr(recognizer.model, "dtype", "")).removeprefix("torch.")
    about = {"width": long.width, "height": long.height, "dtype": dtype, "dropped": live.dropped}
    return {**rows, "video": about}


def chosen_cases(options: argparse.Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    """What to measure, by the names of the cases."""
    cases: dict[str, Callable[[], dict[str, Any]]] = {}
    if "cost" in options.parts:
        for backbone in options.backbones:
            for mode in options.modes:
                cases[f"{backbone}, a step, {mode}"] = partial(measure_cost, backbone, mode, options)
    if "frames" in options.parts:
        for name in options.networks:
            for mode in [mode for mode in options.modes if mode != MODES[0]]:
                cases[f"{name}, frame after frame, {mode}"] = partial(measure_frames, name, mode, options)
    if "file" in options.parts:
        for name in options.networks:
            for video in options.video:
                cases[f"{name}, file to events, {video.name}"] = partial(measure_file, name, video, options)
    return cases


def main() -> None:
    parser = common_options(__doc__)
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, help="by default cost and frames, with --video all"
    )
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), help="of cost")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), help="of frames and file")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="of cost and frames")
    parser.add_argument("--video", nargs="+", type=Path, default=[], help="of file: real videos")
    parser.add_argument("--frames", type=int, default=10_000, help="of frames and file")
    parser.add_argument("--every", type=int, default=1_000, help="frames between two looks at the memory")
    parser.add_argument("--rounds", type=int, default=31, help="of cost")
    parser.add_argument("--calls", type=int, default=5, help="frames in a measurement of cost")
    parser.add_argument("--resume", action="store_true", help="leave out what this commit has measured here")
    options = parser.parse_args()
    options.parts = options.parts or ["cost", "frames", *(["file"] if options.video else [])]
    if "file" in options.parts and not options.video:
        parser.error("--parts file needs --video, one or more real videos")
    if min(options.frames, options.every, options.rounds, options.calls) < 1:
        parser.error("--frames, --every, --rounds and --calls are at least 1")
    prepare(options.threads)
    keep_freed_memory()  # as `interlace stream` does
    run = Record("streaming", device=options.device)
    cases = chosen_cases(options)
    for number, (name, measured) in enumerate(cases.items(), 1):
        if options.resume and run.has(name):
            print(f"[{number}/{len(cases)}] {name}: has been measured with this commit")
            continue
        print(f"\n[{number}/{len(cases)}] {name}", flush=True)
        run.add(name, measured())
    print(f"\nwritten: {run.file.name}")


if __name__ == "__main__":
    main()
