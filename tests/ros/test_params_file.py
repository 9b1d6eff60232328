"""What a `params_file` says counts, and what ROS would ignore in silence is refused; without ROS. Commit 0188891 overrode the file."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ros_policies import resolved_rate

from isthmus_bringup.arguments import ARGUMENTS, USES, read_arguments
from isthmus_bringup.parameters import KINDS, PARAMETERS, read_parameters
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
    file = written("guard_node: {ros__parameters: {rate_scale: 0.1, estop_required: [/panel]}}\n/**: {ros__parameters: {rate_scale: 0.2}}")
    parameters = parameters_of("guard_node", "deploy", policy=policy, params_file=str(file), rate_scale="0.5")
    assert (parameters["rate_scale"], parameters["estop_required"]) == (0.5, ["/panel"])


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


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("rate_scale: fast", "rate_scale must be a number in 0.01 … 1, got 'fast'"),
        ("rate_scale: 2", "rate_scale must be a number in 0.01 … 1, got 2"),
        ("rate_scale: '0_1'", "rate_scale must be a number in 0.01 … 1, got '0_1'"),
        ("rate_scale: 0_9", "rate_scale must be a number in 0.01 … 1, got '0_9'"),
        ("rate_scale: 1:30", "rate_scale must be a number in 0.01 … 1, got '1:30'"),
        ("max_steps: '1_0'", "max_steps must be an integer in 0 … 2147483647, got '1_0'"),
        ("rate_scale: true", "rate_scale must be a number in 0.01 … 1, got True"),
        ("rate_scale: .nan", "rate_scale must be a number in 0.01 … 1, got nan"),
        ("rate_scale: [[1], [2]]", "rate_scale must be a number in 0.01 … 1, got [[1], [2]]"),
        ("transport: foo", "transport must be one of '', 'trajectory', 'forward_position'"),
        ("transport: [trajectory]", "transport must be a text, got ['trajectory']; write it in quotes"),
        ("clock: sundial", "clock must be one of 'wall', 'stepped', got 'sundial'"),
        ("robot: 7", "robot must be a text, got 7; write it in quotes"),
        ("accept_no_deadman: 1", "accept_no_deadman must be true or false, got 1"),
        ("use_sim_time: 1.5", "use_sim_time must be true or false, got 1.5"),
        ("estop_required: [1, /panel]", "estop_required must be a list of texts, got [1, '/panel']"),
        ("estop_required: /panel", "estop_required must be a list of texts, got '/panel'"),
        ("max_steps: 1.5", "max_steps must be an integer in 0 … 2147483647, got 1.5"),
        ("max_steps: -1", "max_steps must be an integer in 0 … 2147483647, got -1"),
        (f"max_steps: {10**30}", "max_steps must be an integer in 0 … 2147483647, got 1000000000000000000000000000000"),
        (f"camera_timeout: {10**99}", "camera_timeout must be a number in 0.02 … 5, got 1000"),
        ("stamp_check: none", "stamp_check must be one of 'absolute', 'relative', got 'none'"),
        ("qos_overrides: {/guard/command: {publisher: {depth: 2.5}}}", "depth must be a text, an integer, true or false, got 2.5"),
    ],
)
def test_a_value_in_the_file_is_checked_as_an_argument_is(value, sentence, written):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
        read_parameters(written(f"/**: {{ros__parameters: {{{value}}}}}"), PLACES)
    assert "own.yaml: /**: " in str(refusal.value)


@pytest.mark.parametrize("use", ["sim", "deploy", "identify", "evaluate"])
@pytest.mark.parametrize("text", ["0_1", "1_0e-1", "01", "\u0660.\u0665"])
def test_a_number_that_readers_take_differently_is_refused(use, text):
    """`rate_scale:=0_1` was full speed."""
    with pytest.raises(ValueError, match=re.escape(f"rate_scale must be a number in 0.01 … 1, got {text!r}")):
        read_arguments(use, {"rate_scale": text})


def test_a_file_in_which_readers_take_a_number_differently_is_refused(written):
    with pytest.raises(ValueError, match=r"own.yaml:3: readers differ over 0_1; write it as 10 or 0.1 are"):
        read_parameters(written("guard_node:\n  ros__parameters:\n    rate_scale: 0_1\n"), PLACES)


@pytest.mark.parametrize(("text", "value"), [("1", 1.0), ("'0.1'", 0.1), ("1e-1", 0.1), ("0.1", 0.1)])
def test_a_number_is_taken_however_it_is_written(text, value, written):
    said = read_parameters(written(f"guard_node: {{ros__parameters: {{rate_scale: {text}}}}}"), {"guard_node": "/guard_node"})
    assert said == {"guard_node": {"rate_scale": value}}
    assert isinstance(said["guard_node"]["rate_scale"], float)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("/**: {ros__parameters: {robot: 2020-01-01}}", "own.yaml: unknown robot '2020-01-01'"),
        ("guard_node: {ros__parameters: {robot: fr3}}", "own.yaml: the policy does not fit the robot"),
        ("/**: {ros__parameters: {robots_dir: /nowhere}}", "own.yaml: robots_dir: there is no folder /nowhere"),
    ],
)
def test_a_robot_in_the_file_that_cannot_be_is_refused(text, sentence, policy, written):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        plan("deploy", {"policy": policy, "params_file": str(written(text))})


@pytest.mark.parametrize("key", ["/**", "guard_node", "/left/guard_node"])
def test_a_namespace_in_the_file_is_refused_with_the_line_to_type(key, policy, written):
    """It moved the robot's topics and left the nodes in /."""
    file = written(f'"{key}": {{ros__parameters: {{robot_namespace: left}}}}')
    with pytest.raises(ValueError, match=r"own.yaml: robot_namespace is no parameter, .* robot_namespace:=left"):
        read_parameters(file, PLACES if "left" in key else {"guard_node": "/guard_node"})
    with pytest.raises(ValueError, match="robot_namespace"):
        plan("deploy", {"policy": policy, "params_file": str(file)})


@pytest.mark.parametrize("key", ["/**", "guard_node", "policy_node"])
def test_a_real_robot_is_not_stepped_by_a_file(key, policy, written):
    """On 2579444 nothing watched an armed arm any more."""
    file = str(written(f'"{key}": {{ros__parameters: {{clock: stepped}}}}'))
    for use in ("deploy", "identify") if key != "policy_node" else ("deploy",):
        with pytest.raises(ValueError, match=r"own.yaml: clock: stepped is for a simulated robot alone"):
            plan(use, {"policy": policy, "params_file": file})
    assert parameters_of(key if "node" in key else "guard_node", "sim", policy=policy, params_file=file)["clock"] == "stepped"


def test_a_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"there is no parameter file .*nowhere\.yaml"):
        read_parameters(tmp_path / "nowhere.yaml", PLACES)


def test_every_parameter_has_a_kind():
    assert set().union(*PARAMETERS.values()) <= set(KINDS)


def test_every_node_is_known_by_its_parameters():
    assert set(PARAMETERS) == {"sim_node", "guard_node", "policy_node", "explore_node", "monitor_node", "record_node"}
