import re
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.artifact import Artifact

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path, tmp_path):
    done = subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    if path.stem == "excitation":
        artifact = Artifact.load(tmp_path / "excitation.isthmus")
        assert (artifact.kind, artifact.contract.robot) == ("excitation", "ur5e")
    if path.stem == "own_controller":
        assert int(re.search(r"'clamp': (\d+)", done.stdout)[1]) > 0
        assert float(re.search(r"distance left: (\S+) rad", done.stdout)[1]) < 0.01
    if path.stem == "evaluate":
        assert re.search(
            r"^mujoco: success 1\.00 \(0\.72 … 1\.00\), return \S+ \(\S+ … \S+\), ends \{'time limit': 10\}$", done.stdout, re.MULTILINE
        )
        assert re.search(r"^pybullet less mujoco, seed by seed: [+-]\d", done.stdout, re.MULTILINE)
