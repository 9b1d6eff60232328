"""What a `params_file` says counts, and what ROS would ignore in silence is refused; without ROS. Commit 0188891 overrode the file."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ros_policies import resolved_rate

from isthmus_bringup.arguments import ARGUMENTS, USES, read_arguments
from isthmus_bringup.parameters import PARAMETERS, read_parameters
from isthmus_bringup.plan import plan
from isthmus_sim.tasks import get_task

PLACES = {"guard_node": "/left/guard_node", "policy_node": "/left/policy_node"}


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    resolved_rate(get_task("reach").contract).save(path)
    return str(path)


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "own.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def parameters_of(node, use, **arguments):
    return next(process.parameters for process in plan(use, arguments).processes if process.name == node)


@pytest.mark.parametrize("key", ["/**", "guard_node", "/guard_node", "/**/guard_node", "/*"])
@pytest.mark.parametrize("use", ["sim", "deploy", "identify", "evaluate"])
def test_a_value_in_the_file_counts(use, key, policy, written):
    file = written(f'"{key}": {{ros__parameters: {{rate_scale: 0.1}}}}')
    assert parameters_of("guard_node", use, policy=policy, params_file=str(file))["rate_scale"] == 0.1


def test_what_was_given_wins_over_the_file(policy, written):
    file = written("guard_node: {ros__parameters: {rate_scale: 0.1, estop_required: true}}\n/**: {ros__parameters: {rate_scale: 0.2}}")
    parameters = parameters_of("guard_node", "deploy", policy=policy, params_file=str(file), rate_scale="0.5")
    assert (parameters["rate_scale"], parameters["estop_required"]) == (0.5, True)


def test_the_file_wins_over_what_the_plan_says_by_itself(policy, written):
    file = written("/**: {ros__parameters: {accept_no_deadman: false, transport: forward_velocity}}")
    planned = {process.name: process.parameters for process in plan("sim", {"policy": policy, "params_file": str(file)}).processes}
    assert planned["guard_node"]["accept_no_deadman"] is False
    assert planned["guard_node"]["transport"] == planned["sim_node"]["transport"] == "forward_velocity"


@given(names=st.sets(st.sampled_from([argument.name for argument in ARGUMENTS])), use=st.sampled_from(sorted(USES)))
def test_nothing_but_what_was_given_is_read(names, use):
    table = {argument.name: argument for argument in ARGUMENTS if use in argument.uses}
    told = {name: str(table[name].default_for(use)) for name in names & set(table)}
    assert set(read_arguments(use, told | dict.fromkeys(set(table) - set(told), ""))) == {name for name, text in told.items() if text}


@pytest.mark.parametrize("use", ["deploy", "record", "identify"])
def test_no_default_of_an_argument_becomes_a_parameter(use, policy):
    allowed = {"policy", "autostart"}  # which file, and that nobody else activates the recorder
    for process in plan(use, {"policy": policy}).processes:
        assert set(process.parameters) <= allowed, process


def test_a_file_reaches_only_the_nodes_that_have_a_parameter(written):
    said = read_parameters(written("/**: {ros__parameters: {transport: trajectory, use_sim_time: true}}"), PLACES)
    assert said == {"guard_node": {"transport": "trajectory", "use_sim_time": True}, "policy_node": {"use_sim_time": True}}


@pytest.mark.parametrize(
    "key", ["/**", "/left/guard_node", "left/guard_node", "/*/guard_node", "*/guard_node", "/**/guard_node", "**/guard_node", "/left/*"]
)
def test_keys_reach_what_rcl_lets_them_reach(key, written):
    assert read_parameters(written(f'"{key}": {{ros__parameters: {{rate_scale: 0.1}}}}'), PLACES)["guard_node"] == {"rate_scale": 0.1}


def test_namespaces_may_be_nested_and_names_dotted(written):
    text = "left:\n  guard_node:\n    ros__parameters: {rate_scale: 0.1, qos_overrides: {/left/guard/command: {publisher: {depth: 2}}}}"
    assert read_parameters(written(text), PLACES)["guard_node"] == {
        "rate_scale": 0.1,
        "qos_overrides./left/guard/command.publisher.depth": 2,
    }


def test_one_file_may_serve_two_robots_and_every_use(written):
    text = "\n".join(
        f"{key}: {{ros__parameters: {{joint_prefix: {key[1]}}}}}" for key in ("/left/guard_node", "/right/guard_node", "/sim_node")
    )
    assert read_parameters(written(text), PLACES) == {"guard_node": {"joint_prefix": "l"}, "policy_node": {}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("/**: {ros__parameters: {rate_scaling: 0.1}}", "isthmus has no parameter 'rate_scaling'; did you mean 'rate_scale'?"),
        (
            "/left/guard_node: {ros__parameters: {rate_scaling: 1}}",
            "guard_node has no parameter 'rate_scaling'; did you mean 'rate_scale'?",
        ),
        ("/left/guard_node: {ros__parameters: {max_steps: 1}}", "guard_node has no parameter 'max_steps'"),
        ("/left/guard_nod: {ros__parameters: {rate_scale: 1.0}}", "there is no node 'guard_nod'; did you mean 'guard_node'?"),
        (
            "guard_node: {ros__parameters: {rate_scale: 0.1}}",
            "/guard_node is not the guard_node that is started, which is /left/guard_node",
        ),
        ("/right/*: {ros__parameters: {rate_scale: 0.1}}", "/right/* reaches none of /left/guard_node, /left/policy_node"),
        ("rate_scale: 0.1", "expected 'NODE: {ros__parameters: {NAME: VALUE}}', got 0.1 under /rate_scale"),
        ("ros__parameters: {rate_scale: 0.1}", "ros__parameters must be a mapping below a node's name, such as /**"),
        ("/**: {ros__parameters: 3}", "ros__parameters must be a mapping below a node's name, such as /**, got 3 under /**"),
        ("/**: {ros__parameters: {rate_scale: }}", "parameter rate_scale has no value"),
        ("", "expected 'NODE: {ros__parameters: {NAME: VALUE}}', got None under its top"),
        ("/**: {ros__parameters: {rate_scale: 1.0, rate_scale: 0.1}}", "key 'rate_scale' appears twice"),
        ("/**: {ros__parameters: [", "is not valid YAML"),
    ],
)
def test_what_would_be_ignored_is_refused(text, sentence, written):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read_parameters(written(text), PLACES)


def test_a_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"there is no parameter file .*nowhere\.yaml"):
        read_parameters(tmp_path / "nowhere.yaml", PLACES)


def test_every_node_is_known_by_its_parameters():
    assert set(PARAMETERS) == {"sim_node", "guard_node", "policy_node", "explore_node", "monitor_node", "record_node"}
