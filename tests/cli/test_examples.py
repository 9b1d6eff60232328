"""The examples that are programs do what they say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.artifact import Artifact

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(tmp_path):
    def run(name):
        return subprocess.run([sys.executable, EXAMPLES / name], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    return run


def test_an_excitation_is_written(run, tmp_path):
    run("excitation.py")
    artifact = Artifact.load(tmp_path / "excitation.isthmus")
    assert (artifact.kind, artifact.contract.robot) == ("excitation", "ur5e")


def test_a_rude_controller_is_guarded_and_arrives(run):
    out = run("own_controller.py")
    assert int(re.search(r"'clamp': (\d+)", out)[1]) > 0
    assert float(re.search(r"distance left: (\S+) rad", out)[1]) < 0.01
