"""From a typed function to a command line: help, YAML config files, and errors that say what to type instead."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, set_parsing_settings

from interlace.cli.wording import HelpFormatter, wrong_value
from interlace.printable import printable, printable_lines

set_parsing_settings(docstring_parse_attribute_docstrings=True)


class Parser(ArgumentParser):
    """Adds to jsonargparse a short error with the nearest name, where it would print the whole usage."""

    given: Sequence[str] = ()
    """The words of the command line."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one error and leave with status 2."""
        unknown = re.search(r"unrecognized arguments: -*([\w.-]+)", message)
        unknown = unknown or re.search(r"[Oo]ption '([\w.]+)'", message)
        hint = self._nearest(unknown.group(1).replace("-", "_")) if unknown else ""
        hint = hint or self._swallowed(message)
        message = wrong_value(message, self._actions) or message
        complain(f"{message}{hint}\n  `{self.prog} --help` lists what it takes")
        raise SystemExit(2) from ex

    def _swallowed(self, message: str) -> str:
        """A word of its own may have been taken by an option of several words that stands before it."""
        missing = re.search(r"arguments are required: (\w+)", message)
        several = [
            action.option_strings[0]
            for action in self._actions
            if action.nargs == "+" and set(action.option_strings) & {*self.given}
        ]
        if not (missing and several):
            return ""
        options = " and ".join(several)
        return f"; {options} takes all words behind it, so {missing.group(1)} comes before it"

    def _nearest(self, unknown: str) -> str:
        """The full name of a nested option whose last part was typed, else the nearest name."""
        names = self.option_names()
        nested = [name for name in names if name.endswith(f".{unknown}")]
        return f"; did you mean {nested[0]!r}?" if nested else nearest(unknown, names)

    def option_names(self) -> list[str]:
        """The long options without their dashes, with the last part of nested ones (`momentum` of `optim.momentum`)."""
        names = [option.lstrip("-") for action in self._actions for option in action.option_strings]
        return [*names, *(name.rsplit(".", 1)[-1] for name in names if "." in name)]


def new_parser(verb: str, description: str) -> Parser:
    """A parser that takes YAML files and no abbreviations."""
    parser = Parser(
        prog=f"interlace {verb}",
        description=description,
        allow_abbrev=False,
        formatter_class=HelpFormatter,
    )
    parser.add_argument(
        "--config", action="config", help="YAML file with any of these options; later options win."
    )
    return parser


def parse(verb: str, function: Callable[..., int], arguments: list[str]) -> dict[str, Any]:
    """The keyword arguments that a command line gives to a verb's function.

    A `list[...]` takes several words; a positional parameter with a default may be left out.
    """
    parser = new_parser(verb, (inspect.getdoc(function) or "").split("\n\nArgs:")[0])
    parameters = inspect.signature(function).parameters.values()
    own = [parameter for parameter in parameters if _takes_own_argument(parameter)]
    skip: set[str | int] = {parameter.name for parameter in own}
    parser.add_function_arguments(function, as_positional=True, as_group=False, skip=skip)
    for parameter in own:
        _add_argument(parser, function, parameter)
    arguments = with_underscores(protect_file_names(arguments), parser)
    parser.given = [word.partition("=")[0] for word in arguments]
    values = parser.instantiate(parser.parse_args(with_switches(arguments, parser)))
    given = values.as_dict()
    given.pop("config", None)
    return given


def _takes_own_argument(parameter: inspect.Parameter) -> bool:
    """Whether it is one that jsonargparse has no form for: several words, or a word that may be left out."""
    by_position = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    return "list[" in str(parameter.annotation) or (by_position and parameter.default is not parameter.empty)


def _add_argument(parser: Parser, function: Callable[..., int], parameter: inspect.Parameter) -> None:
    name, annotation, has_default = (
        parameter.name,
        str(parameter.annotation),
        parameter.default is not parameter.empty,
    )
    sentence = re.search(
        rf"^ +{name}: (.+?)(?=\n +\w+: |\n\n|\Z)", inspect.getdoc(function) or "", re.M | re.S
    )
    settings: dict[str, Any] = {
        "type": Path if "Path" in annotation else float if "float" in annotation else str,
        "help": re.sub(r"\s+", " ", sentence.group(1)) if sentence else "",
    }
    if has_default:
        settings["default"] = parameter.default
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        parser.add_argument(f"--{name}", nargs="+", required=not has_default, **settings)
    else:
        several = "*" if "list[" in annotation else "?"
        parser.add_argument(name, nargs=several if has_default else "+", **settings)


def protect_file_names(arguments: list[str]) -> list[str]:
    """Give a file whose name starts with a dash a leading `./`, so that it is not taken for an option."""
    return [f"./{word}" if word.startswith("-") and Path(word).exists() else word for word in arguments]


def with_underscores(arguments: list[str], parser: Parser) -> list[str]:
    """Options as the parser writes them: `--top-k=2` becomes `--top_k=2`, where there is such an option."""
    known = {option for action in parser._actions for option in action.option_strings}
    words = []
    for word in arguments:
        name, equals, value = word.partition("=")
        meant = "--" + name.removeprefix("--").replace("-", "_")
        is_meant = name.startswith("--") and name not in known and meant in known
        words.append(meant + equals + value if is_meant else word)
    return words


def with_switches(arguments: list[str], parser: Parser) -> list[str]:
    """Yes-or-no options with their value: a bare `--optimize` becomes `--optimize=true`, `--no-optimize` false."""
    switches = {
        option
        for action in parser._actions
        for option in action.option_strings
        if getattr(action, "_typehint", None) is bool
    }
    words = []
    for word, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        negated = "--" + word[len("--no-") :].replace("-", "_") if word.startswith(("--no-", "--no_")) else ""
        if word in switches and following.lower() not in ("true", "false"):
            words.append(f"{word}=true")
        else:
            words.append(f"{negated}=false" if negated in switches else word)
    return words


def explain(parser: Parser, option: str, sentence: str) -> None:
    """Replace the help of an option."""
    for action in parser._actions:
        if action.dest == option:
            action.help = sentence


def in_options(message: str) -> str:
    """A message of the package in the words of the command line."""
    message = re.sub(r"\bmodality='(\w+)'", r"--modality \1", message)
    message = message.replace("allow it to be overwritten (overwrite)", "replace it with --overwrite")
    message = re.sub(r"\bframe_template(=| ?)", lambda found: "--frames" + (" " if found[1] else ""), message)
    message = message.replace("allow it (allow_outside)", "allow it with --allow_outside")
    return re.sub(r"\bon_error=\"?(\w+)\"?", r"--on_error \1", message)


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean X?` or nothing."""
    matches = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def say(line: str) -> None:
    """Print one line for a person, with names of files or classes in it."""
    print(printable(line), flush=True)


def warn(message: str) -> None:
    """Print a warning for a person."""
    print(f"warning: {printable_lines(message)}", file=sys.stderr)


def complain(message: str, status: int = 2) -> int:
    """Print an error for a person and return the exit status."""
    print(f"error: {printable_lines(message)}", file=sys.stderr)
    return status
