"""Exports of the networks of utd_mhad.py: parity on test clips, latency of each runtime, int8 before and after.

    python experiments/utd_exports.py DATA RUNS [--methods tsn tsm tin tsm_causal tin_causal]

RUNS is where `experiments/utd_mhad.py scratch DATA RUNS` has left its networks and lists. Each is exported to ONNX,
the causal ones as streams, and the others also to OpenVINO with int8, calibrated on training clips. The reports of
`interlace export --json` go to benchmarks/results/utd_exports.json. Some minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from common import RESULTS, interlace
from interlace.provenance import provenance

METHODS = ("tsn", "tsm", "tin", "tsm_causal", "tin_causal")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    given = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for method in given.methods:
            checkpoint = given.runs / f"scratch-{method}-0" / "last.safetensors"
            clips = ["--data", given.data, "--annotations", given.runs / "test.csv"]
            if method.endswith("_causal"):
                kinds = {"onnx stream": ["--streaming"]}
            else:
                int8 = ["--int8", "--max_drop", "5", "--calibration", given.runs / "train.csv"]
                kinds = {"onnx": [], "openvino int8": int8}
            for kind, options in kinds.items():
                suffix = ".xml" if "openvino" in kind else ".onnx"
                output = Path(folder) / f"{method}-{kind.replace(' ', '-')}{suffix}"
                report = output.with_suffix(".report.json")
                interlace("export", checkpoint, "--output", output, *clips, *options, "--json", report)
                results.append({"method": method, "kind": kind, **_scrubbed(json.loads(report.read_text()))})
    file = RESULTS / "utd_exports.json"
    history = json.loads(file.read_text()) if file.exists() else []
    history.append({**provenance(), "command": "utd_exports.py DATA RUNS", "results": results})
    file.write_text(json.dumps(history, indent=1) + "\n")


def _scrubbed(report: Any) -> Any:
    """Without the folders of this machine: of each path, its name."""
    if isinstance(report, dict):
        return {key: _scrubbed(value) for key, value in report.items()}
    if isinstance(report, list):
        return [_scrubbed(value) for value in report]
    return Path(report).name if isinstance(report, str) and report.startswith("/") else report


if __name__ == "__main__":
    main()
