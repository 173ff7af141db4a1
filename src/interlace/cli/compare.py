"""`interlace compare [PATTERN ...]`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from interlace.cli.parser import parse, warn

if TYPE_CHECKING:
    from interlace.comparison import Row


def run(arguments: list[str]) -> int:
    """Compare networks."""
    return compare(**parse("compare", compare, arguments))


def compare(
    pattern: list[str] = [],  # noqa: B006 - the parser reads this default, nothing writes to it
    *,
    output: Path = Path("compare"),
    accuracy: Path | None = None,
    no_latency: bool = False,
    num_classes: int = 174,
    image_size: int = 224,
    batch_size: int = 1,
    rounds: int = 9,
    device: str = "auto",
    precision: Literal["32", "bf16"] = "32",
    optimize: bool = False,
    write: Path | None = None,
) -> int:
    """Count and measure what networks cost, beside the figures of the papers, with a picture of accuracy against cost.

    Parameters and multiply-adds are counted without weights in memory, in seconds. Times are measured one network
    after the other, each in turn with TSN on ResNet-50 and 8 frames; Ctrl-C keeps what is there. Accuracies are those
    that the papers state, and are marked so.

    Args:
        pattern: Names or shell patterns such as 'tin_*'; by default every row of the papers' tables, and every other
            method once.
        output: Folder that receives compare.md, compare.csv, compare.json and compare.png.
        accuracy: CSV file of accuracies that you have measured, in percent: name,top1[,num_segments][,protocol].
        no_latency: Only count.
        num_classes: Classes; the papers' accuracies are of 174.
        image_size: Height and width of the frames; the papers' multiply-adds are of 224.
        batch_size: Clips in a batch, where times are measured.
        rounds: Measurements of each network; slow ones are measured fewer times, at least 3.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: Arithmetic of the networks, where times are measured.
        optimize: Measure the networks as `interlace.optimize` makes them.
        write: Also put the counts between the markers <!-- costs:begin --> and <!-- costs:end --> of this file.
    """
    import torch

    from interlace.allocator import keep_freed_memory
    from interlace.comparison import Setting, counted, entries, read_own, timed
    from interlace.comparison.report import check_markers, write_between_markers, write_report
    from interlace.comparison.terminal import LiveTable
    from interlace.devices import choose_device

    numbers = {
        "num_classes": num_classes,
        "image_size": image_size,
        "batch_size": batch_size,
        "rounds": rounds,
    }
    for option, number in numbers.items():
        if number < 1:
            raise ValueError(f"--{option} {number} must be at least 1")
    setting = Setting(
        num_classes=num_classes,
        image_size=image_size,
        batch_size=batch_size,
        device=choose_device(device),
        dtype=torch.bfloat16 if precision == "bf16" else torch.float32,
        optimize=optimize,
        rounds=rounds,
    )
    chosen = entries(pattern, read_own(accuracy) if accuracy else [])
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output {output} is a file; give a folder")
    output.mkdir(parents=True, exist_ok=True)
    if write:
        check_markers(write)
    keep_freed_memory()
    rows: list[Row] = []
    stopped = False
    with LiveTable() as live:
        try:
            for row in counted(chosen, setting, live.tell):
                rows.append(row)
                live.show(rows)
            if write:
                write_between_markers(write, rows)
            if not no_latency:
                for place, row in enumerate(timed(tuple(rows), setting, live.tell)):
                    rows[place] = row
                    live.show(rows)
        except KeyboardInterrupt:
            stopped = True
    live.explain()
    files = write_report(output, rows, setting, complete=not stopped) if rows else []
    for file in files:
        print(f"written: {file}")
    if rows and not any(file.suffix == ".png" for file in files):
        print("no picture: no accuracy of these networks is known; give yours with --accuracy FILE")
    if stopped:
        warn("stopped by Ctrl-C; what was counted and measured until then is kept")
    return 130 if stopped else 0
