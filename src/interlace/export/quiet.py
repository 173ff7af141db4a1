"""Exporters talk a lot: what they say is kept back, and shown only if they fail."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

LINES_SHOWN = 12


class ExportError(ValueError):
    """An exporter could not do it; the message has what it said."""


@contextmanager
def quietly(task: str) -> Iterator[None]:
    """Within the block, prints, log messages and warnings do not reach the terminal.

    Args:
        task: what is done, for the message of an error: "write model.onnx".

    Raises:
        ExportError: the block failed; its message ends in the last lines that were kept back.
        OSError: a file could not be read or written.

    Example:
        >>> from interlace.export.quiet import quietly
        >>> with quietly("count"):
        ...     print("one, two, three")
    """
    said = io.StringIO()
    logging_was = logging.root.manager.disable
    try:
        with redirect_stdout(said), redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.disable(max(logging_was, logging.WARNING))
            yield
    except (ExportError, OSError):  # the latter names the file and says what to do
        raise
    except Exception as error:  # torch, ONNX and OpenVINO each have their own
        reason = str(error).strip() or "it does not say why"
        before = "\n".join(said.getvalue().strip().splitlines()[-LINES_SHOWN:])
        raise ExportError(
            f"could not {task}: {type(error).__name__}: {reason}"
            + (f"\nbefore it failed: {before}" if before else "")
        ) from error
    finally:
        logging.disable(logging_was)


def missing_extra(error: ImportError) -> ExportError:
    """What to say where a package that exports is not installed.

    Example:
        >>> from interlace.export.quiet import missing_extra
        >>> print(missing_extra(ImportError("no onnx", name="onnx")))
        onnx is not installed (no onnx); `pip install "interlace[export]"` brings all that exporting needs
    """
    return ExportError(
        f'{error.name} is not installed ({error}); `pip install "interlace[export]"` brings all that exporting needs'
    )
