"""Predict from Python: one file, its windows, many files.

    python examples/predict.py MODEL VIDEO [VIDEO ...]
    python examples/predict.py

Without arguments it makes a stand-in for both, so that it runs anywhere: a small clip, and a network that was
never trained and therefore guesses.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import interlace
from interlace.inference.batch import predict_files
from interlace.inference.output import print_predictions, write_predictions


def main(model: Path, videos: list[Path]) -> None:
    recognizer = interlace.load(model)
    print(recognizer)

    # One file: its labels, best first, with probabilities.
    prediction = recognizer(videos[0], top_k=3)
    print(prediction.label, round(prediction.score, 3))
    print(prediction.top)

    # When in it? Windows of half a second, each half over the next.
    for window in recognizer.timeline(videos[0], window_seconds=0.5):
        print(f"{window.start_seconds:.2f} s to {window.end_seconds:.2f} s: {window.label}")

    # Many files: what cannot be read is listed, and the rest is done.
    predictions, failures = predict_files(recognizer, [*videos, "absent.mp4"])
    print_predictions(predictions, failures)
    with tempfile.TemporaryDirectory() as folder:
        print(write_predictions(Path(folder) / "predictions.csv", predictions, failures).read_text())


def stand_ins(folder: Path) -> tuple[Path, Path]:
    """An untrained checkpoint and a clip of a square that moves to the right."""
    import av
    import numpy as np

    from interlace.checkpoints import ModelCard, save_checkpoint

    network = interlace.create_model("tin_resnet18", num_classes=3, num_segments=4)
    card = ModelCard(
        model=network.builder,
        model_args=network.builder_args,
        labels=("left", "right", "still"),
        sampling={"name": "segment", "num_segments": 4},
        preprocessing={
            "image_size": 64,
            "mean": list(network.mean),
            "std": list(network.std),
            "color": "rgb",
        },
    )
    model = save_checkpoint(folder / "untrained.safetensors", network, card)
    clip = folder / "clip.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        for i in range(18):
            picture = np.full((72, 96, 3), 60, dtype=np.uint8)
            picture[30:42, 4 * i : 4 * i + 12] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return model, clip


if __name__ == "__main__":
    if len(sys.argv) > 2:
        main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
    else:
        with tempfile.TemporaryDirectory() as folder:
            model, clip = stand_ins(Path(folder))
            main(model, [clip])
