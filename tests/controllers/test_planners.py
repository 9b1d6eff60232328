"""The planners that neural predictive control is compared with: on a task that all of them can do."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("casadi")

import casadi
from test_npc import POINT

from isthmus.arrays import library
from isthmus.artifact import Artifact
from isthmus.chunks import act_on
from isthmus.testing import policy_conformance
from isthmus_controllers import stl
from isthmus_controllers.planners import CemPlanner, GradientPlanner
from isthmus_controllers.planners.gradient import GradientSettings
from isthmus_controllers.planners.kind import installed_model, mpc_artifact
from isthmus_controllers.planners.mpc import MpcPlanner
from isthmus_controllers.planners.mpc_settings import MpcSettings
from isthmus_sim.systems import get_system, system_contract
from isthmus_sim.systems.system import System


def step(state, control):
    """The point of test_npc, for CasADi too."""
    return library(state).concatenate([state[..., :1] + 0.1 * control, state[..., 1:]], -1)


TASK = System(**{name: getattr(POINT, name) for name in System.__dataclass_fields__} | {"step": step})
CONTRACT = system_contract(TASK)
PLANNERS = {
    "cem": lambda: CemPlanner(CONTRACT, TASK),
    "gradient": lambda: GradientPlanner(CONTRACT, TASK),
    "mpc": lambda: MpcPlanner(CONTRACT, TASK),
    "mpc, robustness": lambda: MpcPlanner(CONTRACT, TASK, MpcSettings(constraints=False)),
}
BRIEF = {
    **PLANNERS,
    "gradient": lambda: GradientPlanner(CONTRACT, TASK, GradientSettings(steps=8)),
}  # where the plan need not be a good one


def observed(states):
    return {"state": np.asarray(states)[:, None]}


@pytest.mark.parametrize("name", PLANNERS)
def test_plans_satisfy_the_formula_and_stay_within_bounds(name):
    states = TASK.sample(20, np.random.default_rng(0))
    chunk = PLANNERS[name]().act(observed(states))
    assert chunk.actions.shape == (20, 10, 1)
    assert (np.abs(chunk.actions) <= 2 + 1e-9).all()
    robustness = stl.robustness(stl.parse(TASK.specification), TASK.signals(TASK.rollout(states, chunk.actions)))
    np.testing.assert_allclose(chunk.info["robustness"], robustness, atol=1e-9)
    assert (robustness >= 0).mean() >= 0.95
    assert (chunk.info["solve_time"] > 0).all()


@pytest.mark.parametrize("name", ["cem", "gradient"])
def test_a_planner_without_a_warm_start_is_a_policy(name):
    """MPC is not quite: where many plans are optimal, its warm start chooses among them."""
    policy_conformance(BRIEF[name])


def test_a_search_does_not_depend_on_the_rows_beside_it():
    """Nor on how often these have decided; with another seed it is another one."""
    states = TASK.sample(6, np.random.default_rng(0))
    planner = PLANNERS["cem"]()
    planner.reset(seed=4)
    together = planner.act(observed(states)).actions
    for row in (5, 2):
        np.testing.assert_array_equal(planner.act(observed(states[row : row + 1])).actions[0], together[row])
    planner.reset(seed=5)
    assert (planner.act(observed(states)).actions != together).any()


def test_a_solver_that_has_no_time_falls_back_and_says_so():
    planner = MpcPlanner(CONTRACT, TASK, MpcSettings(iterations=1))
    chunk = planner.act(observed(TASK.sample(5, np.random.default_rng(0))))
    assert chunk.info["fallback"].all()
    assert np.isfinite(chunk.actions).all()


def test_a_warm_start_is_forgotten_on_reset():
    planner = PLANNERS["mpc"]()
    planner.act(observed(TASK.sample(2, np.random.default_rng(0))))
    assert set(planner._warm) == {0, 1}
    planner.reset(np.array([0]))
    assert set(planner._warm) == {1}
    planner.reset()
    assert not planner._warm


@pytest.mark.parametrize("name", ["traffic", "maze", "ship-safe", "ship-track", "arm"])
def test_models_and_formulas_are_the_same_in_casadi(name):
    system = get_system(f"stl:{name}")
    states = system.sample(3, np.random.default_rng(0))
    controls = np.random.default_rng(1).uniform(system.low, system.high, (3, system.horizon, len(system.controls)))
    formula = stl.parse(system.specification)
    symbols = casadi.SX.sym("x", states.shape[1] + controls[0].size)
    scalars = np.array([symbols[index] for index in range(symbols.shape[0])], dtype=object)
    trajectory = system.rollout(scalars[None, : states.shape[1]], scalars[states.shape[1] :].reshape(1, *controls[0].shape))
    symbolic = stl.robustness(formula, system.signals(trajectory[:, system.first :]), mode="logsumexp", temperature=0.1, end=system.end)[0]
    function = casadi.Function("robustness", [symbols], [symbolic])
    numeric = stl.robustness(
        formula, system.signals(system.rollout(states, controls)[:, system.first :]), mode="logsumexp", temperature=0.1, end=system.end
    )
    for row in range(3):
        assert float(function(np.concatenate([states[row], controls[row].ravel()]))) == pytest.approx(numeric[row], abs=1e-6)


def test_another_horizon_is_refused():
    with pytest.raises(ValueError, match="the model plans 10 steps, the contract has a horizon of 3"):
        CemPlanner(system_contract(TASK, 3), TASK)


@pytest.mark.parametrize("name", PLANNERS)
def test_plans_hold_their_controls_as_the_model_says(name):
    held = System(**{field: getattr(TASK, field) for field in System.__dataclass_fields__} | {"hold": 3})
    kinds = {"cem": CemPlanner, "gradient": GradientPlanner, "mpc": MpcPlanner}
    planner = kinds.get(name, MpcPlanner)(CONTRACT, held, *([] if name in kinds else [MpcSettings(constraints=False)]))
    states = TASK.sample(5, np.random.default_rng(0))
    for _ in range(2):
        chunk = planner.act(observed(states))
        np.testing.assert_array_equal(chunk.actions, np.repeat(chunk.actions[:, ::3], 3, axis=1)[:, :10])
        assert (chunk.info["robustness"] >= 0).mean() >= 0.6


def test_a_controller_travels_in_a_file(tmp_path):
    contract = system_contract(get_system("stl:ship-safe"))
    mpc_artifact(contract, {}, MpcSettings(budget=0.5)).save(tmp_path / "mpc.isthmus")
    policy = Artifact.load(tmp_path / "mpc.isthmus").policy()
    states = get_system("stl:ship-safe").sample(2, np.random.default_rng(0))
    assert policy.act(observed(states)).actions.shape == (2, contract.horizon, 2)


@pytest.mark.parametrize(
    ("task", "parameters", "sentence"),
    [
        ("reach", {}, "there is no installed model of task 'reach'; Known: dodge, navigate, stl"),
        ("stl:mase", {}, "unknown task 'stl:mase'; did you mean 'stl:maze'"),
        ("stl:maze", {"gain": 1}, "the model of 'stl:maze' has no parameters, got gain"),
        ("navigate", {"velocity": []}, "a response has the parameters velocity, travel, fastest, reach, got velocity"),
        (
            "navigate",
            {"velocity": [[1, 2]], "travel": [[1, 2, 3]], "fastest": [1], "reach": [1]},
            r"velocity must be \[1, 3\] finite numbers",
        ),
    ],
)
def test_models_that_do_not_exist_are_refused(task, parameters, sentence):
    with pytest.raises(ValueError, match=sentence):
        installed_model(task, parameters)


@pytest.mark.parametrize("name", ["temperature", "budget", "iterations"])
def test_solver_settings_out_of_range(name):
    with pytest.raises(ValueError, match=f"{name} must be > 0, got 0"):
        MpcSettings(**{name: 0})


@pytest.mark.parametrize("name", PLANNERS)
def test_what_a_planner_keeps_of_a_row_changes_only_when_it_is_asked_for_it(name):
    """Random numbers and warm starts are each row's own, so that it plans as it would alone."""
    together, alone = BRIEF[name](), BRIEF[name]()
    states = [TASK.sample(3, np.random.default_rng(seed)) for seed in (0, 1)]
    together.reset(seed=5)
    act_on(together, observed(states[0]), np.arange(3))
    plans = act_on(together, observed(states[1][[0, 2]]), np.array([0, 2])).actions
    again = act_on(together, observed(states[1][[1]]), np.array([1])).actions
    for row, plan in ((0, plans[0]), (1, again[0]), (2, plans[1])):
        alone.reset(seed=5 + row)
        for state in states:
            single = act_on(alone, observed(state[[row]]), np.array([0])).actions[0]
        np.testing.assert_array_equal(plan, single)
