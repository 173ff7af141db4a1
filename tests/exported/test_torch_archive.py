"""Files of strangers: whatever they hold, nothing of it runs."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from interlace.checkpoints import CheckpointError
from interlace.exported import load_model
from interlace.exported.torch_archive import checked_copy, torch_metadata

GRAPH, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


class Touch:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def change(make_export: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of an export with one part changed, or added."""

    def make(part: str, edit: Callable[[Any], Any], compression: int = zipfile.ZIP_STORED) -> Path:
        path = tmp_path / "changed.pt2"
        with zipfile.ZipFile(make_export("pt2")) as source, zipfile.ZipFile(path, "w", compression) as target:
            contents = {name.partition("/")[2]: source.read(name) for name in source.namelist()}
            contents[part] = edit(contents.get(part))
            for name, content in contents.items():
                target.writestr(f"folder/{name}", content)
        return path

    return make


def in_json(edit: Callable[[Any], Any]) -> Callable[[bytes], str]:
    def edited(content: bytes) -> str:
        value = json.loads(content)
        edit(value)
        return json.dumps(value)

    return edited


def nodes(program: Any) -> Any:
    return program["graph_module"]["graph"]["nodes"]


def test_the_copy_is_what_it_was_without_code(make_export: Callable[..., Path]) -> None:
    path = make_export("pt2")
    with zipfile.ZipFile(checked_copy(path)) as copy, zipfile.ZipFile(path) as source:
        names = [name.partition("/")[2] for name in source.namelist()]
        assert [name.partition("/")[2] for name in copy.namelist()] == names
        root = source.namelist()[0].partition("/")[0]
        assert copy.read("model/data/weights/weight_0") == source.read(f"{root}/data/weights/weight_0")
        assert copy.read("model/data/sample_inputs/model.pt") == b""
        program = json.loads(copy.read(f"model/{GRAPH}"))
    assert program["guards_code"] == []
    assert {json.dumps(node["metadata"]) for node in nodes(program)} == {"{}"}
    assert set(torch_metadata(path)) == {"interlace", "interlace_graph"}


def test_sample_inputs_are_not_unpickled(change: Callable[..., Path], tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    content = io.BytesIO()
    torch.save(((Touch(trap),), {}), content)
    path = change("data/sample_inputs/model.pt", lambda _: content.getvalue())
    model, _ = load_model(path)
    assert model(torch.zeros(2, 4, 3, 8, 8)).shape == (2, 5)
    assert not trap.exists()
    torch.export.load(path)
    assert trap.exists(), "the trap does not work, so this test says nothing"


def test_weights_are_not_unpickled(change: Callable[..., Path], tmp_path: Path) -> None:
    def pickled(table: Any) -> None:
        next(iter(table["config"].values()))["use_pickle"] = True

    path = change(WEIGHTS, in_json(pickled))
    with pytest.raises(
        CheckpointError, match=r"changed.pt2: it has '\w+' as a pickled object, which no file"
    ):
        load_model(path)


@pytest.mark.parametrize(
    "name",
    [
        "data/constants/opaque_obj_0",
        "data/constants/custom_obj_0",
        "data/weights/model.pt",
        "data/aotinductor/model/model.so",
        "models/other.json",
        "../../outside",
        "serialized_state_dict.pt",
    ],
)
def test_parts_that_are_no_plain_tensors(change: Callable[..., Path], tmp_path: Path, name: str) -> None:
    path = change(name, lambda _: pickle.dumps(Touch(tmp_path / "trap")))
    with pytest.raises(CheckpointError, match=r"changed.pt2: it has the part '"):
        load_model(path)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system",
        "torch.load",
        "torch.ops.load_library",
        "torch.ops.aten.__class__.mro",
        "torch.ops.aten.mean.__init__",
        "torch.ops.aten.no_such_operator.default",
        "torch.ops.interlace.interlace.default",
        "_operator.methodcaller",
        "math.exp",
        "#namespace:name",
        "eval",
    ],
)
def test_functions_that_are_no_operators(change: Callable[..., Path], target: str) -> None:
    path = change(GRAPH, in_json(lambda program: nodes(program)[0].update(target=target)))
    with pytest.raises(CheckpointError, match=r"changed.pt2: it has the operator '"):
        load_model(path)


