from __future__ import annotations

import logging
import sys
import warnings

import pytest

from interlace.export import ExportError
from interlace.export.quiet import quietly


def talk() -> None:
    print("printed")
    print("on stderr", file=sys.stderr)
    warnings.warn("a warning", stacklevel=1)
    logging.getLogger("exporter").warning("logged")


def test_nothing_reaches_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with quietly("talk"):
        talk()
    assert capfd.readouterr() == ("", "")


def test_logging_goes_on_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    with quietly("talk"):
        talk()
    logging.getLogger("exporter").warning("after")
    assert caplog.messages == ["after"]


def test_a_failure_shows_what_was_said_and_why() -> None:
    @quietly("write a.onnx")
    def fail() -> None:
        talk()
        raise KeyError("no such node")

    with pytest.raises(
        ExportError, match=r"could not write a\.onnx: KeyError: .*\nbefore it failed: printed"
    ) as error:
        fail()
    assert "on stderr" in str(error.value)
    assert isinstance(error.value.__cause__, KeyError)


def test_ctrl_c_is_no_failure_of_the_exporter() -> None:
    with pytest.raises(KeyboardInterrupt), quietly("talk"):
        raise KeyboardInterrupt
