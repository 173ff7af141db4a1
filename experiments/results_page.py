"""Write the tables of the studies into docs/results.md, between their markers.

    python experiments/results_page.py [--check]

Each `<!-- NAME:begin -->` and `<!-- NAME:end -->` encloses the table of the study NAME, made of the lines in
experiments/results; `overview` is a table over several studies. With --check nothing is written; the exit code is 1 if
the page is not what the lines say.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from interlace.files import whole_file
from studies.every import STUDIES
from studies.lines import read_lines
from studies.overview import overview
from studies.tables import markdown

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "results.md"
OVERVIEW = "overview"
PLACE = re.compile(r"(<!-- ([\w.]+):begin -->\n).*?(<!-- \2:end -->)", re.DOTALL)


def filled(text: str, results: Path) -> str:
    """The page with its tables made anew.

    Raises:
        ValueError: a place is of no study.
    """

    def table(found: re.Match[str]) -> str:
        if found[2] == OVERVIEW:
            return f"{found[1]}{overview(STUDIES, results)}\n{found[3]}"
        if found[2] not in STUDIES:
            raise ValueError(
                f"{PAGE} has a place for {found[2]!r}, which is no study of {', '.join(STUDIES)}"
            )
        study = STUDIES[found[2]]
        lines = read_lines(results / f"{study.data.name}.jsonl")
        return f"{found[1]}`make study NAME={study.name}`\n\n{markdown(study, lines)}\n{found[3]}"

    return PLACE.sub(table, text)


def main(words: list[str] | None = None) -> int:
    """0 if the page is what the lines say, or was made so."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args(words)
    before = PAGE.read_text()
    after = filled(before, HERE / "results")
    if given.check:
        if after != before:
            print(
                f"{PAGE} is not what the results say: run `python experiments/results_page.py`",
                file=sys.stderr,
            )
        return int(after != before)
    with whole_file(PAGE) as beside:
        beside.write_text(after)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
