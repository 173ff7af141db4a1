"""`interlace doctor`."""

from __future__ import annotations

from pathlib import Path

from interlace.cli.parser import parse


def run(arguments: list[str]) -> int:
    """Show what is installed."""
    return doctor(**parse("doctor", doctor, arguments))


def doctor(*, json: Path | None = None) -> int:
    """Show versions, decoders and devices; what is missing and how to get it.

    Args:
        json: Also write the findings to this file.
    """
    from interlace import doctor as examination

    findings = examination.diagnose()
    print(examination.table(findings))
    if json is not None:
        examination.to_json(findings, json)
    return 0 if examination.healthy(findings) else 1
