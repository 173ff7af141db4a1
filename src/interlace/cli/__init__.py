"""The command `interlace`: one file per verb, each loaded only when it is called.

A verb module has a function `run(arguments) -> exit status`, and beside it the function that does the work, whose typed
signature is the command line, with a sentence in its docstring for every argument.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence

from interlace import __version__

VERBS = {
    "train": "train a network on a folder of labelled clips",
    "evaluate": "score checkpoints by one of the field's protocols",
    "ensemble": "make one checkpoint out of several, whose scores are the mean of theirs",
    "predict": "say what happens in files, folders or globs of videos",
    "features": "store what a network makes of each video: vectors for other programs",
    "stream": "say what happens in front of a camera, as it happens",
    "export": "write a network as ONNX, OpenVINO or torch.export, compared with the original",
    "av": "find events that are both seen and heard: features, train, evaluate, predict",
    "flow": "compute the optical flow of videos once and store it",
    "shard": "write a data set as a few large files, here or in an object store",
    "check": "decode every clip of a data set and report what is wrong with it",
    "demo": "render the built-in data, train TSN and TIN on it, compare them, predict",
    "render": "write the built-in data set as real video files",
    "benchmark": "measure what a network costs on this machine, beside the plain TSN",
    "plot": "draw what a trained TIN has learned: offsets over depth, weights over time",
    "ablate": "train TIN with 1, 2 and 4 groups, mirrored or not, over seeds, and tabulate",
    "compare": "put the cost of every network beside what the papers state of it",
    "import": "bring a released checkpoint of TIN, TSM, TSN, TRN or MMAction2 to our format",
    "models": "list the networks that can be built",
    "doctor": "show versions, decoders and devices, and what is missing",
}

MODULES = {"import": "import_checkpoint"}
"""Verbs that are words of the language, and the modules that they are in."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status. Whatever a verb is stopped by, this ends in a sentence."""
    terminated: list[int] = []
    try:
        from interlace.cli.signals import sigterm_as_ctrl_c

        with sigterm_as_ctrl_c(terminated):
            return _run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt as stop:  # a verb may say in it what is kept
        name, status = ("SIGTERM", 143) if terminated else ("Ctrl-C", 130)
        from interlace.printable import printable

        print(
            f"error: stopped by {name}" + (f"; {printable(str(stop))}" if str(stop) else ""), file=sys.stderr
        )
        return status


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"interlace {__version__}")
        return 0
    from interlace.cli.parser import complain, in_options, nearest

    verb = arguments[0]
    if verb not in VERBS:
        return complain(f"interlace has no command {verb!r}{nearest(verb, VERBS)}\n\n{_overview()}", status=2)
    try:
        run: Callable[[list[str]], int] = importlib.import_module(
            f"interlace.cli.{MODULES.get(verb, verb)}"
        ).run
        status = run(arguments[1:])
        sys.stdout.flush()  # here, where a reader that has gone away (`| head`) is no error
        return status
    except (ValueError, OSError) as problem:
        if os.environ.get("INTERLACE_DEBUG"):
            raise
        if isinstance(problem, BrokenPipeError):
            return _reader_gone()
        return complain(in_options(str(problem)), status=1)
    except (MemoryError, RuntimeError) as problem:
        from interlace.data.out_of_memory import in_a_line, is_out_of_memory

        if os.environ.get("INTERLACE_DEBUG") or not is_out_of_memory(problem):
            raise
        return complain(in_options(in_a_line(problem)), status=1)


def _reader_gone() -> int:
    """The status of a program that a closed pipe ends; what is still buffered goes nowhere, without a word."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _overview() -> str:
    lines = [f"interlace {__version__}: action recognition in video", "", "usage: interlace COMMAND ...", ""]
    lines += [f"  {verb:<11}{sentence}" for verb, sentence in VERBS.items()]
    lines += ["", "`interlace COMMAND --help` explains each."]
    lines += ["The variables INTERLACE_MAX_* raise the limits for large files: docs/security.md"]
    return "\n".join(lines)
