"""The built-in data: real H.264 files in ten classes, in pairs that only the order of the frames tells apart.

Clips come as twins: one scene is drawn and painted once, the forward class gets the frames and its partner
the same frames backwards. A network that is blind to order gives twins the same answer, so it is right for at
most half of them, whatever it has learned. Four other classes, on demand, need both ends of a clip at once
(:mod:`interlace.data.render_long_range`).

The seed fixes the frames: to the last bit on one machine, while another processor or version of NumPy may round
a pixel the other way. The bytes of the files may differ with the version of x264.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import av
import numpy as np
from jaxtyping import UInt8
from rich.console import Console
from rich.progress import Progress

from interlace.data.render_long_range import CLASSES as RETURNS
from interlace.data.render_long_range import PAUSE, paint_returns, require_pause
from interlace.data.render_motion import MOTIONS
from interlace.data.render_scene import FRAME_RATES, paint
from interlace.files import whole_folder

PARTNERS = {
    "move_right": "move_left",
    "move_left": "move_right",
    "move_down": "move_up",
    "move_up": "move_down",
    "approach": "recede",
    "recede": "approach",
    "turn_clockwise": "turn_counterclockwise",
    "turn_counterclockwise": "turn_clockwise",
    "appear": "vanish",
    "vanish": "appear",
}
"""For each class the one that it becomes when it is played backwards."""

CLASSES = tuple(sorted(PARTNERS))
Frames = UInt8[np.ndarray, "T size size 3"]

# Raise this when the same seed gives other frames, so that old data is not taken for new.
VERSION = 1
# H.264's constant quantizer: about 85 kB a clip of 96 pixels, with an error of two or three grey levels.
QUANTIZER = 24


def frames(name: str, rng: np.random.Generator, *, size: int = 96) -> UInt8[np.ndarray, "T size size 3"]:
    """Draw the frames of one clip of a class: odd in number, square, RGB.

    Raises:
        ValueError: there is no such class.

    Example:
        >>> import numpy as np
        >>> from interlace.data.render import frames
        >>> right = frames("move_right", np.random.default_rng(0), size=64)
        >>> left = frames("move_left", np.random.default_rng(0), size=64)
        >>> bool((right == left[::-1]).all())
        True
    """
    if name not in PARTNERS:
        raise ValueError(f"no class is called {name!r}; there are {', '.join(CLASSES)}")
    if name in MOTIONS:
        return paint(name, rng, size=size)
    return paint(PARTNERS[name], rng, size=size)[::-1]


@dataclass(frozen=True)
class ClipSet:
    """Classes, and the scenes that give clips of them."""

    classes: tuple[str, ...]
    scenes: tuple[str, ...]
    clips_of: Callable[[str, np.random.Generator, int], dict[str, Frames]]
    """(scene, random numbers, size) to a clip of each class that the scene has."""


def _twins(motion: str, rng: np.random.Generator, size: int) -> dict[str, Frames]:
    clip = frames(motion, rng, size=size)
    return {motion: clip, PARTNERS[motion]: clip[::-1]}


def _returns(scene: str, rng: np.random.Generator, size: int, pause: float = PAUSE) -> dict[str, Frames]:
    del scene
    return paint_returns(rng, size=size, pause=pause)


CLIP_SETS: dict[str, ClipSet] = {
    "moves": ClipSet(CLASSES, tuple(MOTIONS), _twins),
    "long_range": ClipSet(RETURNS, ("returns",), _returns),
}


def encode(path: Path, clip: UInt8[np.ndarray, "T H W 3"], frame_rate: int) -> None:
    """Write frames as an H.264 file in which every frame is a key frame, all of one quality.

    Predicted frames change in quality along the file, in one direction only, so that a single frame could
    betray whether it stands early or late. This way the file of the reversed frames decodes to the reversed
    frames, bit for bit.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264",
            rate=frame_rate,
            options={"qp": str(QUANTIZER), "g": "1", "preset": "veryfast", "threads": "1"},
        )
        _, stream.height, stream.width, _ = clip.shape
        stream.pix_fmt = "yuv420p"
        for picture in clip:
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24"))
            )
        container.mux(stream.encode(None))


