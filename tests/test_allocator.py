"""In processes of their own: what is set stays set."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

GLIBC = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
NAMES = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
CODE = """
import resource, torch
from interlace.allocator import keep_freed_memory
print(keep_freed_memory())
def touch():
    for _ in range(20):
        torch.ones(4 << 20)
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(**settings: str) -> tuple[str, int]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(NAMES)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment | settings, capture_output=True, text=True, check=True
    )
    told, faults = done.stdout.split()
    return told, int(faults)


@pytest.mark.skipif(not GLIBC, reason="about glibc")
def test_freed_memory_is_kept() -> None:
    told, faults = run()
    assert told == "True"
    assert faults < 4096  # one block has 4096 pages, and 20 are touched


@pytest.mark.skipif(not GLIBC, reason="about glibc")
@pytest.mark.parametrize(
    "setting",
    [{"MALLOC_TRIM_THRESHOLD_": "1000000"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1000000"}],
    ids=lambda setting: next(iter(setting)),
)
def test_the_users_settings_stay(setting: dict[str, str]) -> None:
    told, faults = run(**setting)
    assert told == "False"
    assert faults > 20 * 4000


def test_other_systems(monkeypatch) -> None:
    from interlace.allocator import keep_freed_memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))  # musl
    assert not keep_freed_memory()
