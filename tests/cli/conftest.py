"""What the tests of the command line share: policies that need no training, and commands run in this process."""

import json
import os

import pytest
import torch

from isthmus_cli.main import main
from isthmus_policies.export import export_graph
from isthmus_sim.tasks import get_task

os.environ.setdefault("OMP_NUM_THREADS", "1")


class Still(torch.nn.Module):
    """Asks for nothing, whatever it sees."""

    def __init__(self, joints):
        super().__init__()
        self.joints = joints

    def forward(self, observation):
        seen = sum(value.flatten(1).sum(dim=1) for value in observation.values())
        return torch.zeros(1, 1, self.joints) * seen[:, None, None]


def still_artifact(name):
    contract = get_task(name).contract
    observations = {signal.name: torch.zeros(2, signal.history, *signal.shape).numpy() for signal in contract.observation}
    return export_graph(contract, Still(len(contract.action.elements)), observations)


@pytest.fixture(scope="session")
def policies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policies")
    for name in ("pendulum", "reach"):
        still_artifact(name).save(folder / f"{name}.isthmus")
    return folder


@pytest.fixture
def isthmus(capfd):
    """Runs a command; gives exit code, stdout and stderr."""

    def run(*words):
        capfd.readouterr()
        code = main([str(word) for word in words])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def refuse(isthmus):
    """Runs a command that must fail as a user error, and gives its one sentence."""

    def run(*words):
        code, _, error = isthmus(*words)
        assert code == 2
        assert error.count("\n") == 1
        assert "Traceback" not in error
        return error.strip()

    return run


@pytest.fixture
def read_json(isthmus):
    """Runs a command that must succeed, and gives the JSON that it printed."""

    def run(*words):
        code, out, error = isthmus(*words)
        assert code == 0, error
        return json.loads(out)

    return run
