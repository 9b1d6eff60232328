"""The example that needs real nodes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

pytestmark = pytest.mark.ros
DEPLOY = Path(__file__).parents[2] / "examples" / "deploy.py"


def test_a_policy_file_runs_over_topics_as_it_does_in_process(tmp_path):
    done = subprocess.run([sys.executable, str(DEPLOY)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    over_topics, in_process = (
        float(re.search(rf"^{name}: success 1, return (\S+),", done.stdout, re.MULTILINE)[1]) for name in ("over ROS 2", "in process")
    )
    assert over_topics == pytest.approx(in_process, abs=0.5)
    assert "recordings: ros-000.mcap, ros-001.mcap" in done.stdout
