"""`interlace flow DIR --output FLOWDIR`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

from interlace.cli.parser import complain, in_options, parse, say
from interlace.cli.progress import bar_of_videos


def run(arguments: list[str]) -> int:
    """Store the optical flow of videos."""
    return flow(**parse("flow", flow, arguments))


def flow(
    data: Path,
    *,
    output: Path,
    method: Literal["dis", "dis_fast", "tvl1"] = "dis",
    short_side: int = 256,
    num_workers: int = 2,
    frames: str | None = None,
    on_error: Literal["raise", "skip"] = "raise",
) -> int:
    """Compute the optical flow of every video once and store it as pictures, flow_x_00001.jpg and flow_y_00001.jpg.

    OUTPUT mirrors DATA: the flow of DATA/a/clip.mp4 is in the folder OUTPUT/a/clip.mp4, so the same lists of clips fit
    both. What is whole is not computed again, so an interrupted run goes on where it was. The exit status is 1 if a
    video could not be read.

    Args:
        data: Folder of the videos.
        output: Folder that receives the flow, outside of DATA.
        method: dis: dense inverse search; dis_fast: its fast preset; tvl1: as published, a hundred times slower.
        short_side: Larger frames are reduced to this short side before; networks that compute flow themselves take 256.
        num_workers: Videos that are worked on at a time.
        frames: Template of frame files, where videos are folders of pictures, e.g. img_{:05d}.jpg.
        on_error: Leave damaged videos out and list them; or store them too, the nearest frame standing in.
    """
    from interlace.data.flow_store import FlowSettings, store_flow

    if output.exists() and not output.is_dir():
        raise ValueError(f"--output {output} is a file; give a folder")
    try:
        with bar_of_videos("computing flow") as report:
            computed, there, failures = store_flow(
                data,
                output,
                FlowSettings(method, short_side),
                num_workers=num_workers,
                on_error=on_error,
                frame_template=frames,
                progress=report,
            )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{output} keeps what is whole, the same command goes on") from stop
    for _, reason in failures:
        say(in_options(reason))
    say(f"{output}: flow of {computed} videos computed, {there} were there already")
    if failures:
        return complain(f"no flow of {len(failures)} videos (listed above)", status=1)
    train = f"interlace train {shlex.quote(str(data))} --flow {shlex.quote(str(output))}"
    print(f"train on it:      {train} --modality flow")  # the videos' own lists and split hold for their flow
    print(f"beside the color: {train} --model two_stream_tsn_resnet50")
    return 0
