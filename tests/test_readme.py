"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from interlace.cli import MODULES, VERBS
from interlace.cli.parser import Parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language; "" for those that name none."""
    return [
        text for name, text in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.S | re.M) if name == language
    ]


def test_the_operator_example_runs() -> None:
    (example,) = (block for block in blocks("python") if "ops.interlace" in block)
    scope: dict[str, object] = {}
    exec(example, scope)
    assert scope["y"].shape == (2, 8, 16, 7, 7)  # type: ignore[attr-defined]
    assert scope["frames"].shape == (16, 64, 7, 7)  # type: ignore[attr-defined]
    offset, weight = scope["records"][""]  # type: ignore[index]
    assert offset.shape == (2, 4)
    assert weight.shape == (2, 8, 4)


def test_the_file_tree_names_what_exists() -> None:
    (tree,) = (block for block in blocks("") if block.startswith("src/interlace/"))
    for line in tree.splitlines():
        name = line.split()[0]
        folder = ROOT / "src" / "interlace" if line.startswith("  ") else ROOT
        assert (folder / name).exists(), name
    listed = {line.split()[0].rstrip("/") for line in tree.splitlines() if line.startswith("  ")}
    present = {
        path.name for path in (ROOT / "src" / "interlace").iterdir() if path.suffix == ".py" or path.is_dir()
    }
    assert present - listed - {"__pycache__"} == set()


COMMANDS = [
    line.split("#")[0].split()
    for block in blocks("")
    for line in block.splitlines()
    if line.startswith("interlace ")
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_commands_take_the_options_they_are_shown_with(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verb, arguments = words[1], words[2:]
    assert verb in VERBS
    parsed = []

    class ParsedError(Exception):
        """Stops the verb behind its parser."""

    def stop(parser: Parser, values: object) -> None:
        parsed.append(values)
        raise ParsedError

    monkeypatch.setattr(Parser, "instantiate", stop)
    module = __import__(f"interlace.cli.{MODULES.get(verb, verb)}", fromlist=["run"])
    with pytest.raises(ParsedError):
        module.run(arguments)
    assert parsed