def render(
    output: Path,
    *,
    classes: Literal["moves", "long_range"] = "moves",
    clips_per_class: int = 20,
    val_clips_per_class: int = 10,
    size: int = 96,
    seed: int = 0,
    pause: float | None = None,
    num_workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Write the built-in data set into a folder and return the folder.

    It receives CLASS/NAME.mp4, train.csv and val.csv (path,label), and dataset.json with these arguments. It
    appears when it is complete: a render that was interrupted leaves nothing of that name and can be started
    again, and a finished one with the same arguments is taken as it is.

    Args:
        output: New or empty folder.
        classes: moves: ten classes in pairs, each the other one played backwards. long_range: four classes that the
            beginning and the end of a clip tell together (:mod:`interlace.data.render_long_range`).
        clips_per_class: Training clips of each class.
        val_clips_per_class: Validation clips of each class, from other scenes than the training clips.
        size: Height and width in pixels, an even number of at least 32.
        seed: The same seed gives the same frames.
        pause: With long_range, how much of a clip lies between its beginning and its end, 0.34 if omitted: the longer,
            the further a network must look.
        num_workers: Threads; as many as there are cores if omitted.
        progress: Show a progress bar, if stderr is a terminal.

    Raises:
        ValueError: ``output`` holds something else, or a number is out of range.

    Example:
        >>> import tempfile
        >>> from interlace.data.render import render
        >>> output = Path(tempfile.mkdtemp()) / "moves"
        >>> folder = render(output, clips_per_class=1, val_clips_per_class=1, size=32, progress=False)
        >>> sorted(path.name for path in folder.iterdir() if path.is_file())
        ['dataset.json', 'train.csv', 'val.csv']
    """
    if clips_per_class < 1 or val_clips_per_class < 0:
        raise ValueError(
            f"clips_per_class={clips_per_class}, val_clips_per_class={val_clips_per_class}: "
            "at least 1 training clip and 0 validation clips of each class are needed"
        )
    if size < 32 or size % 2:
        raise ValueError(
            f"size={size}: H.264 needs an even number here, and below 32 pixels the objects are lost"
        )
    if classes not in CLIP_SETS:
        raise ValueError(f"classes={classes!r}: there are {', '.join(CLIP_SETS)}")
    if pause is not None and classes != "long_range":
        raise ValueError(f"pause={pause}: only the classes long_range have one, these are {classes}")
    clip_set = CLIP_SETS[classes]
    counts = {"train": clips_per_class, "val": val_clips_per_class}
    card = {
        "generator": "interlace render",
        "version": VERSION,
        "classes": list(clip_set.classes),
        "clips_per_class": clips_per_class,
        "val_clips_per_class": val_clips_per_class,
        "size": size,
        "seed": seed,
    }
    if classes == "long_range":
        pause = PAUSE if pause is None else pause
        require_pause(pause)
        clip_set = replace(clip_set, clips_of=partial(_returns, pause=pause))
        card["pause"] = pause
    if _is_finished(output, card):
        return output
    with whole_folder(output) as folder:  # half a data set is never seen
        for name in clip_set.classes:
            (folder / name).mkdir()
        jobs = [
            (split, scene, i)
            for split, count in counts.items()
            for i in range(count)
            for scene in clip_set.scenes
        ]
        console = Console(stderr=True)
        with (
            ThreadPoolExecutor(num_workers or os.cpu_count()) as pool,
            Progress(console=console, disable=not (progress and console.is_terminal)) as bar,
        ):
            scenes = [
                pool.submit(_write_scene, folder, clip_set, split, scene, i, size, seed)
                for split, scene, i in jobs
            ]
            try:
                for written in bar.track(as_completed(scenes), total=len(scenes), description="rendering"):
                    written.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)  # one failure or Ctrl-C ends the whole render
                raise
        for split, count in counts.items():
            _write_list(folder / f"{split}.csv", clip_set.classes, split, count)
        (folder / "dataset.json").write_text(json.dumps(card, indent=2) + "\n")
    return output


def _write_scene(
    folder: Path, clip_set: ClipSet, split: str, scene: str, index: int, size: int, seed: int
) -> None:
    """Write the clips of one scene; the draw depends on these arguments only."""
    rng = np.random.default_rng([seed, ("train", "val").index(split), clip_set.scenes.index(scene), index])
    frame_rate = int(rng.choice(FRAME_RATES))
    for name, clip in clip_set.clips_of(scene, rng, size).items():
        encode(folder / _clip_name(name, split, index), clip, frame_rate)


def _clip_name(name: str, split: str, index: int) -> str:
    return f"{name}/{split}_{index:04d}.mp4"


def _write_list(path: Path, classes: tuple[str, ...], split: str, count: int) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label"])
        writer.writerows([_clip_name(name, split, i), name] for name in classes for i in range(count))


def _is_finished(output: Path, card: dict[str, object]) -> bool:
    """Whether the folder holds exactly this data set; anything else in it is an error."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    try:
        found = json.loads((output / "dataset.json").read_text())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("generator") != card["generator"]:
        raise ValueError(f"{output}: holds other things than rendered clips; name a new or an empty folder")
    if found != card:
        different = [
            f"{key}={found.get(key)!r} there, {card[key]!r} wanted"
            for key in card
            if found.get(key) != card[key]
        ]
        raise ValueError(
            f"{output}: holds another data set ({'; '.join(different)}); name a new folder or remove it"
        )
    return True
