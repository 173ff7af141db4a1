"""Settings that cannot work are refused where they are given."""

from __future__ import annotations

import math
from collections.abc import Callable


def require(
    config: object, prefix: str, allowed: str, works: Callable[[int | float], bool], *fields: str
) -> None:
    """Check fields that share a range; of a tuple, each number.

    Args:
        config: has the fields.
        prefix: what stands before a field's name on the command line.
        allowed: the range in words.
        works: the same as a function.
        fields: their names.

    Raises:
        ValueError: one is outside; the message names it, its value and the range.

    Example:
        >>> from types import SimpleNamespace
        >>> from interlace.training.ranges import require
        >>> require(SimpleNamespace(momentum=0.9), "optim.", "0 or more", lambda x: x >= 0, "momentum")
    """
    for field in fields:
        value = getattr(config, field)
        numbers = value if isinstance(value, tuple | list) else (value,)
        if not all(math.isfinite(number) and works(number) for number in numbers):
            raise ValueError(f"{prefix}{field}={value} must be {allowed}")


def at_least_one(number: int | float) -> bool:
    """1, 2, 3, ..."""
    return number >= 1


def not_negative(number: int | float) -> bool:
    """0 and all above."""
    return number >= 0


def part(number: int | float) -> bool:
    """More than nothing, and the whole at most."""
    return 0 < number <= 1


def below_one(number: int | float) -> bool:
    """Nothing, or less than the whole."""
    return 0 <= number < 1
