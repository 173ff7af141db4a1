"""What docs/audiovisual.md shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from interlace.audiovisual.models.methods import CML_METHODS, SEL_METHODS
from interlace.cli.av import run
from interlace.cli.parser import Parser

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "audiovisual.md").read_text()
COMMANDS = [line.split("#")[0].split() for line in PAGE.splitlines() if line.startswith("    interlace av ")]


def test_the_example_prints_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.S | re.M)
    (shown,) = re.findall(r"^(sel, 600 segments of 60 videos: accuracy) ([\d.]+)", PAGE, re.M)
    scope: dict[str, object] = {}
    exec(example, scope)
    printed = re.match(r"(.* accuracy) ([\d.]+),", capsys.readouterr().out)
    assert printed is not None
    assert printed[1] == shown[0]
    assert float(printed[2]) == pytest.approx(float(shown[1]), abs=8)  # other processors round otherwise


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_commands_take_the_options_they_are_shown_with(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class ParsedError(Exception):
        """Stops the verb behind its parser."""

    def stop(parser: Parser, values: object) -> None:
        raise ParsedError

    monkeypatch.setattr(Parser, "instantiate", stop)
    with pytest.raises(ParsedError):
        run(words[2:])


def test_every_method_is_named() -> None:
    table = PAGE[PAGE.index("| method | task |") : PAGE.index("Arguments of a network")]
    assert {*SEL_METHODS, *CML_METHODS} == set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.M)))
    )


@pytest.mark.parametrize(("task", "methods"), [("sel", SEL_METHODS), ("cml", CML_METHODS)])
def test_help_names_every_method(
    task: str, methods: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(["train", "--help"])
    told = re.search(rf"([\w, ]+) \({task}\)", " ".join(capsys.readouterr().out.split()))
    assert told is not None
    assert set(re.split(r", | or | of ", told[1])) >= set(methods)
