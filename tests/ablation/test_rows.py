from __future__ import annotations

import pytest

from interlace.ablation.rows import TABLE_5, Row, parse_row, row_facts


def test_the_five_rows_of_the_paper():
    assert [row.name for row in TABLE_5] == ["1-mirrored", "2-mirrored", "2", "4-mirrored", "4"]
    assert TABLE_5[Row(2, mirrored=True)] == max(TABLE_5.values()) == 42.9


@pytest.mark.parametrize("row", [*TABLE_5, Row(1, mirrored=False), Row(16, mirrored=True)])
def test_names_are_read_again(row):
    assert parse_row(row.name) == row
    assert row.arguments == {"num_groups": row.num_groups, "mirrored": row.mirrored}


@pytest.mark.parametrize("name", ["", "0", "two", "-mirrored", "2mirrored", "2-reversed", "1.5"])
def test_other_names_are_errors(name):
    with pytest.raises(ValueError, match=r"row .* is not a number of groups"):
        parse_row(name)


def test_the_parameters_of_tin():
    """9 fold + T^2 + 3 T + 5 in each of 8 blocks; the folds of ResNet-18 have 640 channels together."""
    facts = row_facts(Row(2, mirrored=True), "tin_resnet18", num_classes=5, num_segments=8)
    folds = [16, 16, 16, 32, 32, 64, 64, 128]
    assert facts.own_parameters == sum(9 * fold + 8**2 + 3 * 8 + 5 for fold in folds)
    assert (facts.note, facts.problem) == ("", "")


def test_a_fold_that_does_not_divide_is_said():
    facts = row_facts(Row(2, mirrored=True), "tin_mobilenetv2_100", num_classes=5)
    assert facts.note == "smaller folds in 1 of 10 blocks, to divide into 4 groups"
    assert row_facts(Row(2, mirrored=False), "tin_mobilenetv2_100", num_classes=5).note == ""
    # 24 channels have no fold of 8 in their first quarter
    assert row_facts(Row(4, mirrored=True), "tin_mobilenetv2_100", num_classes=5).problem.startswith(
        "cannot be built"
    )


def test_a_row_that_cannot_be_built_says_why():
    facts = row_facts(Row(64, mirrored=True), "tin_resnet18", num_classes=5)
    assert facts.problem.startswith("cannot be built: the fold of 16 channels")
    assert "128 groups" in facts.problem


@pytest.mark.parametrize(
    ("model", "message"), [("tsn_resnet18", "groups, e.g. in tin_resnet18"), ("tin_resnet5", "did you mean")]
)
def test_a_network_without_groups_is_an_error(model, message):
    with pytest.raises(ValueError, match=message):
        row_facts(Row(2, mirrored=True), model, num_classes=5)
