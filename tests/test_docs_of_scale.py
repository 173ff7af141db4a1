"""The pages on faults and scale show commands that are understood, and name options and files that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from interlace.cli import MODULES
from interlace.cli.parser import Parser
from interlace.corpus.options import RayOptions

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("corpus", "shards", "launching", "reliability", "security")
TEXT = {page: (ROOT / "docs" / f"{page}.md").read_text() for page in PAGES}
OF_OTHERS = {"docker", "torchrun", "ray", "pip", "kubectl", "scontrol", "srun"}
"""Programs whose options the pages name, too."""


class UnderstoodError(Exception):
    """Stops a verb behind its parser."""


def commands(text: str) -> list[list[str]]:
    """The words behind ``interlace`` of each command that stands on a line of its own."""
    lines = re.findall(r"^(?: {4}(?:\w+\$ +)?|\$ )interlace (\w+ .*)$", text, re.M)
    return [shlex.split(line, comments=True) for line in lines]


COMMANDS = [words for page in PAGES[:2] for words in commands(TEXT[page])]


def of_verb(verb: str, arguments: list[str]) -> None:
    module = __import__(f"interlace.cli.{MODULES.get(verb, verb)}", fromlist=["run"])
    module.run(arguments)


def test_there_are_commands() -> None:
    assert {words[0] for words in COMMANDS} == {"features", "predict", "shard", "render", "train", "evaluate"}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_is_understood(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(parser: Parser, values: object) -> None:
        raise UnderstoodError

    monkeypatch.setattr(Parser, "instantiate", stop)
    with pytest.raises(UnderstoodError):
        of_verb(words[0], words[1:])


@pytest.fixture(scope="module")
def options() -> set[str]:
    """What the verbs of the pages take."""
    found: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:

        def remember(parser: Parser, *_: object, **__: object) -> None:
            found.update(word for action in parser._actions for word in action.option_strings)
            raise UnderstoodError

        patch.setattr(Parser, "parse_args", remember)
        for verb in ("train", "evaluate", "predict", "features", "shard", "stream"):
            with pytest.raises(UnderstoodError):
                of_verb(verb, [])
    return found


@pytest.mark.parametrize("page", PAGES)
def test_an_option_that_is_named_exists(page: str, options: set[str]) -> None:
    assert len(options) > 50
    named = set()
    for code in re.findall(r"`([^`]+)`", TEXT[page].replace("```", "")):
        if code.split()[0] not in OF_OTHERS:
            named |= set(re.findall(r"(?<!\S)--[\w.]+(?![\w-])", code))
    of_torchrun_and_slurm = (
        {"--ntasks", "--requeue", "--signal", "--nnodes"} if page == "launching" else set()
    )
    assert named - options - of_torchrun_and_slurm == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_file_that_is_named_exists(page: str) -> None:
    text = TEXT[page]
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    named = re.findall(r"`((?:tests|benchmarks|src)/[\w/]+\.py)", text)
    missing = [name for name in linked if not (ROOT / "docs" / name).exists()]
    missing += [name for name in named if not (ROOT / name).exists()]
    assert missing == []


def test_the_options_of_ray_are_all_explained() -> None:
    named = set(re.findall(r"`--ray\.(\w+)`", TEXT["corpus"]))
    assert named == set(RayOptions.__dataclass_fields__)


def test_sharding_prints_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("webdataset")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"^```\n(\$ interlace render.*?)^```$", TEXT["shards"], re.S | re.M)
    (render, _), (shard, first), (again, second) = re.findall(
        r"^\$ interlace (.*)\n((?:[^$].*\n)*)", example, re.M
    )
    of_verb(*split_verb(render))
    capsys.readouterr()
    for command, shown in ((shard, first), (again, second)):
        of_verb(*split_verb(command))
        assert capsys.readouterr().out == shown


def split_verb(command: str) -> tuple[str, list[str]]:
    """The verb, and the words behind it."""
    verb, *arguments = shlex.split(command)
    return verb, arguments


@pytest.mark.parametrize("verb", ["predict", "features"])
def test_a_url_needs_ray(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check a path makes of it a folder called "memory:" here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best.safetensors").touch()
    with pytest.raises(ValueError, match=r"memory://b/x\.csv: URLs are for --engine ray"):
        of_verb(verb, ["clips", "--model", "best.safetensors", "--output", "memory://b/x.csv"])
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]
