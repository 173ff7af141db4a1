"""A network of standard operations, for exporters: what only this package has becomes what every runtime has."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

from torch import nn

from interlace.export.grid_regions import GridRegionGraph
from interlace.export.interlace_matrix import FixedInterlace, MatrixInterlace
from interlace.export.look_back_matrix import MatrixLookBack
from interlace.export.shift_slices import SlicedShift
from interlace.models import VideoModel
from interlace.models.create import parse_name
from interlace.models.region_graph import I3DRegionGraph
from interlace.models.regions import DetectorProposals
from interlace.optimization.fold import fold_batch_norms
from interlace.optimization.model import classifiers
from interlace.temporal import CausalInterlace, RegularizedTemporalConv, TemporalInterlace, TemporalShift

Network = TypeVar("Network", bound=VideoModel)

_WITH_DETECTOR = (
    "its detector of regions keeps as many boxes as it finds in a frame, so the graph would be another one for every "
    "picture; build the network with proposals='grid', which can be exported"
)
CANNOT: dict[str, str] = {"i3d_gcn": _WITH_DETECTOR, "i3d_nl_gcn": _WITH_DETECTOR}
"""Methods that cannot be exported as they are published, and why."""

_FORMS: dict[type[nn.Module], Callable[..., nn.Module]] = {
    TemporalInterlace: MatrixInterlace,
    CausalInterlace: MatrixLookBack,
    RegularizedTemporalConv: FixedInterlace,
    TemporalShift: SlicedShift,
    I3DRegionGraph: GridRegionGraph,
}
"""What takes the place of what."""


def why_not(name: str) -> str | None:
    """Why a network of that name cannot be exported; None if it can.

    Raises:
        ValueError: there is no such network.

    Example:
        >>> from interlace.export import why_not
        >>> why_not("tin_resnet50") is None, why_not("i3d_gcn_resnet50").partition(",")[0]
        (True, 'its detector of regions keeps as many boxes as it finds in a frame')
    """
    return CANNOT.get(parse_name(name)[0])


def to_graph(model: Network) -> Network:
    """A copy of standard operations only, in float32, on the CPU: for clips and, if it can, for frames of a stream.

    TIN becomes its T x T matrix, the shift slices that are put together, and batch norms are folded into the
    convolutions before them. A stream must begin with a state of the full size, ``init_state(batch, image_size)``.

    Raises:
        ValueError: the model is no VideoModel, or cannot be exported.

    Example:
        >>> import torch, interlace
        >>> from interlace.export import to_graph
        >>> model = interlace.create_model("tin_resnet18", num_classes=5, num_segments=4).eval()
        >>> clip = torch.randn(2, 4, 3, 64, 64)
        >>> torch.allclose(to_graph(model)(clip), model(clip), atol=1e-4)
        True
    """
    if not isinstance(model, VideoModel):
        raise ValueError(
            f"a {type(model).__name__} cannot be exported; give the network that create_model or load_checkpoint made"
        )
    if any(isinstance(module, DetectorProposals) for module in model.modules()):
        raise ValueError(f"{model.builder} cannot be exported: {_WITH_DETECTOR}")
    graph = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
    for network in classifiers(graph):
        fold_batch_norms(network.backbone)
    for name, module in list(graph.named_modules()):
        if type(module) in _FORMS:  # one of a class of the user's own stays as it is
            graph.set_submodule(name, _FORMS[type(module)](module))
    return graph
