from __future__ import annotations

import socket

import pytest
import timm
import torch
from safetensors.torch import save_file

from interlace.models import WeightsError, create_model


@pytest.fixture
def plain(tmp_path):
    """A file of a plain timm network with its classifier of 7 classes."""
    network = timm.create_model("resnet18", num_classes=7)
    save_file(network.state_dict(), tmp_path / "plain.safetensors")
    return network, tmp_path / "plain.safetensors"


@pytest.mark.parametrize("method", ["tsn", "tsm", "tin"])
@pytest.mark.parametrize("as_text", [False, True])
def test_weights_of_the_plain_network(plain, method, as_text):
    network, path = plain
    model = create_model(
        f"{method}_resnet18", num_classes=3, num_segments=4, pretrained=str(path) if as_text else path
    )
    state = model.state_dict()
    for name, value in network.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(state[f"backbone.{name}"], value), name
    assert model.head.weight.shape == (3, 512)


def test_weights_of_one_of_ours(tmp_path):
    source = create_model("tin_resnet18", num_classes=9, num_segments=4)
    save_file(source.state_dict(), tmp_path / "ours.safetensors")
    model = create_model(
        "tin_resnet18", num_classes=3, num_segments=4, pretrained=tmp_path / "ours.safetensors"
    )
    for name, value in source.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(model.state_dict()[name], value), name


def test_weights_of_tsn_for_tin(tmp_path):
    source = create_model("tsn_resnet18", num_classes=9)
    torch.save(source.state_dict(), tmp_path / "ours.pth")
    model = create_model("tin_resnet18", num_classes=3, pretrained=tmp_path / "ours.pth")
    assert torch.equal(model.backbone.layer4[1].conv1.weight, source.backbone.layer4[1].conv1.weight)


def test_weights_of_rgb_are_summed_for_one_channel(plain):
    network, path = plain
    model = create_model("tsn_resnet18", num_classes=3, in_chans=1, pretrained=path)
    torch.testing.assert_close(model.backbone.conv1.weight, network.conv1.weight.sum(1, keepdim=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layer1.0.bn1.bias"), "lacks 1 weights, e.g. backbone.layer1.0.bn1.bias"),
        (lambda s: s.update(extra=torch.zeros(1)), "has unknown 1 weights, e.g. backbone.extra"),
        (
            lambda s: s.update({"bn1.bias": torch.zeros(5)}),
            "has other sizes of 1 weights, e.g. backbone.bn1.bias",
        ),
    ],
)
def test_anything_else_is_an_error(tmp_path, change, message):
    state = timm.create_model("resnet18").state_dict()
    change(state)
    save_file(state, tmp_path / "changed.safetensors")
    with pytest.raises(WeightsError, match=message):
        create_model("tin_resnet18", num_classes=3, pretrained=tmp_path / "changed.safetensors")


def test_weights_for_another_number_of_frames_name_the_remedy(tmp_path):
    path = tmp_path / "ours.safetensors"
    save_file(create_model("tin_resnet18", num_classes=9, num_segments=4).state_dict(), path)
    with pytest.raises(WeightsError, match=r"than num_segments=5; .*interlace\.models\.with_num_segments"):
        create_model("tin_resnet18", num_classes=3, num_segments=5, pretrained=path)


def test_a_part_of_the_temporal_weights_is_an_error(tmp_path):
    state = create_model("tin_resnet18", num_classes=3).state_dict()
    del state["backbone.layer1.0.conv1.temporal.offset_net.fc1.weight"]
    save_file(state, tmp_path / "part.safetensors")
    with pytest.raises(WeightsError, match="lacks 1 weights"):
        create_model("tin_resnet18", num_classes=3, pretrained=tmp_path / "part.safetensors")


@pytest.mark.parametrize("name", ["absent.safetensors", "damaged.safetensors", "damaged.pth"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    if name.startswith("damaged"):
        (tmp_path / name).write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=name):
        create_model("tin_resnet18", num_classes=3, pretrained=tmp_path / name)


def test_without_a_connection_the_error_says_what_to_do(monkeypatch, tmp_path):
    def no_network(*_):
        raise socket.gaierror("no network")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr("interlace.models.plain.getproxies", dict)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    with pytest.raises(
        WeightsError, match=r"'resnet18' could not be fetched .* pretrained=False.* pretrained=PATH"
    ):
        create_model("tin_resnet18", num_classes=3, pretrained=True)


def test_without_a_connection_an_earlier_download_is_used(monkeypatch, tmp_path):
    network = timm.create_model("resnet18")
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr("interlace.models.plain._hub_is_reachable", lambda: False)
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path / "model.safetensors")
    )
    model = create_model("tin_resnet18", num_classes=3, pretrained=True)
    assert torch.equal(model.backbone.layer4[1].conv1.weight, network.layer4[1].conv1.weight)


def test_weights_of_rgb_become_those_of_flow_and_differences(plain):
    network, path = plain
    mean = network.conv1.weight.mean(1, keepdim=True)
    for modality, channels in (("flow", 10), ("rgb_diff", 15)):
        model = create_model("tsn_resnet18", num_classes=3, modality=modality, pretrained=path)
        torch.testing.assert_close(model.backbone.conv1.weight, mean.expand(-1, channels, -1, -1))
        assert torch.equal(model.backbone.layer1[0].conv1.weight, network.layer1[0].conv1.weight)


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_image_weights_are_repeated_along_time(plain, modality):
    network, path = plain
    model = create_model("i3d_resnet18", num_classes=3, num_segments=4, modality=modality, pretrained=path)
    weight = network.conv1.weight
    weight = weight if modality == "rgb" else weight.mean(1, keepdim=True).expand(-1, 10, -1, -1)
    torch.testing.assert_close(model.backbone.conv1.weight.sum(2), weight, atol=1e-6, rtol=1e-5)
    save_file(model.state_dict(), path.parent / "i3d.safetensors")
    again = create_model(
        "i3d_resnet18",
        num_classes=9,
        num_segments=4,
        modality=modality,
        pretrained=path.parent / "i3d.safetensors",
    )
    assert torch.equal(again.backbone.conv1.weight, model.backbone.conv1.weight)


