"""Networks: a timm backbone, perhaps with a temporal module in its blocks, a classifier and a consensus."""

from __future__ import annotations

from interlace.models.backbone import insert_before_blocks, insert_in_branches
from interlace.models.classifier import VideoClassifier
from interlace.models.create import create_model, list_models, with_num_segments
from interlace.models.ensemble import Ensemble
from interlace.models.methods import BACKBONES
from interlace.models.modality import MODALITIES, Modality
from interlace.models.model import VideoModel
from interlace.models.non_local import insert_non_local
from interlace.models.plain import WeightsError
from interlace.models.tin import tin, tin_paper, tin_released
from interlace.models.tin_causal import tin_causal
from interlace.models.tsm import tsm
from interlace.models.tsn import tsn
from interlace.models.weights import load_backbone_weights

__all__ = [
    "BACKBONES",
    "MODALITIES",
    "Ensemble",
    "Modality",
    "VideoClassifier",
    "VideoModel",
    "WeightsError",
    "create_model",
    "insert_before_blocks",
    "insert_in_branches",
    "insert_non_local",
    "list_models",
    "load_backbone_weights",
    "tin",
    "tin_causal",
    "tin_paper",
    "tin_released",
    "tsm",
    "tsn",
    "with_num_segments",
]
