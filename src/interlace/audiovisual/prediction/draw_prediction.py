"""The picture of a prediction: frames and sound are read from the file once more, small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch.nn import functional

from interlace.audiovisual.features.log_mel import VGGISH_BANDS, VGGISH_RATE_HZ, log_mel
from interlace.audiovisual.prediction.event_prediction import (
    BACKGROUND,
    EventPrediction,
    Modality,
    query_region,
)
from interlace.data import video
from interlace.data.audio import read_seconds_of_sound
from interlace.files import whole_file
from interlace.plots.event_timeline import EventTimeline, Row, draw_event_timeline, num_frames_of
from interlace.plots.reports import shorten
from interlace.printable import printable

LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0
COLUMNS = 1000
"""Of the sound's picture; it has as many pixels."""
FRAME_PIXELS = 160
"""Short side of the frames."""
RANGE = np.log(10.0) * 3
"""Of loudness that is drawn, from the loudest down: 60 dB of power, which is 3 powers of ten of magnitude."""
ROW_NAMES: dict[Modality, Row] = {"audio": "sound", "visual": "picture"}


def draw_prediction(prediction: EventPrediction, path: Path, *, frame_template: str | None = None) -> Path:
    """Draw a prediction above the frames and the sound of its file.

    Args:
        prediction: with the path of a file that is still there.
        path: the PNG to write; it appears whole or not at all.
        frame_template: names of the pictures where the video is a folder.

    Raises:
        VideoError: the video cannot be read.

    Example:
        >>> from pathlib import Path
        >>> from interlace.audiovisual.prediction.draw_prediction import draw_prediction
        >>> draw_prediction(recognizer("church.mp4"), Path("church.png"))  # doctest: +SKIP
        PosixPath('church.png')
    """
    num_seconds = len(prediction.labels)
    sound = read_spectrum(prediction.path, num_seconds) if any(prediction.has_sound) else None
    fits = "query" if prediction.query else ""
    timeline = EventTimeline(
        title=f"{shorten(printable(Path(prediction.path).name), 60)}: {prediction.answer}",
        num_seconds=num_seconds,
        lanes=_lanes(prediction),
        frames=read_strip(prediction.path, num_seconds, frame_template),
        sound=None if sound is None else sound[0],
        sound_hz=None if sound is None else sound[1],
        has_sound=prediction.has_sound,
        heard=_row(prediction.heard),
        seen=_row(prediction.seen),
        relevance=_row(prediction.relevance),
        score=_row(prediction.fit),
        heard_label=f"$p^A$: sound fits the {fits or 'picture'}",
        seen_label=f"$p^V$: picture fits the {fits or 'sound'}",
        rule=_rule(prediction),
        end_seconds=prediction.duration_seconds,
        searched=ROW_NAMES[prediction.query.asked] if prediction.query else None,
        background=BACKGROUND if prediction.query is None else "",
        notes=prediction.notes,
    )
    with whole_file(path) as beside:
        draw_event_timeline(timeline, beside)
    return path


def read_strip(
    path: str | Path, num_seconds: int, frame_template: str | None = None
) -> UInt8[np.ndarray, "M H W 3"]:
    """Small frames evenly spread over the seconds that there are: those on show in the middle of each part."""
    with video.open(path, on_error="skip", short_side=FRAME_PIXELS, frame_template=frame_template) as reader:
        count = num_frames_of(num_seconds, reader.width / reader.height)
        length = min(float(num_seconds), reader.duration_seconds)
        times = (torch.arange(count, dtype=torch.float64) + 0.5) * length / count
        positions = torch.searchsorted(reader.pts_seconds, times, right=True) - 1
        frames = reader.frames_at(positions.clamp(min=0).tolist())
    return frames.permute(0, 2, 3, 1).numpy()


def read_spectrum(
    path: str | Path, num_seconds: int
) -> tuple[Float[np.ndarray, "bands columns"], Float[np.ndarray, " bands"]]:
    """The log-mel spectrum of the sound, averaged to as many columns as are drawn; and the bands' middles in Hz."""
    samples = read_seconds_of_sound(path, sample_rate_hz=VGGISH_RATE_HZ, num_seconds=num_seconds).samples
    columns = max(1, min(COLUMNS // num_seconds, 98))  # a second; it has 98 windows
    # Second by second: of an hour of sound all windows at once would be gigabytes.
    spectra = (log_mel(second, lowest_hz=LOWEST_HZ, highest_hz=HIGHEST_HZ) for second in samples)
    spectrum = torch.cat([functional.adaptive_avg_pool1d(part.T, columns) for part in spectra], 1)
    return spectrum.clamp(min=float(spectrum.max()) - RANGE).numpy(), _band_hz()


def _band_hz() -> Float[np.ndarray, " bands"]:
    """Bands are equally wide in mel (of HTK)."""
    low, high = 1127.0 * np.log1p(LOWEST_HZ / 700.0), 1127.0 * np.log1p(HIGHEST_HZ / 700.0)
    return 700.0 * np.expm1(np.linspace(low, high, VGGISH_BANDS + 2)[1:-1] / 1127.0)


def _lanes(prediction: EventPrediction) -> dict[str, list[str]]:
    found = ["" if label == BACKGROUND else label for label in prediction.labels]
    query = prediction.query
    if query is None:
        return {"label": found}
    region = query_region(query, len(found), prediction.duration_seconds, prediction.path)
    given = ["query" if is_given else "" for is_given in region]
    return {
        f"given: {ROW_NAMES[query.modality]}": given,
        f"found: {ROW_NAMES[query.asked]}": ["answer" if label else "" for label in found],
    }


def _rule(prediction: EventPrediction) -> str:
    if prediction.query is not None:
        return "the answer is the window\nof the query's length\nthat fits best"
    labels_by_half = [label != BACKGROUND for label in prediction.labels]
    if prediction.relevance is not None and labels_by_half == [p >= 0.5 for p in prediction.relevance]:
        return "0.5 or more: event\nbelow: background"
    return "label: the likeliest\nof each second"


def _row(values: Sequence[float] | None) -> np.ndarray | None:
    return None if values is None else np.asarray(values)
