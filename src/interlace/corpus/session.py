"""A Ray cluster for the length of a job: our own on this machine, or one that is there; quiet, nothing phones home."""

from __future__ import annotations

import io
import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import ModuleType
from typing import Any

# Ray reads these when it is imported, and the processes that it starts inherit them.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # reports to Ray's makers
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run`: workers would build an environment of their own
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # lines of its C++ half on the terminal
    "RAY_DEDUP_LOGS": "0",
}
OBJECT_STORE_BYTES = 256 * 2**20
"""Of a cluster of our own: paths and one network pass through it, no pixels."""
CONNECT_SECONDS = 10.0


@contextmanager
def ray_session(
    address: str = "local", *, num_cpus: int | None = None, network_bytes: int = 0
) -> Iterator[ModuleType]:
    """The module `ray`, connected. A connection that the process has already is used, and kept.

    Args:
        address: ``local`` starts a cluster on this machine and ends it; ``auto`` is the one that `ray start` has
            started here; else the address of one, host:port or ray://host:10001.
        num_cpus: Cores that a cluster of our own counts with; by default those of the machine.
        network_bytes: What its object store has to hold beside paths.

    Raises:
        ValueError: Ray is not installed, or there is no cluster at the address.

    Example:
        >>> from interlace.corpus.session import ray_session
        >>> with ray_session(num_cpus=1) as ray:  # doctest: +SKIP
        ...     ray.cluster_resources()["CPU"]
        1.0
    """
    with _environment():
        ray = _imported()
        yield from _connected(ray, address, num_cpus, network_bytes)


def _connected(
    ray: ModuleType, address: str, num_cpus: int | None, network_bytes: int
) -> Iterator[ModuleType]:
    with _quiet():
        if ray.is_initialized():
            yield ray
            return
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address == "local":
            settings |= {
                "num_cpus": num_cpus,
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES + 2 * network_bytes,
            }
        try:
            _require_listener(address)
            with _errors_nowhere():
                ray.init(address=address, **settings)
        except (OSError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"no Ray cluster at {address!r}: {reason}") from error
        try:
            yield ray
        finally:
            ray.shutdown()


def _imported() -> ModuleType:
    try:
        import pyarrow  # noqa: F401
        import ray
        import ray.data
    except ImportError as error:
        raise ValueError(f'--engine ray needs Ray ({error}); pip install "interlace[ray]"') from error
    return ray


@contextmanager
def _environment() -> Iterator[None]:
    """What the user has set stays; ours goes again."""
    ours = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def _require_listener(address: str) -> None:
    """Ray itself tries for minutes where nobody listens.

    Raises:
        OSError: nobody does.
    """
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator and port.isdecimal() and int(port) < 2**16:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


@contextmanager
def _errors_nowhere() -> Iterator[None]:
    """Ray's C++ half says on stderr that it has been told to say nothing; what matters are exceptions."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class _Nowhere(io.TextIOBase):
    """What is written to it is gone."""

    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray tells on stdout of every worker that dies, whatever it is asked; its logs have it, too."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.data")]
    levels = [logger.level for logger in loggers]
    try:
        with redirect_stdout(_Nowhere()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"ray\b")  # of what Ray itself will no longer do
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
