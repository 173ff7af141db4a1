"""docs/security.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from interlace import card_checks
from interlace.data.limits import LIMITS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text()


def test_the_table_of_limits_is_the_code() -> None:
    rows = re.findall(r"^\| `(INTERLACE_MAX_\w+)` \| (\d+) \| (.+) \|$", TEXT, re.MULTILINE)
    assert rows == [(limit.variable, str(limit.default), limit.what) for limit in LIMITS]


def test_the_numbers_of_cards_are_the_code() -> None:
    numbers = (card_checks.MOST_CLASSES, card_checks.MOST_FRAMES, card_checks.LARGEST_IMAGE)
    assert "{} classes, {} frames a clip and images of {} pixels".format(*numbers) in " ".join(TEXT.split())


def test_every_test_that_is_named_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT))
    assert len(named) >= 5
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
