"""A payload, found from two recordings that were made over ROS 2: one without it, one with it."""

import pytest

pytest.importorskip("rclpy")

from isthmus_evidence.ros_exploration import gentle_excitation, play_over_ros
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.identify import identify
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import ParameterFile, Unknown, make_problem, open_logs
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros

SECONDS = 10.0
NOISE = {"position_noise": 1e-4, "velocity_noise": 0.01}


def test_one_kilogram_is_found_within_three_percent(tmp_path):
    task, recordings = get_task("reach"), []
    for number, (name, payload) in enumerate((("free", 0.0), ("loaded", 1.0))):
        file = tmp_path / f"{name}.isthmus"
        gentle_excitation(task, SECONDS, number).save(file)
        recordings += play_over_ros(task, file, tmp_path / name, [number], seconds=SECONDS, parameters={**NOISE, "payload": payload})
    assert [path.name for path in recordings] == ["free-000.mcap", "loaded-000.mcap"]
    file, target = ParameterFile((Unknown("payload", 0.0, 3.0, ("loaded-000.mcap",)),)), find_target("reach")
    found = identify(make_problem(target, file, open_logs(recordings, file, target)), FitOptions(1), threads=1)
    assert found.known.values[0] == pytest.approx(1.0, rel=0.03)
    assert found.known.low[0] <= 1.0 <= found.known.high[0]
    assert found.objections == ()
