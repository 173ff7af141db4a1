"""A copy of a .pt2 file that can be opened without running what a stranger may have put into it.

torch.export.load unpickles parts of a file, loads compiled libraries out of it, evaluates the texts of symbolic sizes,
calls whatever function of torch a node names, and writes names of the graph into Python code. None of that is left
to it: the copy holds plain weights and a graph of ATen operators, and a file that holds more is refused. What no export
needs is left out of the copy: the sample inputs (a pickle), the guards (code) and the tracer's notes.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from interlace.checkpoints import CheckpointError

EXTRA = "extra/"
GRAPH = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
TABLES = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
PART = re.compile(
    r"data/weights/weight_\d+|data/constants/tensor_\d+|extra/.*"
    r"|archive_format|archive_version|byteorder|version|\.data/version|\.data/serialization_id"
)
"""What else an exported program of plain tensors consists of."""
WORD = re.compile(r"[A-Za-z0-9_.+-]*")
"""Names of tensors and types, versions: nothing that would do something where it is written into code."""
EXPRESSION = re.compile(
    r"(?:(?:Symbol|Integer|Add|Mul|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv)(?=\()"
    r"|'[su]\d+'|[su]\d+|(?:positive|nonnegative|integer)=(?:True|False)|\d+|[-+*/(), ])*"
)
"""The text of a symbolic size, e.g. Symbol('s77', positive=True, integer=True)."""
OF_SIZES = ("add", "sub", "mul", "floordiv", "mod", "eq", "ne", "lt", "le", "gt", "ge", "getitem")
"""Python's operators that a graph may use, on sizes and to take one of several results."""
WITH_TEXT = ("_assert_scalar", "conv1d", "conv2d", "conv3d", "div", "einsum", "gelu", "pad")
"""ATen operators that take a word. Of all others it is refused: `from_file` takes the name of a file."""
CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict")


def checked_copy(path: Path) -> io.BytesIO:
    """The file without anything that could run; to be opened in its place.

    Raises:
        CheckpointError: the file is damaged, or holds what no export of ours holds.

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> from interlace.exported.torch_archive import checked_copy
        >>> torch.export.load(checked_copy(Path("model.pt2")))  # doctest: +SKIP
        ExportedProgram: ...
    """
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w") as target:
        for name, content in _parts(path):
            target.writestr(f"model/{name}", _checked(path, name, content))
    copy.seek(0)
    return copy


def torch_metadata(path: Path) -> dict[str, str]:
    """The texts among the file's extra files.

    Raises:
        CheckpointError: the file is damaged.

    Example:
        >>> from pathlib import Path
        >>> from interlace.exported.torch_archive import torch_metadata
        >>> torch_metadata(Path("model.pt2")).keys()  # doctest: +SKIP
        dict_keys(['interlace', 'interlace_graph'])
    """
    parts = _parts(path, lambda name: name.startswith(EXTRA) or name == GRAPH)
    texts = {name: content.decode("utf-8", "replace") for name, content in parts}
    if GRAPH not in texts:  # the end of a file that was cut off can look like a whole, smaller one
        raise CheckpointError(f"{path}: not a whole .pt2 file (no {GRAPH} in it); copy or export it again")
    return {name.removeprefix(EXTRA): text for name, text in texts.items() if name != GRAPH}


def _parts(path: Path, wanted: Callable[[str], bool] = bool) -> Iterator[tuple[str, bytes]]:
    """Name and content of each part that is wanted; the folder that all lie in is taken off the names."""
    try:
        with zipfile.ZipFile(path) as archive:
            for part in archive.infolist():
                name = part.filename.partition("/")[2]
                if part.compress_type != zipfile.ZIP_STORED:  # a few bytes could become gigabytes
                    raise _refused(path, f"the compressed part {name!r}")
                if wanted(name):
                    yield name, archive.read(part)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise CheckpointError(f"{path}: not a whole .pt2 file ({error}); copy or export it again") from error


def _checked(path: Path, name: str, content: bytes) -> bytes:
    """What the copy gets of one part."""
    try:
        if name == GRAPH:
            return json.dumps(_checked_graph(path, json.loads(content))).encode()
        if name in TABLES:
            return json.dumps(_checked_table(path, json.loads(content))).encode()
    except CheckpointError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: its {name} is damaged ({type(error).__name__}: {error}); copy or export it again"
        ) from error
    if name == SAMPLES:
        return b""
    if not PART.fullmatch(name):
        raise _refused(path, f"the part {name!r}")
    return content


def _checked_table(path: Path, table: Any) -> Any:
    """Where the weights, or the constants, lie; other parts than those copied are not there to be found."""
    for name, entry in table["config"].items():
        if entry["use_pickle"] is not False:
            raise _refused(path, f"{name!r} as a pickled object")
    _check_texts(path, table)
    return table


def _checked_graph(path: Path, program: Any) -> Any:
    """The program, without guards and notes."""
    program["guards_code"] = []
    program["graph_module"]["metadata"] = {}
    program["graph_module"]["treespec_namedtuple_fields"] = {}
    for node in program["graph_module"]["graph"]["nodes"]:
        node["metadata"] = {}
        _check_node(path, node)
    _check_texts(path, program)
    return program


def _check_node(path: Path, node: Any) -> None:
    """One of ATen's operators, or one of Python's."""
    target = node["target"]
    home, _, name = target.rpartition(".")
    if home == "_operator" and name in OF_SIZES:
        return
    home, _, operator = home.rpartition(".")
    packet = getattr(torch.ops.aten, operator, None) if home == "torch.ops.aten" else None
    if not isinstance(getattr(packet, name, None), torch._ops.OpOverload):
        raise _refused(path, f"the operator {target!r}")
    if operator not in WITH_TEXT and any("as_string" in entry["arg"] for entry in node["inputs"]):
        raise _refused(path, f"a text for the operator {target!r}")


def _check_texts(path: Path, value: Any, key: str = "") -> None:
    """All texts are what their place in the JSON asks for."""
    if isinstance(value, dict):
        for name, entry in value.items():
            _check_text(path, name, "name")
            _check_texts(path, entry, name)
    elif isinstance(value, list):
        for entry in value:
            _check_texts(path, entry, key)
    elif isinstance(value, str):
        _check_text(path, value, key)


def _check_text(path: Path, text: str, key: str) -> None:
    if key in ("in_spec", "out_spec"):
        if text:
            _check_structure(path, json.loads(text)[1])
    elif key == "expr_str":
        if not EXPRESSION.fullmatch(text):
            raise _refused(path, f"the size {text!r}")
    elif key != "as_string" and not WORD.fullmatch(text):
        raise _refused(path, f"the name {text!r}")


def _check_structure(path: Path, structure: Any) -> None:
    """How inputs or outputs are nested: in tuples, lists and empty dicts, for other types are imported by name."""
    if structure["type"] not in CONTAINERS or structure["context"] not in (None, "null", "[]"):
        raise _refused(path, f"the structure {structure['type']!r}")
    for child in structure["children_spec"]:
        _check_structure(path, child)


def _refused(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: it has {what}, which no file that `interlace export` wrote has and which could run code; "
        "if you trust the file, torch.export.load opens it"
    )
