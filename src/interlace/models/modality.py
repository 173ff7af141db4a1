"""What the channels of a clip are, for those who build networks: see :mod:`interlace.modality`."""

from __future__ import annotations

from interlace.modality import FLOW_LENGTH, MODALITIES, Modality, channels_of

__all__ = ["FLOW_LENGTH", "MODALITIES", "Modality", "channels_of"]
