"""`interlace train DATA`."""

from __future__ import annotations

import shlex
from pathlib import Path

from interlace.cli.parser import Parser, explain, new_parser, with_switches, with_underscores
from interlace.data.annotations import FORMATS
from interlace.data.shards.place import as_url
from interlace.training.config import TrainConfig
from interlace.training.recipes import RECIPES, recipe_overrides


def run(arguments: list[str]) -> int:
    """Train a network; options beat a config file, which beats the recipe, which beats the defaults."""
    config = read_config(arguments)
    from interlace.allocator import keep_freed_memory
    from interlace.training.launch import process_rank
    from interlace.training.run import train

    keep_freed_memory()
    best = train(config)
    if process_rank() > 0:  # the first process speaks for all
        return 0
    model = shlex.quote(str(best))
    flow = f" --flow {shlex.quote(str(config.flow))}" if isinstance(config.flow, Path) else ""
    data = shlex.quote(as_url(config.data) or str(config.data))
    print(f"\nevaluate: interlace evaluate {data} --model {model}{flow}")
    print(f"predict:  interlace predict VIDEO --model {model}")
    return 0


def read_config(arguments: list[str]) -> TrainConfig:
    """The run that a command line describes."""
    parser = new_parser("train", "Train a network on a folder of labelled clips.")
    parser.add_argument(
        "--recipe",
        type=str,
        default=None,
        help="Published settings to start from; options given besides win. One of: " + ", ".join(RECIPES),
    )
    parser.add_class_arguments(TrainConfig, as_positional=True, as_group=False)
    explain(parser, "format", f"Format of the annotations: auto, {', '.join(FORMATS)}.")
    arguments = with_switches(with_underscores(arguments, parser), parser)
    values = parser.parse_args(arguments)
    if values.recipe is not None:  # on the command line or in a config file
        _set_defaults(parser, recipe_overrides(values.recipe))
        values = parser.parse_args(arguments)
    values = parser.instantiate(values)
    fields = {name: getattr(values, name) for name in TrainConfig.__dataclass_fields__}
    return TrainConfig(**fields)


def _set_defaults(parser: Parser, overrides: dict[str, object]) -> None:
    for name, value in overrides.items():
        if isinstance(value, dict) and name != "model_args":
            parser.set_defaults({f"{name}.{inner}": part for inner, part in value.items()})
        else:
            parser.set_defaults({name: value})
