"""`interlace av VERB`: audio-visual events."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from interlace.cli.parser import complain, nearest

VERBS = {
    "features": "compute what is heard and seen in each second of videos, and store it",
    "train": "train networks that find events, with several seeds",
    "evaluate": "score trained networks on a split",
    "predict": "say what is heard and seen in a video, second by second",
}


def run(arguments: list[str]) -> int:
    """Audio-visual events."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        return complain(
            f"interlace av has no command {verb!r}{nearest(verb, VERBS)}\n\n{_overview()}", status=2
        )
    run_verb: Callable[[list[str]], int] = importlib.import_module(f"interlace.cli.av_{verb}").run
    return run_verb(arguments[1:])


def _overview() -> str:
    lines = [
        "Audio-visual events: which seconds of a video show and sound an event, by dual attention matching (DAM).",
        "",
        "usage: interlace av COMMAND ...",
        "",
        *(f"  {verb:<11}{sentence}" for verb, sentence in VERBS.items()),
        "",
        "Two tasks: sel (supervised event localization) labels every second; cml (cross-modality localization) finds",
        "in the picture what is heard, and in the sound what is seen.",
        "",
        "`interlace av COMMAND --help` explains each.",
    ]
    return "\n".join(lines)