def test_what_no_image_network_has_may_be_missing_as_a_whole(plain):
    network, path = plain
    model = create_model("eco_lite_resnet18", num_classes=3, num_segments=4, pretrained=path)
    assert torch.equal(model.backbone.frames.network.conv1.weight, network.conv1.weight)
    state = model.state_dict()
    del state["backbone.video.res3a.weight"]
    save_file(state, path)
    with pytest.raises(WeightsError, match=r"lacks 1 weights, e\.g\. backbone\.video\.res3a\.weight"):
        create_model("eco_lite_resnet18", num_classes=3, num_segments=4, pretrained=path)


def test_each_kind_of_weights_may_be_missing_for_itself(tmp_path):
    source = create_model("tin_resnet18", num_classes=9, num_segments=4)
    path = tmp_path / "tin.safetensors"
    save_file(source.state_dict(), path)
    model = create_model("tin_nl_resnet18", num_classes=3, num_segments=4, pretrained=path)
    key = "backbone.layer1.0.conv1.temporal.offset_net.fc1.weight"
    assert torch.equal(model.state_dict()[key], source.state_dict()[key])
    save_file(model.state_dict(), path)
    with pytest.raises(WeightsError, match=r"has unknown .* weights, e\.g\. backbone.*non_local"):
        create_model("tin_resnet18", num_classes=3, num_segments=4, pretrained=path)


def test_each_member_takes_a_file_of_a_single_network(plain):
    network, path = plain
    model = create_model("two_stream_tsn_resnet18", num_classes=3, num_segments=2, pretrained=path)
    colors, flow = (member.backbone.conv1.weight for member in model.networks)
    assert torch.equal(colors, network.conv1.weight)
    assert flow.shape[1] == 10
    for member in model.networks:
        assert torch.equal(member.backbone.layer1[0].conv1.weight, network.layer1[0].conv1.weight)


def test_each_member_takes_its_own_part_of_a_file_of_an_ensemble(tmp_path):
    source = create_model("tin_en_resnet18", num_classes=9, num_segments=6)
    source.members[1].mean.fill_(0.25)
    path = tmp_path / "ensemble.safetensors"
    save_file(source.state_dict(), path)
    model = create_model("tin_en_resnet18", num_classes=3, num_segments=6, pretrained=path)
    wanted = {key: value for key, value in source.state_dict().items() if ".head." not in key}
    assert all(torch.equal(model.state_dict()[key], value) for key, value in wanted.items())
    assert len(wanted) == len(model.state_dict()) - 4
    with pytest.raises(
        WeightsError, match="weights of an ensemble of 2 networks; tin_resnet18 is a single one"
    ):
        create_model("tin_resnet18", num_classes=3, num_segments=4, pretrained=path)
    three = [{"model": "tin_resnet18", "model_args": {"num_segments": 2}}] * 3
    with pytest.raises(WeightsError, match="an ensemble of 2 networks; ensemble has 3"):
        create_model("ensemble", num_classes=3, members=three, pretrained=path)


@pytest.mark.real_data
def test_real_mobilenet_weights(weights_dir):
    """Strict loading by timm and by us give the same features."""
    path = weights_dir / "mobilenetv2_100_in1k.fp16.safetensors"
    network = timm.create_model("mobilenetv2_100", pad_type="same", checkpoint_path=str(path)).eval()
    model = create_model(
        "tsn_mobilenetv2_100",
        num_classes=3,
        num_segments=2,
        pretrained=path,
        pad_type="same",
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
    ).eval()
    clip = torch.randn(1, 2, 3, 64, 64)
    with torch.no_grad():
        wanted = network.forward_head(network.forward_features(clip[0]), pre_logits=True)
        torch.testing.assert_close(model.forward_features(clip)[0], wanted)
    assert model.mean == (0.5, 0.5, 0.5)
    assert (
        create_model("tin_mobilenetv2_100", num_classes=3, pretrained=path, pad_type="same")
        .backbone.blocks[1][1]
        .conv_pw.temporal.fold
        == 4
    )


def test_an_ensemble_of_other_channels(tmp_path):
    source = create_model("tsn_resnet18", num_classes=3, num_segments=2)
    path = tmp_path / "ensemble.safetensors"
    save_file({f"members.{i}.model.{k}": v.clone() for i in (0, 1) for k, v in source.state_dict().items()}
              | {f"members.{i}.{k}": torch.ones(3, 1, 1) for i in (0, 1) for k in ("mean", "std")}, path)  # fmt: skip
    same = create_model("tsm_en_resnet18", num_classes=3, num_segments=3, pretrained=path)
    assert [member.mean.flatten().tolist() for member in same.members] == [[1.0, 1.0, 1.0]] * 2
    message = (
        r"ensemble.safetensors: a network of its ensemble sees 3 channels; tsn_resnet18 in its place sees 10"
    )
    with pytest.raises(WeightsError, match=message):
        create_model("two_stream_tsn_resnet18", num_classes=3, num_segments=2, pretrained=path)
