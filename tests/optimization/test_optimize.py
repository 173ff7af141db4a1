from __future__ import annotations

import copy
import inspect
import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn

import interlace
from interlace.models import VideoClassifier, with_num_segments
from interlace.optimization import processor
from interlace.temporal import TemporalInterlace, record_offsets

T, K = 4, 5
optimize_module = sys.modules["interlace.optimization.optimize"]


def model(name: str = "tin_resnet18") -> VideoClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = interlace.create_model(name, num_classes=K, num_segments=T).eval()
        nn.init.normal_(made.head.weight)
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_var, 0.5, 1.5)
            if isinstance(module, TemporalInterlace):
                nn.init.normal_(module.offset_net.fc2.weight)
    return made


def clips(num: int = 2) -> torch.Tensor:
    return torch.randn(num, T, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["tin_resnet18", "tsm_resnet18", "tsn_resnet18", "tin_mobilenetv2_050"])
@torch.no_grad()
def test_float32_agrees_for_every_batch_size(name):
    original = model(name)
    before = copy.deepcopy(original.state_dict())
    fast = interlace.optimize(original, dtype=torch.float32, compile=False, example=clips(3))
    assert fast.agreement.relative_error < 1e-5
    assert fast.agreement.num_clips == 3
    assert fast.agreement.top1 == 1
    for num in (1, 3, 2):
        torch.testing.assert_close(fast(clips(num)), original(clips(num)), atol=1e-4, rtol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in original.state_dict().items())
    assert all(parameter.requires_grad for parameter in original.parameters())


FAMILIES = [
    ("tin_en_test_resnet", {"num_segments": 3}),
    ("two_stream_tsm_test_resnet", {"average": "probabilities", "multi_label": True}),
    ("tsm_nl_resnet18", {}),
    ("tsm_tpool_test_resnet", {}),
    ("tsm_two_conv_test_resnet", {}),  # in a basic block the second convolution is the one that adds
    ("tsm_test_resnet", {"modality": "rgb_diff"}),
    ("trn_test_resnet", {}),
    ("rtcn_test_resnet", {}),
    ("i3d_light_resnet18", {}),
    ("i3d_gcn_resnet18", {"proposals": "grid"}),
    ("eco_lite_resnet18", {}),
    ("tsn_bninception", {"num_segments": 1}),
]


@pytest.mark.parametrize(("name", "arguments"), FAMILIES)
def test_networks_of_every_kind_agree(name, arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        original = interlace.create_model(name, **{"num_classes": K, "num_segments": T, **arguments}).eval()
        for module in original.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                nn.init.uniform_(module.running_var, 0.5, 1.5)
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.weight, 0.5, 1.5)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.1)
        example = torch.rand(2, original.num_segments, original.in_chans, 32, 32)
    for dtype, limit in ((torch.float32, 1e-5), (torch.bfloat16, 0.05)):
        fast = interlace.optimize(original, dtype=dtype, compile=False, example=example)
        assert fast.agreement.relative_error < limit
        assert fast(example).dtype == torch.float32
        assert (fast.num_segments, fast.in_chans) == (original.num_segments, original.in_chans)


def test_norms_over_clips_are_folded():
    original = interlace.create_model("i3d_light_resnet18", num_classes=K, num_segments=T).eval()
    fast = interlace.optimize(original, dtype=torch.float32, compile=False, verify=False)
    assert sum(isinstance(module, nn.BatchNorm3d) for module in original.modules()) == 20
    assert not any(isinstance(module, nn.BatchNorm3d) for module in fast.modules())


def test_noise_for_an_ensemble_is_of_pixels():
    ensemble = interlace.create_model("tsm_en_test_resnet", num_classes=K, num_segments=3)
    noise = inspect.unwrap(interlace.optimization.noise_clips)(ensemble, 32, 48)
    assert noise.shape == (4, 3, 3, 32, 48)
    assert noise.mean().item() == pytest.approx(0.5, abs=0.01)
    assert noise.std().item() == pytest.approx(0.25, abs=0.01)


def test_bfloat16_agrees_and_offsets_stay_exact():
    original = model()
    clip = clips(1)
    fast = interlace.optimize(original, dtype=torch.bfloat16, compile=False, example=clips())
    assert fast.agreement.relative_error < 0.05
    assert fast(clip).dtype == torch.float32
    with record_offsets(original) as wanted, record_offsets(fast.model) as got:
        original(clip)
        fast(clip)
    assert wanted.keys() == got.keys()
    for name in wanted:
        assert got[name][0].dtype == torch.float32
        torch.testing.assert_close(got[name][0], wanted[name][0], atol=0.02, rtol=0)


