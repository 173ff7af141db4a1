"""Events in surveillance fights by sound and picture, from the raw files to drawn timelines, by `interlace av` alone.

    python experiments/surv_fight_av.py clips DATA RUNS [--weights mobilenetv2.safetensors] [--show VIDEO...]
    python experiments/surv_fight_av.py joined DATA RUNS [--weights mobilenetv2.safetensors]

``clips``: the 300 clips of 2 s as they are; a fight fills its clip, the other half has no event. Five folds by source
video: one is the test, the next validation, three are trained on, in turn. A test fold has 60 clips or so, and an
accuracy on it a standard error of 6 points; on all folds it is 3. Of the fights 138 have a track of sound, of the
others 113, and 87 of these tracks are silence.

``joined``: videos of 10 s, written to RUNS/joined: five clips one after the other, one to three of them fights, and a
sixth of the videos without any; one split by source video, clips without sound left out. Both tasks. Each cut is
seen and heard, and of the 20 test clips without a fight 19 are of one source, with music: this shows the whole path on
events that begin and end, and says little of fights.

Sound as log-mel, the picture by MobileNetV2 (ImageNet weights; random ones without --weights). Weights are selected on
validation, and the test is scored once. AVEL is left out: there is one place a second, and nothing to attend to.
About 15 minutes on one core, most of it features; started again, it goes on. At the end videos of the test
are predicted and drawn, in RUNS/clips/timelines and RUNS/joined/timelines_*.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import interlace, record
from fight_videos import CLIP_SECONDS, Clip, JoinedVideo, join, plan_videos, read_clips, split_clips
from interlace.audiovisual.features.feature_store import FeatureStore
from interlace.files import whole_file

METHODS = {"sel": ("dam", "audio", "visual", "concat", "chance"), "cml": ("dam", "avdln", "cca", "chance")}
NETWORK = '{"pad_type": "same", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}'
FOLDS = 5
COUNTS = {"train": 96, "val": 24, "test": 32}
"""Joined videos."""
JOINED_FRAMES = 8
"""Of a second that the network sees: half of the default, and half of the time."""
SHOWN = 6
"""Test videos that are predicted and drawn."""


def store_features(videos: Path, output: Path, weights: Path | None, *options: str) -> Path:
    chosen: list[str | Path] = ["--audio", "log_mel", "--visual_weights", weights or "none"]
    interlace("av", "features", videos, "--output", output, *chosen, "--visual_args", NETWORK, *options)
    return output


def write_list(file: Path, lines: Iterable[tuple[str, str, str, str]]) -> None:
    """A list of events, as `interlace av train` takes it."""
    with whole_file(file) as beside, beside.open("w", newline="") as text:
        csv.writer(text, lineterminator="\n").writerows([("path", "event", "start", "end"), *lines])


def train(lists: Path, features: Path, output: Path, task: str, *options: str) -> list[dict[str, Any]]:
    """Train and score all methods of a task; a row for each with what the tables say."""
    chosen: list[str | Path] = ["--task", task, "--method", ",".join(METHODS[task]), "--features", features]
    command = interlace("av", "train", lists, *chosen, "--output", output, "--test", *options)
    scored = json.loads((output / "results.json").read_text())["results"]
    return [
        {
            "task": task,
            "method": method,
            **row["mean"],
            "spread": row["spread"],
            "by_seed": row["by_seed"],
            "validation": scored["validation"][method]["mean"],
            "command": command,
        }
        for method, row in scored["test"].items()
    ]


def over_folds(folds: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Of each method: the mean over folds for each seed, and of these mean and sample standard deviation."""
    rows = []
    for parts in zip(*folds, strict=True):
        seeds = list(parts[0]["by_seed"])
        means = [statistics.mean(part["by_seed"][seed]["accuracy"] for part in parts) for seed in seeds]
        rows.append(
            {
                "task": parts[0]["task"],
                "method": parts[0]["method"],
                "fold": "mean",
                "accuracy": statistics.mean(means),
                "spread": statistics.stdev(means) if len(means) > 1 else None,
                "folds": [round(part["accuracy"], 1) for part in parts],
                "command": "",
            }
        )
    return rows


