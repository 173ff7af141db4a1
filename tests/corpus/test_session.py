"""Clusters that are not there; those that are stand in test_ray.py and test_cluster.py."""

from __future__ import annotations

import socket

import pytest

from interlace.corpus.session import ray_session

pytest.importorskip("ray")


@pytest.mark.parametrize("kind", ["", "ray://"])
def test_where_nobody_listens_is_said_at_once(kind: str) -> None:
    with socket.socket() as unheard:  # bound, so that nobody else takes the port, and not listening
        unheard.bind(("127.0.0.1", 0))
        address = f"{kind}127.0.0.1:{unheard.getsockname()[1]}"
        with (
            pytest.raises(ValueError, match=f"no Ray cluster at '{address}': .*refused"),
            ray_session(address),
        ):
            pass
