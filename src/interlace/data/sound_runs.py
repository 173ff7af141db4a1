"""Decode a sound track: mono, at the wanted rate, in runs without a gap, each with the time at which it begins."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av import AudioFrame, AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from jaxtyping import Float32

from interlace.data.frame_index import DECODER_ERRORS, error_text

# Time stamps are rounded and jitter by some milliseconds; a packet that is lost leaves 20 ms or more (Opus).
_JITTER_SECONDS = 0.01
_LOWEST_RATE_HZ = 1000
"""Telephones have 8000. At 1 Hz resampling makes thousands of samples out of each."""

Piece = tuple[float, Float32[np.ndarray, " samples"]]
"""When it begins, in seconds of the file's clock, and its samples."""


def sound_pieces(
    container: InputContainer, stream: AudioStream, rate: int, errors: list[str]
) -> Iterator[Piece]:
    """Pieces of sound, and when each begins, in seconds of the file's clock.

    The pieces of a run join without a gap, and are placed by the run's first time stamp: a stamp that is rounded to
    milliseconds must not tear two packets apart. A run ends where the time jumps or the track changes its rate. What
    cannot be decoded is put on record in ``errors`` and leaves a gap.
    """
    run: _Run | None = None
    for frame in _frames(container, stream, errors):
        begins = _seconds(frame)
        if run is not None and not run.goes_on(frame.rate, begins):
            yield from run.flush()
            run = None
        if run is None:
            run = _Run(0.0 if begins is None else begins, frame.rate, rate)
        try:
            pieces = run.add(_mono(frame))
        except DECODER_ERRORS as error:  # e.g. a rate that damage has made absurd
            errors.append(error_text(error))
        else:
            yield from pieces
    if run is not None:
        yield from run.flush()


class _Run:
    """Sound without a gap, resampled as one."""

    def __init__(self, begins: float, rate: int, new_rate: int) -> None:
        self._begins, self._rate, self._new_rate = begins, rate, new_rate
        # None: with nothing to do, PyAV's resampler passes frames on, also the None that is to flush it.
        resampler = AudioResampler(format="fltp", layout="mono", rate=new_rate)
        self._resampler = None if rate == new_rate else resampler
        self._num_in = self._num_out = 0

    def goes_on(self, rate: int, begins: float | None) -> bool:
        """Whether a frame of this rate and time comes next."""
        expected = self._begins + self._num_in / self._rate
        return rate == self._rate and (begins is None or abs(begins - expected) < _JITTER_SECONDS)

    def add(self, samples: Float32[np.ndarray, " in"]) -> list[Piece]:
        """The samples of the next frame, as far as the resampler gives them out."""
        if self._resampler is None:
            self._num_in += len(samples)
            return [self._placed(samples)]
        frame = AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._num_in
        self._num_in += len(samples)
        return [self._placed(piece.to_ndarray()[0]) for piece in self._resampler.resample(frame)]

    def flush(self) -> list[Piece]:
        """What the resampler still holds back."""
        rest = [] if self._resampler is None else self._resampler.resample(None)
        return [self._placed(piece.to_ndarray()[0]) for piece in rest]

    def _placed(self, samples: Float32[np.ndarray, " out"]) -> Piece:
        begins = self._begins + self._num_out / self._new_rate
        self._num_out += len(samples)
        return begins, samples


def _frames(container: InputContainer, stream: AudioStream, errors: list[str]) -> Iterator[AudioFrame]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except IndexError:  # PyAV's end of a file in which another track turned up midway
            packet = None
        except DECODER_ERRORS as error:
            errors.append(f"the file breaks off: {error_text(error)}")
            packet = None
        if packet is not None and not packet.size:
            continue  # an empty one would close the decoder; the end is ours to tell
        try:
            frames = stream.decode(packet)
        except DECODER_ERRORS as error:
            errors.append(error_text(error))
            frames = []
        for frame in frames:
            if frame.is_corrupt:
                errors.append("the decoder has patched it")
            if frame.samples and frame.rate and frame.rate < _LOWEST_RATE_HZ:
                errors.append(f"a rate of {frame.rate} Hz")
            elif frame.samples and frame.rate:
                yield frame
        if packet is None:
            return


def _seconds(frame: AudioFrame) -> float | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return float(frame.pts * frame.time_base)


def _mono(frame: AudioFrame) -> Float32[np.ndarray, " samples"]:
    """The mean of the channels, as the published VGGish takes it: it cannot leave [-1, 1] where none does."""
    values = frame.to_ndarray()  # a row a channel if planar, else all in one row
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    mono = values.mean(axis=0, dtype=np.float32)
    if values.dtype == np.uint8:
        return (mono - 128) / 128
    full_scale = 2.0 ** (8 * values.dtype.itemsize - 1)
    return mono / np.float32(full_scale) if values.dtype.kind == "i" else mono
