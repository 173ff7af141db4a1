"""The nets of one frame in one call, against the modules in float64."""

from __future__ import annotations

import copy

import pytest
import torch

from interlace.ops import _cpu
from interlace.ops.causal_nets import causal_nets, has_causal_nets
from interlace.temporal import CausalInterlace

pytestmark = pytest.mark.skipif(
    not _cpu.supports(torch.zeros(1)),
    reason="the compiled kernels are not there: built without a C compiler, or INTERLACE_PLAIN=1",
)
B, C, H, W = 2, 24, 5, 7


def module(**arguments) -> CausalInterlace:
    part = CausalInterlace(C, num_segments=4, num_groups=3, offset_range=1.75, **arguments)
    for parameter in part.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return part.requires_grad_(False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("arguments", [{}, {"window": 1, "hidden": 5}, {"window": 4}])
def test_is_what_the_modules_say(arguments, layout, dtype):
    part = module(**arguments)
    x = torch.randn(B, C, H, W).to(dtype, memory_format=layout).unsqueeze(1)
    before = torch.randn(B, part.window - 1, part.fold)
    parameters = part._parameters_of_nets()
    assert has_causal_nets(x[:, :, : part.fold], before, parameters)
    offset, weight, after = causal_nets(x, before, parameters, part.offset_net.offset_range)
    exact = copy.deepcopy(part).double()._offset_and_weight(x[:, :, : part.fold].double(), before.double())
    torch.testing.assert_close(offset.double(), exact[0].squeeze(1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(weight.double(), exact[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after.double(), exact[2], atol=1e-5, rtol=1e-5)


def test_a_nan_stays_visible():
    part = module()
    x = torch.randn(B, 1, C, H, W)
    x[1, 0, 2, 3, 3] = torch.nan
    before = torch.zeros(B, part.window - 1, part.fold)
    offset, weight, after = causal_nets(x, before, part._parameters_of_nets(), 1.75)
    assert offset[1].isnan().all()
    assert weight[1].isnan().all()
    assert after[1, -1, 2].isnan()
    assert offset[0].isfinite().all()


def test_nets_that_someone_looks_at_are_called():
    part, seen = module(), []
    part.offset_net.conv.register_forward_hook(lambda *_: None)
    assert part._parameters_of_nets() == []
    part = module()
    part.weight_net.register_forward_hook(lambda *_: seen.append(1))
    state = part.init_state(B, torch.float32, torch.device("cpu"))
    part.look_back(torch.randn(B, 1, C, H, W), state)
    assert seen == [1]


def test_what_does_not_fit_goes_through_the_modules():
    part = module()
    u, before = torch.randn(B, 1, part.fold, H, W), torch.zeros(B, part.window - 1, part.fold)
    parameters = part._parameters_of_nets()
    assert has_causal_nets(u, before, parameters)
    assert not has_causal_nets(u.double(), before, parameters)
    assert not has_causal_nets(u, before.double(), parameters)
    assert not has_causal_nets(u, before[:, 1:], parameters)
    assert not has_causal_nets(u, before, parameters[2:])
    assert not has_causal_nets(u, before, [p.double() for p in parameters])
