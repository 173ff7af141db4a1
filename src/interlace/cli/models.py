"""`interlace models`."""

from __future__ import annotations

from interlace.cli.parser import parse


def run(arguments: list[str]) -> int:
    """List networks."""
    return models(**parse("models", models, arguments))


def models(pattern: str = "*", *, parameters: bool = False) -> int:
    """List the networks that can be built: METHOD_BACKBONE, with any pattern such as 'tin_*'.

    Args:
        pattern: Shell pattern that the names must match.
        parameters: Build each one and print its number of parameters for 400 classes and 8 segments.
    """
    from interlace.models import create_model, list_models

    names = list_models(pattern)
    if not names:
        raise ValueError(f"no network matches {pattern!r}; `interlace models` without a pattern lists all")
    for name in names:
        if parameters:
            count = sum(
                weight.numel() for weight in create_model(name, num_classes=400, num_segments=8).parameters()
            )
            print(f"{name:<40}{count / 1e6:8.2f} M")
        else:
            print(name)
    return 0
