"""From a video file to one row of sound and one of picture a second."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from interlace.audiovisual.features.audio_features import AudioExtractor, create_audio_extractor
from interlace.audiovisual.features.seconds import num_seconds, read_seconds
from interlace.audiovisual.features.visual_features import VisualExtractor, create_visual_extractor
from interlace.card_history import FORMAT, extractor_today
from interlace.data import video
from interlace.data.audio import Sound, read_seconds_of_sound
from interlace.data.reader import OnError, VideoReader
from interlace.files import whole_file

HEADER = "interlace_extractor"
"""Key of the specification in the header of a file of weights."""
SILENCE = "its sound is silence from end to end"
"""Note of a video whose track of sound holds nothing else."""
FRAMES_PER_FORWARD = 16
"""Frames that a network sees at once, unless told, but a second at least: VGG-19 takes some 25 MB for each."""
SECONDS_PER_FORWARD = 64
"""And seconds of sound."""


@dataclass(frozen=True, repr=False)
class Features:
    """The rows of one video, and what is odd about it.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.features.extractor import Features
        >>> Features(torch.zeros(5, 128), torch.zeros(5, 49, 512), torch.zeros(5).bool(), (), 4.8)
        Features(5 s, audio (5, 128), 0 s heard, visual (5, 49, 512))
    """

    audio: Float[Tensor, "N A"]
    """One row a second; zeros where there is no sound."""
    visual: Float[Tensor, "N P D"]
    heard: Bool[Tensor, " N"]
    """Whether the file has sound in this second, be it silence."""
    notes: tuple[str, ...]
    duration_seconds: float

    def __repr__(self) -> str:
        return (
            f"Features({len(self.heard)} s, audio {tuple(self.audio.shape)}, {int(self.heard.sum())} s heard, "
            f"visual {tuple(self.visual.shape)})"
        )


class Extractor(nn.Module):
    """The two networks whose features stand for what is heard and what is seen.

    ``state_dict()`` and ``spec`` are all it takes to have the same again: see :func:`create_extractor`.

    Example:
        >>> from interlace.audiovisual.features.audio_features import create_audio_extractor
        >>> from interlace.audiovisual.features.extractor import Extractor
        >>> from interlace.audiovisual.features.visual_features import create_visual_extractor
        >>> extractor = Extractor(create_audio_extractor("log_mel"), create_visual_extractor("resnet10t"))
        >>> extractor.features_of("clip.mp4")  # doctest: +SKIP
        Features(10 s, audio (10, 256), 10 s heard, visual (10, 1, 512))
    """

    def __init__(self, audio: AudioExtractor, visual: VisualExtractor) -> None:
        super().__init__()
        self.audio = audio
        self.visual = visual

    @property
    def spec(self) -> dict[str, Any]:
        """What builds both again, without their weights; JSON can hold it."""
        return {"audio": self.audio.spec, "visual": self.visual.spec}

    def features_of(
        self,
        path: str | Path,
        *,
        on_error: OnError = "skip",
        frame_template: str | None = None,
        frames_per_forward: int = FRAMES_PER_FORWARD,
        progress: Callable[[int, int], None] | None = None,
    ) -> Features:
        """The features of a video file, or of a folder of pictures, which has no sound.

        The picture is decoded second by second; of a long video no more is held than its rows and its sound, 64 kB a
        second at 16 kHz.

        Args:
            path: the video.
            on_error: ``skip`` lets the nearest frame stand in for a damaged one, ``raise`` refuses the video; damaged
                sound is zeros, and the notes say so, under both.
            frame_template: names of the pictures where the video is a folder.
            frames_per_forward: frames that the network sees at once; more is no other result, and takes more
                memory.
            progress: called with (seconds done, seconds in all).

        Raises:
            VideoError: the video cannot be read.
            ValueError: the features are not finite.
        """
        self.eval()  # else the rows of a second would depend on those beside it
        with video.open(
            path,
            color=self.visual.color,
            on_error=on_error,
            frame_template=frame_template,
            short_side=self.visual.short_side,
        ) as reader:
            visual = self._seen(reader, frames_per_forward, progress)
        rate = self.audio.sample_rate_hz
        sound = read_seconds_of_sound(path, sample_rate_hz=rate, num_seconds=len(visual))
        is_silent = bool(sound.heard.any()) and not sound.samples.any()
        notes = dict.fromkeys([*reader.notes, *sound.notes, *([SILENCE] if is_silent else [])])  # each once
        audio = self._heard(sound)
        for name, rows in (("sound", audio), ("picture", visual)):
            if not rows.isfinite().all():
                raise ValueError(
                    f"{path}: the features of its {name} are not finite numbers; the weights of the network "
                    "are damaged, or diverged in training"
                )
        return Features(audio, visual, sound.heard, tuple(notes), reader.duration_seconds)

    @torch.no_grad()
    def _seen(
        self, reader: VideoReader, frames_per_forward: int, progress: Callable[[int, int], None] | None
    ) -> Float[Tensor, "N P D"]:
        seconds = read_seconds(reader, self.visual.frames_per_second, self.visual.prepare)
        seconds_per_forward = max(1, frames_per_forward // self.visual.frames_per_second)
        rows: list[Tensor] = []
        while batch := list(islice(seconds, seconds_per_forward)):
            rows += self.visual(torch.stack(batch).to(self._device)).float().cpu()
            if progress is not None:
                progress(len(rows), num_seconds(reader.duration_seconds))
        return torch.stack(rows)

    @torch.no_grad()
    def _heard(self, sound: Sound) -> Float[Tensor, "N A"]:
        batches = sound.samples.split(SECONDS_PER_FORWARD)
        rows = torch.cat([self.audio(batch.to(self._device)).float().cpu() for batch in batches])
        # What is not there has no features, not those of silence.
        return rows.masked_fill(~sound.heard[:, None], 0.0)

    @property
    def _device(self) -> torch.device:
        return next(self.visual.parameters()).device

    def fingerprint(self) -> str:
        """Tells extractors apart: the SHA-256 of the specification and all weights."""
        digest = hashlib.sha256(json.dumps(self.spec, sort_keys=True).encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def create_extractor(spec: dict[str, Any]) -> Extractor:
    """The networks of a specification, without their weights: nothing is downloaded.

    Raises:
        ValueError: this version does not know what the specification names.

    Example:
        >>> from interlace.audiovisual.features.extractor import create_extractor
        >>> spec = {"audio": {"name": "log_mel"}, "visual": {"name": "resnet10t", "image_size": 64}}
        >>> create_extractor(spec).spec["visual"]["frames_per_second"]
        16
    """
    with torch.random.fork_rng(devices=[]):  # reading a file is no draw from the global generator
        try:
            return Extractor(
                create_audio_extractor(**spec["audio"]), create_visual_extractor(**spec["visual"])
            ).eval()
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{spec} is no specification of features that this version of interlace knows ({error!r})"
            ) from error


def save_extractor(path: str | Path, extractor: Extractor) -> Path:
    """Write specification and weights to one .safetensors file, which appears whole or not at all.

    Example:
        >>> import tempfile
        >>> from interlace.audiovisual.features.extractor import create_extractor, load_extractor, save_extractor
        >>> spec = {"audio": {"name": "log_mel"}, "visual": {"name": "resnet10t", "image_size": 64}}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_extractor(f"{folder}/extractor.safetensors", create_extractor(spec))
        ...     load_extractor(path).spec["visual"]["name"]
        'resnet10t'
    """
    path = Path(path)
    state = {name: value.detach().cpu().contiguous() for name, value in extractor.state_dict().items()}
    about = {"format": FORMAT, "spec": extractor.spec, "fingerprint": extractor.fingerprint()}
    with whole_file(path) as beside:
        beside.write_bytes(save(state, metadata={HEADER: json.dumps(about)}))
    return path


def load_extractor(path: str | Path) -> Extractor:
    """Build what :func:`save_extractor` wrote, with its weights, in evaluation mode; nothing else is needed.

    Raises:
        ValueError: there is no such file, or it is another one, or not whole, or of a newer version.
    """
    about = about_extractor(path)
    extractor = create_extractor(about["spec"])
    try:
        extractor.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(
            f"{path}: its weights are not those of the networks that it names ({error})"
        ) from error
    return extractor


def about_extractor(path: str | Path) -> dict[str, Any]:
    """The ``spec`` and the ``fingerprint`` of a file of networks; its weights are not read.

    Raises:
        ValueError: there is no such file, or it is another one, or not whole, or of a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file; `interlace av features` leaves it in its output")
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(HEADER, "{}")
    except SafetensorError as error:
        raise ValueError(f"{path}: not a whole .safetensors file ({error}); copy it again") from error
    about: dict[str, Any] = json.loads(header)
    if "format" not in about:
        raise ValueError(
            f"{path}: not the networks of `interlace av features`; give its extractor.safetensors"
        )
    if about["format"] > FORMAT:
        raise ValueError(f"{path}: written by a newer interlace; update with `pip install -U interlace`")
    if isinstance(about.get("spec"), dict):
        about["spec"] = extractor_today(about["spec"], about["format"])
    return about
