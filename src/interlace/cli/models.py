"""`interlace models`."""

from __future__ import annotations

import fnmatch

from interlace.cli.parser import parse


def run(arguments: list[str]) -> int:
    """List networks."""
    return models(**parse("models", models, arguments))


def models(pattern: str = "*", *, parameters: bool = False, names: bool = False) -> int:
    """List the networks that can be built: METHOD_BACKBONE, with any pattern such as 'tin_*', by method.

    Args:
        pattern: Shell pattern that the names must match.
        parameters: Also print the number of parameters, for 400 classes and the method's own number of frames.
        names: Only the names, one in a line, for scripts.
    """
    from interlace.models import list_models
    from interlace.models.create import parse_name
    from interlace.models.ensembles import ENSEMBLES
    from interlace.models.methods import METHODS

    by_method: dict[str, list[str]] = {}
    for name in list_models(pattern):
        by_method.setdefault(parse_name(name)[0], []).append(name)
    if fnmatch.fnmatchcase("ensemble", pattern):
        by_method["ensemble"] = []
    if not by_method:
        raise ValueError(f"no network matches {pattern!r}; `interlace models` without a pattern lists all")
    sentences = {name: method.sentence for name, method in METHODS.items()}
    sentences |= {name: method.sentence for name, method in ENSEMBLES.items()}
    for method in sorted(by_method, key=list(sentences).index):  # as the tables of the code stand
        if not names:
            print(f"{method}: {sentences[method]}")
        for name in by_method[method]:
            indent = "" if names else "  "
            print(f"{indent}{name:<40}{_parameters(name):8.2f} M" if parameters else f"{indent}{name}")
    return 0


def _parameters(name: str) -> float:
    """Counted without any weights in memory, in 10^6."""
    import torch

    from interlace.benchmark import count_parameters
    from interlace.models import create_model

    with torch.device("meta"):
        return count_parameters(create_model(name, num_classes=400)) / 1e6
