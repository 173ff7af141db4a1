"""What the processes of a job tell of the videos in their hands; apart from them, so that its own process is small."""

from __future__ import annotations


class Ledger:
    """How often each video was begun and not finished. One for the whole cluster, in a process of its own.

    A video that kills its process (a fault in a decoder, memory that runs out) takes with it what that process knew;
    the count is kept here, so that the very video is found, and given up at last.

    Example:
        >>> from interlace.corpus.ledger import Ledger
        >>> ledger = Ledger()
        >>> ledger.begin("a", None), ledger.begin("b", "a"), ledger.begin("a", None), ledger.begin("b", "a")
        (0, 0, 0, 1)
    """

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}

    def begin(self, video: str, finished: str | None) -> int:
        """Note that a video is begun, and that the one before it is finished; how often it was begun before."""
        if finished is not None:
            self._begun.pop(finished, None)
        before = self._begun.get(video, 0)
        self._begun[video] = before + 1
        return before
