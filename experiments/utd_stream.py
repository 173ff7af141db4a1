"""When is an action recognized? UTD-MHAD test clips one after the other as one stream, and networks that follow it.

    python experiments/utd_stream.py DATA RUNS                           # 40 streams of 6 clips: some minutes
    python experiments/utd_stream.py DATA RUNS --methods tsn tsm_causal --streams 4

RUNS is where `experiments/utd_mhad.py scratch DATA RUNS --methods tsn tsm tin tsm_causal tin_causal` has left its
networks. A stream is made of clips of one test subject, each of another action, in an order drawn by --seed. The
networks follow it as in `interlace stream`: causal ones frame by frame, others window by window (TSN in both ways), at
the rate and with the smoothing that fit their training clips.

The moment of recognition of an action is when its label comes first and stays first to the action's end, as seconds
since it began and as a share of its length; an action that is not first at its end is not recognized. Draws
docs/images/utd_stream.png (one stream) and docs/images/utd_stream_moments.png (all of them).
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from torch import Tensor

import interlace
from common import RESULTS, load_example
from interlace.data import video
from interlace.files import whole_file
from interlace.inference import Recognizer
from interlace.provenance import provenance
from interlace.streaming.smoothing import Exponential
from interlace.streaming.steps import CausalSteps, FrameSteps, WindowSteps
from utd_stream_plots import draw_moments, draw_stream

METHODS = {
    "tsm_causal": "tsm_causal",
    "tin_causal": "tin_causal",
    "tsn_by_frames": "tsn",
    **{name: name for name in ("tsn", "tsm", "tin")},
}
"""Ways to follow a stream, and the network of each. TSN mixes no frames, so it can be followed in both ways."""
WINDOWS = ("tsn", "tsm", "tin")
"""Those that are shown the last seconds again and again."""
IMAGES = RESULTS.parents[1] / "docs" / "images"
SUBJECT = re.compile(r"_s(\d+)_")


@dataclass(frozen=True)
class Action:
    """A clip in a stream: from ``begin`` to just before ``end``, in seconds."""

    path: Path
    label: str
    begin: float
    end: float


@dataclass(frozen=True, eq=False)
class Followed:
    """What a network said of a stream: the probabilities of all labels at each time, smoothed and as they came."""

    times: tuple[float, ...]
    smoothed: tuple[Tensor, ...]
    plain: tuple[Tensor, ...]


def read_clips(file: Path) -> dict[int, dict[str, list[str]]]:
    """Subject to action to clips."""
    clips: dict[int, dict[str, list[str]]] = {}
    with file.open(newline="") as rows:
        for row in csv.DictReader(rows):
            found = SUBJECT.search(row["path"])
            if found is None:
                raise ValueError(f"{file}: {row['path']} is not named like a01_swipe_left/a1_s2_t1.mp4")
            clips.setdefault(int(found[1]), {}).setdefault(row["label"], []).append(row["path"])
    return clips


def drawn_streams(
    clips: dict[int, dict[str, list[str]]], num_streams: int, num_clips: int, seed: int
) -> list[list[tuple[str, str]]]:
    """Of each stream its (path, label) pairs: one subject, another action each time."""
    chance = random.Random(seed)
    streams = []
    for _ in range(num_streams):
        own = clips[chance.choice(sorted(clips))]
        labels = chance.sample(sorted(own), num_clips)
        streams.append([(chance.choice(own[label]), label) for label in labels])
    return streams


def decode(data: Path, stream: Sequence[tuple[str, str]]) -> tuple[list[Action], list[tuple[Tensor, float]]]:
    """The actions of a stream, and its frames with the times at which they are shown."""
    actions: list[Action] = []
    frames: list[tuple[Tensor, float]] = []
    begin = 0.0
    for path, label in stream:
        with video.open(data / path) as reader:
            pixels = reader.frames_at(list(range(reader.num_frames)))
            times = (begin + reader.pts_seconds).tolist()
            end = begin + reader.duration_seconds
        frames += zip(pixels, times, strict=True)
        actions.append(Action(data / path, label, begin, end))
        begin = end
    return actions, frames


def follow(steps: FrameSteps, frames: Sequence[tuple[Tensor, float]]) -> Followed:
    """Show a network all frames of a stream, from a fresh start."""
    steps.reset()
    smooth = Exponential(steps.smooth_seconds)
    answers = [(time, steps.step(pixels, time)) for pixels, time in frames]
    given = [(time, answer) for time, answer in answers if answer is not None]
    return Followed(
        times=tuple(time for time, _ in given),
        smoothed=tuple(smooth(answer, time) for time, answer in given),
        plain=tuple(answer for _, answer in given),
    )


def moment(times: Sequence[float], is_right: Sequence[bool], begin: float, end: float) -> float | None:
    """Seconds from the begin of an action until its label is first for good; None if it is not at its end.

    answers  . . x . . x x x |        x: right        moment: that of the third x but one
    """
    own = [(time, right) for time, right in zip(times, is_right, strict=True) if begin <= time < end]
    found = None
    for time, right in reversed(own):
        if not right:
            break
        found = time - begin
    return found


def moments(
    actions: Sequence[Action], labels: Sequence[str], times: Sequence[float], answers: Sequence[Tensor]
) -> list[float | None]:
    """The moment of each action of a stream."""
    said = [labels[int(answer.argmax())] for answer in answers]
    return [
        moment(times, [label == action.label for label in said], action.begin, action.end)
        for action in actions
    ]


def summarize(actions: Sequence[Action], found: Sequence[float | None]) -> dict[str, Any]:
    """Of all streams: how many were recognized, and when."""
    recognized = [
        (seconds, action) for seconds, action in zip(found, actions, strict=True) if seconds is not None
    ]
    shares = shares_of(actions, found)
    numbers: dict[str, Any] = {"recognized": round(100 * len(recognized) / len(actions), 1)}
    if recognized:
        numbers["median_seconds"] = round(statistics.median(seconds for seconds, _ in recognized), 3)
        numbers["median_share"] = round(statistics.median(shares), 3)
    # Of all actions, so that networks that recognize others can be compared.
    numbers["recognized_by_share"] = {
        f"{tenth / 10:.1f}": round(100 * sum(share <= tenth / 10 for share in shares) / len(actions), 1)
        for tenth in range(1, 11)
    }
    return numbers


def shares_of(actions: Sequence[Action], found: Sequence[float | None]) -> list[float]:
    """Moments as shares of the actions' lengths; only of those that were recognized."""
    return [
        seconds / (action.end - action.begin)
        for seconds, action in zip(found, actions, strict=True)
        if seconds is not None
    ]


