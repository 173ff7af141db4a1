"""Which rows make which part, and what is left of an earlier run."""

from __future__ import annotations

import random

import pytest

from interlace.corpus.plan import digests, part_name, plan, videos_per_part

ROWS = [f"r{i}" for i in range(10)]


def test_a_new_job_has_every_row_once() -> None:
    todo = plan(ROWS, 4, [], {}.__getitem__)
    assert [part.positions for part in todo.parts] == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9)]
    assert (todo.done, todo.left, todo.strangers) == (0, 10, 0)
    assert len({part.name for part in todo.parts}) == 3


def test_the_parts_of_an_unchanged_input_keep_their_names() -> None:
    first = plan(ROWS, 4, [], {}.__getitem__).parts
    again = plan(ROWS, 4, [first[1].name], {}.__getitem__)  # parts that are named are not looked into
    assert again.parts == (first[0], first[2])
    assert again.done == 4


def test_rows_of_other_cuts_are_left_out() -> None:
    there = {"part-a.parquet": ["r5", "r1", "gone"]}
    todo = plan(ROWS, 4, list(there), there.__getitem__)
    assert [part.positions for part in todo.parts] == [(0, 2, 3), (4, 6, 7), (8, 9)]
    assert (todo.done, todo.strangers) == (2, 1)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_and_nothing_twice_however_often_it_is_interrupted_and_changed(seed: int) -> None:
    chosen = random.Random(seed)
    rows = [f"r{i}" for i in range(chosen.randint(1, 40))]
    written: dict[str, list[str]] = {}
    for _ in range(6):
        todo = plan(rows, chosen.randint(1, 9), list(written), written.__getitem__)
        assert todo.done + todo.left == len(rows)
        done = [part for part in todo.parts if chosen.random() < 0.5]
        written |= {part.name: [rows[i] for i in part.positions] for part in done}
        rows = [*rows, f"new{len(rows)}"] if chosen.random() < 0.5 else rows
        chosen.shuffle(rows)
    todo = plan(rows, 3, list(written), written.__getitem__)
    written |= {part.name: [rows[i] for i in part.positions] for part in todo.parts}
    assert sorted(row for part in written.values() for row in part) == sorted(rows)
    assert plan(rows, 3, list(written), written.__getitem__).parts == ()


def test_equal_rows_are_different_ones() -> None:
    found = digests([b"a", b"b", b"a", b"a"])
    assert len(set(found)) == 4
    assert digests([b"a", b"a"]) == [found[0], found[2]]
    assert part_name(["a", "b"]) != part_name(["ab"])


@pytest.mark.parametrize(("videos", "workers", "expected"), [(1, 1, 1), (64, 2, 4), (10**6, 3, 256)])
def test_videos_of_a_part(videos: int, workers: int, expected: int) -> None:
    assert videos_per_part(videos, workers) == expected