def test_what_keeps_float32():
    fast = interlace.optimize(model(), dtype=torch.bfloat16, compile=False, verify=False)
    kept = {name for name, value in fast.named_parameters() if value.dtype == torch.float32}
    assert kept == {name for name, _ in fast.named_parameters() if "temporal" in name or "head" in name}
    assert fast.agreement is None
    assert not any(value.requires_grad for value in fast.parameters())


def test_a_network_in_training_mode_is_left_in_it():
    original = model().train()
    fast = interlace.optimize(original, dtype=torch.float32, compile=False, example=clips())
    assert original.training
    assert not fast.training
    torch.testing.assert_close(fast(clips()), original.eval()(clips()), atol=1e-4, rtol=1e-4)


def test_another_number_of_segments_comes_first():
    fast = interlace.optimize(with_num_segments(model(), 6), dtype=torch.float32, compile=False, verify=False)
    assert fast(torch.zeros(1, 6, 3, 32, 32)).shape == (1, K)
    with pytest.raises(ValueError, match="num_segments=6"):
        fast(clips())
    with pytest.raises(ValueError, match="cannot be rebuilt"):
        inspect.unwrap(with_num_segments)(fast, 8)


def test_under_autocast_the_dtype_is_its_own():
    fast = interlace.optimize(model(), dtype=torch.float32, compile=False, verify=False)
    with torch.autocast("cpu", torch.bfloat16):
        under = fast(clips())
    assert torch.equal(under, fast(clips()))


def test_it_is_for_inference():
    fast = interlace.optimize(model(), compile=False, verify=False)
    assert fast.eval() is fast
    with pytest.raises(ValueError, match="inference only"):
        fast.train()
    with pytest.raises(ValueError, match="OptimizedModel cannot be optimized"):
        inspect.unwrap(interlace.optimize)(fast)


def test_an_unknown_dtype_is_named():
    with pytest.raises(ValueError, match=r"torch\.int8 is not one of"):
        interlace.optimize(model(), dtype=torch.int8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_copy_that_does_not_agree(dtype, monkeypatch):
    def wrong(network: nn.Module) -> int:
        network.conv1.weight.mul_(2)
        return network.bn1.running_mean.fill_(3).numel()

    monkeypatch.setattr(optimize_module, "fold_batch_norms", wrong)
    if dtype == torch.float32:
        with pytest.raises(ValueError, match="does not agree"):
            interlace.optimize(model(), dtype=dtype, compile=False, example=clips())
    else:
        with pytest.warns(UserWarning, match="bfloat16 changes this network a lot"):
            interlace.optimize(model(), dtype=dtype, compile=False, example=clips())


def test_without_a_compiler_it_says_so_once_and_runs(monkeypatch):
    monkeypatch.setattr(processor.shutil, "which", lambda name: None)
    with pytest.warns(UserWarning, match="not compiled: there is no C") as caught:
        fast = interlace.optimize(model(), dtype=torch.float32, compile=True, example=clips())
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert not fast.is_compiled
    assert fast.agreement.is_good
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # who did not ask is not told
        assert not interlace.optimize(model(), verify=False).is_compiled


def test_a_compiler_that_fails_is_no_traceback(monkeypatch):
    def broken(fast: object) -> None:
        raise RuntimeError("g++ has no headers\nand much more")

    monkeypatch.setattr(optimize_module.OptimizedModel, "compile_backbone", broken)
    monkeypatch.setattr(optimize_module, "compiler_is_missing", lambda device: "")
    with pytest.warns(UserWarning, match="not compiled: RuntimeError: g\\+\\+ has no headers; it runs"):
        fast = interlace.optimize(model(), dtype=torch.float32, compile=True, example=clips())
    assert fast.agreement.is_good


COMPILED = """
import torch, interlace
from torch._dynamo.utils import counters
torch.manual_seed(0)
model = interlace.create_model("tin_test_resnet", num_classes=5, num_segments=4).eval()
torch.nn.init.normal_(model.head.weight)
clips = torch.randn(6, 4, 3, 32, 32)
fast = interlace.optimize(model, dtype=torch.float32, compile=True, example=clips[:2])
assert fast.is_compiled, fast
with torch.inference_mode():
    for num in (2, 5, 3, 6, 1):
        torch.testing.assert_close(fast(clips[:num]), model(clips[:num]), atol=1e-4, rtol=1e-4)
print(counters["stats"]["unique_graphs"], sum(counters["graph_break"].values()))
"""


@pytest.mark.skipif(bool(processor.compiler_is_missing("cpu")), reason="there is no C++ compiler")
def test_compiled_once_for_all_batch_sizes():
    run = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    graphs, breaks = map(int, run.stdout.split())
    assert (graphs, breaks) == (1, 0)
