"""Studies on UTD-MHAD depth video: ResNet-18 from scratch, 8 frames of 64 x 64, cross-subject."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from common import load_example
from studies.annotations import write_lists
from studies.plan import Arm, Split, Study, given
from utd_mhad import ORDER_DEPENDENT

DATA = given("utd_mhad_depth")
_GRAY = ("--color", "gray")
_CROPS = ("--augment.crop_scales", "[1.0, 0.875]")
_COMPUTED = ("--trainer.precision", "bf16", "--decode.cache", "ram", "--trainer.num_workers", "1")
_HEAD = ("--optim.head_lr_factor", "1", "--dropout", "0.2")
RECIPE = ("--pretrained", "false", *_GRAY, "--image_size", "64", *_CROPS, *_HEAD, *_COMPUTED)
FINE_TUNED = (
    *(*_GRAY, "--image_size", "112", *_CROPS, *_HEAD, *_COMPUTED),
    *("--batch_size", "8", "--optim.base_batch_size", "8", "--lr", "0.01", "--epochs", "12"),
)
"""From ImageNet weights; rate and length are those with which an earlier comparison was run, and not tuned."""
WHOLE = {"zero_init_last": False}
"""Residual branches, in which all of these methods work, take part from the first step on."""
FIVE = (0, 1, 2, 3, 4)


def _lists(data: Path, folder: Path, *, train: tuple[int, ...], scored: tuple[int, ...]) -> tuple[Path, Path]:
    splits = load_example("utd_mhad_splits")
    clips = sorted(path for path in data.glob("a*/*.mp4") if splits.CLIP.fullmatch(path.name))
    if not clips:
        raise ValueError(
            f"{data}: no clip named like a01_swipe_left/a1_s1_t1.mp4; give the folder of UTD-MHAD"
        )
    rows = [
        [
            (clip.relative_to(data).as_posix(), clip.parent.name)
            for clip in clips
            if int(splits.CLIP.fullmatch(clip.name)[2]) in subjects
        ]
        for subjects in (train, scored)
    ]
    return write_lists(folder, *rows)


def split_of(name: str, train: tuple[int, ...], scored: tuple[int, ...]) -> Split:
    """Some subjects train, others are scored."""
    return Split(name, lambda data, folder: _lists(data, folder, train=train, scored=scored))


TEST = split_of("test", (1, 3, 5, 7), (2, 4, 6, 8))
VAL = split_of("val7", (1, 3, 5), (7,))
LEFT_OUT = (
    split_of("val1", (3, 5, 7), (1,)),
    split_of("val3", (1, 5, 7), (3,)),
    split_of("val5", (1, 3, 7), (5,)),
    VAL,
)
"""Each training subject is scored once, by networks of the three others."""
HALVES = (split_of("halves57", (1, 3), (5, 7)), split_of("halves13", (5, 7), (1, 3)))
"""Each training subject is scored once, by networks of half as many clips: more clips are scored in less time than
with one subject left out. What is searched for is chosen here, never on the test subjects."""


def recipe(*, lr: float, weight_decay: float, epochs: int, batch: int = 4) -> tuple[str, ...]:
    """What is tuned for each method, as options; the batch, seen to matter with TSM, is the same for all."""
    return (
        *("--batch_size", str(batch), "--optim.base_batch_size", str(batch)),
        *("--lr", str(lr), "--optim.weight_decay", str(weight_decay), "--epochs", str(epochs)),
    )


USUAL = recipe(lr=0.01, weight_decay=5e-4, epochs=30)
"""Where nothing is tuned."""


METHODS = (
    Arm("tsn", "tsn_resnet18", WHOLE),
    Arm("tsm", "tsm_resnet18", WHOLE),
    Arm("tcn", "tcn_resnet18", {**WHOLE, "initial_offset": 1.0}),
    Arm("rtcn", "rtcn_resnet18", {**WHOLE, "initial_offset": 1.0}),
    Arm("tin", "tin_resnet18", WHOLE),
    Arm("tin_released", "tin_released_resnet18", WHOLE),
    Arm("tin_paper", "tin_paper_resnet18", WHOLE),
)
HALF_A_FRAME = tuple(
    Arm(f"{name}_start_0.5", f"{name}_resnet18", {**WHOLE, "initial_offset": 0.5}) for name in ("tcn", "rtcn")
)
"""The convolutions as they were first run: each channel begins as the mean of two frames, as in the released TIN."""
GRID = (
    (0.01, 5e-4, 30),
    (0.005, 5e-4, 30),
    (0.01, 5e-3, 30),
    (0.01, 5e-4, 20),
)
"""Learning rate, weight decay, epochs: the same for each method."""


def tuning(methods: tuple[Arm, ...]) -> tuple[Arm, ...]:
    """Each method with each point of the grid."""
    return tuple(
        replace(at_point(arm, point), name=f"{arm.name}_lr{point[0]}_wd{point[1]}_e{point[2]}")
        for point in GRID
        for arm in methods
    )


def at_point(arm: Arm, point: tuple[float, float, int]) -> Arm:
    """The method with this learning rate, weight decay and number of epochs."""
    lr, weight_decay, epochs = point
    return replace(arm, options=(*recipe(lr=lr, weight_decay=weight_decay, epochs=epochs), *arm.options))


ONE_RECIPE = GRID[2]
"""What TSN, TSM and two of the three TINs were best with; the third was one clip of 108 below its best."""
TUNED = {
    "tsn": GRID[2],
    "tsm": GRID[2],
    "tcn": GRID[0],
    "rtcn": GRID[0],
    "tcn_start_0.5": GRID[0],
    "rtcn_start_0.5": GRID[1],
    "tin": GRID[1],
    "tin_released": GRID[2],
    "tin_paper": GRID[2],
}
"""The point of the grid with which each method was best in utd_tuning; the earlier one of two that are equal."""


def form(name: str, **parts: Any) -> Arm:
    """TIN that begins as a shift by one frame, but for the parts given."""
    return Arm(name, "form_resnet18", {**WHOLE, "parts": parts}, USUAL)


def spread(name: str, **parts: Any) -> Arm:
    """TIN whose groups begin at one and at two frames either way, but for the parts given."""
    return form(f"spread_{name}", **{"start": [1.0, 2.0], "offset_range": 3.0, **parts})


TWO_CONVS = Arm(
    "spread_two_convs",
    "form_resnet18",
    {**WHOLE, "num_convs": 2, "parts": {"start": [1.0, 2.0], "offset_range": 3.0}},
    USUAL,
)
EARLY, LATE = (
    Arm(
        f"spread_in_{name}_stages",
        "form_resnet18",
        {**WHOLE, "stages": stages, "parts": {"start": [1.0, 2.0], "offset_range": 3.0}},
        USUAL,
    )
    for name, stages in (("early", (None, 2)), ("late", (2, None)))
)
FOUR_STARTS = form("start_1_2_3_4", start=[1.0, 2.0, 3.0, 4.0], offset_range=5.0)
EVERY_SECOND = form("start_2_4_6_8", start=[2.0, 4.0, 6.0, 8.0], offset_range=10.0)
"""Of 16 frames, the same times as four starts of 8."""
ONE_AND_THREE = form("start_1_3", start=[1.0, 3.0], offset_range=4.0)
TWO_AND_FOUR = form("start_2_4", start=[2.0, 4.0], offset_range=5.0)
OVER_CLIPS = spread("over_clips", norm="clips")
JITTERED = spread("jittered", jitter=0.5)
AS_TSM = form("start_1_as_tsm", start=[-1.0, -1.0], zero=True, weights="zero")
"""At the first step it does what TSM does, to the last bit: a quarter of the channels moved by one frame, nothing
weighed. Its weights are other random numbers, since its nets draw some, too."""
PER_FRAME = form("start_1_per_frame", per="frame", zero=True, weights="two_convs")
"""An offset and a weight for every target frame, each from two 1-D convolutions; at the first step a shift by one
frame, whatever the clip. It takes any number of frames. An earlier prototype of such a form was above TSM."""
ABOUT_ALL_STEPS = 3240
"""Of 30 epochs on four subjects; on two, half of that."""
LEVERS = (
    Arm("tsm", "tsm_resnet18", WHOLE, USUAL),
    Arm("tsm_half", "tsm_resnet18", {**WHOLE, "fold_div": 4}, USUAL),
    # Where the offsets begin, how far they may go, and for how many channels.
    form("start_0.5", start=[0.5, 0.5]),
    form("start_1"),
    AS_TSM,
    PER_FRAME,
    form("start_1_half_of_channels", shift_div=2),
    form("start_1_range_4", offset_range=4.0),
    form("start_1_half_exact", exact=True, start=[1.0]),
    form("start_2", start=[2.0, 2.0], offset_range=3.0),
    form("start_0.5_1.5", start=[0.5, 1.5]),
    form("start_1_2", start=[1.0, 2.0], offset_range=3.0),
    ONE_AND_THREE,
    FOUR_STARTS,
    # Everything else, from the spread start.
    spread("range_4", offset_range=4.0),
    spread("half_of_channels", shift_div=2),
    spread("eighth_of_channels", shift_div=8),
    spread("per_frame", per="frame", zero=True),
    spread("per_frame_random", per="frame"),
    spread("static", per="static"),
    spread("fixed", per="fixed"),
    spread("fixed_unweighted", per="fixed", weights="none"),
    spread("unweighted", weights="none"),
    spread("weights_from_1", weights="zero"),
    spread("zero_last", zero=True),
    spread("added", squash="add", zero=True),
    spread("rounded", rounding=True),
    spread("annealed", anneal=ABOUT_ALL_STEPS // 3),
    spread("one_sided", mirrored=False, start=[1.0, -1.0, 2.0, -2.0]),
    spread("slow_offsets", lr_factor=0.1),
    spread("fast_offsets", lr_factor=10.0),
    spread("warmed_up", warm_up=ABOUT_ALL_STEPS // 6),
    spread("normalised", norm="frame"),
    OVER_CLIPS,
    spread("over_clips_fast", norm="clips", lr_factor=10.0),
    spread("max_pooled", pool="max"),
    JITTERED,
    TWO_CONVS,
    EARLY,
    LATE,
)

_FAMILIES = (
    *("tsm_two_conv", "tsm_in_place", "tsm_tpool", "tsm_causal", "tin_causal"),
    *("tsn_nl", "tsm_nl", "tin_nl", "trn", "trn_single"),
)
_OF_MORE_FRAMES = ("eco_lite", "eco", "i3d", "i3d_light", "i3d_nl")
"""By default; here they have as many as the others."""
FAMILIES = (
    *METHODS,
    *(Arm(name, f"{name}_resnet18", WHOLE) for name in _FAMILIES),
    *(Arm(name, f"{name}_resnet18", WHOLE, ("--num_segments", "8")) for name in _OF_MORE_FRAMES),
)
GROUPS = ((1, True), (2, True), (2, False), (4, True), (4, False))
"""The rows of the paper's table 5: how many, and whether mirrored."""


