"""The folder of a report: whose it is, and that no other evaluation's files are lost in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interlace.data.annotations import Annotations
from interlace.files import part_of

PARTIAL = "predictions.csv.part"
"""What an interrupted evaluation leaves; the next one that ends removes it."""
FILES = (
    "metrics.json",
    "predictions.csv",
    "per_class.csv",
    "worst.csv",
    "confusion.csv",
    "confusion.png",
    "report.html",
)


def claim_folder(folder: Path, protocol: str, details: Mapping[str, Any], *, overwrite: bool = False) -> Path:
    """Make the folder of a report, or empty it of the files of an earlier run of the same evaluation.

    The same evaluation has the same weights, clips, protocol and precision; its files may be replaced,
    because it gives the same numbers. Files of another one stay; what is not of a report is never touched.

    Raises:
        ValueError: the folder holds another evaluation and ``overwrite`` is off.
        OSError: it cannot be written; the message says what to do.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.evaluation.output import claim_folder
        >>> claim_folder(pathlib.Path(tempfile.mkdtemp()) / "evaluation", "1clip-center", {}).name
        'evaluation'
    """
    present = [name for name in FILES if (folder / name).exists()]
    if present and not overwrite:
        differences = _differences(folder, protocol, details)
        if differences:
            raise ValueError(
                f"{folder} holds another evaluation ({', '.join(differences)}); "
                "give another output folder, or allow it to be overwritten (overwrite)"
            )
    with part_of(folder / FILES[0]):  # what cannot be written is told now, not after hours of work
        for name in reversed(present):  # metrics.json goes last: without it the others belong to nobody
            (folder / name).unlink()
    return folder


def identity(protocol: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """What makes two evaluations the same.

    Example:
        >>> from interlace.evaluation.output import identity
        >>> identity("full-res", {"average": "logits"})["average"]
        'logits'
    """
    members = details.get("checkpoints", [])
    return {
        "protocol": protocol,
        "views": details.get("views"),
        "average": details.get("average"),
        "weights of the network": [member["sha256"] for member in members],
        "weights of the ensemble": [member["weight"] for member in members],
        "clips": details.get("data_sha256"),
        "precision": details.get("precision"),
    }


def file_sha256(*paths: Path) -> str:
    """Checksum of a file, or of several as if they were one.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.evaluation.output import file_sha256
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "empty"
        >>> path.touch()
        >>> file_sha256(path)[:8]
        'e3b0c442'
    """
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while part := file.read(2**20):
                digest.update(part)
    return digest.hexdigest()


def clips_sha256(annotations: Annotations) -> str:
    """Checksum of which clips are evaluated: paths, bounds, labels and classes, in any order.

    Example:
        >>> from interlace.data.annotations import Annotations
        >>> from interlace.evaluation.output import clips_sha256
        >>> clips_sha256(Annotations((), ("run", "walk"), source="nothing"))[:4]
        '602e'
    """
    clips = sorted(
        [str(sample.path), str(sample.start_seconds), str(sample.end_seconds), str(sample.labels)]
        for sample in annotations.samples
    )
    return hashlib.sha256(json.dumps([list(annotations.classes), clips]).encode()).hexdigest()


def _differences(folder: Path, protocol: str, details: Mapping[str, Any]) -> list[str]:
    try:
        earlier = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ["without a readable metrics.json"]
    before, now = identity(earlier.get("protocol", ""), earlier), identity(protocol, details)
    return [f"other {name}" for name in now if before[name] != now[name]]
