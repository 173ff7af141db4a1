"""Reading annotation files as text: encodings, quoting. Every error names the file and the line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from interlace.data.annotations.sample import AnnotationError, malformed
from interlace.data.limits import check_text


def read_text(file: Path) -> str:
    """The whole file; a byte order mark is dropped and line ends become newlines.

    Raises:
        AnnotationError: it cannot be read, is no UTF-8, no file or longer than the limit.
    """
    check_text(file, AnnotationError)
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise malformed(file, line, "a byte that is not UTF-8", "a text file saved as UTF-8") from error
    except OSError as error:
        raise AnnotationError(
            f"{file}: cannot be read ({error.strerror}); expected an annotation file"
        ) from error


def numbered_lines(file: Path) -> list[tuple[int, str]]:
    """(line number, stripped text) of every line that is not blank."""
    lines = enumerate(read_text(file).splitlines(), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def csv_records(file: Path, text: str | None = None) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every record of a comma-separated file; cells are stripped, quotes undone."""
    reader = csv.reader(
        io.StringIO(read_text(file) if text is None else text), strict=True, skipinitialspace=True
    )
    records: list[tuple[int, list[str]]] = []
    while True:
        line = reader.line_num + 1  # where the next record begins; a quoted cell may span lines
        try:
            cells = next(reader)
        except StopIteration:
            return records
        except csv.Error as error:
            raise malformed(file, line, f"broken quoting ({error})", "cells separated by commas") from error
        if any(cell.strip() for cell in cells):
            records.append((line, [cell.strip() for cell in cells]))


def json_items(file: Path) -> list[tuple[int, Any]]:
    """(line number, item) of every item of a JSON list."""
    text = read_text(file)
    decoder = json.JSONDecoder()
    position = _skip_space(text, 0)
    if text[position : position + 1] != "[":
        raise malformed(file, 1, repr(text[position : position + 40]), "a JSON list")
    items: list[tuple[int, Any]] = []
    line, counted = 1, 0
    position = _skip_space(text, position + 1)
    while text[position : position + 1] != "]":
        line, counted = line + text.count("\n", counted, position), position
        try:
            item, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise malformed(file, error.lineno, f"broken JSON ({error.msg})", "a JSON list") from error
        except (RecursionError, ValueError) as error:  # lists in lists; a number of thousands of digits
            raise malformed(file, line, f"an item that cannot be read ({error})", "an object") from error
        items.append((line, item))
        position = _skip_space(text, position)
        if text[position : position + 1] == ",":
            position = _skip_space(text, position + 1)
        elif text[position : position + 1] != "]":
            line = text.count("\n", 0, position) + 1
            found = repr(text[position : position + 40]) if position < len(text) else "the end of the file"
            raise malformed(file, line, found, "a comma or the end of the JSON list")
    return items


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position
