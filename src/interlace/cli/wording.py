"""What an option takes, in words: of the help, and of the error where something else was given."""

from __future__ import annotations

import argparse
import re
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from jsonargparse import DefaultHelpFormatter

WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    type(None): "null",
    Any: "anything",
}


class HelpFormatter(DefaultHelpFormatter):
    """jsonargparse's, with types in words; choices, which stand beside the option, are not told twice."""

    def _get_type_str(self, action: argparse.Action) -> str | None:
        annotation = type_of(action)
        return None if get_origin(annotation) is Literal or annotation is bool else words_for(annotation)


def type_of(action: argparse.Action) -> Any:
    """What a parser's argument takes; None if it takes nothing."""
    annotation = action.type or getattr(action, "_typehint", None)
    return str if isinstance(annotation, types.FunctionType) else annotation  # a function that reads a word


def words_for(annotation: Any) -> str | None:
    """A type in words; None for one that has none, as a group of settings.

    Example:
        >>> from pathlib import Path
        >>> from typing import Literal
        >>> from interlace.cli.wording import words_for
        >>> words_for(Literal["dis", "tvl1"] | Path | None)
        'dis, tvl1, a path or null'
        >>> words_for(tuple[float, float])
        'a list of 2, each a number'
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _one_of([str(choice) for choice in arguments])
    if origin in (Union, types.UnionType):
        choices = [
            choice
            for argument in arguments
            for choice in (get_args(argument) if get_origin(argument) is Literal else (words_for(argument),))
        ]
        return None if None in choices else _one_of([str(choice) for choice in choices])
    if origin in (tuple, list):
        inner = words_for(arguments[0])
        several = "" if origin is list or Ellipsis in arguments else f" of {len(arguments)}"
        return inner and f"a list{several}, each {inner}"
    if origin is dict:
        return "names with values"
    return WORDS.get(annotation)


def wrong_value(message: str, actions: list[argparse.Action]) -> str | None:
    """Jsonargparse's error about a value as `--method 'foo' is not dis, dis_fast or tvl1`; None for other errors."""
    key = re.search(r"Parser key \"([\w.]+)\"(?: element (\d+))?", message)
    value = re.search(r"(?:Got value|Given value): (.*)", message)
    action = next((action for action in actions if key and action.dest == key.group(1)), None)
    takes = words_for(type_of(action)) if action else None
    if not (key and value and action and takes):
        return None
    place = f", word {key.group(2)}," if key.group(2) else ""
    name = f"--{action.dest}" if action.option_strings else action.dest
    return f"{name} {value.group(1)!r}{place} is not {takes}"


def _one_of(choices: list[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join([", ".join(choices[:-1]), choices[-1]] if len(choices) > 1 else choices)