def test_an_operator_that_opens_a_file(change: Callable[..., Path]) -> None:
    argument = {"name": "filename", "arg": {"as_string": "secret"}, "kind": 1}
    node = {"target": "torch.ops.aten.from_file.default", "inputs": [argument]}
    path = change(GRAPH, in_json(lambda program: nodes(program)[0].update(node)))
    with pytest.raises(
        CheckpointError, match=r"it has a text for the operator 'torch.ops.aten.from_file.default'"
    ):
        load_model(path)


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('true')", "().__class__", "Symbol('s7').func", "exit(1)", "lambda: 0", "s7.x"],
)
def test_sizes_that_are_code(change: Callable[..., Path], text: str) -> None:
    def edit(program: Any) -> None:
        values = program["graph_module"]["graph"]["tensor_values"]
        values["clip"]["sizes"][0] = {"as_expr": {"expr_str": text, "hint": {"as_int": 2}}}

    with pytest.raises(CheckpointError, match=r"changed.pt2: it has the size "):
        load_model(change(GRAPH, in_json(edit)))


@pytest.mark.parametrize("name", ["x=print()", "x\ny", "x'", "x y", "x:print()"])
def test_names_that_are_code(change: Callable[..., Path], name: str) -> None:
    def edit(program: Any) -> None:
        program["graph_module"]["graph"]["inputs"][-1]["as_tensor"]["name"] = name

    with pytest.raises(CheckpointError, match=r"changed.pt2: it has the name "):
        load_model(change(GRAPH, in_json(edit)))


@pytest.mark.parametrize(
    "change_of_structure",
    [{"type": "collections.defaultdict"}, {"context": '{"default_factory_module": "os"}'}],
)
def test_structures_of_other_types(change: Callable[..., Path], change_of_structure: dict[str, str]) -> None:
    def edit(program: Any) -> None:
        signature = program["graph_module"]["module_call_graph"][0]["signature"]
        version, structure = json.loads(signature["in_spec"])
        signature["in_spec"] = json.dumps([version, {**structure, **change_of_structure}])

    with pytest.raises(CheckpointError, match=r"changed.pt2: it has the structure "):
        load_model(change(GRAPH, in_json(edit)))


def test_guards_are_left_out(change: Callable[..., Path], tmp_path: Path) -> None:
    code = f"__import__('pathlib').Path({str(tmp_path / 'trap')!r}).touch()"
    path = change(GRAPH, in_json(lambda program: program.update(guards_code=[code])))
    model, _ = load_model(path)
    model(torch.zeros(2, 4, 3, 8, 8))
    assert not (tmp_path / "trap").exists()


def test_parts_that_would_grow(change: Callable[..., Path]) -> None:
    path = change("extra/more", lambda _: "0" * 10**6, zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match=r"changed.pt2: it has the compressed part "):
        load_model(path)


@pytest.mark.parametrize(
    "program", ["[]", "{}", "{", "[" * 10**5, '{"graph_module": {"graph": {"nodes": [{}]}}}']
)
def test_a_damaged_graph(change: Callable[..., Path], program: str) -> None:
    with pytest.raises(CheckpointError, match=r"changed.pt2: its models/model.json is damaged"):
        load_model(change(GRAPH, lambda _: program))


def test_weights_that_are_shorter_than_told(change: Callable[..., Path]) -> None:
    with pytest.raises(CheckpointError, match=r"changed.pt2: PyTorch .* cannot open it"):
        load_model(change("data/weights/weight_0", lambda content: content[:40]))
