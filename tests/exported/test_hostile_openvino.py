"""OpenVINO files of strangers: they lie about sizes, name what is not there, or hide letters in entities."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.faults  # 20 files, each in a process of its own
# Openvino has threads, which no fork keeps: so forks of a process that has not loaded it yet.
EACH_FILE = """
import importlib.util, json, sys
import torch
from interlace.exported import load_model
spec = importlib.util.spec_from_file_location("bounded", sys.argv[1])
bounded = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bounded)

def use(path):
    model, _ = load_model(path)
    assert model(torch.zeros(1, 4, 3, 8, 8)).shape == (1, 5)

print(json.dumps({path: bounded.outcome(lambda: use(path)) for path in sys.argv[2:]}))
"""
BOUNDED = Path(__file__).resolve().parents[1] / "bounded.py"
LITTLE_MB = 150.0
"""Openvino itself takes 60."""

WEIGHT = 'element_type="f32" shape="12, 5" offset="32" size="240"'
BEGIN, NAME = '<?xml version="1.0"?>', 'name="onnx_Frontend_IR"'
GIGABYTES = '<!ENTITY a "a">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
ENTITIES = {"gigabytes": GIGABYTES, "another file": '<!ENTITY j SYSTEM "file:///etc/passwd">'}


def _weight(shape: str = "12, 5", offset: int = 32, size: int = 240) -> tuple[str, str]:
    return WEIGHT, f'element_type="f32" shape="{shape}" offset="{offset}" size="{size}"'


# What stands in the file, and what in its place.
CHANGES = {
    "offset behind the end": _weight(offset=10**6),
    "offset below zero": _weight(offset=-16),
    "offset that wraps around": _weight(offset=2**64 - 208),
    "size of exabytes": _weight(size=2**62),
    "shape of terabytes": _weight(shape="1000000, 1000000", size=4 * 10**12),
    "shape beyond its size": _weight(shape="1200, 500"),
    "shape that wraps around": _weight(shape=f"12, {2**62 + 5}"),
    "input of exabytes": ('shape="?,4,3,8,8"', 'shape="?,4,3,1000000000,1000000000"'),
    "unknown operator": ('type="MatMul"', 'type="Evil"'),
    "operator of a library": (
        'name="logits" type="MatMul" version="opset1"',
        'name="logits" type="MatMul" version="extension"',
    ),
    "edge from nowhere": ('from-layer="5"', 'from-layer="99"'),
    "edges in a circle": ('from-layer="0" from-port="0"', 'from-layer="6" from-port="2"'),
    "card of billions of classes": ("&quot;num_classes&quot;: 5", "&quot;num_classes&quot;: 5000000000"),
}


@pytest.fixture(scope="module")
def outcomes(
    make_export: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, Any]]:
    source = make_export("xml")
    text, weights = source.read_text(), source.with_suffix(".bin").read_bytes()
    changed = {}
    for name, (old, new) in CHANGES.items():
        assert old in text, name
        changed[name] = text.replace(old, new), weights
    for name, entities in ENTITIES.items():
        assert text.startswith(BEGIN)
        assert NAME in text
        named = text.removeprefix(BEGIN).replace(NAME, 'name="&j;"')
        changed[name] = f"{BEGIN}<!DOCTYPE net [{entities}]>{named}", weights
    changed["text that breaks off"] = text[:2000], weights
    changed["no end of folders"] = "<net>" * 200_000, weights
    changed["weights that break off"] = text, weights[:100]
    changed["no weights"] = text, b""
    changed["as it was"] = text, weights
    folder = tmp_path_factory.mktemp("hostile")
    paths = {}
    for name, (text_of, weights_of) in changed.items():
        paths[name] = folder / f"{len(paths)}.xml"
        paths[name].write_text(text_of)
        paths[name].with_suffix(".bin").write_bytes(weights_of)
    command = [sys.executable, "-c", EACH_FILE, str(BOUNDED), *map(str, paths.values())]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {name: (path, told[str(path)]) for name, path in paths.items()}


def test_what_lies_is_refused_and_takes_no_memory(outcomes: dict[str, tuple[Path, Any]]) -> None:
    for name in outcomes.keys() - ENTITIES.keys() - {"as it was"}:
        path, (kind, message, grown_mb) = outcomes[name]
        assert kind == ("ValueError" if name == "input of exabytes" else "CheckpointError"), (name, message)
        assert str(path) in message, name
        assert grown_mb < LITTLE_MB, name


def test_entities_are_not_followed(outcomes: dict[str, tuple[Path, Any]]) -> None:
    for name in (*ENTITIES, "as it was"):
        _, (kind, message, grown_mb) = outcomes[name]
        assert kind == "", (name, message)
        assert grown_mb < LITTLE_MB, name
