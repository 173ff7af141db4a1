"""A trained network that takes files: open, choose frames, decode, preprocess, classify."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from interlace.checkpoints import ModelCard
from interlace.data import video as video_files
from interlace.data.decoded_clip import DecodedClip
from interlace.data.flow import FlowMethod
from interlace.data.mirror import mirror_of
from interlace.data.sampling import sampling_from_dict, snippet_starts
from interlace.data.transforms import Preprocess
from interlace.data.video import VideoReader
from interlace.data.views import Crops, spatial_views
from interlace.devices import choose_device
from interlace.exported import ExportedModel, is_exported, load_model, refuse_to_optimize
from interlace.inference.timeline import DEFAULT_WINDOW_SECONDS, decode_forward, window_indices, windows
from interlace.modality import Modality, snippet_length
from interlace.models.model import VideoModel
from interlace.optimization import OptimizedModel, noise_clips
from interlace.optimization import optimize as optimized
from interlace.types import Prediction

Average = Literal["probabilities", "logits"]
# Views that the network sees at once: bounds memory for ten clips of three crops and for hours of windows.
VIEWS_PER_FORWARD = 8


class Recognizer:
    """A network with all that it needs to read a file: sampling, preprocessing, labels, device.

    With ``optimize`` the network is what :func:`interlace.optimize` makes of it. An exported network computes on the
    device that it was opened for.

    Attributes: ``model`` (the network, in eval mode), ``card`` (what the checkpoint says of it), ``device``,
    ``frame_template`` (of pictures in folders; training's unless given), ``path`` (of the checkpoint), ``modality``
    (what the network sees), ``flow`` (method to compute optical flow with, training's unless given, or the folder
    that `interlace flow` has stored it in).

    Example:
        >>> import torch
        >>> from interlace.checkpoints import ModelCard
        >>> from interlace.inference import Recognizer
        >>> from interlace.models import create_model
        >>> arguments = {"num_classes": 2, "num_segments": 4}
        >>> card = ModelCard(
        ...     model="tin_resnet18", model_args=arguments, labels=("wave", "clap"),
        ...     sampling={"name": "segment", "num_segments": 4},
        ...     preprocessing={"image_size": 32, "mean": [0.5] * 3, "std": [0.25] * 3, "color": "rgb"},
        ... )
        >>> recognizer = Recognizer(create_model("tin_resnet18", **arguments), card, device="cpu")
        >>> len(recognizer(torch.zeros(9, 3, 40, 48, dtype=torch.uint8)).top)
        2
    """

    def __init__(
        self,
        model: VideoModel | ExportedModel,
        card: ModelCard,
        *,
        device: str | torch.device = "auto",
        frame_template: str | None = None,
        path: Path | None = None,
        optimize: bool = False,
        flow: FlowMethod | Path | None = None,
    ) -> None:
        self.device = model.device if isinstance(model, ExportedModel) else choose_device(device)
        self.model: VideoModel | OptimizedModel | ExportedModel = model.to(self.device).eval()
        if optimize:
            if isinstance(model, ExportedModel):
                raise ValueError(f"{model.path} is optimized already; leave optimize out")
            size = card.preprocessing["image_size"]
            self.model = optimized(model, example=noise_clips(model, size, size))
        self.card = card
        self.path = path
        self.frame_template = frame_template or card.preprocessing.get("frame_template")
        self.modality: Modality = card.preprocessing.get("modality", "rgb")
        self.flow: FlowMethod | Path = flow or card.preprocessing.get("flow", "dis")
        self.sampling = sampling_from_dict(card.sampling)
        self.preprocess = Preprocess(card.preprocessing["mean"], card.preprocessing["std"]).to(self.device)

    def __call__(
        self,
        video: str | Path | VideoReader | UInt8[Tensor, "T C H W"] | UInt8[np.ndarray, "T C H W"],
        *,
        top_k: int = 5,
        num_clips: int = 1,
        crops: Crops = "center",
        average: Average = "probabilities",
    ) -> Prediction:
        """Say what happens in a video file, a folder of frames, an open reader, or a decoded clip.

        Args:
            video: A decoded clip may have any number of frames; the same sampling picks T of them. Its channels are
                colors, also where the network sees optical flow, which is then computed.
            top_k: Labels to return, best first; at most as many as there are classes.
            num_clips: Temporal samples; their scores are averaged.
            crops: Spatial crops of each clip; the default with one clip is the protocol ``1clip-center``.
            average: What is averaged over views.

        Raises:
            ValueError: the video cannot be read, or the clip does not fit the network. A frame that cannot be
                decoded is no error: its nearest neighbour stands in, and the prediction's notes say so.
        """
        if isinstance(video, str | Path):
            with self.open(video) as reader:
                return self(reader, top_k=top_k, num_clips=num_clips, crops=crops, average=average)
        frames_at: Callable[[list[int]], Tensor]
        if isinstance(video, torch.Tensor | np.ndarray) and self.modality != "rgb":
            clip = check_clip(video, 1 if self._color == "gray" else 3)
            method = self.card.preprocessing.get("flow", "dis") if isinstance(self.flow, Path) else self.flow
            with DecodedClip(clip).snippets(self.modality, method) as reader:
                return self(reader, top_k=top_k, num_clips=num_clips, crops=crops, average=average)
        if isinstance(video, torch.Tensor | np.ndarray):
            clip = check_clip(video, self.model.in_chans)
            name, num_frames, frames_at = f"clip {tuple(clip.shape)}", len(clip), clip.__getitem__
        else:
            name, num_frames, frames_at = str(video.path), video.num_frames, video.frames_at

        clips = self.sampling.test_indices(num_frames, num_clips)
        image_size = self.card.preprocessing["image_size"]
        mirror = mirror_of(self.modality)
        views = torch.cat(
            [spatial_views(frames_at(indices), crops, image_size, mirror=mirror) for indices in clips]
        )
        logits = self.logits(views)
        if average == "logits":
            probabilities = self.probabilities(logits.mean(0))
        else:
            probabilities = self.probabilities(logits).mean(0)

        notes = () if isinstance(video, torch.Tensor | np.ndarray) else tuple(video.notes)
        notes += short_note(num_frames, max(self._lengths), snippet_length(self.modality))
        return Prediction(path=name, top=self.best(probabilities, top_k), notes=notes)

    def open(self, path: str | Path) -> VideoReader:
        """Open a file or a folder of frames as this network reads it, lenient with damaged frames."""
        return video_files.open(
            path,
            color=self._color,
            on_error="skip",
            frame_template=self.frame_template,
            modality=self.modality,
            flow=self.flow,
        )

    @property
    def _color(self) -> Literal["rgb", "gray"]:
        color: Literal["rgb", "gray"] = self.card.preprocessing.get("color", "rgb")
        return color

    @property
    def _lengths(self) -> list[int]:
        """Frames of a clip, of each part that is chosen for itself."""
        return [part["num_segments"] for part in self.card.sampling.get("parts", [self.card.sampling])]

    @torch.inference_mode()
    def logits(self, views: UInt8[Tensor, "V T C H W"]) -> Float[Tensor, "V K"]:
        """The network's answer to each view, on the CPU; ValueError if it is not finite."""
        parts = views.split(VIEWS_PER_FORWARD)
        logits = torch.cat(
            [self.model(self.preprocess(part.to(self.device))).cpu().double() for part in parts]
        )
        if not logits.isfinite().all():
            raise ValueError(
                f"{self.path or self.card.model}: the network gives numbers that are not finite; it diverged "
                "in training: train it again with a lower learning rate"
            )
        return logits

    def probabilities(self, logits: Float[Tensor, "*views K"]) -> Float[Tensor, "*views K"]:
        """Softmax over the classes; a sigmoid for each where a clip may have several labels."""
        return logits.sigmoid() if self.card.multi_label else logits.softmax(-1)

    def best(self, probabilities: Float[Tensor, " K"], top_k: int) -> tuple[tuple[str, float], ...]:
        """The ``top_k`` (label, score) pairs, best first."""
        if top_k < 1:
            raise ValueError(f"top_k={top_k} asks for no label; give 1 or more")
        scores, classes = probabilities.topk(min(top_k, len(self.card.labels)))
        return tuple(
            (self.card.labels[k], score) for k, score in zip(classes.tolist(), scores.tolist(), strict=True)
        )

    def timeline(
        self,
        video: str | Path | VideoReader,
        *,
        window_seconds: float | None = None,
        hop_seconds: float | None = None,
        top_k: int = 5,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Prediction]:
        """Say what happens when in a long video: a prediction for each window, in order of time.

        The file is decoded once, forward, and few, small frames are kept: its length costs time, not memory.

        Args:
            video: A file, a folder of frames, or an open reader.
            window_seconds: Length of a window; by default that of the median training clip, else 4 s.
            hop_seconds: From the start of a window to the next; by default half a window.
            top_k: Labels for each window.
            progress: Called with (windows done, windows in all).

        Raises:
            ValueError: the video cannot be read, or the window or hop is not above zero.
        """
        if isinstance(video, str | Path):
            with self.open(video) as reader:
                return list(self.iter_timeline(reader, window_seconds, hop_seconds, top_k, progress))
        return list(self.iter_timeline(video, window_seconds, hop_seconds, top_k, progress))

    def iter_timeline(
        self,
        reader: VideoReader,
        window_seconds: float | None = None,
        hop_seconds: float | None = None,
        top_k: int = 5,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Prediction]:
        """The same, each window as soon as it is known, from an open reader."""
        window = self.window_seconds if window_seconds is None else window_seconds
        spans = windows(reader.duration_seconds, window, window / 2 if hop_seconds is None else hop_seconds)
        clips = [window_indices(reader.pts_seconds, *span, self.sampling) for span in spans]
        image_size = self.card.preprocessing["image_size"]
        views = decode_forward(reader, clips, lambda frames: spatial_views(frames, "center", image_size)[0])
        for first in range(0, len(spans), VIEWS_PER_FORWARD):
            part = spans[first : first + VIEWS_PER_FORWARD]
            probabilities = self.probabilities(self.logits(torch.stack([next(views) for _ in part])))
            for (start, end), row in zip(part, probabilities, strict=True):
                yield Prediction(str(reader.path), self.best(row, top_k), start, end, tuple(reader.notes))
            if progress is not None:
                progress(first + len(part), len(spans))

    @property
    def window_seconds(self) -> float:
        """Length of a timeline's window unless told: that of the median training clip, else 4 s."""
        return self.card.window_seconds or DEFAULT_WINDOW_SECONDS

    def __repr__(self) -> str:
        return f"Recognizer({self.card.model}, {len(self.card.labels)} labels, {self.device})"


def load(
    path: str | Path,
    *,
    device: str | torch.device = "auto",
    num_segments: int | None = None,
    frame_template: str | None = None,
    optimize: bool = False,
    flow: FlowMethod | Path | None = None,
) -> Recognizer:
    """Read a checkpoint that ``interlace train`` wrote, or a file that ``interlace export`` wrote.

    Args:
        path: The ``.safetensors`` file; or an exported ``.onnx`` (run by onnxruntime), ``.xml`` (OpenVINO) or ``.pt2``
            (PyTorch), which works in the same way.
        device: ``auto`` (a GPU where there is one that can run the file), ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        num_segments: Frames that the network sees in a clip; by default as many as in training. TIN's offset
            layers are then resampled along time. An exported network keeps its number.
        frame_template: Names of the pictures where videos are folders, e.g. ``img_{:05d}.jpg``; by default
            training's.
        optimize: Use a faster copy of the network (:func:`interlace.optimize`); what that changes stands in
            ``recognizer.model.agreement``. Not for exported networks, which are optimized already.
        flow: For a network that sees optical flow: the folder that `interlace flow` has stored it in, or a method to
            compute it with (dis, dis_fast, tvl1); by default training's.

    Raises:
        ValueError: there is no such file, or it was not written by ``interlace``, or the device is not there or cannot
            run it, or what runs an exported file is not installed.

    Example:
        >>> import interlace
        >>> interlace.load("best.safetensors")("clip.mp4")  # doctest: +SKIP
        Prediction(path='clip.mp4', top=(('wave', 0.97), ('clap', 0.02)), ...)
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name the checkpoint in it, e.g. {path / 'best.safetensors'}")
    if not path.is_file():
        writer = "export` writes one" if is_exported(path) else "train` leaves best.safetensors in its output"
        raise ValueError(
            f"{path}: no such {'file' if is_exported(path) else 'checkpoint'}; `interlace {writer}"
        )
    if optimize:
        refuse_to_optimize(path)
    model, card = load_model(path, device=device, num_segments=num_segments)
    return Recognizer(
        model,
        card,
        device=device,
        frame_template=frame_template,
        path=path,
        optimize=optimize,
        flow=flow,
    )


def predict(path: str | Path, *, model: str | Path | Recognizer, top_k: int = 5) -> Prediction:
    """Say what happens in one video; for many, ``load`` the model once and call it.

    Args:
        path: A video file or a folder of frames.
        model: A checkpoint, or a loaded one.
        top_k: Labels to return, best first.

    Raises:
        ValueError: the checkpoint or the video cannot be read.

    Example:
        >>> import interlace
        >>> interlace.predict("clip.mp4", model="best.safetensors").label  # doctest: +SKIP
        'wave'
    """
    recognizer = model if isinstance(model, Recognizer) else load(model)
    return recognizer(path, top_k=top_k)


def check_clip(clip: Tensor | np.ndarray, in_chans: int) -> UInt8[Tensor, "T C H W"]:
    """A decoded clip as a tensor; ValueError if it is none, or has other channels than the network reads."""
    clip = torch.as_tensor(clip)
    if clip.dtype != torch.uint8 or clip.ndim != 4 or not clip.shape[0] or clip.shape[1] != in_chans:
        raise ValueError(
            f"a clip is uint8 (T, {in_chans}, H, W) for this network, not {clip.dtype} {tuple(clip.shape)}; "
            "give pixels from 0 to 255 as they come from the decoder"
        )
    return clip


def short_note(num_frames: int, num_segments: int, length: int = 1) -> tuple[str, ...]:
    """What to say of a video with fewer frames than segments, or of which fewer snippets of ``length`` frames begin."""
    if snippet_starts(num_frames, length) >= num_segments:
        return ()
    frames = "1 frame" if num_frames == 1 else f"{num_frames} frames"
    if num_frames >= num_segments:
        return (f"{frames} for {num_segments} snippets of {length}: snippets are repeated",)
    return (f"{frames} for {num_segments} segments: frames are repeated",)
