"""Two-stream networks: one of colors, one of optical flow, and the mean of what they say.

Source: Simonyan and Zisserman, NIPS 2014; with segments, TSN (Wang et al., ECCV 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from interlace.models.ensemble import Ensemble
from interlace.models.fusion import Average
from interlace.models.modality import Modality
from interlace.models.model import VideoModel


def two_stream(
    create: Callable[..., VideoModel],
    backbone: str,
    *,
    builder: str,
    method: str,
    of_ensembles: bool = False,
    modality: Modality = "rgb_flow",
    weights: Sequence[float | int] | None = None,
    average: Average = "probabilities",
    multi_label: bool = False,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    **arguments: Any,
) -> Ensemble:
    """A method on the frames of a clip, and the same method on their flow; both see the same positions.

    Args:
        create: `interlace.create_model`, which builds the two.
        backbone: of both.
        builder: the name that the two have together.
        method: of both.
        of_ensembles: the method is an ensemble itself, and averages as the two do.
        modality: rgb_flow, the only one.
        weights: of the colors and of the flow, e.g. (1, 1.5) as TSN; by default both count the same.
        average: probabilities, or logits.
        multi_label: a clip can have several labels.
        mean: not taken; each of the two has its own.
        std: nor is this.
        arguments: of `create_model`, for both.

    Raises:
        ValueError: another modality, or a mean or deviation for both.

    Example:
        >>> import interlace
        >>> model = interlace.create_model("two_stream_tsn_resnet18", num_classes=5)
        >>> model.modality, model.in_chans
        ('rgb_flow', 13)
    """
    if modality != "rgb_flow":
        raise ValueError(
            f"modality={modality!r}, but {builder} has a stream for rgb and one for flow: rgb_flow; leave "
            "modality out, or train one of the streams alone"
        )
    if mean is not None or std is not None:
        raise ValueError(
            f"mean={mean} and std={std} for {builder}: its two streams have their own; leave them out"
        )
    streams: tuple[Modality, Modality] = ("rgb", "flow")
    if of_ensembles:
        arguments |= {"average": average, "multi_label": multi_label}
    members = [create(f"{method}_{backbone}", modality=stream, **arguments) for stream in streams]
    ensemble = Ensemble(
        members, weights=weights, average=average, multi_label=multi_label, shares_frames=True
    )
    own = {name: value for name, value in members[0].builder_args.items() if name not in ("mean", "std")}
    ensemble.describe_as(builder, {**own, "modality": "rgb_flow"})
    return ensemble
