"""From a checkpoint and a file to what happens in it."""

from __future__ import annotations

from interlace.inference.recognizer import Recognizer, load, predict

__all__ = ["Recognizer", "load", "predict"]
