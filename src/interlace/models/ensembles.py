"""The ensembles of the papers' tables, and ensembles of any networks, as `create_model` builds them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from interlace.models.ensemble import Ensemble
from interlace.models.fusion import Average
from interlace.models.model import VideoModel
from interlace.models.two_stream import two_stream

Create = Callable[..., VideoModel]
"""`interlace.create_model`, which builds the members."""


@dataclass(frozen=True)
class EnsembleMethod:
    """One row of a table, for any backbone."""

    build: Callable[..., Ensemble]
    """(create, backbone, *, builder, **arguments of `create_model`) to the ensemble."""
    backbones: tuple[str, ...] = ("resnet18", "resnet50")
    """The names it is listed and tested with."""
    sentence: str = ""
    """What it does, in a line."""


def of_lengths(
    create: Create,
    backbone: str,
    *,
    builder: str,
    method: str,
    lengths: Sequence[int],
    num_segments: int | None = None,
    weights: Sequence[float | int] | None = None,
    average: Average = "probabilities",
    multi_label: bool = False,
    **arguments: Any,
) -> Ensemble:
    """One method on clips of several lengths; ``num_segments`` is their sum.

    Raises:
        ValueError: another sum, which does not divide in proportion to the lengths.

    Source: TIN, Table 1 (TSM_En and TIN_En, 24 frames); ECO (Zolfaghari et al., ECCV 2018), EnLite of 92 frames.

    Example:
        >>> import interlace
        >>> from interlace.models.ensembles import of_lengths
        >>> ensemble = of_lengths(
        ...     interlace.create_model, "resnet18", builder="tin_en_resnet18", method="tin", lengths=(8, 16),
        ...     num_segments=6, num_classes=5,
        ... )
        >>> ensemble.segments
        (2, 4)
    """
    lengths = lengths if num_segments is None else in_proportion(num_segments, lengths)
    members = [create(f"{method}_{backbone}", num_segments=length, **arguments) for length in lengths]
    ensemble = Ensemble(members, weights=weights, average=average, multi_label=multi_label)
    shared = {name: value for name, value in members[0].builder_args.items() if name != "num_segments"}
    ensemble.describe_as(builder, {**shared, "num_segments": ensemble.num_segments})
    return ensemble


def of_any(
    create: Create,
    backbone: str,  # noqa: ARG001 - each member has its own
    *,
    builder: str,  # noqa: ARG001 - the ensemble describes itself
    members: Sequence[Mapping[str, Any]] = (),
    num_classes: int,
    num_segments: int | None = None,
    weights: Sequence[float | int] | None = None,
    average: Average = "probabilities",
    multi_label: bool = False,
    shares_frames: bool = False,
    **arguments: Any,
) -> Ensemble:
    """Networks of any names: each member is {"model": name, "model_args": {...}}.

    Arguments that a member does not give are those of the ensemble. Another ``num_segments`` than the members'
    changes all of them in proportion.

    Raises:
        ValueError: a member that is no such description, or frames that do not divide in proportion.

    Example:
        >>> import interlace
        >>> members = [{"model": f"{method}_resnet18", "model_args": {"num_segments": 4}} for method in ("tsm", "tin")]
        >>> interlace.create_model("ensemble", num_classes=5, members=members, weights=[1, 2]).segments
        (4, 4)
    """

    def build(lengths: Sequence[int | None]) -> Ensemble:
        networks = []
        for member, length in zip(members, lengths, strict=True):
            shared = {"num_classes": num_classes, **arguments}
            if is_ensemble(member["model"]):
                shared["multi_label"] = multi_label
            own = {**shared, **member.get("model_args", {})}
            own |= {} if length is None else {"num_segments": length}
            networks.append(create(member["model"], **own))
        return Ensemble(
            networks,
            weights=weights,
            average=average,
            multi_label=multi_label,
            shares_frames=shares_frames,
        )

    for member in members:
        if (
            not isinstance(member, Mapping)
            or "model" not in member
            or member.keys() - {"model", "model_args"}
        ):
            raise ValueError(
                f'a member of an ensemble is {{"model": name, "model_args": {{...}}}}, not {member}'
            )
    ensemble = build([None] * len(members))
    if ensemble.num_classes != num_classes:
        raise ValueError(f"num_classes={num_classes}, but the members have {ensemble.num_classes}")
    if num_segments in (None, ensemble.num_segments):
        return ensemble
    if shares_frames:
        return build([num_segments] * len(members))
    return build(in_proportion(num_segments, [network.num_segments for network in ensemble.networks]))


def is_ensemble(name: str) -> bool:
    """Whether a name of `create_model` is one of an ensemble.

    Example:
        >>> from interlace.models.ensembles import is_ensemble
        >>> is_ensemble("tin_en_resnet18"), is_ensemble("tin_resnet18")
        (True, False)
    """
    return name == "ensemble" or any(name.startswith(f"{method}_") for method in ENSEMBLES)


def in_proportion(total: int, lengths: Sequence[int]) -> tuple[int, ...]:
    """Lengths in the same proportion whose sum is another one.

    Raises:
        ValueError: there are none; the message has the nearest sums.

    Example:
        >>> from interlace.models.ensembles import in_proportion
        >>> in_proportion(12, (8, 16))
        (4, 8)
    """
    unit = sum(lengths) // math.gcd(*lengths)
    if total % unit:
        below = total // unit * unit
        nearest = f"{below} and {below + unit}" if below > 0 else str(unit)
        shares = ":".join(str(length // math.gcd(*lengths)) for length in lengths)
        raise ValueError(
            f"num_segments={total} does not divide into clips of {shares}, as {' + '.join(map(str, lengths))} "
            f"frames do; the nearest that does: {nearest}"
        )
    return tuple(length * total // sum(lengths) for length in lengths)


# What is averaged, and with which weights, follows the released code where there is one: TSN's (1 for RGB and 1.5
# for flow, of logits; also in its paper, section 3.3), TRN's and ECO's, which are made from it but give no weights,
# TSM's test_models.py (logits, equal weights; its authors say the same of RGB and flow), TIN's (probabilities).
_LITE = ("bninception", "resnet18")
ENSEMBLES: dict[str, EnsembleMethod] = {
    "tin_en": EnsembleMethod(
        partial(of_lengths, method="tin", lengths=(8, 16)), sentence="TIN of 8 and TIN of 16 frames, averaged"
    ),
    "tsm_en": EnsembleMethod(
        partial(of_lengths, method="tsm", lengths=(8, 16), average="logits"),
        sentence="TSM of 8 and TSM of 16 frames, averaged",
    ),
    "eco_enlite": EnsembleMethod(
        partial(of_lengths, method="eco_lite", lengths=(16, 20, 24, 32), average="logits"),
        _LITE,
        sentence="four ECO Lite of 16, 20, 24 and 32 frames, averaged",
    ),
    "two_stream_tsn": EnsembleMethod(
        partial(two_stream, method="tsn", weights=(1.0, 1.5), average="logits"),
        ("bninception", "resnet18", "resnet50"),
        sentence="TSN on frames and TSN on optical flow",
    ),
    "two_stream_trn": EnsembleMethod(
        partial(two_stream, method="trn", average="logits"),
        ("bninception", "resnet18", "resnet50"),
        sentence="TRN on frames and TRN on optical flow",
    ),
    "two_stream_tsm": EnsembleMethod(
        partial(two_stream, method="tsm", average="logits"), sentence="TSM on frames and TSM on optical flow"
    ),
    "two_stream_tin": EnsembleMethod(
        partial(two_stream, method="tin"), sentence="TIN on frames and TIN on optical flow"
    ),
    "two_stream_eco_enlite": EnsembleMethod(
        partial(two_stream, method="eco_enlite", of_ensembles=True, average="logits"),
        ("bninception",),
        sentence="ECO EnLite on frames and ECO EnLite on optical flow",
    ),
    "ensemble": EnsembleMethod(
        of_any, (), sentence="networks of any names, or checkpoints, averaged: see `interlace ensemble`"
    ),
}
