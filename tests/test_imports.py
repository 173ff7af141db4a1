"""The import rule, and what `import interlace` must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "interlace"
EVERYWHERE = {"files", "printable"}
# Besides these, a room may import from the rooms listed for it, and from itself.
BELOW: dict[str, set[str]] = {
    "types": set(),
    "printable": set(),
    "card_checks": set(),
    "layout": set(),
    "files": set(),
    "devices": set(),
    "provenance": set(),
    "allocator": set(),
    "telemetry": set(),
    "ops": {"layout"},
    "temporal": {"ops", "layout"},
    "modality": set(),
    "models": {"temporal", "ops", "layout", "modality"},
    "released": {"models", "temporal", "checkpoints", "data", "modality"},
    "card_history": {"models"},
    "checkpoints": {"models", "card_checks", "card_history"},
    "data": {"types", "modality"},
    "optimization": {"models", "temporal", "ops", "layout"},
    "audiovisual": {
        *("models", "temporal", "data", "checkpoints", "card_checks", "card_history", "training", "plots"),
        *("devices", "provenance", "types", "layout", "allocator"),
    },
    "benchmark": {"models", "checkpoints", "devices", "doctor"},
    "plots": {"types"},
    "comparison": {
        "models",
        "temporal",
        "benchmark",
        "checkpoints",
        "devices",
        "plots",
        "provenance",
    },
    "doctor": {"types", "ops", "allocator", "telemetry"},
    "training": {
        *("models", "temporal", "data", "checkpoints", "card_history"),
        *("devices", "provenance", "types", "layout", "modality"),
    },
    "ablation": {
        "training",
        "evaluation",
        "data",
        "checkpoints",
        "provenance",
        "models",
        "temporal",
    },
    "exported": {
        "models",
        "temporal",
        "checkpoints",
        "card_checks",
        "card_history",
        "data",
        "devices",
        "modality",
        "telemetry",
    },
    "evaluation": {
        *("models", "optimization", "data", "checkpoints", "exported"),
        *("devices", "provenance", "plots", "types", "layout"),
    },
    "inference": {
        *("models", "optimization", "data", "checkpoints", "exported"),
        *("devices", "types", "layout", "modality"),
    },
    "streaming": {"inference", "data"},
    "corpus": {
        "inference",
        "models",
        "checkpoints",
        "exported",
        "data",
        "devices",
        "modality",
        "telemetry",
        "types",
    },
    "export": {
        *(
            "models",
            "temporal",
            "ops",
            "optimization",
            "exported",
            "inference",
            "evaluation",
            "benchmark",
            "data",
        ),
        *("checkpoints", "devices", "provenance", "types", "layout", "modality", "telemetry"),
    },
}


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(file: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if node.module == "interlace"
                else [node.module]
            )
        elif isinstance(node, ast.ImportFrom):
            raise AssertionError(f"{file}:{node.lineno}: imports are absolute here")
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name and name.startswith("interlace.")}
    return rooms - {"__version__"}


@pytest.mark.parametrize(
    "file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE))
)
def test_arrows_never_point_back(file: Path) -> None:
    room = room_of(file)
    if room in ("cli", "__init__"):
        return
    assert room in BELOW, f"{room} is a new room: say in tests/test_imports.py what it may import"
    assert imported_rooms(file) - {room} <= BELOW[room] | EVERYWHERE


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_interlace_loads_nothing_heavy() -> None:
    assert (
        loaded_by("import interlace")
        & {"torch", "timm", "av", "lightning", "triton", "matplotlib", "torchvision"}
        == set()
    )


def test_building_a_network_loads_no_decoder_trainer_or_plotting() -> None:
    code = "import interlace; interlace.create_model('tin_resnet18', num_classes=5)"
    assert loaded_by(code) & {"av", "lightning", "pytorch_lightning", "matplotlib", "tensorboard"} == set()
