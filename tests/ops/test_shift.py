from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch

from interlace.ops import temporal_shift


def test_the_first_fold_sees_the_future_the_second_the_past():
    clip = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1, 1).expand(1, 3, 5, 2, 4)
    out = temporal_shift(clip, fold_div=4)[0, :, :, 1, 3]
    assert out.T.tolist() == [[2, 3, 0], [0, 1, 2], [1, 2, 3], [1, 2, 3], [1, 2, 3]]


def test_causal_sees_the_past_only():
    clip = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1, 1).expand(1, 3, 5, 2, 4)
    out = temporal_shift(clip, fold_div=4, mode="causal")[0, :, :, 1, 3]
    assert out.T.tolist() == [[0, 1, 2], [1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]]


def test_one_frame():
    out = temporal_shift(torch.ones(2, 1, 8, 3, 5), fold_div=4)
    assert out[0, 0, :, 0, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("mode", ["bidirectional", "causal"])
def test_gradcheck(mode):
    x = torch.randn(2, 3, 4, 2, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: temporal_shift(x, 4, mode), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtype_and_memory_format_are_kept(dtype):
    frames = torch.randn(8, 8, 5, 7).to(dtype, memory_format=torch.channels_last)
    out = temporal_shift(frames.unflatten(0, (2, 4)))
    assert out.dtype == dtype
    assert out.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("fold_div", [0, 1, 9])
def test_a_fold_without_channels_is_named(fold_div):
    with pytest.raises(ValueError, match=f"fold_div={fold_div} .* 8"):
        temporal_shift(torch.zeros(2, 4, 8, 3, 5), fold_div)


def test_bad_shape_and_mode_are_named():
    with pytest.raises(ValueError, match=r"\(4, 8, 3, 5\)"):
        inspect.unwrap(temporal_shift)(torch.zeros(4, 8, 3, 5))
    with pytest.raises(ValueError, match="'backward' is unknown"):
        inspect.unwrap(temporal_shift)(torch.zeros(2, 4, 8, 3, 5), mode="backward")


def test_compiles_as_one_graph():
    x = torch.randn(2, 4, 8, 3, 5)
    compiled = torch.compile(inspect.unwrap(temporal_shift), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), temporal_shift(x))


@pytest.mark.parametrize(
    "imports",
    [
        "import interlace.ops.interlace",
        "import interlace, interlace.temporal; from interlace.ops.interlace import checked",
    ],
)
def test_the_name_is_the_function_after_any_import(imports):
    code = f"{imports}; assert callable(interlace.ops.interlace)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.reference
@pytest.mark.parametrize("case", ["div8", "div4", "div8_c20", "div3_t2"])
def test_the_published_shift(reference_dir, case):
    recorded = np.load(reference_dir / "tsm_shift.npz")
    x, out = (torch.from_numpy(recorded[f"{case}.{name}"]) for name in ("x", "out"))
    num_clips, num_segments, _, fold_div = recorded[f"{case}.meta"].tolist()
    clip = x.unflatten(0, (num_clips, num_segments))
    assert torch.equal(temporal_shift(clip, fold_div).flatten(0, 1), out)


@pytest.mark.reference
def test_the_published_online_shift(reference_dir):
    recorded = np.load(reference_dir / "tsm_online_shift.npz")
    frames, shifted = (torch.from_numpy(recorded[name]).transpose(0, 1) for name in ("frames", "shifted"))
    assert torch.equal(temporal_shift(frames, 8, "causal"), shifted)
