"""`interlace import FILE --output OUT.safetensors`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from interlace.cli.parser import parse

if TYPE_CHECKING:
    from interlace.released import Imported


def run(arguments: list[str]) -> int:
    """Import a released checkpoint."""
    return import_checkpoint(**parse("import", import_checkpoint, arguments))


def import_checkpoint(
    file: Path,
    *,
    output: Path,
    format: Literal["tin", "x-temporal", "tsm", "tsm-mobilenetv2", "tsm-online", "trn", "mmaction2"]
    | None = None,
    labels: Path | None = None,
    num_segments: int | None = None,
    fold_div: int | None = None,
    sampling: Literal["segment", "dense"] = "segment",
    image_size: int = 224,
    multi_label: bool = False,
    overwrite: bool = False,
) -> int:
    """Bring a released checkpoint (TIN, TSM, TSN, TRN, X-Temporal, MMAction2) to our format.

    The network is read from names and shapes of the weights, never from the file's name. Every weight must find its
    place. No code of the file is run.

    Args:
        file: The released checkpoint: .pth, .pth.tar or .safetensors.
        output: The checkpoint to write, .safetensors; it is all that predict and evaluate need.
        format: Whose names the weights have; found out if not given.
        labels: Names of the classes: one a line, "index name" a line, or the JSON files of Something-Something.
        num_segments: Frames in a clip, for networks whose weights do not tell (TSN, TSM); else 8.
        fold_div: TSM's divisor of the channels, which no file tells; else 8.
        sampling: How frames are chosen: spread over the video (segment), or over a window of 64 frames (dense, as
            TSM's Kinetics networks were trained).
        image_size: Side of the square that the network sees.
        multi_label: The network tells several classes at once, as on Charades.
        overwrite: Replace the output file.
    """
    from interlace.data.annotations import read_class_names
    from interlace.released import import_released

    if output.is_file() and not overwrite:
        raise ValueError(f"{output} exists; give another --output, or --overwrite")
    imported = import_released(
        file,
        output,
        format=format,
        labels=None if labels is None else read_class_names(labels),
        num_segments=num_segments,
        fold_div=fold_div,
        sampling=sampling,
        image_size=image_size,
        multi_label=multi_label,
    )
    print(_summary(file, imported))
    return 0


def _summary(file: Path, imported: Imported) -> str:
    """What was found, what was assumed, and what to do next."""
    card = imported.card
    arguments = {
        name: value
        for name, value in card.model_args.items()
        if name not in ("num_classes", "num_segments", "in_chans", "modality", "mean", "std", "dropout")
    }
    lines = [
        f"read:     {file}",
        f"format:   {imported.format}",
        f"network:  {card.model}" + "".join(f", {name}={value}" for name, value in arguments.items()),
        f"sees:     {card.sampling['num_segments']} frames of {card.preprocessing['image_size']} x "
        f"{card.preprocessing['image_size']}, {card.preprocessing.get('modality', 'rgb')}",
        f"classes:  {len(card.labels)} ({', '.join(card.labels[:3])}{', ...' if len(card.labels) > 3 else ''})",
        *(f"assumed:  {sentence}" for sentence in imported.assumed),
        f"written:  {imported.path}",
        f"try it:   interlace predict VIDEO --model {imported.path}",
    ]
    return "\n".join(lines)
