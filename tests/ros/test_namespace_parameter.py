"""A node lives in its robot's namespace: a parameter that moved the robot's topics alone is refused, from a file too."""

import re
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from isthmus_ros.common.parameters import refuse_unknown


@pytest.mark.parametrize("namespace", ["left", "/left", "/left/"])
@pytest.mark.parametrize("arguments", [["-p", "robot_namespace:=left"], ["--params-file", "ns.yaml"]])
def test_a_namespace_as_a_parameter_is_refused_with_what_to_type(namespace, arguments):
    node = SimpleNamespace(
        _parameter_overrides={"robot_namespace": SimpleNamespace(value=namespace)},
        _parameters={"policy": None},
        has_parameter=lambda name: name == "policy",
        get_name=lambda: "guard_node",
    )
    with pytest.raises(
        ValueError, match=re.escape("robot_namespace is no parameter of guard_node: a node lives where its robot does, -r __ns:=/left")
    ):
        refuse_unknown(node, ["node", "--ros-args", *arguments])
