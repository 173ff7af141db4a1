from __future__ import annotations

import importlib
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch

from interlace import allocator, doctor
from interlace.doctor import Finding
from interlace.ops import _cpu, _library


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_this_machine_is_healthy_and_every_topic_is_covered() -> None:
    findings = by_name(doctor.diagnose())
    assert doctor.healthy(list(findings.values()))
    assert findings["torch"].value == torch.__version__ or torch.__version__.startswith(
        findings["torch"].value
    )
    assert {"python", "interlace", "torchvision", "timm", "lightning", "av", "FFmpeg"} <= set(findings)
    assert {"decoder h264", "decoder hevc", "decoder av1", "decoder vp9", "encoder libx264"} <= set(findings)
    assert {
        "cpu",
        "allocator",
        "operators",
        "triton",
        "onnxruntime",
        "openvino",
        "cv2",
        "webdataset",
        "ray",
        "pyarrow",
        "free disk",
        "hub",
    } <= set(findings)
    assert findings["decoder h264"] == Finding("decoder h264", "yes")
    assert "libavcodec" in findings["FFmpeg"].value


def test_everything_that_is_not_ok_and_can_be_had_names_the_command() -> None:
    for finding in doctor.diagnose():
        assert finding.status != "missing" or finding.remedy
        if finding.name in doctor.EXTRAS and finding.status == "note":
            assert finding.remedy.startswith("pip install ")


def test_a_missing_library_is_found_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    original = importlib.import_module

    def absent(name: str, *arguments: Any) -> Any:
        if name == "timm":
            raise ModuleNotFoundError("No module named 'timm'", name="timm")
        if name == "torchvision":
            raise ImportError("undefined symbol: _ZN3c10")
        return original(name, *arguments)

    monkeypatch.setattr(importlib, "import_module", absent)
    findings = by_name(doctor.diagnose())
    assert findings["timm"] == Finding("timm", "not installed", "missing", "pip install timm")
    assert findings["torchvision"].status == "missing"
    assert "undefined symbol" in findings["torchvision"].value
    assert not doctor.healthy(list(findings.values()))
    assert findings["av"].status == "ok"


def test_no_check_can_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("driver too old")

    monkeypatch.setattr(torch.cuda, "device_count", broken)
    monkeypatch.setattr(doctor.shutil, "disk_usage", broken)
    findings = by_name(doctor.diagnose())
    assert findings["devices"].value == "RuntimeError: driver too old"
    assert findings["devices"].status == "missing"
    assert findings["disk"].status == "missing"
    assert findings["hub"].status == "note"


def test_a_missing_decoder_is_a_note_but_h264_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "can", lambda av, codec, mode: False)
    findings = by_name([*doctor.decoding(), *doctor.encoding()])
    assert findings["decoder h264"].status == "missing"
    assert findings["decoder av1"].status == findings["encoder libx264"].status == "note"
    assert "pip install --force-reinstall av" in findings["decoder av1"].remedy


def test_unknown_codecs_are_no_crash() -> None:
    import av

    assert doctor.can(av, "h264", "r")
    assert not doctor.can(av, "no_such_codec", "r")


@pytest.mark.parametrize(("free", "status"), [(1e9, "note"), (9e9, "ok")])
def test_little_disk_space_is_said(monkeypatch: pytest.MonkeyPatch, free: float, status: str) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: type("Usage", (), {"free": free}))
    assert [finding.status for finding in doctor.disk()] == [status]


def test_more_threads_than_cores_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4096)
    [finding] = doctor.processor()
    assert finding.status == "note"
    assert "OMP_NUM_THREADS=" in finding.remedy


def test_gpus_are_listed_with_memory_and_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    old = type("Properties", (), {"major": 7, "name": "Old GPU", "total_memory": 8 * 2**30})
    new = type("Properties", (), {"major": 9, "name": "New GPU", "total_memory": 80 * 2**30})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: [old, new][index])
    assert doctor.devices()[:2] == [
        Finding("cuda:0", "Old GPU, 8 GiB, no bf16: use --trainer.precision 16"),
        Finding("cuda:1", "New GPU, 80 GiB, bf16"),
    ]


def test_the_network_is_used_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> Any:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    assert doctor.hub(False).value == "not asked: nothing was sent over the network"
    assert "cannot be reached" in doctor.hub(True).value
    assert doctor.healthy([doctor.hub(True)])


def test_table_and_json(tmp_path: Path) -> None:
    findings = [
        Finding("a", "1"),
        Finding("long", "no", "note", "get it"),
        Finding("b", "no", "missing", "buy it"),
    ]
    assert doctor.table(findings) == (
        "  a     1\n- long  no\n        -> get it\nX b     no\n        -> buy it\n"
        "something required is missing: see the lines marked X"
    )
    assert doctor.table(findings[:2]).endswith("\nall that is required is here")
    written = json.loads(doctor.to_json(findings, tmp_path / "doctor.json").read_text())
    assert written["healthy"] is False
    assert written["findings"][1] == {"name": "long", "value": "no", "status": "note", "remedy": "get it"}


def test_the_allocator_is_advised_on_until_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(allocator, "_was_told", False)
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    [finding] = doctor.allocator()
    assert finding.value == "glibc, gives freed memory back at once"
    assert finding.remedy.endswith("interlace.allocator.keep_freed_memory()")
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "0")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "100000000000")
    kept = [Finding("allocator", "glibc, keeps freed memory")]
    assert doctor.allocator() == kept
    monkeypatch.delenv("MALLOC_MMAP_MAX_")
    monkeypatch.setattr(allocator, "_was_told", True)
    assert doctor.allocator() == kept
    monkeypatch.setattr(doctor.platform, "libc_ver", lambda: ("", ""))
    assert doctor.allocator() == [Finding("allocator", "the system's")]


@pytest.mark.parametrize(
    ("library", "threads", "conv", "value"),
    [
        (object(), object(), True, "compiled kernels and fused convolution"),
        (object(), object(), False, "compiled kernels; no fused convolution for this processor"),
        (None, object(), False, "plain PyTorch, because no kernels were built"),
        (None, None, False, "plain PyTorch, because this PyTorch has no torch_parallel_for"),
    ],
)
def test_what_the_operators_run_in(
    library: object, threads: object, conv: bool, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INTERLACE_PLAIN", raising=False)
    monkeypatch.setattr(_cpu, "LIBRARY", library)
    monkeypatch.setattr(_library, "THREADS", threads)
    monkeypatch.setattr(_library, "HAS_CONV", conv)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    [finding] = doctor.operators()
    assert finding.value == f"CPU: {value}"
    assert finding.status == ("note" if library is None else "ok")
    assert finding.remedy.startswith("faster: ") == (library is None)


def test_operators_switched_off_and_operators_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("INTERLACE_PLAIN", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert doctor.operators()[0].value.endswith("; CUDA: plain PyTorch, because Triton is missing")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert doctor.operators()[0].value.endswith("; CUDA: Triton kernels")
    monkeypatch.setenv("INTERLACE_PLAIN", "1")
    assert doctor.operators()[0].value == "plain PyTorch, because INTERLACE_PLAIN=1 is set"
