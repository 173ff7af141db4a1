"""Why a file cannot be read as weights: what it is instead, and what to do about it."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

DOWNLOAD = "download it again"
_OTHER_CODE = (
    "with the code that wrote it, write the weights alone: torch.save(model.state_dict(), 'plain.pth')"
)


class ReleasedError(ValueError):
    """A file that is not a released checkpoint, or not one that fits. The message names it."""


def refuse_other_files(path: Path) -> None:
    """ReleasedError if the first bytes show something else than weights.

    Example:
        >>> import pathlib, tempfile
        >>> from interlace.released.refusal import refuse_other_files
        >>> page = pathlib.Path(tempfile.mkdtemp()) / "tin.pth"
        >>> _ = page.write_text("<html>404</html>")
        >>> try:
        ...     refuse_other_files(page)
        ... except ValueError as error:
        ...     print(str(error).removeprefix(f"{page}: "))
        a web page, not weights: the download has failed; download it again, from a link to the file itself
    """
    if path.is_dir():
        raise ReleasedError(f"{path}: a folder; name the file of weights in it, e.g. {path}/ckpt.pth.tar")
    if not path.is_file():
        raise ReleasedError(f"{path}: there is no such file")
    with path.open("rb") as file:
        head = file.read(1024)
    what = _what(path, head)
    if what:
        raise ReleasedError(f"{path}: {what}")


def _what(path: Path, head: bytes) -> str | None:
    text = head.lstrip().lower()
    if not head:
        return f"an empty file; {DOWNLOAD}"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return f"a web page, not weights: the download has failed; {DOWNLOAD}, from a link to the file itself"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the weights; fetch them with `git lfs pull`"
    if (
        head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!"))
        or head[257:262] == b"ustar"
    ):
        return "a packed archive; unpack it and name the file of weights in it"
    if head.startswith(b"\x89HDF"):
        return (
            "an HDF5 file (Keras), which is no format of a released checkpoint; only PyTorch weights are read"
        )
    if head.startswith(b"\x08") and (b"onnx" in text or b"pytorch" in text):
        return "an ONNX graph; its weights have lost their names, so import the checkpoint it was made from"
    if head.startswith(b"PK\x03\x04"):
        return _what_zip(path)
    return None


def _what_zip(path: Path) -> str | None:
    if not zipfile.is_zipfile(path):
        return f"a file that breaks off: its end is missing; {DOWNLOAD}"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any("/code/" in name or name.endswith("/constants.pkl") for name in names):
        return (
            "a TorchScript program, not plain weights; "
            "write those with torch.save(torch.jit.load(FILE).state_dict(), 'plain.pth')"
        )
    if not any(name.endswith("data.pkl") for name in names):
        return (
            f"a zip archive without weights ({', '.join(names[:3])}, ...); unpack it and name the file in it"
        )
    return None


def reason(error: Exception) -> str:
    """What PyTorch's error about a file of weights means."""
    message = str(error)
    found = re.search(r"GLOBAL (\S+) was not|unsupported GLOBAL (\S+) whose", message)
    if found:
        name = found[1] or found[2]
        return (
            f"not plain weights: it holds {name}, and a file may not say what code is run here "
            f"(whole pickled models and training states do); {_OTHER_CODE}"
        )
    if "TorchScript" in message:
        return f"a TorchScript program, not plain weights; {_OTHER_CODE}"
    if "legacy .tar format" in message:
        return f"written by a PyTorch before 0.1.10, which no current one reads safely; {_OTHER_CODE}"
    if isinstance(error, EOFError) or re.search(r"EOF|unexpected pos|truncated|central directory", message):
        return f"a file that breaks off; {DOWNLOAD}"
    if re.search(r"[Uu]npickl|[Uu]nsupported (class|operand)|invalid magic|load key|[Cc]an only", message):
        return f"not a plain file of PyTorch weights ({first_line(error)}); {_OTHER_CODE}"
    return f"not a file of weights ({first_line(error)})"


def first_line(error: Exception) -> str:
    """The line of an error's message that tells what happened; its kind if there is no message."""
    message = str(error).strip()
    told = re.search(r"WeightsUnpickler error:\s*(.+)", message)  # PyTorch explains itself at length before
    line = told[1].strip() if told else message.partition("\n")[0][:120]
    return line if len(line) > 8 else f"{type(error).__name__} {line}".strip()
