"""Open a file and choose its video track; every way in which that can fail has one clear message."""

from __future__ import annotations

import os
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from interlace.data.frame_index import DECODER_ERRORS, error_text
from interlace.data.limits import FRAMES, PIXELS, decoding_options, opening_options
from interlace.data.mp4_samples import claimed_samples
from interlace.data.out_of_memory import require_memory
from interlace.data.reader import VideoError

# Opening decodes a frame or more, to guess what these files say anyhow: of H.264 in MP4 the header has the size,
# and the table of times how long the decoder holds a frame back. This keeps the guess from decoding.
_DECODE_NOTHING = {"skip_frame": "all"}
_SAYS_ALL = (".mp4", ".m4v", ".mov")
_SAMPLES_A_FRAME = 4
"""Of sound and of further tracks, that an MP4 may have beside each frame."""


def open_track(path: Path, num_threads: int, *, probe: bool = False) -> tuple[InputContainer, VideoStream]:
    """Open the container and pick the track that players show; cover pictures are no video.

    Of H.264 in MP4 no frame is looked at unless ``probe``: the pixel format is not known before the first one.

    Raises:
        VideoError: no such file, no permission, empty, not a video, no video track, no decoder; or more pixels in a
            frame, or samples in its tables, than :mod:`interlace.data.limits` allows.
    """
    if not path.is_file():
        reason = "is not a file" if path.exists() else "there is no such file"
        raise VideoError(f"{path}: {reason}; check the path")
    if not os.access(path, os.R_OK):
        raise VideoError(f"{path}: no permission to read it; change its access rights")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty (0 bytes); get it again")
    probe = probe or path.suffix.lower() not in _SAYS_ALL
    FRAMES.check(path, claimed_samples(path) // _SAMPLES_A_FRAME, VideoError)
    try:
        # "file:" keeps FFmpeg from taking a colon in the name for a network protocol.
        options = {**opening_options(), **({} if probe else _DECODE_NOTHING)}
        container = av.open(f"file:{path}", options=options)
    except av.error.InvalidDataError as error:
        raise VideoError(f"{path}: not a video that FFmpeg can read; replace the file") from error
    except DECODER_ERRORS as error:
        require_memory(path, error_text(error))
        raise VideoError(
            f"{path}: not a video that FFmpeg can read ({error_text(error)}); replace the file"
        ) from error
    try:
        stream = _choose_track(path, container)
        if not probe and not (
            container.format.name.startswith("mov") and stream.codec_context.name == "h264"
        ):
            container.close()
            return open_track(path, num_threads, probe=True)
        context = stream.codec_context
        PIXELS.check(path, context.width * context.height, VideoError)
        context.thread_count = num_threads
        context.options = {**context.options, **decoding_options()}
    except BaseException:
        container.close()
        raise
    return container, stream


def describe_tracks(container: InputContainer, stream: VideoStream) -> list[str]:
    """Notes on which of several tracks is used."""
    notes = []
    for kind, tracks in (("video", container.streams.video), ("audio", container.streams.audio)):
        if len(tracks) > 1:
            default = stream if kind == "video" else container.streams.best("audio") or tracks[0]
            notes.append(f"{len(tracks)} {kind} tracks, stream {default.index} is used")
    if stream.metadata.get("alpha_mode") == "1":
        notes.append("the alpha channel is dropped")
    return notes


def promised_seconds(container: InputContainer, stream: VideoStream) -> float:
    """How long the video lasts by the header; 0 if it does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    is_alone = len(container.streams) == 1  # the whole file may last longer because of its sound
    return container.duration / av.time_base if is_alone and container.duration else 0.0


def _choose_track(path: Path, container: InputContainer) -> VideoStream:
    tracks = [track for track in container.streams.video if not track.disposition & Disposition.attached_pic]
    if not tracks:
        others = sorted({track.type for track in container.streams})
        holds = f"only {' and '.join(others)}" if others else "no track at all"
        raise VideoError(f"{path}: it has no video track ({holds}); replace the file or take it out")
    best = container.streams.best("video")
    stream = next((track for track in tracks if best is not None and track.index == best.index), tracks[0])
    if stream.codec_context is None:
        raise VideoError(f"{path}: this FFmpeg has no decoder for its video track; convert it to H.264")
    return stream
