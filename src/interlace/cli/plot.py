"""`interlace plot offsets MODEL [MODEL ...] DATA`."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from interlace.cli.parser import parse, say

if TYPE_CHECKING:
    from interlace.checkpoints import ModelCard
    from interlace.data.annotations import Annotations
    from interlace.models import VideoModel
    from interlace.plots import OffsetTally


def run(arguments: list[str]) -> int:
    """Draw what networks have learned."""
    return plot(**parse("plot", plot, arguments))


def plot(
    what: Literal["offsets"],
    files: list[Path],
    *,
    data: Path | None = None,
    annotations: Path | None = None,
    format: str = "auto",
    labels: Path | None = None,
    frames: str | None = None,
    num_clips: int | None = None,
    batch_size: int = 8,
    num_workers: int | Literal["auto"] = "auto",
    device: str = "auto",
    on_error: Literal["raise", "skip"] = "raise",
    output: Path | None = None,
    allow_outside: bool = False,
) -> int:
    """Draw the offsets and weights of trained TIN networks on real clips, as in figure 5 of the paper.

    Args:
        what: offsets: mean offset of each group over depth, mean weights over time.
        files: Checkpoints, side by side in the picture, and last the folder of the videos.
        data: Folder of the videos; then all files are checkpoints.
        annotations: Annotation file; by default the clips that training validated on, else val.csv or test.csv.
        format: auto, folder, csv, kinetics, tsn, something_v1, something_v2, jester, ucf101 or hmdb51.
        labels: File with the class names, where the format has one.
        frames: Template of frame files, where videos are folders of pictures; by default that of the training.
        num_clips: Take so many clips, spread over the list; by default all.
        batch_size: Clips that the network sees at once; the means do not depend on it.
        num_workers: Processes that decode; auto goes by the cores and the device.
        device: auto, cpu, cuda, cuda:1 or mps.
        on_error: What to do with a video that cannot be read.
        output: Folder, or name of the picture (.png); .csv and .json are written beside it. By default
            MODEL-offsets.png beside the first checkpoint.
        allow_outside: Take clips that a list names outside of the data folder, by absolute paths or "..".
    """
    from interlace.allocator import keep_freed_memory
    from interlace.checkpoints import load_checkpoint
    from interlace.cli.data import evaluation_clips
    from interlace.plots import offset_figure, series_of
    from interlace.plots.offset_tally import write_offset_table

    del what  # there is nothing else to draw yet
    models, data = (files, data) if data is not None else (files[:-1], files[-1])
    if not models or data.suffix == ".safetensors":
        raise ValueError("give a checkpoint and the folder of the videos: interlace plot offsets MODEL DATA")
    for option, number in (("num_clips", num_clips), ("batch_size", batch_size)):
        if number is not None and number < 1:
            raise ValueError(f"--{option} {number} must be at least 1")
    picture = _picture(output, models[0])
    keep_freed_memory()
    series, networks = [], []
    for path in models:
        model, card = load_checkpoint(path)
        _require_tin(path, model, card)
        clips = evaluation_clips(
            data,
            annotations,
            card=card,
            format=format,
            labels=labels,
            missing=on_error,
            outside=allow_outside,
        )
        clips = spread(clips, num_clips)
        say(f"{path}: {card.model}, {len(clips)} clips, {clips.source}")
        tally = watch_offsets(
            model,
            card,
            clips,
            batch_size=batch_size,
            num_workers=num_workers,
            device=device,
            on_error=on_error,
            frame_template=frames,
            title=path.name,
        )
        _require_finite(path, tally)
        of = "" if len(models) == 1 else f"{Path(path.parent.name) / path.stem}, "
        series += series_of(tally, of + card.model)
        networks.append(_facts(path, card, clips, tally))
    offset_figure(series, picture, title=f"Offsets and weights on {data.resolve().name}")
    table = write_offset_table(series, picture.with_suffix(".csv"))
    numbers = _write_json(picture.with_suffix(".json"), networks, [one.to_dict() for one in series])
    print(f"picture: {picture}\nnumbers: {table}\n         {numbers}")
    return 0


def watch_offsets(
    model: VideoModel,
    card: ModelCard,
    clips: Annotations,
    *,
    batch_size: int = 8,
    num_workers: int | Literal["auto"] = 0,
    device: str = "cpu",
    on_error: Literal["raise", "skip"] = "raise",
    frame_template: str | None = None,
    title: str = "",
) -> OffsetTally:
    """Run a network over clips, one view of each from its centre, and add up what its TIN modules do."""
    from interlace.devices import choose_device
    from interlace.evaluation import get_protocol
    from interlace.evaluation.loop import score_clips
    from interlace.plots import OffsetTally
    from interlace.temporal import record_offsets

    tally = OffsetTally()
    with record_offsets(model) as records:
        batches = score_clips(
            model,
            card,
            clips,
            get_protocol("1clip-center"),  # one view a clip, so one forward a batch
            batch_size=batch_size,
            num_workers=num_workers,
            device=choose_device(device),
            on_error=on_error,
            frame_template=frame_template,
            progress=True,
            title=title,
        )
        with closing(batches):
            for batch in batches:
                if batch.indices:
                    tally.add(records)
    if not tally.num_clips:
        raise ValueError(f"{clips.source}: none of the {len(clips)} clips could be read")
    return tally


def spread(clips: Annotations, num_clips: int | None) -> Annotations:
    """So many of the clips, evenly spread: lists are often sorted by class."""
    if num_clips is None or num_clips >= len(clips):
        return clips
    chosen = [(2 * i + 1) * len(clips) // (2 * num_clips) for i in range(num_clips)]
    return clips.subset(chosen, f"{clips.source}; {num_clips} of {len(clips)}")


def _require_tin(path: Path, model: VideoModel, card: ModelCard) -> None:
    from interlace.temporal import TemporalInterlace

    if not any(isinstance(module, TemporalInterlace) for module in model.modules()):
        raise ValueError(
            f"{path}: {card.model} has no TIN modules and so no offsets to draw; the networks that have them "
            "are those of `interlace models 'tin*'` and ensembles of them"
        )


def _require_finite(path: Path, tally: OffsetTally) -> None:
    for layer in tally.layers():
        if not math.isfinite(layer.offset.sum() + layer.weight.sum()):
            raise ValueError(
                f"{path}: {layer.name} gives offsets or weights that are not finite numbers; the network has "
                "diverged or its weights are damaged, use another checkpoint"
            )


def _picture(output: Path | None, model: Path) -> Path:
    name = f"{model.stem}-offsets.png"
    if output is not None and output.suffix.lower() in (".pdf", ".svg", ".jpg", ".jpeg"):
        raise ValueError(
            f"--output {output}: the picture is a PNG; give a name that ends in .png, or a folder"
        )
    if output is None:
        return model.parent / name
    if output.is_file() and output.suffix != ".png":
        raise ValueError(f"--output {output} is a file; give a folder, or a name that ends in .png")
    return output if output.suffix == ".png" else output / name


def _facts(path: Path, card: ModelCard, clips: Annotations, tally: OffsetTally) -> dict[str, Any]:
    from interlace.evaluation.output import clips_sha256, file_sha256

    return {
        "checkpoint": str(path),
        "sha256": file_sha256(path),
        "model": card.model,
        "data": clips.source,
        "data_sha256": clips_sha256(clips),
        "num_clips": tally.num_clips,
        "num_skipped": len(clips) - tally.num_clips,
    }


def _write_json(path: Path, networks: list[dict[str, Any]], series: list[dict[str, Any]]) -> Path:
    import json

    from interlace.files import whole_file
    from interlace.provenance import provenance

    with whole_file(path) as beside:
        beside.write_text(
            json.dumps({**provenance(), "networks": networks, "series": series}, indent=1) + "\n"
        )
    return path
