"""Lets the benchmarks import the policies of the ROS tests, by being imported before them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "ros"))
