"""Steps and metrics."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from interlace.training.loss import classification_loss
from interlace.training.module import ClassificationModule, validation_metrics


class Table(nn.Module):
    """Logits are the clip's first pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3))

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return clip[:, 0, :, 0, 0]


def module(**changes) -> ClassificationModule:
    arguments = {
        "preprocess": nn.Identity(),
        "loss": classification_loss,
        "mix": lambda clip, target, rng: (clip, target),
        "make_optimizer": lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
        "lr_factor": lambda step: 1.0,
        "num_classes": 3,
    }
    return ClassificationModule(Table(), **{**arguments, **changes})


def test_fixed_batch_norms_stay_fixed_when_modes_switch():
    fixed = module(batch_norm="partial")
    for mode in (True, False, True):
        fixed.train(mode)
        assert fixed.model.norm[0].training is mode
        assert fixed.model.norm[1].training is False


def test_frames_are_channels_last():
    frames = module().frames(torch.randn(2, 4, 3, 5, 7))
    assert frames.shape == (2, 4, 3, 5, 7)
    assert frames.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def validate(tested: ClassificationModule, views, label, sizes) -> dict[str, torch.Tensor]:
    """What is logged after validation in batches of these sizes."""
    logged = {}
    tested.log_dict = lambda values, **_: logged.update(values)
    for part, own in zip(views.split(sizes), label.split(sizes), strict=True):
        tested.validation_step({"views": part, "label": own, "errors": []})
    tested.validation_step({"label": torch.empty(0, dtype=torch.int64), "errors": [(0, "cannot be read")]})
    tested.on_validation_epoch_end()
    return logged


@pytest.mark.parametrize("sizes", [(7,), (3, 4), (1, 5, 1)])
def test_metrics_do_not_depend_on_the_batches(sizes):
    torch.manual_seed(0)
    views, label = torch.randn(7, 1, 2, 3, 5, 4), torch.tensor([0, 1, 2, 0, 1, 2, 2])
    logits = views[:, 0, 0, :, 0, 0]
    logged = validate(module().eval(), views, label, sizes)
    assert float(logged["val_top1"]) == pytest.approx(
        100 * float((logits.argmax(1) == label).float().mean()), rel=1e-6
    )
    expected = nn.functional.cross_entropy(logits, label)
    torch.testing.assert_close(logged["val_loss"], expected)


@pytest.mark.parametrize("sizes", [(5,), (2, 3), (1, 1, 3)])
def test_mean_average_precision_does_not_depend_on_the_batches(sizes):
    # Some batches have all their logits between 0 and 1, as probabilities do; they are none.
    logits = torch.tensor(
        [[0.9, 0.1, 0.3], [0.2, 0.8, 0.6], [3.0, -2.0, 0.5], [0.6, 0.7, -1.0], [0.1, 0.4, 2.0]]
    )
    label = torch.tensor([[1, 0, 0], [1, 1, 1], [0, 0, 1], [1, 1, 0], [0, 0, 1]]).float()
    views = logits[:, None, None, :, None, None].expand(5, 1, 2, 3, 5, 4)
    loss = partial(classification_loss, multi_label=True)
    logged = validate(module(multi_label=True, loss=loss).eval(), views, label, sizes)
    # class 0: ranks of the positives 2, 3 and 4; class 1: 1 and 2; class 2: 1, 2 and 3
    assert float(logged["val_mAP"]) == pytest.approx(100 * ((1 / 2 + 2 / 3 + 3 / 4) / 3 + 1 + 1) / 3)


def test_nothing_to_measure_is_an_error():
    tested = module().eval()
    tested.validation_step({"label": torch.empty(0, dtype=torch.int64), "errors": [(0, "cannot be read")]})
    with (
        pytest.warns(UserWarning, match="was called before the ``update`` method"),
        pytest.raises(ValueError, match=r"validation gives no val_loss.*: none of its clips could be read"),
    ):
        tested.on_validation_epoch_end()


def test_mean_average_precision():
    metric = validation_metrics(2, multi_label=True)
    metric.update(torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.7]]), torch.tensor([[1, 0], [1, 0], [0, 1]]))
    # class 0: ranks of the positives 1 and 3 -> (1 + 2/3) / 2; class 1: rank 2 -> 1/2
    assert float(metric.compute()["val_mAP"]) == pytest.approx((5 / 6 + 1 / 2) / 2)


def test_top5_from_six_classes_on():
    assert set(validation_metrics(5, multi_label=False)) == {"val_top1"}
    assert set(validation_metrics(6, multi_label=False)) == {"val_top1", "val_top5"}


def test_averaged_weights_are_the_ones_validated():
    averaged = module(ema_decay=0.9)
    assert averaged.evaluated_model is averaged.averaged.model
    assert averaged.evaluated_model is not averaged.model
