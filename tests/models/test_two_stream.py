from __future__ import annotations

import pytest
import torch

from interlace.models import create_model


def test_one_stream_sees_the_colors_and_the_other_the_flow():
    model = create_model("two_stream_tsn_resnet18", num_classes=5, num_segments=2, dropout=0.0).eval()
    for member in model.networks:
        torch.nn.init.normal_(member.head.weight)
    clip = torch.rand(3, 2, 13, 32, 32)
    with torch.no_grad():
        of_colors, of_flow = model.networks
        assert (of_colors.modality, of_flow.modality) == ("rgb", "flow")
        colors = (clip[:, :, :3] - torch.tensor(of_colors.mean)[:, None, None]) / torch.tensor(of_colors.std)[
            :, None, None
        ]
        flow = (clip[:, :, 3:] - torch.tensor(of_flow.mean)[:, None, None]) / torch.tensor(of_flow.std)[
            :, None, None
        ]
        wanted = (of_colors(colors) + 1.5 * of_flow(flow)) / 2.5
        torch.testing.assert_close(model(clip), wanted)


def test_gray_frames():
    with torch.device("meta"):
        model = create_model("two_stream_tsm_resnet18", num_classes=5, in_chans=1)
    assert (model.in_chans, [member.in_chans for member in model.networks]) == (11, [1, 10])
    assert model.builder_args["in_chans"] == 1


def test_averaging_is_the_same_in_nested_ensembles():
    with torch.device("meta"):
        model = create_model(
            "two_stream_eco_enlite_resnet18", num_classes=5, multi_label=True, average="probabilities"
        )
    kinds = [(part.multi_label, part.average) for part in (model, *model.networks)]
    assert kinds == [(True, "probabilities")] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modality": "rgb"}, "modality='rgb', but two_stream_tsn_resnet18 has a stream for rgb"),
        ({"mean": [0.5] * 3}, "its two streams have their own"),
        ({"weights": [1, 2, 3]}, "3 weights for 2 networks"),
    ],
)
def test_what_two_streams_do_not_take(arguments, message):
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        create_model("two_stream_tsn_resnet18", num_classes=5, **arguments)
