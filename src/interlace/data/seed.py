"""One seed from several numbers: how every random choice becomes a function of what it is made for."""

from __future__ import annotations

import hashlib


def mixed_seed(*parts: int) -> int:
    """A seed below 2^63 that changes with every part, e.g. of (seed, epoch, index).

    Sums would make (seed 1, epoch 2) and (seed 2, epoch 1) the same draw; a hash does not.

    Example:
        >>> from interlace.data.seed import mixed_seed
        >>> mixed_seed(0, 1) == mixed_seed(0, 1), mixed_seed(0, 1) == mixed_seed(1, 0)
        (True, False)
    """
    digest = hashlib.blake2b(",".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
