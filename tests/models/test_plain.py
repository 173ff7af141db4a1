from __future__ import annotations

import urllib.error

import pytest
import torch

from interlace.models import create_model
from interlace.models.bninception_weights import from_published
from interlace.models.plain import WeightsError, create_backbone, is_backbone

FILE = "bn_inception-52deb4733.pth"


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    """Where torch keeps what it has fetched, and no connection to fetch more."""

    def no_network(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", no_network)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("bninception", True),
        ("resnet18", True),
        ("resnet18.a1_in1k", True),
        ("bninception.a1", False),
        ("inception", False),
    ],
)
def test_names(name, known):
    assert is_backbone(name) is known


def test_an_earlier_download_is_used(published, downloads):
    state = published.published_state()
    torch.save(state, downloads / FILE)
    model = create_model("tsn_bninception", num_classes=3, num_segments=2, pretrained=True)
    wanted = from_published(state)
    assert all(torch.equal(value, wanted[key]) for key, value in model.backbone.state_dict().items())
    assert model.mean == (128 / 255, 117 / 255, 104 / 255)
    assert model.std == (1 / 255, 1 / 255, 1 / 255)


def test_published_weights_are_summed_for_one_channel(published, downloads):
    state = published.published_state()
    torch.save(state, downloads / FILE)
    network = create_backbone("bninception", pretrained=True, in_chans=1)
    wanted = state["conv1_7x7_s2.weight"].sum(1, keepdim=True)
    torch.testing.assert_close(network.get_submodule("conv1.conv").weight, wanted)


def test_without_a_connection_the_error_says_what_to_do(downloads):
    with pytest.raises(
        WeightsError, match=rf"bninception.* fetched from http.*{FILE} .*pretrained=False.* pretrained=PATH"
    ):
        create_backbone("bninception", pretrained=True, in_chans=3)


@pytest.mark.parametrize(
    "damage", ["lacks one", "has another", "other size", "no weights", "of something else"]
)
def test_a_file_that_is_not_of_the_network(published, downloads, damage):
    state = published.published_state()
    if damage == "lacks one":
        del state["inception_5b_1x1.bias"]
    elif damage == "has another":
        state["inception_6a_1x1.bias"] = torch.zeros(3)
    elif damage == "other size":
        state["inception_5b_1x1.bias"] = torch.zeros(3)
    elif damage == "of something else":
        state = {"weight": torch.zeros(3)}
    torch.save(state, downloads / FILE)
    if damage == "no weights":
        (downloads / FILE).write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=FILE):
        create_backbone("bninception", pretrained=True, in_chans=3)


def test_arguments_of_timm_are_none_of_ours():
    with pytest.raises(ValueError, match=r"interlace cannot build 'bninception' with .*pad_type"):
        create_backbone("bninception", pretrained=False, in_chans=3, pad_type="same")
    with pytest.raises(ValueError, match="timm cannot build 'resnet18'"):
        create_backbone("resnet18", pretrained=False, in_chans=3, no_such_argument=1)


@pytest.mark.parametrize("argument", [{"drop_rate": 0.5}, {"global_pool": "max"}])
@pytest.mark.parametrize("method", ["i3d", "eco_lite", "eco"])
def test_what_is_meant_for_a_head_that_is_not_used(method, argument):
    with pytest.raises(ValueError, match="are for timm's own head, which is not used here"):
        create_model(f"{method}_resnet18", num_classes=3, num_segments=4, **argument)
