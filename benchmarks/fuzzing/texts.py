"""Damage to texts: annotation files line by line, JSON value by value."""

from __future__ import annotations

import json
import random
import re
from typing import Any

ODD_TEXTS = (
    *(
        "",
        " ",
        ",",
        ";",
        '"',
        "'",
        "\\",
        "\x00",
        "\r",
        "\t",
        "\x1b[31m",
        "\ufeff",
        "\u2028",
        "\x85",
        "\x1c",
        "²",
        "٣",
    ),
    *(
        "é",
        "😀",
        "../../etc/passwd",
        "/etc/passwd",
        "NaN",
        "inf",
        "-1",
        "1e999",
        "<b>",
        "$x$",
        "%s",
        "{}",
        "{0.__class__}",
    ),
    *(
        "a" * 300,
        "9" * 5000,
        "(" * 2000,
        "[" * 2000,
        '{"a":' * 1500,
        "0x10",
        "1_000",
        "CON",
        "~",
        "*",
        "con/../a",
    ),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 0.5, -0.5, 1e308, 2**31, 2**40, 2**63, -(2**63), 10**30, 10_000_000),
    *(
        float("nan"),
        float("inf"),
        "",
        "a",
        "0",
        "1",
        "\x00",
        "\ud800",
        "a" * 1000,
        [],
        {},
        [[]],
        [None],
        {"a": 1},
    ),
    *([0] * 1000, {"name": "segment"}, "../../etc/passwd", "tin_resnet18", "float64", "meta", "cuda"),
)
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def mutated_text(text: str, rng: random.Random) -> bytes:
    """A text file after one to three kinds of damage."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        lines = text.splitlines(keepends=True) or [""]
        at = rng.randrange(len(lines))
        way = rng.randrange(7)
        if way == 0:
            del lines[at]
        elif way == 1:
            lines[at] *= rng.choice((2, 3, 1000))
        elif way == 2:
            lines.insert(at, rng.choice(ODD_TEXTS) + rng.choice(("\n", "")))
        elif way == 3:
            lines[at] = _with_other_number(lines[at], rng)
        elif way == 4:
            column = rng.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:column] + rng.choice(ODD_TEXTS) + lines[at][column + rng.randrange(4) :]
        elif way == 5:
            lines.insert(at, lines[rng.randrange(len(lines))])
        else:
            lines[at] = (
                lines[at].swapcase() if rng.random() < 0.3 else lines[at][: rng.randrange(len(lines[at]) + 1)]
            )
        text = "".join(lines)[: 1 << 20]
    encoding = rng.choice(("utf-8", "utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))
    return text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")


def mutated_json(value: Any, rng: random.Random) -> Any:
    """The same with one to three values, names or entries changed somewhere inside."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            return _copy(rng.choice(ODD_VALUES))
        holder, key = rng.choice(places)
        way = rng.randrange(10)
        if way == 0:
            del holder[key]
        elif way == 1 and isinstance(holder, dict):
            holder[rng.choice(("", "x", str(key).upper(), "__class__", "name"))] = holder.pop(key)
        elif way == 2 and isinstance(holder, list):
            holder.insert(key, holder[key])
        elif way == 3:
            other, at = rng.choice(places)
            holder[key] = _copy(other[at]) if _has(other, at) else None
        elif way == 4 and type(holder[key]) in (int, float):
            holder[key] = holder[key] * rng.choice((-1, 2, 1000, 10**9)) + rng.choice((-1, 0, 1))
        else:
            holder[key] = _copy(rng.choice(ODD_VALUES))
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value inside another one."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [place for key, inner in entries for place in ((value, key), *_places(inner))]


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _with_other_number(line: str, rng: random.Random) -> str:
    found = list(NUMBER.finditer(line))
    if not found:
        return line
    match = rng.choice(found)
    odd = (
        "0",
        "-1",
        "2",
        "99999999999999999999",
        "1e400",
        "nan",
        "inf",
        "0.0",
        "9" * 4400,
        "٣",
        "²",
        "1,2",
        "",
    )
    return line[: match.start()] + rng.choice(odd) + line[match.end() :]
