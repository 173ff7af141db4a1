"""Studies on the pictures of AVLetters: which letter is a mouth saying? Nothing was tuned on this data."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from studies.annotations import write_lists
from studies.plan import Split, given

DATA = given("avletters")
CLIP = re.compile(r"(?P<letter>[A-Z])(?P<repetition>\d+)_(?P<talker>.+)\.mp4")
UNSEEN = 3
"""Talkers whose clips are scored where none of them trains: the last ones by name."""


def _write(
    data: Path, folder: Path, is_scored: Callable[[re.Match[str], list[str]], bool]
) -> tuple[Path, Path]:
    clips = sorted(path for path in data.glob("*/*.mp4") if CLIP.fullmatch(path.name))
    if not clips:
        raise ValueError(f"{data}: no clip named like A1_Anya.mp4; give the folder of AVLetters")
    told = {clip: match for clip in clips if (match := CLIP.fullmatch(clip.name))}
    talkers = sorted({match["talker"] for match in told.values()})
    rows = [
        [
            (clip.relative_to(data).as_posix(), match["letter"])
            for clip, match in told.items()
            if is_scored(match, talkers) == scored
        ]
        for scored in (False, True)
    ]
    return write_lists(folder, *rows)


REPETITIONS = Split(
    "repetitions", lambda data, folder: _write(data, folder, lambda clip, _: clip["repetition"] == "3")
)
"""The third time that each talker says each letter is scored: 520 / 260 clips."""
TALKERS = Split(
    "talkers",
    lambda data, folder: _write(data, folder, lambda clip, talkers: clip["talker"] in talkers[-UNSEEN:]),
)
"""Three talkers are scored of whom none trains: 546 / 234 clips, much harder."""
