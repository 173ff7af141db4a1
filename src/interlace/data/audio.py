"""The sound of a video, a row a second, in step with its picture.

    video track       0 . . . . . . 1 . . . . . . 2 . . . . . . 3
    sound track              x x x x x x x x x x x x x x x
    rows             [0 0 0 x x x x] [x x x x x x x] [x x x x 0 0 0]

Both tracks go by the clock of the file, on which neither need begin at 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import InputContainer
from jaxtyping import Bool, Float
from torch import Tensor

from interlace.data.first_frame import first_frame_seconds
from interlace.data.limits import SOUND_SECONDS
from interlace.data.out_of_memory import require_memory
from interlace.data.reader import VideoError
from interlace.data.sound_runs import sound_pieces
from interlace.data.sound_spans import NOTABLE_SECONDS, Span, add, covered, gap_notes, joined
from interlace.data.tracks import open_track


@dataclass(frozen=True, repr=False)
class Sound:
    """Seconds of sound, mono."""

    samples: Float[Tensor, "N S"]
    """In [-1, 1], S of them a second; zeros where the file has no sound."""
    heard: Bool[Tensor, " N"]
    """True where the file has sound, be it silence, for a tenth of the second or more."""
    notes: tuple[str, ...] = ()
    """What was odd about the track."""

    def __repr__(self) -> str:
        seconds, rate = self.samples.shape
        said = "".join(f", {note}" for note in self.notes)
        return f"Sound({seconds} s at {rate} Hz, {int(self.heard.sum())} s heard{said})"


def read_seconds_of_sound(
    path: str | Path, *, sample_rate_hz: int, num_seconds: int, start_seconds: float | None = None
) -> Sound:
    """The sound of a video file: row k is what is heard from k to k + 1 s after its first frame is shown.

    The default track is taken, its channels averaged, resampled to ``sample_rate_hz``, and placed by its time stamps.
    Where there is no sound (no track, a late start, an early end, a gap, damaged packets) rows hold zeros, and
    ``notes`` say so. The file is decoded as a stream: only the rows are held in memory, 64 kB a second at 16 kHz.

    Args:
        path: a file with a video track, or a folder of pictures, which has no sound.
        sample_rate_hz: samples a second of the result (S).
        num_seconds: rows of the result (N).
        start_seconds: when row 0 begins, on the clock of the file; the first frame if not given.

    Raises:
        VideoError: missing, empty, not a video, without a video track; longer than the limit (see
            :mod:`interlace.data.limits`).
        ValueError: a rate or a number of seconds below 1.

    Example:
        >>> from interlace.data.audio import read_seconds_of_sound
        >>> read_seconds_of_sound("clip.mp4", sample_rate_hz=16000, num_seconds=10)  # doctest: +SKIP
        Sound(10 s at 16000 Hz, 9 s heard, the sound ends at 8.72 s: zeros from there)
    """
    path = Path(path)
    for name, value in (("sample_rate_hz", sample_rate_hz), ("num_seconds", num_seconds)):
        if value < 1:
            raise ValueError(f"{path}: {name}={value}; it is a whole number from 1 on")
    if start_seconds is not None and not math.isfinite(start_seconds):
        raise ValueError(
            f"{path}: start_seconds={start_seconds} is no time; give seconds of the file's clock"
        )
    if path.is_dir():
        return silence(
            sample_rate_hz=sample_rate_hz, num_seconds=num_seconds, note="a folder of pictures has no sound"
        )
    SOUND_SECONDS.check(path, num_seconds, VideoError)
    start = first_frame_seconds(path) if start_seconds is None else start_seconds
    samples = np.zeros(num_seconds * sample_rate_hz, dtype=np.float32)
    container, _ = open_track(path, 1, probe=True)
    with container:
        stream, notes = _choose_track(container)
        spans: list[Span] = []
        if stream is not None:
            errors: list[str] = []
            spans = _fill(samples, container, stream, start, sample_rate_hz, errors)
            for reason in set(errors):
                require_memory(path, reason)
            notes += _damage_notes(errors)
            notes += gap_notes(spans, sample_rate_hz, _lasts_seconds(container, start, num_seconds))
    heard = covered(spans, num_seconds, sample_rate_hz) >= NOTABLE_SECONDS * sample_rate_hz
    if not np.isfinite(samples).all():
        notes.append("damaged: samples of its sound are no numbers, zeros are used")
        np.nan_to_num(samples, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    np.clip(samples, -1, 1, out=samples)  # lossy codecs and resampling overshoot
    rows = torch.from_numpy(samples).view(num_seconds, sample_rate_hz)
    return Sound(rows, torch.from_numpy(heard), tuple(notes))


def silence(*, sample_rate_hz: int, num_seconds: int, note: str) -> Sound:
    """Seconds in which nothing is heard, and why.

    Example:
        >>> from interlace.data.audio import silence
        >>> silence(sample_rate_hz=16000, num_seconds=3, note="a silent film")
        Sound(3 s at 16000 Hz, 0 s heard, a silent film)
    """
    samples = torch.zeros(num_seconds, sample_rate_hz)
    return Sound(samples, torch.zeros(num_seconds, dtype=torch.bool), (note,))


def _choose_track(container: InputContainer) -> tuple[AudioStream | None, list[str]]:
    tracks = list(container.streams.audio)
    if not tracks:
        return None, ["it has no sound track: zeros"]
    known = [track for track in tracks if track.codec_context is not None]
    if not known:
        return None, ["this FFmpeg has no decoder for its sound track: zeros"]
    best = container.streams.best("audio")
    stream = next((track for track in known if best is not None and track.index == best.index), known[0])
    notes = [f"{len(tracks)} audio tracks, stream {stream.index} is used"] if len(tracks) > 1 else []
    return stream, notes


def _fill(
    samples: np.ndarray,
    container: InputContainer,
    stream: AudioStream,
    start: float,
    rate: int,
    errors: list[str],
) -> list[Span]:
    """Put the sound where it belongs; returns where there is any, sorted, apart from each other."""
    spans: list[Span] = []
    for seconds, piece in sound_pieces(container, stream, rate, errors):
        begin = round((seconds - start) * rate)
        if begin >= len(samples):
            break
        first, last = max(begin, 0), min(begin + len(piece), len(samples))
        if first < last:
            samples[first:last] = piece[first - begin : last - begin]
            add(spans, (first, last))
    return joined(spans)


def _lasts_seconds(container: InputContainer, start: float, num_seconds: int) -> float:
    """How much of the rows the file can fill: the last second of a video may be half a one."""
    if container.duration is None:
        return num_seconds - 0.5
    return min(float(num_seconds), ((container.start_time or 0) + container.duration) / av.time_base - start)


def _damage_notes(errors: list[str]) -> list[str]:
    if not errors:
        return []
    return [f"damaged: {len(errors)} packets of its sound ({errors[0]}), zeros where it gives none"]
