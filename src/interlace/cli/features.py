"""`interlace features PATH... --model M --output OUT`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from interlace.cli.parser import complain, in_options, parse
from interlace.cli.progress import bar_of_videos
from interlace.corpus.options import ON_THIS_MACHINE, RayOptions

if TYPE_CHECKING:
    from interlace.corpus.network import Network
    from interlace.corpus.work import Describing

LISTED = 20
"""Failures that are printed; all of them are in the output."""


def run(arguments: list[str]) -> int:
    """Store what a network makes of videos."""
    return features(**parse("features", features, arguments))


def features(
    paths: list[str],
    *,
    model: str,
    output: str,
    what: Literal["features", "frames", "logits", "probabilities"] = "features",
    weights: str = "auto",
    num_clips: int = 1,
    num_segments: int | None = None,
    image_size: int | None = None,
    frames: str | None = None,
    device: str = "auto",
    flow: Literal["dis", "dis_fast", "tvl1"] | Path | None = None,
    engine: Literal["local", "ray"] = "local",
    column: str | None = None,
    ray: RayOptions = ON_THIS_MACHINE,
) -> int:
    """Store what a network makes of each video: its features, averaged over the frames. No labels are needed.

    A video that cannot be read is in the output with its error. After a kill or Ctrl-C the same command goes on. The
    exit status is 1 if a video could not be read.

    Args:
        paths: Video files, folders (searched for videos and folders of frames) or quoted globs; with --column Parquet
            files, folders of them or URLs.
        model: Checkpoint that `interlace train` wrote; or a network by name: an image network (resnet50, any of timm's)
            that sees the frames one by one, or one that recognizes actions (`interlace models` lists them).
        output: NAME.parquet or NAME.safetensors; with --engine ray a folder of Parquet files, on a disk or at a URL
            such as s3://bucket/folder.
        what: features: one vector for each video, those that the classifier sees, averaged over the frames; frames:
            one for each frame; logits or probabilities of the labels.
        weights: Of a network by name. auto: those of timm's hub; none: random ones; or a file.
        num_clips: Clips of a video, spread over it; what is one vector is their mean.
        num_segments: Frames of a clip, for a network by name; by default as many as the method was published with.
        image_size: Side of the frames in pixels, for a network by name; by default 224.
        frames: Template of frame files, where videos are folders of pictures; by default that of the training.
        device: auto, cpu, cuda, cuda:1 or mps.
        flow: Where the network sees optical flow: the folder that `interlace flow` wrote, or a method to compute it
            with; by default training's method.
        engine: local: this process; ray: many, on this machine or a cluster, see --ray.address; needs interlace[ray].
        column: The paths are in this column of Parquet tables; their other columns go along. For --engine ray.
        ray: Where --engine ray works.
    """
    from interlace.allocator import keep_freed_memory
    from interlace.cli.corpus import refuse_what_is_for_ray, run_ray
    from interlace.corpus.work import Describing, How

    keep_freed_memory()
    work = Describing(what, num_clips, How(frames=frames, device=device, flow=flow))
    if engine == "ray":
        return run_ray(
            paths,
            column=column,
            work=work,
            network=lambda: _network(model, weights, image_size, num_segments),
            output=output,
            options=ray,
        )
    refuse_what_is_for_ray(column, output)
    from interlace.corpus.feature_file import check_output

    check_output(Path(output))
    return _local(paths, Path(output), work, _network(model, weights, image_size, num_segments))


def _local(paths: list[str], output: Path, work: Describing, network: Network) -> int:
    from interlace.corpus.feature_file import write_features
    from interlace.inference.batch import expand
    from interlace.printable import printable

    videos = expand(paths)
    try:
        with bar_of_videos("computing features") as report:
            computed, errors = write_features(videos, output, work, network, report)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{output}.parts keeps what is done, the same command goes on") from stop
    for path, reason in list(errors.items())[:LISTED]:
        print(printable(f"{path}: FAILED: {in_options(reason)}"))
    if len(errors) > LISTED:
        print(f"... and {len(errors) - LISTED} more, see the errors in {output}")
    there = len(videos) - computed
    told = (
        f"{work.what} of {computed} videos computed, {there} were there already"
        if computed
        else "finished already"
    )
    print(f"{output}: {told}, {len(errors)} failed")
    return complain(f"no {work.what} of {len(errors)} videos", status=1) if errors else 0


def _network(model: str, weights: str, image_size: int | None, num_segments: int | None) -> Network:
    from interlace.corpus.network import is_file_name, network_by_name, read_network

    if not is_file_name(model):
        return network_by_name(model, weights=weights, image_size=image_size, num_segments=num_segments)
    given = {"weights": weights != "auto", "image_size": image_size, "num_segments": num_segments}
    for option in (name for name, is_given in given.items() if is_given):
        raise ValueError(f"--{option}: {model} brings its own; leave it out")
    return read_network(Path(model))
