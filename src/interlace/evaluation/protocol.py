"""How a video is scored at test time: which views are taken, and what is averaged over them.

`docs/protocols.md` says which published numbers were measured by which protocol.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from interlace.data.views import NUM_CROPS, Crops
from interlace.models.fusion import Average


@dataclass(frozen=True)
class Protocol:
    """The views of a video and how their scores become one.

    Example:
        >>> from interlace.evaluation import get_protocol
        >>> protocol = get_protocol("2clip-3crop")
        >>> protocol.num_clips, protocol.crops, protocol.num_views, protocol.average
        (2, 'three', 6, 'probabilities')
    """

    name: str
    num_clips: int
    """Clips taken at different times of the video."""
    crops: Crops
    """Squares cut from each frame: 1, 3 or 10 of the network's image size, or 3 of the whole short side."""
    average: Average = "probabilities"
    """What is averaged over the views (and over the checkpoints of an ensemble)."""
    doc: str = ""
    """One sentence for help texts and reports."""

    def __post_init__(self) -> None:
        if self.num_clips < 1:
            raise ValueError(f"protocol {self.name} takes num_clips={self.num_clips}; it needs at least one")
        if self.crops not in NUM_CROPS:
            raise ValueError(
                f"protocol {self.name} takes crops={self.crops!r}; choose from {list(NUM_CROPS)}"
            )
        if self.average not in ("probabilities", "logits"):
            raise ValueError(f"average={self.average!r}; choose 'probabilities' or 'logits'")

    @property
    def num_views(self) -> int:
        """Clips times crops."""
        return self.num_clips * NUM_CROPS[self.crops]


# Released TIN averages softmax, released TSM logits. Probabilities are the default because every view and
# checkpoint then has the same say, whatever the scale of its logits; with a single view the two agree.
PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "1clip-center",
            num_clips=1,
            crops="center",
            doc="One frame from the middle of each segment, centre crop: the efficient protocol.",
        ),
        Protocol(
            "1clip-10crop",
            num_clips=1,
            crops="ten",
            doc="One frame from the middle of each segment, four corners and the centre, also mirrored.",
        ),
        Protocol(
            "2clip-3crop",
            num_clips=2,
            crops="three",
            doc="Two clips half a segment apart, three crops of the network's image size.",
        ),
        Protocol(
            "10clip-3crop",
            num_clips=10,
            crops="three",
            doc="Ten clips spread over the video, three crops of the network's image size.",
        ),
        Protocol(
            "full-res",
            num_clips=2,
            crops="full",
            doc="Two clips half a segment apart, three squares of the frame's whole short side.",
        ),
        Protocol(
            "10clip-full-res",
            num_clips=10,
            crops="full",
            doc="Ten clips spread over the video, three squares of the whole short side: Kinetics as released, "
            "for a network trained with dense sampling.",
        ),
    )
}


def get_protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        ValueError: there is none; the message has the nearest name.

    Example:
        >>> from interlace.evaluation import get_protocol
        >>> get_protocol("full-res").num_views
        6
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    nearest = difflib.get_close_matches(name.lower(), PROTOCOLS, n=1, cutoff=0.3)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise ValueError(f"unknown protocol {name!r}; {hint}There are {', '.join(PROTOCOLS)}")


def probabilities(
    logits: Float[Tensor, "*batch K"], *, multi_label: bool = False
) -> Float[Tensor, "*batch K"]:
    """Softmax over the classes; for a multi-label network a sigmoid of each.

    Example:
        >>> import torch
        >>> from interlace.evaluation.protocol import probabilities
        >>> probabilities(torch.zeros(2, 4))[0].tolist()
        [0.25, 0.25, 0.25, 0.25]
    """
    return logits.sigmoid() if multi_label else logits.softmax(dim=-1)


def score_views(
    model: Callable[[Tensor], Tensor] | nn.Module,
    views: Shaped[Tensor, "B V T C H W"],
    preprocess: Callable[[Tensor], Tensor] | nn.Module,
    average: Average,
    *,
    multi_label: bool = False,
    batch_size: int = 8,
) -> Float[Tensor, "B K"]:
    """Score each video by the average over its views, of probabilities or of logits.

    The views are run ``batch_size`` at a time, so memory does not grow with their number; ``preprocess`` may
    bring each chunk to the model's device. Scores come back on the CPU in float64.

    Example:
        >>> import torch
        >>> from interlace.evaluation import score_views
        >>> model = lambda clips: clips.mean((1, 3, 4))  # three "logits": the mean of each color channel
        >>> views = torch.zeros(2, 6, 4, 3, 5, 7)
        >>> score_views(model, views, lambda clips: clips, "logits").shape
        torch.Size([2, 3])
    """
    num_views = views.shape[1]
    clips = views.flatten(0, 1)  # (B, V, T, C, H, W) -> (B*V, T, C, H, W)
    logits = torch.cat([model(preprocess(chunk)).float() for chunk in clips.split(batch_size)]).cpu().double()
    scores = probabilities(logits, multi_label=multi_label) if average == "probabilities" else logits
    return scores.unflatten(0, (-1, num_views)).mean(dim=1)  # (B*V, K) -> (B, K)
