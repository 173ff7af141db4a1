"""The five steps of CONTRIBUTING.md, followed to the letter."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package with the new module written into it."""
    package = Path(shutil.copytree(ROOT / "src" / "interlace", tmp_path / "src" / "interlace"))
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    module, name, network, named = re.findall(r"^```python\n(.+?)^```", guide, re.M | re.S)
    [entry] = re.findall(r"add `(.+?)` to `METHODS`", guide)
    (package / "temporal" / "difference.py").write_text(module)
    append(package / "temporal" / "__init__.py", name)
    (package / "models" / "tdn.py").write_text(network)
    methods = package / "models" / "methods.py"
    text, count = re.subn(
        r"^(METHODS\b.*?)^}$", rf"{named}\1    {entry},\n}}", methods.read_text(), flags=re.M | re.S
    )
    assert count == 1
    methods.write_text(text)
    return package


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + "\n" + text)


def test_the_five_steps_give_a_network_that_learns(package: Path) -> None:
    code = """
import torch, interlace
torch.manual_seed(0)
assert "tdn_resnet18" in interlace.list_models("tdn_*")
# timm's ResNets start with branches multiplied by zero, through which no gradient comes
arguments = {"num_classes": 3, "num_segments": 4, "zero_init_last": False}
model, plain = (interlace.create_model(f"{method}_resnet18", **arguments) for method in ("tdn", "tsn"))
missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
assert len(missing) == 8 and not unexpected and all(key.endswith("conv1.temporal.part") for key in missing)
clip = torch.rand(2, 4, 3, 32, 32)
assert torch.equal(model.eval()(clip), plain.eval()(clip))  # nothing of the difference is added at the start
model(clip).square().sum().backward()
module = model.backbone.layer4[1].conv1.temporal
assert module.part.grad.abs().sum() > 0
with torch.no_grad():
    module.part.fill_(0.5)
    frames = torch.arange(8.0)[:, None, None, None].expand(8, 512, 1, 1)
    assert module(frames)[:, 0, 0, 0].tolist() == [0, 1.5, 2.5, 3.5, 4, 5.5, 6.5, 7.5]  # two clips of four
print("followed")
"""
    environment = {"PYTHONPATH": str(package.parent), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        cwd=package.parent,
        check=False,
    )
    assert done.stdout == "followed\n", done.stderr
