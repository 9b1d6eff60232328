import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.artifact import Artifact

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(path for path in FOLDER.glob("*.py") if path.stem != "deploy")  # that one has a test beside those of the nodes
WORDS = {"train": ["600"]}


def run(path, folder, *words):
    done = subprocess.run([sys.executable, str(path), *words], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    """Its cells one after the other, as a script: the gap has the two causes that were planted, and none once the simulator is calibrated."""
    notebook = json.loads((FOLDER / "gap_report.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    (tmp_path / "notebook.py").write_text("\n".join(cells), encoding="utf-8")
    told = run(tmp_path / "notebook.py", tmp_path)
    assert re.search(r"^payload: the tool carries (0\.9\d*|1|1\.0\d*) kg more", told, re.MULTILINE)
    assert re.search(r"^delay: commands take effect 0\.0[34]\d* s later", told, re.MULTILINE)
    assert "named now: nothing" in told
    assert "the tool carries" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path, tmp_path):
    told = run(path, tmp_path, *WORDS.get(path.stem, []))
    assert told
    if path.stem == "train":
        assert Artifact.load(tmp_path / "runs/pendulum/policy.isthmus").training["steps"] == 600
    if path.stem == "identify":
        assert float(re.search(r"^payload (\S+) kg", told)[1]) == pytest.approx(1.0, abs=0.05)
    if path.stem == "specification":
        assert re.search(
            r"^on time: robustness \+.*\n.*4.00 s: satisfied\n0.15 s late: robustness -.*\n.*1.20 s: violated$", told, re.MULTILINE
        )
    if path.stem == "excitation":
        artifact = Artifact.load(tmp_path / "excitation.isthmus")
        assert (artifact.kind, artifact.contract.robot) == ("excitation", "ur5e")
    if path.stem == "own_controller":
        assert int(re.search(r"'clamp': (\d+)", told)[1]) > 0
        assert float(re.search(r"distance left: (\S+) rad", told)[1]) < 0.01
    if path.stem == "evaluate":
        assert re.search(
            r"^mujoco: success 1\.00 \(0\.72 … 1\.00\), return \S+ \(\S+ … \S+\), ends \{'time limit': 10\}$", told, re.MULTILINE
        )
        assert re.search(r"^pybullet less mujoco, seed by seed: [+-]\d", told, re.MULTILINE)
