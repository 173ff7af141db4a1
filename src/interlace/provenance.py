"""What is needed to repeat a number: the code, the libraries, the machine and the command."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "torchvision", "timm", "av", "lightning", "torchmetrics", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python, this package and the libraries that numbers depend on; imports none of them.

    Example:
        >>> from interlace.provenance import versions
        >>> sorted(versions())[:3]
        ['av', 'interlace', 'lightning']
    """
    from interlace import __version__

    found = {"python": platform.python_version(), "interlace": __version__}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = "not installed"
    return found


def commit(folder: Path | None = None) -> str | None:
    """Commit of the checkout that this package runs from; ``-dirty`` is behind it if files changed since.

    None where there is none: a package installed as a wheel, no git, no commit yet. A wheel inside somebody
    else's repository (its .venv, say) is not tracked there and gives None, not that repository's commit.

    Args:
        folder: any folder of the checkout that holds an ``__init__.py``; by default this package.

    Example:
        >>> from interlace.provenance import commit
        >>> hash_or_none = commit()
    """
    folder = folder or Path(__file__).parent
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    name = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{name}-dirty" if name and changed else name


def command_line() -> str:
    """The command that started this process, quoted so that it can be pasted into a shell.

    Example:
        >>> from interlace.provenance import command_line
        >>> isinstance(command_line(), str)
        True
    """
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    return shlex.join([program, *sys.argv[1:]])


def describe_device(device: str) -> str:
    """The device and what it is, e.g. ``cuda:0 (NVIDIA H200)`` or ``cpu (x86_64, 2 threads)``.

    Example:
        >>> from interlace.provenance import describe_device
        >>> describe_device("cpu").startswith("cpu (")
        True
    """
    import torch

    if torch.device(device).type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({platform.machine()}, {torch.get_num_threads()} threads)"


def provenance() -> dict[str, Any]:
    """All of it in one dictionary that JSON can hold: date, command, commit, versions, platform.

    Example:
        >>> from interlace.provenance import provenance
        >>> sorted(provenance())
        ['command', 'commit', 'date', 'platform', 'versions']
    """
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": command_line(),
        "commit": commit(),
        "versions": versions(),
        "platform": platform.platform(),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command in a folder, None if it fails or there is no git."""
    environment = {
        **os.environ,
        "GIT_OPTIONAL_LOCKS": "0",
    }  # a read must not take the lock of a commit in progress
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
