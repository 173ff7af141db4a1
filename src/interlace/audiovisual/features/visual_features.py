"""What is seen in each second: the features that a network has of its frames."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, Literal

import timm
from jaxtyping import Float, UInt8
from timm.models.vgg import VGG
from torch import Tensor, nn
from torchvision.transforms.v2 import functional

from interlace.checkpoints import load_checkpoint
from interlace.data.reader import Color
from interlace.data.transforms import Preprocess
from interlace.data.views import resized_short_side, spatial_views
from interlace.layout import clip_to_frames, frames_to_clip
from interlace.models import VideoModel, create_model, list_models
from interlace.models.classifier import VideoClassifier
from interlace.models.plain import is_backbone

Crop = Literal["center", "whole"]

FRAMES_PER_SECOND = 16
"""Frames of a second that an image network looks at, as for the features of AVE (Tian et al., ECCV 2018)."""
IMAGE_SIZE = 224


class VisualExtractor(nn.Module):
    """Seconds of video to features of what they show: the mean over the frames of a second.

    Built by :func:`create_visual_extractor`. An image network sees the frames one by one; a network that recognizes
    actions sees those of a second as one clip, and its features are taken before its consensus.

    Args:
        backbone: frames (N*T, C, S, S), T fastest, to features (N*T', D), and with ``forward_features`` to maps
            (N*T', D, h, w).
        mean, std: what the network's preprocessing subtracts, and divides by.
        map: give the features of each of the P = h * w places, not those of the whole picture (P = 1).
        spec: keyword arguments with which :func:`create_visual_extractor` builds this again; JSON can hold them.
            frames_per_second, image_size, crop and color are read from it.

    Example:
        >>> import torch
        >>> from interlace.audiovisual.features.visual_features import create_visual_extractor
        >>> extractor = create_visual_extractor("tin_resnet18", frames_per_second=4, image_size=64, map=True)
        >>> extractor(torch.zeros(2, 4, 3, 64, 64, dtype=torch.uint8)).shape
        torch.Size([2, 4, 512])
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        map: bool,
        spec: dict[str, Any],
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.preprocess = Preprocess(mean, std)
        self.map = map
        self.spec = spec
        self.frames_per_second: int = spec["frames_per_second"]
        self.image_size: int = spec["image_size"]
        self.crop: Crop = spec["crop"]
        self.color: Color = spec["color"]

    @property
    def short_side(self) -> int | None:
        """To which frames may be reduced while they are read, with no pixel of ``prepare`` changed; None for not."""
        return resized_short_side(self.image_size) if self.crop == "center" else None

    def prepare(self, frames: UInt8[Tensor, "T C H W"]) -> UInt8[Tensor, "T C S S"]:
        """Frames of any size as the network takes them: the middle of the picture, or all of it made square."""
        if self.crop == "center":
            return spatial_views(frames, "center", self.image_size)[0]
        return functional.resize(frames, [self.image_size, self.image_size], antialias=True)

    def forward(self, seconds: UInt8[Tensor, "N T C S S"]) -> Float[Tensor, "N P D"]:
        """Prepared frames of N seconds to their features.

        Raises:
            ValueError: these are not T frames of S x S pixels a second; or a map is asked for of a network that
                has none.
        """
        expected = (self.frames_per_second, len(self.preprocess.scale), self.image_size, self.image_size)
        if tuple(seconds.shape[1:]) != expected:
            raise ValueError(
                f"a second has the shape {tuple(seconds.shape[1:])}, this network takes {expected} (T, C, S, S); "
                "make the frames with prepare()"
            )
        frames = clip_to_frames(self.preprocess(seconds))
        places = self._places(frames) if self.map else self.backbone(frames)[:, None]
        num_frames = len(places) // len(
            seconds
        )  # T, or what a network that puts frames together leaves of them
        return frames_to_clip(places, num_frames).mean(1)

    def _places(self, frames: Float[Tensor, "NT C S S"]) -> Float[Tensor, "NT2 P D"]:
        maps: Tensor = self.backbone.forward_features(frames)  # type: ignore[operator]
        num_features = getattr(self.backbone, "num_features", self.backbone.head_hidden_size)
        if maps.ndim != 4 or maps.shape[1] != num_features:
            raise ValueError(
                f"{self.spec['name']} makes features {tuple(maps.shape)} of {len(frames)} frames, which are no map "
                "(N, D, h, w) of the picture; take the features of the whole picture: map=False, --map off"
            )
        return maps.flatten(2).transpose(1, 2)  # (NT, D, h, w) -> (NT, P, D)


def create_visual_extractor(
    name: str | Path,
    *,
    pretrained: bool | str | Path = False,
    frames_per_second: int | None = None,
    image_size: int | None = None,
    map: bool | None = None,
    crop: Crop = "center",
    color: Color = "rgb",
    **network_args: Any,
) -> VisualExtractor:
    """A network whose features stand for what is seen, in evaluation mode.

    ``"vgg19"`` is the published choice: the last pooling layer of VGG-19, 7 x 7 places of 512 features, averaged over
    16 frames. The weights of timm's hub are torchvision's, not those that the features of AVE were made with: the
    features are of the same kind and not the same numbers.

    Args:
        name: an image network (vgg19, resnet50, mobilenetv2_100, any of timm's), a network that recognizes
            actions (tin_resnet18: see :func:`interlace.list_models`), or the .safetensors checkpoint of a trained
            one, which brings weights, preprocessing and number of frames.
        pretrained: True for the weights of timm's hub, or a file of weights, as in
            :func:`interlace.create_model`.
        frames_per_second: frames of a second that the network sees (T): by default 16 for an image network, else
            as many as its clips have.
        image_size: side of the frames in pixels (S); by default the checkpoint's, else 224.
        map: give each place of the last map its features; by default for vgg19 only.
        crop: ``center``: the middle square of the picture, as networks are tested; ``whole``: all of it, squeezed.
        color: rgb or gray.
        network_args: for the builder (mean, std, pad_type, ...): see :func:`interlace.create_model`.

    Raises:
        ValueError: an unknown name or argument; a checkpoint of an ensemble, or of a network that sees motion.
        WeightsError: the weights cannot be had, or do not fit.

    Example:
        >>> from interlace.audiovisual.features.visual_features import create_visual_extractor
        >>> extractor = create_visual_extractor("resnet10t", image_size=64)
        >>> extractor.frames_per_second, extractor.map, create_visual_extractor(**extractor.spec).spec == extractor.spec
        (16, False, True)
    """
    for option, number in (("frames_per_second", frames_per_second), ("image_size", image_size)):
        if number is not None and number < 1:
            raise ValueError(f"{option}={number} must be at least 1")
    if crop not in ("center", "whole"):
        raise ValueError(f"crop={crop!r} is unknown; choose center or whole")
    if color not in ("rgb", "gray"):
        raise ValueError(f"color={color!r} is unknown; choose rgb or gray")
    model: VideoModel
    name = str(name)
    if is_checkpoint(name):
        if pretrained or network_args:
            raise ValueError(
                f"{name} is a checkpoint and brings its own weights and arguments; leave out pretrained={pretrained} "
                f"and {network_args}"
            )
        model, card = load_checkpoint(name, num_segments=frames_per_second)
        name = card.model
        color = card.preprocessing.get("color", "rgb")
        image_size = image_size or card.preprocessing["image_size"]
    else:
        is_image_network = is_backbone(name)
        if not is_image_network:
            _require_no_slip(name)
        frames_per_second = frames_per_second or (FRAMES_PER_SECOND if is_image_network else None)
        # TSN's network is the image network, and takes its weights from the same places.
        model = create_model(
            f"tsn_{name}" if is_image_network else name,
            num_classes=1,
            num_segments=frames_per_second,
            pretrained=pretrained,
            in_chans=3 if color == "rgb" else 1,
            **network_args,
        )
    return _extractor(
        _classifier(model, name),
        name=name,
        image_size=image_size or IMAGE_SIZE,
        map=name.partition(".")[0] == "vgg19" if map is None else map,
        crop=crop,
        color=color,
    )


def _require_no_slip(name: str) -> None:
    """Raise ValueError where an image network is nearer than any that recognizes actions, which has its own error."""
    known = list_models()
    near = difflib.get_close_matches(name, [*timm.list_models(), *known], n=3, cutoff=0.75)
    if near and name not in known and near[0] not in known:
        raise ValueError(f"there is no network {name!r}; did you mean {', '.join(near)}?")


def _extractor(
    model: VideoClassifier, *, name: str, image_size: int, map: bool, crop: Crop, color: Color
) -> VisualExtractor:
    own = ("num_classes", "num_segments", "dropout", "in_chans", "pretrained", "modality")
    spec = {
        "name": name,
        "frames_per_second": model.num_segments,
        "image_size": image_size,
        "map": map,
        "crop": crop,
        "color": color,
        **{key: value for key, value in model.builder_args.items() if key not in own},
    }
    backbone = model.backbone
    if isinstance(backbone, VGG):
        # Its fully connected layers, most of its weights, come behind the last pooling layer.
        backbone.pre_logits = nn.Identity()  # type: ignore[assignment]
    if map and not hasattr(backbone, "forward_features"):
        raise ValueError(
            f"{name} has no map of the picture; take the features of the whole picture: map=False, --map off"
        )
    spec = json.loads(json.dumps(spec))  # the same as when it is read back: no tuples
    return VisualExtractor(backbone, mean=model.mean, std=model.std, map=map, spec=spec).eval()


def _classifier(model: VideoModel, name: str) -> VideoClassifier:
    if not isinstance(model, VideoClassifier):
        raise ValueError(f"{name} is made of several networks; take one of them")
    if model.modality != "rgb":
        raise ValueError(
            f"{name} sees {model.modality}; take a network that sees the frames themselves (modality rgb)"
        )
    return model


def is_checkpoint(name: str) -> bool:
    """Whether a name is that of a file, not of a network.

    Example:
        >>> from interlace.audiovisual.features.visual_features import is_checkpoint
        >>> is_checkpoint("tin_resnet50"), is_checkpoint("runs/best.safetensors")
        (False, True)
    """
    return Path(name).suffix == ".safetensors" or Path(name).is_file() or "/" in name
