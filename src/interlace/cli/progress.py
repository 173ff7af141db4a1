"""The bar of verbs that go through a folder, one video after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def bar_of_videos(doing: str) -> Iterator[Callable[[int | float, int, Path], None]]:
    """A bar on a terminal that shows how many videos are done; nothing where nobody looks.

    Yields a function to tell it (videos done, of how many, the one in hand).
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=None)

        def report(done: int | float, total: int, path: Path) -> None:
            bar.update(task, completed=done, total=total, description=path.name)

        yield report
