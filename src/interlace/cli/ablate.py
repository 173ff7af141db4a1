"""`interlace ablate DATA`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from interlace.cli.parser import explain, new_parser, with_switches, with_underscores
from interlace.cli.train import _set_defaults
from interlace.data.annotations import FORMATS
from interlace.training.config import TrainConfig
from interlace.training.recipes import RECIPES, recipe_overrides

ROWS = ["1-mirrored", "2-mirrored", "2", "4-mirrored", "4"]
"""Those of the paper's table 5."""
SET_HERE = {"seed", "resume"}


def run(arguments: list[str]) -> int:
    """Train TIN with several choices of groups."""
    from interlace.ablation import ablate, parse_row
    from interlace.allocator import keep_freed_memory

    values = read_arguments(arguments)
    rows = [parse_row(name) for name in _words(values.pop("rows"))]
    seeds = [_seed(word) for word in _words(values.pop("seeds"))]
    config = TrainConfig(**values)
    keep_freed_memory()
    table = ablate(config, rows, seeds)
    print(f"table:   {table}\nnumbers: {table.with_suffix('.csv')}\n         {table.with_suffix('.json')}")
    return 0


def read_arguments(arguments: list[str]) -> dict[str, Any]:
    """Rows, seeds, and the settings of every run."""
    parser = new_parser(
        "ablate",
        "Train TIN with 1, 2 and 4 groups, mirrored or not, with several seeds, and tabulate mean and spread: "
        "table 5 of the paper. Finished runs are kept: the same command goes on where it was stopped.",
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        type=_word,
        default=ROWS,
        help="Numbers of groups, with or without -mirrored (as many again with the opposite offsets).",
    )
    parser.add_argument(
        "--seeds", nargs="+", type=_word, default=["0", "1", "2"], help="Each row is trained once with each."
    )
    parser.add_argument(
        "--recipe",
        type=str,
        default=None,
        help="Published settings to start from; options given besides win. One of: " + ", ".join(RECIPES),
    )
    parser.add_class_arguments(TrainConfig, as_positional=True, as_group=False, skip={*SET_HERE})
    explain(parser, "format", f"Format of the annotations: auto, {', '.join(FORMATS)}.")
    explain(parser, "output", "Folder that receives a folder for each run, and results.md, .csv and .json.")
    explain(
        parser,
        "model",
        "TIN network. With tin_released_BACKBONE the groups alone change, as published; with "
        "tin_BACKBONE each further group also begins further out. See `interlace models 'tin_*'`.",
    )
    _set_defaults(parser, {"output": "runs/ablation", "model": "tin_resnet18"})
    arguments = with_switches(with_underscores(arguments, parser), parser)
    values = parser.parse_args(arguments)
    if values.recipe is not None:
        overrides = recipe_overrides(values.recipe)
        _set_defaults(parser, {name: value for name, value in overrides.items() if name not in SET_HERE})
        values = parser.parse_args(arguments)
    values = parser.instantiate(values)
    names = {field.name for field in fields(TrainConfig)} - SET_HERE
    return {name: getattr(values, name) for name in (*names, "rows", "seeds")}


def _word(value: str | int) -> str:
    """A word of the command line, or a number of a config file."""
    return str(value)


def _words(given: list[str]) -> list[str]:
    """`0 1 2` and `0,1,2` alike."""
    return [word for part in given for word in part.split(",") if word]


def _seed(word: str) -> int:
    if not word.isdecimal():
        raise ValueError(f"--seeds {word} is not a number from 0 on")
    return int(word)
