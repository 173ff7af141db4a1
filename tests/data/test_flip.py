from __future__ import annotations

import pytest

from interlace.data.flip import FlipRule, flip_map

# The first 67 classes of Something-Something V1 in the order of its label file, those that a mirror leaves
# alone shortened to their number. Published pairs: 2-4, 30-41, 52-66.
SOMETHING_V1 = [f"Doing thing number {i}" for i in range(67)]
SOMETHING_V1[0] = "Holding something"
SOMETHING_V1[2] = "Turning the camera left while filming something"
SOMETHING_V1[4] = "Turning the camera right while filming something"
SOMETHING_V1[30] = "Pushing something from left to right"
SOMETHING_V1[41] = "Pushing something from right to left"
SOMETHING_V1[52] = "Pulling something from right to left"
SOMETHING_V1[66] = "Pulling something from left to right"

# Something-Something V2 in alphabetical order. Published pairs: 86-87, 93-94, 166-167.
SOMETHING_V2 = [f"Doing thing number {i}" for i in range(174)]
SOMETHING_V2[21] = "Laying something on the table on its side, not upright"
SOMETHING_V2[50] = "Plugging something into something but pulling it right out as you remove your hand"
SOMETHING_V2[86] = "Pulling something from left to right"
SOMETHING_V2[87] = "Pulling something from right to left"
SOMETHING_V2[93] = "Pushing something from left to right"
SOMETHING_V2[94] = "Pushing something from right to left"
SOMETHING_V2[119] = "Putting something upright on the table"
SOMETHING_V2[166] = "Turning the camera left while filming something"
SOMETHING_V2[167] = "Turning the camera right while filming something"

JESTER = [
    "Swiping Left",
    "Swiping Right",
    "Swiping Down",
    "Swiping Up",
    "Pushing Hand Away",
    "Pulling Hand In",
    "Sliding Two Fingers Left",
    "Sliding Two Fingers Right",
    "Sliding Two Fingers Down",
    "Sliding Two Fingers Up",
    "Pushing Two Fingers Away",
    "Pulling Two Fingers In",
    "Rolling Hand Forward",
    "Rolling Hand Backward",
    "Turning Hand Clockwise",
    "Turning Hand Counterclockwise",
    "Zooming In With Full Hand",
    "Zooming Out With Full Hand",
    "Zooming In With Two Fingers",
    "Zooming Out With Two Fingers",
    "Thumb Up",
    "Thumb Down",
    "Shaking Hand",
    "Stop Sign",
    "Drumming Fingers",
    "No gesture",
    "Doing other things",
]

UTD_MHAD = ["a01_swipe_left", "a02_swipe_right", "a03_wave", "a09_draw_circle_cw", "a10_draw_circle_ccw"]
UTD_MHAD += ["a24_sit2stand", "a25_stand2sit"]


def swaps(rule: FlipRule) -> set[tuple[int, int]]:
    assert rule.allowed, rule.reason
    assert all(rule.mapping[j] == i for i, j in rule.mapping.items())
    return {(i, j) for i, j in rule.mapping.items() if i < j}


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (SOMETHING_V1, {(2, 4), (30, 41), (52, 66)}),
        (SOMETHING_V2, {(86, 87), (93, 94), (166, 167)}),
        (JESTER, {(0, 1), (6, 7), (14, 15)}),
        (UTD_MHAD, {(0, 1), (3, 4)}),
        (["wave", "upright", "copyright", "leftover"], set()),
        (["turn_left", "turn_right"], {(0, 1)}),
        (["turn-left", "jump", "turn-right"], {(0, 2)}),
        (["TurnRight", "TurnLeft"], {(0, 1)}),
        (["Turn Left", "turn_right"], {(0, 1)}),
        (["left hand up right hand down", "right hand up left hand down"], {(0, 1)}),
        (["spin clockwise", "spin anticlockwise"], {(0, 1)}),
        (["SpinClockwise", "SpinCounterClockwise"], {(0, 1)}),
        (["spin_counter_clockwise", "spin_clockwise"], {(0, 1)}),
        (["spin counter-clockwise", "spin cw"], {(0, 1)}),
        (["rollCW", "rollCCW"], {(0, 1)}),
        (["move leftwards", "move rightwards"], {(0, 1)}),
        (["1. left", "2. right"], {(0, 1)}),  # numbers of a list
        (["A001: push left", "A002: push right"], {(0, 1)}),
        (["swipe right out", "swipe left out"], {(0, 1)}),  # a partner beats the idiom
    ],
)
def test_names_that_a_mirror_swaps(classes, expected):
    assert swaps(flip_map(classes)) == expected


@pytest.mark.parametrize(
    ("classes", "culprit"),
    [
        (["wave", "turn left"], "turn left"),
        (["turn left", "move right"], "turn left"),
        (["a01_swipe_left", "a02_swipe_right", "a03_draw_circle_cw"], "a03_draw_circle_cw"),
        (["a01_swipe_left", "a02_swipe_right", "a03_swipe_right"], "a01_swipe_left"),  # which one?
        (
            ["a01_swipe_left", "a01_swipe_left_fast", "b_swipe_right"],
            "a01_swipe_left",
        ),  # not numbers of a list
        (["2 steps left", "3 steps right"], "2 steps left"),
        (["swipe left", "Swipe_Left", "swipe right"], "swipe right"),
    ],
)
def test_a_class_without_its_mirror_image_forbids_a_mirror(classes, culprit):
    rule = flip_map(classes)
    assert (rule.allowed, rule.mapping) == (False, {})
    assert repr(culprit) in rule.reason
    assert "flipping is off" in rule.reason


def test_reasons():
    assert flip_map(["wave", "clap"]).reason == "no class changes in a mirror"
    assert flip_map(["go left", "go right"]).reason == "a mirror swaps 'go left' and 'go right'"
    assert flip_map(["go left"]).reason == (
        "class 'go left' changes in a mirror and no class is its mirror image ('go right'): flipping is off; "
        "name its partner in flip_pairs, or itself if a mirror does not change it"
    )


def test_pairs_that_are_told_win():
    classes = ["gauche", "droite", "turn left", "turn right", "bag left behind"]
    pairs = [("gauche", "droite"), ("turn left", "turn left"), ("turn right", "turn right")]
    pairs += [("bag left behind", "bag left behind")]
    assert swaps(flip_map(classes, pairs)) == {(0, 1)}
    assert not flip_map(classes, pairs[:1]).allowed  # "bag left behind" has no partner


def test_a_partner_that_is_told_another_one_is_not_taken():
    rule = flip_map(["go left", "go right", "stop"], [("go right", "stop")])
    assert not rule.allowed
    assert "'go left'" in rule.reason


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("left", "up")], "flip_pairs names 'up', which is not one of the 2 classes"),
        (
            [("left", "right"), ("right", "left")],
            "flip_pairs names 'right' twice",
        ),
    ],
)
def test_wrong_pairs_are_named(pairs, message):
    with pytest.raises(ValueError, match=message):
        flip_map(["left", "right"], pairs)
