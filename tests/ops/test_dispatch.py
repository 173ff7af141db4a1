"""Which implementation runs, and that the network is the same with and without kernels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from interlace.ops import _cpu, _dispatch, has_kernels

needs_kernels = pytest.mark.skipif(
    not _cpu.supports(torch.zeros(1)),
    reason="the compiled kernels are not there: built without a C compiler, or INTERLACE_PLAIN=1",
)

NETWORK = """
import sys
import torch
from interlace.models import tin, tsm
from interlace.ops import has_kernels

torch.manual_seed(0)
results = {"kernels": has_kernels(torch.zeros(1))}
for build in (tin, tsm):
    network = build("resnet10t", num_segments=4).eval()
    x = torch.randn(8, 3, 33, 35, requires_grad=True)
    out = network(x)
    out.square().sum().backward()
    name = build.__name__
    results[name] = {"out": out.detach(), "x": x.grad, **{n: p.grad for n, p in network.named_parameters()}}
    with torch.no_grad():
        results[name]["inference"] = network(x.to(memory_format=torch.channels_last))
torch.save(results, sys.argv[1])
"""


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_dtypes_with_kernels(dtype):
    assert has_kernels(torch.zeros(1, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.complex64, torch.bool])
def test_the_dtypes_without(dtype):
    assert not has_kernels(torch.zeros(1, dtype=dtype))


def test_no_kernels_for_other_devices():
    assert not has_kernels(torch.zeros(1, device="meta"))
    assert _dispatch.triton_kernels(torch.zeros(1)) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_cuda_has_triton():
    assert has_kernels(torch.zeros(1, device="cuda"))
    assert not has_kernels(torch.zeros(1, device="cuda", dtype=torch.float64))


@needs_kernels
def test_a_network_is_the_same_with_and_without_kernels(tmp_path: Path):
    """INTERLACE_PLAIN=1 switches them off."""
    results = []
    for plain in "01":
        file = tmp_path / f"{plain}.pt"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "INTERLACE_PLAIN": plain}
        subprocess.run([sys.executable, "-c", NETWORK, str(file)], env=environment, check=True)
        results.append(torch.load(file))
    kernels, plain = results
    assert kernels.pop("kernels")
    assert not plain.pop("kernels")
    for name, wanted in plain.items():
        assert kernels[name].keys() == wanted.keys()
        for key, value in wanted.items():
            scale = value.abs().max().item()
            torch.testing.assert_close(
                kernels[name][key], value, rtol=1e-3, atol=1e-4 * scale, msg=lambda m, key=key: f"{key}: {m}"
            )
