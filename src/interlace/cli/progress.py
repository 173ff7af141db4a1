"""The bar of verbs that go through a folder, one video after another."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interlace.printable import printable


@contextmanager
def bar_of_videos(doing: str) -> Iterator[Callable[[int | float, int, Path], None]]:
    """A bar on a terminal that shows how many videos are done; nothing where nobody looks.

    Yields a function to tell it (videos done, of how many, the one in hand).
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    settings: dict[str, Any] = {"transient": True, "disable": not console.is_terminal}
    # What is printed meanwhile stands above the bar; in a pipe it must stay in the pipe.
    settings["redirect_stdout"] = sys.stdout.isatty()
    with Progress(*columns, console=console, **settings) as bar:
        task = bar.add_task(doing, total=None)

        def report(done: int | float, total: int, path: Path) -> None:
            bar.update(task, completed=done, total=total, description=printable(path.name))

        yield report
