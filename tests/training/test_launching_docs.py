"""What docs/launching.md tells to type, and the manifest beside it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml

from interlace.cli.train import read_config
from interlace.training.config import TrainConfig

DOCS = Path(__file__).parents[2] / "docs"


def test_the_manifest_starts_as_many_processes_as_training_expects():
    job = yaml.safe_load((DOCS / "launching" / "pytorchjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "PyTorchJob")
    spec = job["spec"]
    [(role, replica)] = spec["pytorchReplicaSpecs"].items()
    assert role == "Worker"  # with an elastic policy there is no master
    pod = replica["template"]["spec"]
    [container] = pod["containers"]
    assert container["name"] == "pytorch"  # the operator looks for it
    command = container["command"]
    assert command[:4] == ["torchrun", "--no-python", "interlace", "train"]
    config = read_config(command[4:])
    assert (
        config.trainer.devices
        == int(spec["nprocPerNode"])
        == container["resources"]["limits"]["nvidia.com/gpu"]
    )
    elastic = spec["elasticPolicy"]
    assert config.trainer.num_nodes == replica["replicas"] == elastic["minReplicas"] == elastic["maxReplicas"]
    assert config.resume
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
    assert mounted["data"] == str(config.data)
    assert config.output.is_relative_to(mounted["runs"])


def test_the_commands_of_the_page_are_understood():
    text = (DOCS / "launching.md").read_text().replace("\\\n", " ")
    commands = re.findall(r"^ {4}(?:.* )?interlace train (.*)$", text, flags=re.MULTILINE)
    configs: list[TrainConfig] = [read_config(shlex.split(command)) for command in commands]
    assert [(config.trainer.devices, config.trainer.num_nodes) for config in configs] == [
        (2, 1),
        (8, 2),
        (8, 2),
    ]
    assert all(config.resume for config in configs)
