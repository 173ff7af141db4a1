from __future__ import annotations

import pytest
import torch
from torch import Tensor

from interlace.evaluation import PROTOCOLS, Protocol, get_protocol, score_views
from interlace.evaluation.protocol import probabilities


@pytest.mark.parametrize(
    ("name", "num_clips", "crops", "num_views"),
    [
        ("1clip-center", 1, "center", 1),
        ("1clip-10crop", 1, "ten", 10),
        ("2clip-3crop", 2, "three", 6),
        ("10clip-3crop", 10, "three", 30),
        ("full-res", 2, "full", 6),
        ("10clip-full-res", 10, "full", 30),
    ],
)
def test_named_protocols(name: str, num_clips: int, crops: str, num_views: int) -> None:
    protocol = get_protocol(name)
    assert (protocol.name, protocol.num_clips, protocol.crops) == (name, num_clips, crops)
    assert (protocol.num_views, protocol.average) == (num_views, "probabilities")
    assert protocol.doc.endswith(".")


def test_every_name_is_tested() -> None:
    assert list(PROTOCOLS) == [
        "1clip-center",
        "1clip-10crop",
        "2clip-3crop",
        "10clip-3crop",
        "full-res",
        "10clip-full-res",
    ]


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("1clip-centre", "1clip-center"),
        ("2clip3crop", "2clip-3crop"),
        ("fullres", "full-res"),
        ("FULL-RES", "full-res"),
    ],
)
def test_unknown_protocol_names_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"unknown protocol '{wrong}'; did you mean '{nearest}'"):
        get_protocol(wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_clips": 0, "crops": "center"}, "num_clips=0"),
        ({"num_clips": 1, "crops": "center", "average": "logits "}, "average"),
        ({"num_clips": 1, "crops": "four"}, "four"),
    ],
)
def test_impossible_protocol(arguments: dict, message: str) -> None:
    with pytest.raises(Exception, match=message):
        Protocol("mine", **arguments)


def test_probabilities() -> None:
    logits = torch.tensor([[0.0, 2.0], [1.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(probabilities(logits), logits.exp() / logits.exp().sum(1, keepdim=True))
    torch.testing.assert_close(probabilities(logits, multi_label=True), 1 / (1 + (-logits).exp()))


def _network(clips: Tensor) -> Tensor:
    """Three 'logits' of a clip: the mean of each color channel."""
    return clips.mean((1, 3, 4))


def _views() -> Tensor:
    return torch.randn(2, 6, 4, 3, 5, 7, generator=torch.Generator().manual_seed(0))  # B V T C H W


@pytest.mark.parametrize("batch_size", [1, 4, 5, 12, 100])
def test_score_views_does_not_depend_on_the_batch_size(batch_size: int) -> None:
    views = 5 * _views()
    logits = views.double().mean((2, 4, 5))
    scores = score_views(_network, views, lambda x: x, "logits", batch_size=batch_size)
    torch.testing.assert_close(scores, logits.mean(1), atol=1e-6, rtol=0)
    scores = score_views(_network, views, lambda x: x, "probabilities", batch_size=batch_size)
    torch.testing.assert_close(scores, logits.softmax(-1).mean(1), atol=1e-6, rtol=0)
    scores = score_views(
        _network, views, lambda x: x, "probabilities", multi_label=True, batch_size=batch_size
    )
    torch.testing.assert_close(scores, logits.sigmoid().mean(1), atol=1e-6, rtol=0)


def test_score_views_never_runs_more_than_the_batch_size() -> None:
    seen: list[int] = []

    def network(clips: Tensor) -> Tensor:
        seen.append(clips.shape[0])
        return _network(clips)

    score_views(network, _views(), lambda x: x, "logits", batch_size=5)
    assert seen == [5, 5, 2]


def test_the_average_is_a_choice_that_matters() -> None:
    """One sure view against two unsure ones: logits follow the sure one, probabilities the majority."""
    logits = torch.tensor([[9.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 2.0, 0.0]])
    views = logits[None, :, None, :, None, None].expand(1, 3, 4, 3, 5, 7)
    by_logits = score_views(_network, views, lambda x: x, "logits")
    by_probabilities = score_views(_network, views, lambda x: x, "probabilities")
    assert by_logits.argmax() == 0
    assert by_probabilities.argmax() == 1
    torch.testing.assert_close(by_probabilities.sum(1), torch.ones(1, dtype=torch.float64))
