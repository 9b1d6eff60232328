"""The layout for Foxglove shows topics that are published here, and of their messages what is in them. Foxglove itself is not run."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from isthmus.phases import Phase
from isthmus.robot import load_robot
from isthmus_ros.common import wire
from isthmus_ros.guard.report import guard_status
from isthmus_ros.recording.recorded import recorded_topics
from isthmus_sim.tasks import get_task

LAYOUT = json.loads((Path(__file__).parents[2] / "config" / "foxglove_layout.json").read_text())
OF_THE_DRIVER = {"/robot_description"}  # robot_state_publisher's


def texts(part):
    if isinstance(part, dict):
        yield from (key for key in part if key.startswith("/"))
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from texts(one)
    elif isinstance(part, str) and part.startswith("/"):
        yield part


def panels(layout):
    return [layout] if isinstance(layout, str) else panels(layout["first"]) + panels(layout["second"])


@pytest.mark.parametrize("name", ["ur5e", "fr3"])
def test_every_topic_is_one_that_is_recorded_of_an_arm(name):
    contract = get_task("reach").contract
    there = {f"/{topic.name.lstrip('/')}": topic.kind for topic in recorded_topics(load_robot(name), contract, "/", clock=False)}
    shown = {}
    for text in texts(LAYOUT["configById"]):
        topic, _, path = text.partition(".")
        shown.setdefault(topic, set()).add(re.split(r"[.\[]", path)[0])
    assert len(shown) >= 7
    for topic, fields in shown.items():
        assert topic in there or topic in OF_THE_DRIVER
        assert fields - {""} <= set(there[topic].get_fields_and_field_types() if topic in there else ())


def test_every_value_of_the_guard_that_is_shown_is_said():
    gate = SimpleNamespace(epoch="", arming="", counts={})
    stream = SimpleNamespace(rung=0, cause="", armed=True, phase=Phase.IDLE, sequence=1, turns=0, late_looks=0, gate=gate)
    plant = SimpleNamespace(missing=(), state_topic="", robot=SimpleNamespace(name="ur5e"))
    said = {value.key for value in guard_status(stream, plant, 1.0, wire.time_of(0)).status[0].values}
    shown = set(re.findall(r'/guard/status\S*\{key=="(\w+)"\}', "\n".join(texts(LAYOUT))))
    assert shown == {"rung", "phase", "armed", "cause"}
    assert shown <= said


def test_every_panel_has_its_place_and_its_settings():
    assert sorted(panels(LAYOUT["layout"])) == sorted(LAYOUT["configById"])