def grouped(num_groups: int, mirrored: bool) -> Arm:
    """TIN as in the paper with other groups: all begin at one frame, where by default each further one would begin
    further out, and in the released form all at half a frame, where little is learned."""
    name = f"tin_{num_groups}{'_mirrored' if mirrored else ''}"
    as_it_is = (num_groups, mirrored) == (2, True)
    groups = {} if as_it_is else {"num_groups": num_groups, "mirrored": mirrored}
    return at_point(Arm(name, "tin_paper_resnet18", {**WHOLE, **groups}), TUNED["tin_paper"])


STUDIES = [
    Study(
        "utd_recipe",
        "How many clips a step, and which learning rate, for all that follows? Seen with TSM.",
        DATA,
        HALVES,
        RECIPE,
        tuple(
            Arm(
                f"tsm_b{batch}_lr{lr}",
                "tsm_resnet18",
                WHOLE,
                recipe(lr=lr, weight_decay=5e-4, epochs=30, batch=batch),
            )
            for batch, lr in ((8, 0.01), (4, 0.01), (2, 0.01))
        ),
        (0,),
        "tsm_b4_lr0.01",
        order_dependent=ORDER_DEPENDENT,
    ),
    Study(
        "utd_tuning",
        "Which learning rate, weight decay and length suit each method? Chosen on subject 7, trained on 1, 3, 5.",
        DATA,
        (VAL,),
        RECIPE,
        tuning((*METHODS, *HALF_A_FRAME)),
        (0,),
        "tsm_lr0.01_wd0.0005_e30",
        order_dependent=ORDER_DEPENDENT,
    ),
    Study(
        "utd_test",
        "Is TIN better than TSM on subjects that nothing was chosen on, each method as it was best in utd_tuning?",
        DATA,
        (TEST,),
        RECIPE,
        tuple(at_point(arm, TUNED[arm.name]) for arm in METHODS),
        FIVE,
        "tsm",
        order_dependent=ORDER_DEPENDENT,
    ),
    Study(
        "utd_one_recipe",
        "And with the same rate, decay and length for all, those with which most methods were best in utd_tuning?",
        DATA,
        (TEST,),
        RECIPE,
        tuple(at_point(arm, ONE_RECIPE) for arm in METHODS),
        FIVE,
        "tsm",
        order_dependent=ORDER_DEPENDENT,
    ),
    Study(
        "utd_convolutions",
        "Do convolutions do better when they begin as a shift by one frame, as the paper's TIN does, and not by half?",
        DATA,
        (TEST,),
        RECIPE,
        tuple(
            at_point(arm, TUNED[arm.name])
            for arm in (*METHODS, *HALF_A_FRAME)
            if arm.name not in ("tsn", "tin")
        ),
        FIVE,
        "tsm",
        order_dependent=ORDER_DEPENDENT,
    ),
    Study(
        "utd_levers",
        "What does each lever do, moved alone? Trained on two of the training subjects, the two others are scored.",
        DATA,
        HALVES,
        RECIPE,
        LEVERS,
        (0,),
        "tsm",
        order_dependent=ORDER_DEPENDENT,
    ),
    Study(
        "utd_left_out",
        "Does what the levers show hold with more to train on? Each training subject is scored, trained on the three "
        "others.",
        DATA,
        LEFT_OUT,
        RECIPE,
        (
            Arm("tsm", "tsm_resnet18", WHOLE, USUAL),
            Arm("tin", "tin_resnet18", WHOLE, USUAL),
            form("start_1"),
            form("start_2", start=[2.0, 2.0], offset_range=3.0),
            FOUR_STARTS,
            AS_TSM,
            PER_FRAME,
            spread("static", per="static"),
            spread("fixed_unweighted", per="fixed", weights="none"),
            spread("half_of_channels", shift_div=2),
            JITTERED,
            OVER_CLIPS,
            TWO_CONVS,
        ),
        (0, 1),
        "tsm",
        order_dependent=ORDER_DEPENDENT,
    ),
    Study(
        "utd_groups",
        "How many groups, mirrored or not (the paper's table 5)?",
        DATA,
        (TEST,),
        RECIPE,
        tuple(grouped(*row) for row in GROUPS),
        FIVE,
        "tin_2_mirrored",
        order_dependent=ORDER_DEPENDENT,
    ),
    Study(
        "utd_families",
        "Where does each family stand, with one recipe for all, that of utd_one_recipe?",
        DATA,
        (TEST,),
        RECIPE,
        tuple(at_point(arm, ONE_RECIPE) for arm in FAMILIES),
        (0,),
        "tsm",
        order_dependent=ORDER_DEPENDENT,
    ),
]
