"""A stream for programs: one JSON object a line, as soon as there is something to say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

from interlace.streaming.events import Event
from interlace.streaming.loop import Update
from interlace.streaming.summary import Summary


@runtime_checkable
class TextFile(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> object:
        """Append."""

    def flush(self) -> object:
        """Show it to who reads."""


class JsonLines:
    """Writes a line for each prediction, for the beginning and the end of each event, and where the source went away.

    Each has a ``type`` (``start``, ``prediction``, ``event``, ``away``, ``back``, ``summary``), and is flushed, so
    that who reads along sees it at once. Times are seconds since the stream began.

    Example:
        >>> import sys
        >>> from interlace.streaming.events import Event
        >>> from interlace.streaming.json_lines import JsonLines
        >>> JsonLines(sys.stdout).event(Event("wave", 3.25, None, score=0.5, peak=0.75))
        {"type": "event", "state": "begin", "label": "wave", "start_seconds": 3.25, "end_seconds": null, ...}
    """

    def __init__(self, file: TextFile) -> None:
        self._file = file
        self._is_away = False

    def start(self, about: Mapping[str, Any]) -> None:
        """The first line: source, model, settings."""
        self._write({"type": "start", **about})

    def __call__(self, update: Update) -> None:
        """What is new with a frame."""
        time_seconds = _rounded(update.time_seconds)
        if update.away and not self._is_away:
            self._write({"type": "away", "time_seconds": time_seconds, "reason": update.away})
        if update.gap:
            self._write({"type": "back", "time_seconds": time_seconds})
        self._is_away = update.away is not None
        for event in update.events:
            self.event(event)
        if update.answer is None:
            return
        self._write(
            {
                "type": "prediction",
                "time_seconds": _rounded(update.answer.time_seconds),
                "top": [{"label": label, "score": _rounded(score)} for label, score in update.top],
                "latency_ms": _rounded(1000 * update.answer.latency_seconds),
                "dropped": update.dropped,
            }
        )

    def event(self, event: Event) -> None:
        """An event that has begun or ended."""
        state = "begin" if event.end_seconds is None else "end"
        numbers = {name: _rounded(value) for name, value in asdict(event).items() if name != "label"}
        self._write({"type": "event", "state": state, "label": event.label, **numbers})

    def summary(self, summary: Summary) -> None:
        """The last line."""
        self._write({"type": "summary", **asdict(summary), "fps": summary.fps})

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
