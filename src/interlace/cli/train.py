"""`interlace train DATA`."""

from __future__ import annotations

import shlex

from interlace.cli.parser import Parser, new_parser
from interlace.training.config import TrainConfig
from interlace.training.recipes import RECIPES, recipe_overrides


def run(arguments: list[str]) -> int:
    """Train a network; options beat a config file, which beats the recipe, which beats the defaults."""
    config = read_config(arguments)
    from interlace.training.run import train

    best = train(config)
    print(f"\nevaluate: interlace evaluate {shlex.quote(str(config.data))} --model {best}")
    print(f"predict:  interlace predict VIDEO --model {best}")
    return 0


def read_config(arguments: list[str]) -> TrainConfig:
    """The run that a command line describes."""
    parser = new_parser("train", "Train TSN, TSM or TIN on a folder of labelled clips.")
    parser.add_argument(
        "--recipe",
        type=str,
        default=None,
        help="Published settings to start from; options given besides win. One of: " + ", ".join(RECIPES),
    )
    parser.add_class_arguments(TrainConfig, as_positional=True, as_group=False)
    recipe = _recipe_name(arguments)
    if recipe is not None:
        _set_defaults(parser, recipe_overrides(recipe))
    values = parser.instantiate(parser.parse_args(arguments))
    fields = {name: getattr(values, name) for name in TrainConfig.__dataclass_fields__}
    return TrainConfig(**fields)


def _recipe_name(arguments: list[str]) -> str | None:
    for position, word in enumerate(arguments):
        if word == "--recipe" and position + 1 < len(arguments):
            return arguments[position + 1]
        if word.startswith("--recipe="):
            return word.removeprefix("--recipe=")
    return None


def _set_defaults(parser: Parser, overrides: dict[str, object]) -> None:
    for name, value in overrides.items():
        if isinstance(value, dict):
            parser.set_defaults({f"{name}.{inner}": part for inner, part in value.items()})
        else:
            parser.set_defaults({name: value})
