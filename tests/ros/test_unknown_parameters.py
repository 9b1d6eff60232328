"""What ROS would ignore in silence: values for parameters that a node does not have. On commit 926ad0f a misspelt rate_scale ran at full speed."""

import pytest

pytest.importorskip("rclpy")

import rclpy

from isthmus_ros.common.parameters import declare, refuse_unknown


@pytest.fixture
def made():
    """Makes a node with the parameters of a guard, told by a command line and a parameter file."""
    open_ones = []

    def make(arguments):
        context = rclpy.Context()
        rclpy.init(args=["--ros-args", *arguments], context=context)
        node = rclpy.create_node("guard_node", context=context)
        open_ones.append((node, context))
        declare(node, "rate_scale", 1.0, "scales limits")
        declare(node, "policy", "", "path")
        return node

    yield make
    for node, context in open_ones:
        node.destroy_node()
        rclpy.shutdown(context=context)


def file_with(place, **values):
    path = place / "parameters.yaml"
    lines = "".join(f"    {name}: {value}\n" for name, value in values.items())
    path.write_text(f"/**:\n  ros__parameters:\n{lines}")
    return ["--params-file", str(path)]


@pytest.mark.parametrize("flag", ["-p", "--param"])
@pytest.mark.parametrize("name", ["rate_scaling", "speed"])
def test_what_is_given_to_a_node_that_does_not_have_it_is_refused(made, flag, name):
    arguments = [flag, f"{name}:=0.1"]
    with pytest.raises(ValueError, match=rf"unknown parameter '{name}' of guard_node; .*Known: policy, rate_scale"):
        refuse_unknown(made(arguments), arguments)


def test_a_name_for_one_node_among_several_is_refused_too(made):
    arguments = ["-p", "guard_node:speed:=0.1"]
    with pytest.raises(ValueError, match="unknown parameter 'speed' of guard_node"):
        refuse_unknown(made(arguments), arguments)


def test_what_looks_misspelt_in_a_file_is_refused(made, tmp_path):
    arguments = file_with(tmp_path, rate_scaling=0.1)
    with pytest.raises(ValueError, match="unknown parameter 'rate_scaling' of guard_node; did you mean 'rate_scale'"):
        refuse_unknown(made(arguments), arguments)


def test_a_file_may_serve_several_nodes(made, tmp_path):
    arguments = file_with(tmp_path, rate_scale=0.1, folder="bags", use_sim_time=False)
    node = made(arguments)
    refuse_unknown(node, arguments)
    assert node.get_parameter("rate_scale").value == 0.1
