r"""Text of strangers (labels, names of files, messages with these in them) as it may be shown.

What a terminal would obey (escape sequences), what breaks a line in two and what turns the direction of writing around
is written out instead, as ``\x1b`` or ``\u202e``. Files for programs (CSV, JSON) hold the names as they are.
"""

from __future__ import annotations

import html
import re

_OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, with newline and tab
    "\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Not among them: U+200C and U+200D, which join letters of Persian and parts of emoji."""


def printable(text: str) -> str:
    r"""One line that a terminal shows letter by letter.

    Names of files are bytes; what is no UTF-8 in them is shown as a replacement character.

    Example:
        >>> from interlace.printable import printable
        >>> print(printable("wave\x1b[2J\nclap"))
        wave\x1b[2J\nclap
    """
    whole = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _OBEYED.sub(_written_out, whole)


def printable_lines(text: str) -> str:
    r"""The same of a message of several lines; all but the first are set in, so that none looks like another message.

    Example:
        >>> from interlace.printable import printable_lines
        >>> printable_lines("a\x07.mp4 is one of\nwritten: b.mp4")
        'a\\x07.mp4 is one of\n  written: b.mp4'
    """
    first, *others = map(printable, text.split("\n"))
    return "\n".join([first, *(line if line[:1] in ("", " ") else f"  {line}" for line in others)])


def markdown_cell(text: str) -> str:
    r"""A cell of a table in Markdown: no HTML, no link, no end of the cell.

    Example:
        >>> from interlace.printable import markdown_cell
        >>> print(markdown_cell("a|b <img src=x> [c](d)"))
        a\|b &lt;img src=x&gt; \[c\](d)
    """
    return re.sub(r"([\\|`\[\]])", r"\\\1", html.escape(printable(text), quote=False))


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
