"""What options take, in words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import pytest

from interlace.cli import VERBS, main
from interlace.cli.av import VERBS as AV_VERBS
from interlace.cli.wording import words_for


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bool, "true or false"),
        (Literal["a"], "a"),
        (Literal["a", "b"], "a or b"),
        (Literal["dis", "tvl1"] | Path | None, "dis, tvl1, a path or null"),
        (tuple[float, ...] | None, "a list, each a number or null"),
        (tuple[tuple[str, str], ...], "a list, each a list of 2, each text"),
        (dict[str, Any], "names with values"),
        (complex, None),
        (complex | None, None),
    ],
)
def test_types_in_words(annotation: Any, words: str | None) -> None:
    assert words_for(annotation) == words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["flow", "x", "--output", "y", "--method", "fast"], "--method 'fast' is not dis, dis_fast or tvl1"),
        (["train", "x", "--epochs", "many"], "--epochs 'many' is not a whole number"),
        (["train", "x", "--optim.momentum", "much"], "--optim.momentum 'much' is not a number"),
        (["train", "x", "--augment.crop_area", "3"], "--augment.crop_area '3' is not a list of 2"),
        (["ensemble", "a", "--output", "e", "--weights", "1,x"], "--weights 'x', word 2, is not a number"),
        (["plot", "weights", "a", "b"], "what 'weights' is not offsets"),
    ],
)
def test_a_wrong_value_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    assert leaving.value.code == 2
    assert f"error: {message}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "verb", [*(verb for verb in VERBS if verb != "av"), *(f"av {verb}" for verb in AV_VERBS)]
)
def test_help_speaks_no_python(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*verb.split(), "--help"])
    text = capsys.readouterr().out
    assert re.findall(r"<class|<function|Literal\[|Union\[|Optional\[|: (?:int|float|str|bool)\b", text) == []
