"""What runs a file is imported, and its maker is not told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from interlace.exported.runtime import import_runtime

OPEN_AND_CONVERT = """
import sys
from pathlib import Path
from openvino_telemetry.utils.sender import TelemetrySender
sent = []
TelemetrySender.send = lambda self, backend, message: sent.append(message)
from interlace.export.openvino_file import read_onnx
from interlace.exported import load_model
load_model(Path(sys.argv[1]))
read_onnx(Path(sys.argv[2]))
assert "openvino.tools.ovc" in sys.modules
print(len(sent))
"""


def test_what_runs_a_file_is_imported_unobserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stand_in_of_a_runtime.py").write_text("import os\nseen = os.environ['CI']\n")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert import_runtime("stand_in_of_a_runtime", Path("m.xml")).seen == "true"
    assert "CI" not in os.environ


@pytest.mark.slow
def test_who_opens_or_converts_a_file_is_not_reported(
    make_export: Callable[..., Path], tmp_path: Path
) -> None:
    """In a process that does not run in continuous integration; who is reported gets a number, kept in the home."""
    pytest.importorskip("openvino_telemetry")
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    said = subprocess.run(
        [sys.executable, "-c", OPEN_AND_CONVERT, str(make_export("xml")), str(make_export("onnx"))],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "0\n"
    assert list(tmp_path.iterdir()) == []
