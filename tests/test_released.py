from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interlace.models import create_model
from interlace.models.backbone import TemporalConv2d
from interlace.released import convert_released
from interlace.temporal import TemporalShift, record_offsets

pytestmark = pytest.mark.reference


def released(path: Path) -> dict[str, Tensor]:
    """The parameters that were recorded with, filled from their names as the reference's README says."""
    state = {}
    for name, shape in json.loads(path.read_text()).items():
        generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        if name.endswith("num_batches_tracked"):
            value = np.zeros(shape, dtype=np.int64)
        elif name.endswith("running_var"):
            value = generator.uniform(0.9, 1.1, shape)
        elif name.endswith("running_mean"):
            value = 0.1 * generator.standard_normal(shape)
        elif name.endswith("biasnet.net.lastlayer.bias"):
            value = 0.5108 + generator.standard_normal(shape)
        elif len(shape) == 1:
            value = float(name.endswith("weight")) + 0.1 * generator.standard_normal(shape)
        else:
            value = generator.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        state[name] = torch.from_numpy(value)
    return state


@pytest.mark.parametrize(
    ("name", "method", "case"),
    [
        ("tsn_resnet50", "tsn", "net_tsn_r50"),
        ("tsm_resnet50", "tsm", "net_tsm_r50"),
        ("tin_resnet18", "tin", "net_tin_r18"),
    ],
)
def test_logits_of_the_published_networks(reference_dir, name, method, case):
    model = create_model(name, num_classes=174, num_segments=8).eval()
    model.load_state_dict(convert_released(released(reference_dir / f"{case}_keys.json"), method))
    recorded = np.load(reference_dir / f"{case}.npz")
    clip = torch.from_numpy(np.load(reference_dir / "net_input.npz")["x"]).reshape(1, 8, 3, 64, 64)
    with torch.no_grad(), record_offsets(model) as records:
        logits = model(clip)
        frame_logits = model.head(model.forward_features(clip))[0]
    np.testing.assert_allclose(logits, recorded["logits"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(frame_logits, recorded["frame_logits"], atol=1e-5, rtol=0)
    if method == "tin":
        offsets = torch.stack([offset for offset, _ in records.values()])
        np.testing.assert_allclose(offsets, recorded["offsets"], atol=1e-5, rtol=0)


def shifted(model: nn.Module) -> set[str]:
    """Names of the convolutions and blocks that see shifted frames."""
    names = set()
    for name, module in model.backbone.named_modules():
        if isinstance(module, TemporalConv2d):
            names.add(name)
        elif isinstance(module, TemporalShift) and not name.endswith(".temporal"):
            names.add(name.replace("temporal", ""))
    return names


@pytest.mark.parametrize(
    ("name", "arguments", "method", "case", "wrapper"),
    [
        ("tsm_resnet50", {}, "tsm", "net_tsm_r50", ".net."),
        ("tsm_resnet101", {}, "tsm", "net_tsm_r101", ".net."),
        ("tsm_resnet50", {"num_convs": 2}, "tsm", "net_tin_tsm_twopath_r50", ".net."),
        ("tsm_resnet50", {"position": "in_place"}, "tsm_in_place", "net_tsm_r50_block", ".net."),
        ("tin_resnet18", {}, "tin", "net_tin_r18", ".net2."),
        ("tin_resnet50", {}, "tin", "net_tin_r50", ".net2."),
    ],
)
def test_released_names_fit_and_so_do_the_places(reference_dir, name, arguments, method, case, wrapper):
    shapes = json.loads((reference_dir / f"{case}_keys.json").read_text())
    with torch.device("meta"):
        model = create_model(name, num_classes=174, **arguments)
        state = convert_released({key: torch.empty(shape) for key, shape in shapes.items()}, method)
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in model.state_dict().items()}
    released_places = {key.removeprefix("base_model.").split(wrapper)[0] for key in shapes if wrapper in key}
    assert shifted(model) == released_places


def test_the_prefix_of_several_gpus_may_stand(reference_dir):
    shapes = json.loads((reference_dir / "net_tsn_r50_keys.json").read_text())
    state = {f"module.{key}": torch.empty(shape) for key, shape in shapes.items()}
    assert len(convert_released(state, "tsn")) == len(shapes)


@pytest.mark.parametrize(
    ("method", "case", "message"),
    [
        ("tsn", "net_tsm_r50", r"16 of 320 .*layer1\.0\.conv1\.net\.weight"),
        ("tsm", "net_tsm_r50_block", "are not those of a released tsm ResNet"),
        ("tsm", "net_tsm_r50_nl", r"layer2\.0\.block\.conv1"),
        ("tin", "net_tsm_r50", "16 of 320"),
        ("tsn", "net_tsm_mobilenetv2", "features"),
    ],
)
def test_names_that_are_left_over_are_an_error(reference_dir, method, case, message):
    shapes = json.loads((reference_dir / f"{case}_keys.json").read_text())
    with pytest.raises(ValueError, match=message):
        convert_released({key: torch.empty(0) for key in shapes}, method)


def test_an_unknown_format_is_an_error():
    with pytest.raises(ValueError, match="'trn'; known are tsn, tsm, tsm_in_place, tin"):
        convert_released({}, "trn")
