"""Averaged weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from interlace.training.ema import AveragedModel


def test_weights_and_buffers_follow_and_counts_are_copied():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    averaged = AveragedModel(network, decay=0.15)
    weight, mean = network[0].weight.detach().clone(), network[1].running_mean.clone()
    with torch.no_grad():
        network[0].weight += 1.0
        network[1].running_mean += 2.0
        network[1].num_batches_tracked += 7
    averaged.update(network)  # first step: decay 1/10
    torch.testing.assert_close(averaged.model[0].weight, weight + 0.9)
    torch.testing.assert_close(averaged.model[1].running_mean, mean + 1.8)
    assert int(averaged.model[1].num_batches_tracked) == 7
    averaged.update(network)  # second: min(0.15, 2/11)
    torch.testing.assert_close(averaged.model[0].weight, weight + 0.9 + 0.1 * 0.85)


def test_does_not_learn_by_itself_and_keeps_its_count():
    averaged = AveragedModel(nn.Linear(2, 3), decay=0.9)
    assert not any(parameter.requires_grad for parameter in averaged.parameters())
    averaged.update(nn.Linear(2, 3))
    assert int(averaged.state_dict()["num_updates"]) == 1


def test_decay_out_of_range():
    with pytest.raises(ValueError, match=r"ema_decay=1\.5"):
        AveragedModel(nn.Linear(2, 3), decay=1.5)
