r"""Rules that turn a released name into ours, and what their application shows.

A rule is a pattern of a whole released name and what becomes of it. A named group of the pattern that is one of
the MARKS tells, where it matches, what the network is: `(?P<shift>\.net)` is the wrapper that TSM puts around a
convolution, so the convolutions that it is found at are those that see shifted frames.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Rules = tuple[tuple[str, str], ...]

LEAF = r"(?P<leaf>weight|bias|running_mean|running_var|num_batches_tracked)"
"""The last part of a name."""
MARKS = (
    *(
        "shift",
        "second_conv",
        "in_place",
        "pool",
        "interlace",
        "non_local",
        "subsample",
        "relation",
        "single_relation",
    ),
    *("open_similarity", "bninception", "mobilenet", "online", "no_dropout"),
)
"""Groups that tell what a network is."""
GROUPS_SHOWN = 8


@dataclass
class Translation:
    """Our names for released ones, and what the released ones show."""

    ours: dict[str, str] = field(default_factory=dict)
    """Released name to ours."""
    marks: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Mark to our names of the weights that have it."""
    left_over: list[str] = field(default_factory=list)
    """Released names that no rule covers."""


def translate(names: Iterable[str], rules: Rules) -> Translation:
    r"""Apply a table to all names of a file.

    Example:
        >>> from interlace.released.rules import translate
        >>> table = ((r"base_model\.(?P<conv>conv\d)(?P<shift>\.net)?\.weight", r"\g<conv>.weight"),)
        >>> result = translate(["base_model.conv1.net.weight", "base_model.conv2.weight", "other"], table)
        >>> list(result.ours.values()), dict(result.marks), result.left_over
        (['conv1.weight', 'conv2.weight'], {'shift': {'conv1.weight'}}, ['other'])
    """
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]
    result = Translation()
    for name in names:
        found = next(((match, to) for pattern, to in compiled if (match := pattern.fullmatch(name))), None)
        if found is None:
            result.left_over.append(name)
            continue
        match, replacement = found
        result.ours[name] = ours = match.expand(replacement)
        for mark, text in match.groupdict().items():
            if mark in MARKS and text:
                result.marks[mark].add(ours)
    return result


def twice(translation: Translation) -> list[str]:
    """Released names that become the same one of ours."""
    count = Counter(translation.ours.values())
    return [name for name, ours in translation.ours.items() if count[ours] > 1]


def grouped(names: Iterable[str]) -> str:
    """Names in groups that differ in numbers only, with their counts: all of it, the largest groups first.

    Example:
        >>> from interlace.released.rules import grouped
        >>> print(grouped(["layer1.0.conv1.net.weight", "layer1.1.conv1.net.weight", "fc.bias"]))
          2 x layer*.*.conv*.net.weight, e.g. layer1.0.conv1.net.weight
          1 x fc.bias
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"\d+", "*", name), []).append(name)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    lines = [
        f"  {len(members)} x {pattern}" + (f", e.g. {members[0]}" if pattern != members[0] else "")
        for pattern, members in ordered[:GROUPS_SHOWN]
    ]
    rest = ordered[GROUPS_SHOWN:]
    if rest:
        lines.append(f"  and {len(rest)} more groups, {sum(len(members) for _, members in rest)} weights")
    return "\n".join(lines)


def misfits(
    given: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> list[tuple[str, list[str]]]:
    """What of given names and shapes is not as expected: (what it is, names), nothing if all fits.

    Example:
        >>> from interlace.released.rules import misfits
        >>> misfits({"a": (2,), "b": (3,)}, {"a": (4,), "c": (5,)})
        [('missing', ['c']), ('unknown', ['b']), ('of another size', ['a (2,), not (4,)'])]
    """
    sizes = [
        f"{name} {given[name]}, not {shape}"
        for name, shape in expected.items()
        if name in given and given[name] != shape
    ]
    found = [
        ("missing", [name for name in expected if name not in given]),
        ("unknown", [name for name in given if name not in expected]),
        ("of another size", sizes),
    ]
    return [(what, names) for what, names in found if names]
