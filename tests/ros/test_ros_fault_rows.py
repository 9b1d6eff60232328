"""A part of the fault table in one repeat each; `benchmarks/faults.py` runs all of it."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from fault_course import course
from fault_page import FIRST
from fault_rows import ROWS, VT, write_policy
from fault_time import TIME_ROWS

pytestmark = pytest.mark.ros
SHARED = [row for row in ROWS if row.number in ("10", "24", "33", "37", "55", "59") and VT in row.settings and not row.fresh]
FRESH = [row for row in TIME_ROWS if row.number in ("57",)]
LATE = 2.0  # times the bound: this machine also runs other tests, and the table is what measures it


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    policy = write_policy(VT.policy, VT.mode, tmp_path_factory.mktemp("policy"))
    with course(policy, VT.mode, VT.transport) as run:
        run.bring_up()
        yield run


@pytest.mark.parametrize("row", SHARED, ids=[f"{row.number} {row.fault}" for row in SHARED])
def test_a_fault_leads_to_what_the_table_says(running, row):
    seen = row.act(running)
    assert seen.outcome in row.expected, seen
    if row.timed:
        assert seen.brake <= LATE * FIRST, seen
        assert seen.excess <= 1.01, seen


@pytest.mark.parametrize("row", FRESH, ids=[f"{row.number} {row.fault}" for row in FRESH])
def test_a_required_emergency_stop_must_be_heard(row, tmp_path):
    setting = row.settings[0]
    policy = write_policy(setting.policy, setting.mode, tmp_path)
    with course(policy, setting.mode, setting.transport, **dict(setting.options)) as run:
        run.bring_up()
        seen = row.act(run)
    assert seen.outcome in row.expected, seen
