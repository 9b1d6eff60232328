"""The small trained policy that comes with isthmus is one for the task as it is today."""

from isthmus.artifact import Artifact
from isthmus_cli.files import TRAINED
from isthmus_evidence import evaluate
from isthmus_sim.tasks import get_task


def test_it_was_trained_for_this_task_and_reaches_in_both_engines():
    artifact = Artifact.load(TRAINED)
    assert artifact.contract.diff(get_task("reach").contract) == []
    assert artifact.kind == "graph"
    for plant in ("mujoco", "pybullet"):
        assert evaluate(TRAINED, plant=plant, episodes=5)["success"]["rate"] == 1.0


def test_it_is_small_and_can_be_looked_at(isthmus, tmp_path):
    assert TRAINED.stat().st_size < 400_000
    code, out, error = isthmus("inspect", TRAINED)
    assert (code, error) == (0, "")
    assert "reach" in out
    assert isthmus("view", TRAINED, "--video", tmp_path / "reach.gif")[0] == 0
