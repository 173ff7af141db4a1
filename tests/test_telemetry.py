from __future__ import annotations

import os

import pytest

from interlace.telemetry import unobserved


def test_what_the_environment_said_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for before in ({}, {"CI": "0"}):
        monkeypatch.delenv("CI", raising=False)
        for name, value in before.items():
            monkeypatch.setenv(name, value)
        with unobserved():
            assert os.environ["CI"] == "true"
        assert {name: os.environ[name] for name in ("CI",) if name in os.environ} == before
