from __future__ import annotations

import pytest

from interlace.modality import MODALITIES, channels_of, snippet_length


def test_channels_and_frames():
    assert [channels_of(modality) for modality in MODALITIES] == [3, 10, 18, 13]
    assert [channels_of(modality, 1) for modality in MODALITIES] == [1, 10, 6, 11]
    assert [snippet_length(modality) for modality in MODALITIES] == [1, 6, 6, 6]


def test_an_unknown_one_is_named():
    with pytest.raises(
        ValueError, match="modality 'depth' is unknown; choose from rgb, flow, rgb_diff, rgb_flow"
    ):
        channels_of.__wrapped__("depth")  # past the type check of the tests
