"""`interlace av features DIR --output F`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from interlace.cli.parser import complain, in_options, parse, say
from interlace.cli.progress import bar_of_videos

if TYPE_CHECKING:
    from interlace.audiovisual.features.audio_features import AudioExtractor
    from interlace.audiovisual.features.visual_features import VisualExtractor

LISTED = 5
"""Videos without sound that are named."""


def run(arguments: list[str]) -> int:
    """Store what is heard and seen in videos."""
    return features(**parse("av features", features, arguments))


def features(
    data: Path,
    *,
    output: Path,
    audio: Literal["vggish", "log_mel"] = "vggish",
    visual: str = "mobilenetv2_100",
    audio_weights: str = "auto",
    visual_weights: str = "auto",
    audio_args: dict[str, Any] | None = None,
    visual_args: dict[str, Any] | None = None,
    image_size: int | None = None,
    frames_per_second: int | None = None,
    map: Literal["auto", "on", "off"] = "auto",
    crop: Literal["center", "whole"] = "center",
    num_workers: int = 1,
    frames: str | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    device: str = "auto",
) -> int:
    """Compute what is heard and what is seen in each second of every video once, and store it.

    OUTPUT mirrors DATA: the features of DATA/a/clip.mp4 are in OUTPUT/a/clip.mp4.safetensors, one row a second (audio,
    visual, heard), and the networks in OUTPUT/extractor.safetensors, for files that are new. What is whole is not
    computed again, so an interrupted run goes on where it was, and videos may be added or replaced. A video without
    sound has rows of zeros for it. The exit status is 1 if a video could not be read.

    Args:
        data: Folder of the videos.
        output: Folder that receives the features, outside of DATA.
        audio: vggish: 128 features of a network that was trained on sound, as published; log_mel: the mean log-mel
            spectrum, which needs no weights.
        visual: An image network of timm (vgg19, as published and slow; mobilenetv2_100, resnet50, ...), a network that
            recognizes actions (tin_resnet50: `interlace models` lists them), or FILE.safetensors, a checkpoint that
            `interlace train` wrote.
        audio_weights: auto: those published, from their hub; none: random ones; or a file.
        visual_weights: auto: those of timm's hub (a checkpoint brings its own); none: random ones; or a file.
        audio_args: Arguments of the sound's features, e.g. {"post_process": "pca"} for vggish, {"num_steps": 2} for
            log_mel.
        visual_args: Arguments of the network's builder, e.g. {"pad_type": "same"}.
        image_size: Side of the frames that the network sees; by default 224, or the checkpoint's.
        frames_per_second: Frames of a second that it sees; by default 16, or as many as a clip of the network has.
        map: Features of each place of the network's last map, not of the whole picture; auto: for vgg19 only.
        crop: center: the middle square of the picture; whole: all of it, squeezed to a square.
        num_workers: Videos that are worked on at a time.
        frames: Template of frame files, where videos are folders of pictures, e.g. img_{:05d}.jpg.
        on_error: raise: leave damaged videos out and list them; skip: store them too, the nearest frame standing in
            for a damaged one.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    from interlace.allocator import keep_freed_memory
    from interlace.audiovisual.features.extractor import Extractor
    from interlace.audiovisual.features.feature_store import store_features
    from interlace.cli.av_output import require_writable
    from interlace.data.video import find_videos
    from interlace.devices import choose_device

    if data.is_file():
        raise ValueError(f"{data} is a file; give the folder that it is in")
    require_writable("output", output)
    for option, number in (("frames_per_second", frames_per_second), ("image_size", image_size)):
        if number is not None and number < 1:
            raise ValueError(f"--{option} {number} must be at least 1")
    if num_workers < 1:
        raise ValueError(f"--num_workers {num_workers}: someone has to do the work; give 1 or more")
    find_videos(data)  # its error comes before any download
    target = choose_device(device)
    keep_freed_memory()
    with _seeded():
        heard = _audio(audio, audio_weights, audio_args or {})
        seen = _visual(
            visual,
            visual_weights,
            {
                **(visual_args or {}),
                "image_size": image_size,
                "frames_per_second": frames_per_second,
                "map": {"auto": None, "on": True, "off": False}[map],
                "crop": crop,
            },
        )
    try:
        with bar_of_videos("computing features") as report:
            stored = store_features(
                data,
                output,
                Extractor(heard, seen).to(target),
                num_workers=num_workers,
                on_error=on_error,
                frame_template=frames,
                progress=report,
            )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{output} keeps what is whole, the same command goes on") from stop
    for _, reason in stored.failures:
        say(in_options(reason))
    say(f"{output}: features of {stored.computed} videos computed, {stored.there} were there already")
    if stored.soundless:
        say(f"without sound: {_listed(stored.soundless, data)}; their rows of it are zeros")
    if stored.silent:
        say(f"with a track of sound that is silence: {_listed(stored.silent, data)}")
    if stored.failures:
        return complain(f"no features of {len(stored.failures)} videos (listed above)", status=1)
    return 0


def _listed(paths: Sequence[Path], root: Path) -> str:
    names = [str(path.relative_to(root)) for path in paths[:LISTED]] + ["..."] * (len(paths) > LISTED)
    return f"{len(paths)} ({', '.join(names)})"


def _audio(name: str, weights: str, arguments: dict[str, Any]) -> AudioExtractor:
    from interlace.audiovisual.features.audio_features import create_audio_extractor
    from interlace.models import WeightsError

    try:
        return create_audio_extractor(name, pretrained=_pretrained(weights), **arguments)
    except TypeError as error:
        raise ValueError(f"--audio_args {arguments}: {name} does not take them ({error})") from error
    except WeightsError as error:
        raise ValueError(
            f"{error} (--audio_weights FILE), or take --audio log_mel, which needs none"
        ) from error


def _visual(name: str, weights: str, arguments: dict[str, Any]) -> VisualExtractor:
    from interlace.audiovisual.features.visual_features import create_visual_extractor, is_checkpoint
    from interlace.models import WeightsError

    if is_checkpoint(name):
        if weights != "auto":
            raise ValueError(
                f"--visual_weights {weights}: the checkpoint {name} brings its own; leave it out"
            )
        return create_visual_extractor(name, **arguments)
    try:
        return create_visual_extractor(name, pretrained=_pretrained(weights), **arguments)
    except TypeError as error:
        raise ValueError(f"--visual_args {arguments}: {name} does not take them ({error})") from error
    except WeightsError as error:
        reason = str(error).partition("; train from scratch")[0]
        raise ValueError(f"{reason}; give a file with --visual_weights FILE") from error


def _pretrained(weights: str) -> bool | str:
    return {"auto": True, "none": False}.get(weights, weights)


@contextmanager
def _seeded() -> Iterator[None]:
    """Random weights, where they are asked for, are the same in every run, or none could go on."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
