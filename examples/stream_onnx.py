"""Follow a camera, a file or an address with a network that `interlace export --streaming` wrote, without interlace.

    pip install av numpy onnxruntime pillow
    python examples/stream_onnx.py stream.onnx clip.mp4
    python examples/stream_onnx.py stream.onnx /dev/video0 v4l2       # a camera on Linux

All that it knows of the network stands in stream.onnx.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnxruntime
from PIL import Image


def main(network: str, source: str, format: str | None = None) -> None:
    described = json.loads(Path(f"{network}.json").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    state = first_state(described)
    for seconds, picture in frames(source, format, frame_rate(described)):
        logits, *after = session.run(described["outputs"], {"frame": as_taken(picture, described), **state})
        state = dict(zip(state, after, strict=True))  # next.X of this frame is past.X of the next one
        print(f"{seconds:.2f} s: {best(logits[0], described)}", flush=True)


def first_state(described: dict[str, Any]) -> dict[str, np.ndarray]:
    """Before the first frame of one stream: zeros."""
    return {
        given["name"]: np.zeros([1, *given["shape"][1:]], dtype=given["dtype"])
        for given in described["inputs"][1:]
    }


def frame_rate(described: dict[str, Any]) -> float:
    """Frames a second, as training saw them; 2 where that is not known."""
    return described["frames"]["per_second"] or 2.0


def frames(source: str, format: str | None, rate: float) -> Iterator[tuple[float, Image.Image]]:
    """The time and the picture of each frame that is due."""
    due = 0.0
    with av.open(source, format=format) as container:
        first = None
        for frame in container.decode(video=0):
            if frame.time is None:
                continue
            first = frame.time if first is None else first
            if frame.time - first >= due - 0.25 / rate:  # time stamps tremble
                due += 1 / rate
                yield frame.time - first, frame.to_image()


def as_taken(picture: Image.Image, described: dict[str, Any]) -> np.ndarray:
    """The middle of a picture, as the graph takes it."""
    how = described["preprocessing"]
    picture = picture.convert("L" if how["color"] == "gray" else "RGB")
    scale, side = how["resize_short_side"] / min(picture.size), how["center_crop"]
    width, height = (int(length * scale + 1e-6) for length in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - side) / 2), round((height - side) / 2)
    pixels = np.array(picture.crop((left, top, left + side, top + side))).reshape(side, side, -1)
    pixels = pixels.transpose(2, 0, 1)[None]
    if how["inside_the_graph"]:
        return np.ascontiguousarray(pixels)
    mean, std = (np.float32(how[name]).reshape(-1, 1, 1) for name in ("mean", "std"))
    return (pixels.astype(np.float32) / 255 - mean) / std


def best(logits: np.ndarray, described: dict[str, Any]) -> str:
    """The best label and its probability."""
    top = int(logits.argmax())
    if described["probabilities"].startswith("sigmoid"):
        score = 1 / (1 + np.exp(-logits[top]))
    else:
        score = 1 / np.exp(logits - logits[top]).sum()
    return f"{described['labels'][top]} {score:.1%}"


if __name__ == "__main__":
    main(*sys.argv[1:])