def run_clips(given: argparse.Namespace) -> None:
    clips, room = read_clips(given.data), given.runs / "clips"
    features = store_features(given.data, given.runs / "features", given.weights)
    folds = []
    for fold in range(FOLDS):
        for split, members in split_clips(clips, FOLDS, fold).items():
            lines = [(clip.path, "fight" if clip.is_fight else "", "", "") for clip in members]
            write_list(room / f"fold{fold}" / f"{split}.csv", lines)
        rows = train(
            room / f"fold{fold}", features, room / f"fold{fold}-sel", "sel", *given.options, "--no-embed"
        )
        folds.append([{"fold": fold, **row} for row in rows])
    protocol = f"SEL, {FOLDS} folds by source video, selected on another fold"
    record(
        "surv_fight_av_clips",
        {"data": "surveillance-camera fights, 300 clips of 2 s", "protocol": protocol, **given.about},
        [*(row for rows in folds for row in rows), *over_folds(folds)],
    )
    test = split_clips(clips, FOLDS, 0)["test"]
    shown = [given.data / clip.path for clip in test[:: max(1, len(test) // SHOWN)]]
    timelines = room / "timelines"
    interlace(
        *("av", "predict", room / "fold0-sel" / "dam" / "seed0" / "model.safetensors", *shown, *given.show),
        *("--extractor", features / "extractor.safetensors"),
        *("--pictures", timelines, "--output", timelines / "predictions.json"),
    )


def run_joined(given: argparse.Namespace) -> None:
    room, store = given.runs / "joined", store_features(given.data, given.runs / "features", given.weights)
    clips = audible(read_clips(given.data), FeatureStore(store))
    splits = split_clips(clips, FOLDS, 0)
    plans = {split: plan_videos(splits[split], split, count, seed=0) for split, count in COUNTS.items()}
    keep_plan(room / "plan.json", plans)
    for split, planned in plans.items():
        fights = sum(clip.is_fight for clip in splits[split])
        print(
            f"{split}: {len(planned)} videos of {fights} clips of fights and {len(splits[split]) - fights} others"
        )
        for joined in planned:
            if not (room / "videos" / joined.name).exists():
                join([given.data / path for path in joined.clips], room / "videos" / joined.name)
        write_list(room / "lists" / f"{split}.csv", map(_line, planned))
    features = store_features(
        room / "videos", room / "features", given.weights, "--frames_per_second", str(JOINED_FRAMES)
    )
    results = [
        row for task in METHODS for row in train(room / "lists", features, room / task, task, *given.options)
    ]
    record(
        "surv_fight_av_joined",
        {
            "data": "videos of 10 s joined from surveillance clips of 2 s with sound",
            "protocol": "one split by source video, selected on validation",
            "videos": COUNTS,
            **given.about,
        },
        results,
    )
    predict_joined(room, plans["test"])


def audible(clips: Sequence[Clip], store: FeatureStore) -> list[Clip]:
    """Those of two seconds or more, none of which is without sound or digital silence."""
    rows = {clip: store.read(clip.path).audio for clip in clips}  # log-mel is 0 where it is silent
    return [clip for clip, audio in rows.items() if len(audio) >= CLIP_SECONDS and bool(audio.any(1).all())]


def keep_plan(file: Path, plans: dict[str, list[JoinedVideo]]) -> None:
    """Write down what the videos are made of; those of another plan are not mixed with these."""
    text = json.dumps({split: list(map(asdict, planned)) for split, planned in plans.items()}, indent=1)
    if file.exists() and file.read_text() != text:
        raise SystemExit(f"{file}: the videos there are joined from other clips; remove {file.parent}")
    with whole_file(file) as beside:
        beside.write_text(text)


def predict_joined(room: Path, planned: list[JoinedVideo]) -> None:
    """Timelines of test videos: all labels, and what is seen where the fight is heard, and the other way round."""
    shown = planned[:SHOWN]
    for joined in shown:
        print(joined.name, f"fight from {joined.start} to {joined.end} s" if joined.end else "no fight")
    videos, models = (
        room / "videos",
        {task: room / task / "dam" / "seed0" / "model.safetensors" for task in METHODS},
    )
    interlace(
        *["av", "predict", str(models["sel"]), *(str(videos / joined.name) for joined in shown)],
        *("--pictures", room / "timelines_sel", "--output", room / "timelines_sel" / "predictions.json"),
    )
    asked = next(joined for joined in shown if joined.end)
    for query in ("audio", "visual"):
        interlace(
            *("av", "predict", models["cml"], videos / asked.name, "--query", query),
            *(
                "--start",
                str(asked.start),
                "--end",
                str(asked.end),
                "--pictures",
                room / f"timelines_cml_{query}",
            ),
        )


def _line(joined: JoinedVideo) -> tuple[str, str, str, str]:
    if not joined.end:
        return joined.name, "", "", ""
    return joined.name, "fight", str(joined.start), str(joined.end)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("setting", choices=["clips", "joined"])
    parser.add_argument("data", type=Path, help="folder that holds groups.csv")
    parser.add_argument("runs", type=Path, help="folder that receives features, videos and runs")
    parser.add_argument("--weights", type=Path, help="ImageNet weights of timm's mobilenetv2_100")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument(
        "--show", nargs="+", type=Path, default=[], help="further videos to predict, for clips"
    )
    given = parser.parse_args()
    given.options = ["--seeds", str(given.seeds)]
    given.about = {
        "features": "log_mel, mobilenetv2_100 " + ("of ImageNet" if given.weights else "with random weights")
    }
    {"clips": run_clips, "joined": run_joined}[given.setting](given)


if __name__ == "__main__":
    main()
