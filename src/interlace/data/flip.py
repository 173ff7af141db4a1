"""What a mirror does to the classes: left and right swap, and one of them without the other forbids a mirror.

Only names are looked at. A mirror also turns the right-handed into the left-handed, and writing, letters and
digits into nonsense; no name tells that, so turn flipping off for such classes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SPELLINGS = {"cw": "clockwise", "ccw": "counterclockwise", "acw": "counterclockwise"}
_SPELLINGS |= {"anticlockwise": "counterclockwise"}
_MIRROR = {
    "left": "right",
    "leftward": "rightward",
    "leftwards": "rightwards",
    "clockwise": "counterclockwise",
}
_MIRROR |= {right: left for left, right in _MIRROR.items()}
# "pulling it right out": no direction. Only asked where the name has no partner.
_IDIOMS = {("right", "out"), ("right", "away"), ("right", "now")}


@dataclass(frozen=True)
class FlipRule:
    """Whether clips may be mirrored, which labels then swap, and why."""

    mapping: dict[int, int]
    """Class index -> class index in the mirror; classes that stay what they are do not appear."""
    allowed: bool
    reason: str


def flip_map(classes: Sequence[str], pairs: Sequence[tuple[str, str]] = ()) -> FlipRule:
    """Find the classes that a mirror turns into each other, or the one that forbids a mirror.

    A name changes in the mirror if it holds left, right, clockwise or counterclockwise (also cw, ccw,
    anticlockwise) as a word or a part set off by ``_``, ``-``, a space or a capital. If the changed name is a
    class too, the two swap; if not, flipping is off and the reason names the class. Numbers in front
    (``a01_``) are left out of the comparison if every class has one of its own.

    Args:
        classes: class names; their order gives the indices.
        pairs: class names that swap, whatever they look like; a name paired with itself stays itself.

    Raises:
        ValueError: a name in ``pairs`` is not a class, or stands in two pairs.

    Example:
        >>> from interlace.data.flip import flip_map
        >>> flip_map(["wave", "swipe_left", "swipe_right"]).mapping
        {1: 2, 2: 1}
        >>> flip_map(["wave", "turn left"]).reason.split(":")[0]
        "class 'turn left' changes in a mirror and no class is its mirror image ('turn right')"
    """
    told = _told(classes, pairs)
    names = [_words(name) for name in _without_numbers(classes)]
    mapping = dict(told)
    for i, words in enumerate(names):
        mirrored = [_MIRROR.get(word, word) for word in words]
        if i in told or words == mirrored:
            continue
        partners = [j for j, other in enumerate(names) if other == mirrored and j not in told]
        if len(partners) == 1:
            mapping[i] = partners[0]
        elif not _only_idioms(words):
            found = f"{len(partners)} classes are" if partners else "no class is"
            return FlipRule(
                {},
                False,
                f"class {classes[i]!r} changes in a mirror and {found} its mirror image "
                f"({' '.join(mirrored)!r}): flipping is off; "
                "name its partner in flip_pairs, or itself if a mirror does not change it",
            )
    mapping = {i: j for i, j in mapping.items() if i != j}
    swaps = ", ".join(f"{classes[i]!r} and {classes[j]!r}" for i, j in sorted(mapping.items()) if i < j)
    return FlipRule(mapping, True, f"a mirror swaps {swaps}" if swaps else "no class changes in a mirror")


def _told(classes: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[int, int]:
    told: dict[int, int] = {}
    for pair in pairs:
        for name in dict.fromkeys(pair):  # once, if it is paired with itself
            if name not in classes:
                raise ValueError(f"flip_pairs names {name!r}, which is not one of the {len(classes)} classes")
            if classes.index(name) in told:
                raise ValueError(f"flip_pairs names {name!r} twice; a class has one mirror image")
        i, j = classes.index(pair[0]), classes.index(pair[1])
        told |= {i: j, j: i}
    return told


def _words(name: str) -> list[str]:
    """Words of a name in lower case, each direction in one spelling: rollCCW -> roll, counterclockwise."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    name = re.sub(r"\b(counter|anti)[\W_]+clockwise", "counterclockwise", name.replace("_", " "))
    return [_SPELLINGS.get(word, word) for word in re.findall(r"\d+|[^\W\d]+", name)]


def _without_numbers(classes: Sequence[str]) -> list[str]:
    """Take off codes such as ``a01_`` if they number the list: partners differ in them for no reason."""
    codes = [re.match(r"[A-Za-z]\d+[\W_]+|\d+[_.):-]\s*", name) for name in classes]
    if len({code and code.group() for code in codes} - {None}) < len(classes):
        return list(classes)
    return [name[code.end() :] for name, code in zip(classes, codes, strict=True) if code]


def _only_idioms(words: Sequence[str]) -> bool:
    followers = [*words[1:], ""]
    return all(pair in _IDIOMS for pair in zip(words, followers, strict=True) if pair[0] in _MIRROR)