def of_clips(recognizer: Recognizer, actions: Sequence[Action]) -> float:
    """Percent of the same clips that are recognized when each stands alone and is seen as a whole."""
    labels: dict[Path, str] = {}
    for action in actions:
        if action.path not in labels:
            labels[action.path] = recognizer(action.path, top_k=1).label
    return round(100 * sum(labels[action.path] == action.label for action in actions) / len(actions), 1)


def record(about: dict[str, Any], results: list[dict[str, Any]]) -> None:
    """Append to benchmarks/results/utd_stream.json, in which no place of this machine is named."""
    file = RESULTS / "utd_stream.json"
    history = json.loads(file.read_text()) if file.exists() else []
    words = (PurePath(word).name if PurePath(word).is_absolute() else word for word in sys.argv)
    history.append({**provenance(), "command": " ".join(words), "about": about, "results": results})
    with whole_file(file) as beside:
        beside.write_text(json.dumps(history, indent=1) + "\n")
    for result in results:
        print(result)
    print(f"\nwritten: {file.name}")


def steps_of(method: str, recognizer: Recognizer) -> FrameSteps:
    """Frame by frame or window by window."""
    return (WindowSteps if method in WINDOWS else CausalSteps)(recognizer)


def plotted(
    actions: Sequence[Action], labels: Sequence[str], followed: Followed
) -> list[list[tuple[float, float]]]:
    """Of each action of a stream, the probability of its label over time."""
    answers = list(zip(followed.times, followed.smoothed, strict=True))
    return [
        [
            (time, float(answer[labels.index(action.label)]))
            for time, answer in answers
            if action.begin <= time < action.end
        ]
        for action in actions
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--streams", type=int, default=40)
    parser.add_argument("--clips", type=int, default=6, help="in each stream")
    parser.add_argument("--seed", type=int, default=0, help="of the streams")
    parser.add_argument(
        "--trained", default="scratch-{network}-0/last.safetensors", help="checkpoints below RUNS"
    )
    parser.add_argument("--drawn", type=int, default=0, help="the stream that is drawn")
    given = parser.parse_args()
    if given.streams < 1 or not 1 <= given.clips <= 27 or not 0 <= given.drawn < given.streams:
        parser.error("--streams is at least 1, --clips from 1 to 27, --drawn from 0 to below --streams")
    if not (given.runs / "test.csv").exists():
        load_example("utd_mhad_splits").write_splits(given.data, given.runs)
    plan = drawn_streams(read_clips(given.runs / "test.csv"), given.streams, given.clips, given.seed)
    networks = {
        method: steps_of(method, interlace.load(given.runs / given.trained.format(network=METHODS[method])))
        for method in given.methods
    }
    actions: list[Action] = []
    smoothed: dict[str, list[float | None]] = {method: [] for method in networks}
    plain: dict[str, list[float | None]] = {method: [] for method in networks}
    for number, stream in enumerate(plan):
        print(f"\rstream {number + 1} of {len(plan)} ", end="", flush=True)
        own, frames = decode(given.data, stream)
        actions += own
        true: dict[str, list[list[tuple[float, float]]]] = {}
        for method, steps in networks.items():
            labels, followed = steps.recognizer.card.labels, follow(steps, frames)
            smoothed[method] += moments(own, labels, followed.times, followed.smoothed)
            plain[method] += moments(own, labels, followed.times, followed.plain)
            true[method] = plotted(own, labels, followed)
        if number == given.drawn:
            spans = [(action.label, action.begin, action.end) for action in own]
            found = {method: seconds[-len(own) :] for method, seconds in smoothed.items()}
            draw_stream(spans, true, found, IMAGES / "utd_stream.png")
    shares = {method: shares_of(actions, seconds) for method, seconds in smoothed.items()}
    draw_moments(shares, len(actions), IMAGES / "utd_stream_moments.png")
    print("\nwhole clips ...", flush=True)
    results = [
        {
            "method": method,
            "sees": steps.about,
            "smooth_seconds": round(steps.smooth_seconds, 3),
            "top1_of_these_clips": of_clips(steps.recognizer, actions),
            "smoothed": summarize(actions, smoothed[method]),
            "plain": summarize(actions, plain[method]),
        }
        for method, steps in networks.items()
    ]
    lengths = [action.end - action.begin for action in actions]
    about = {
        "data": "UTD-MHAD depth video, 128 x 128, test subjects 2, 4, 6, 8",
        "trained": given.trained,
        "streams": given.streams,
        "actions": len(actions),
        "median_action_seconds": round(statistics.median(lengths), 3),
    }
    record(about, results)
    print("drawn: utd_stream.png, utd_stream_moments.png in docs/images")


if __name__ == "__main__":
    main()
