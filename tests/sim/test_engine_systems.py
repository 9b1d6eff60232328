"""Models of engine tasks: what they were fitted to, they predict; numpy and torch alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mujoco")

import isthmus_sim
from isthmus_cli.engine_models import ENGINE_MODELS, engine_model
from isthmus_controllers import stl
from isthmus_sim.systems.response import Response, fit_response, measured_response
from isthmus_sim.tasks import get_task


@pytest.fixture(scope="module")
def models():
    return {name: engine_model(name, "mujoco", 0) for name in ENGINE_MODELS}


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_a_linear_response_is_found_exactly(seed):
    draw = np.random.default_rng(seed)
    truth = Response(draw.uniform(-1, 1, (2, 3)) / 2, draw.uniform(-1, 1, (2, 3)), np.array([1.0, 2.0]), np.array([0.3, 0.5]))
    start, before, asked = draw.normal(size=(4, 2)), draw.uniform(-1, 1, (4, 2)), draw.uniform(-3, 3, (4, 30, 2))
    executed, velocity, travel = truth.follow(start, before, asked)
    commands = np.concatenate([before[:, None], executed], 1)
    assert (np.abs(executed) <= truth.fastest).all()
    assert (np.abs(np.diff(commands, axis=1)) <= truth.reach + 1e-12).all()
    recorded = [np.moveaxis(values, 1, 0) for values in (np.concatenate([start[:, None], velocity], 1), commands, travel)]
    recorded[0][10, 2] = np.nan  # a row that was reset
    found = fit_response(*recorded, truth.fastest, truth.reach)
    np.testing.assert_allclose(found.velocity, truth.velocity, atol=1e-6)
    np.testing.assert_allclose(found.travel, truth.travel, atol=1e-6)


def test_what_did_not_move_has_no_response():
    still = np.zeros((5, 3, 1))
    with pytest.raises(ValueError, match="axis 0 was moved too little to fit its response: 12 control periods"):
        fit_response(still, still, still[1:], np.ones(1), np.ones(1))


def test_positions_have_no_response():
    with pytest.raises(ValueError, match="a response is fitted to velocity and twist commands, task 'reach-position' has position"):
        measured_response(get_task("reach-position"))


@pytest.mark.parametrize("plant", ["mujoco", "pybullet"])
@pytest.mark.parametrize(("name", "worst"), [("navigate", 0.05), ("dodge", 0.04)])  # m, after 3 s and after 2 s
def test_the_model_predicts_the_engine(name, worst, plant, models):
    model, contract = models[name], get_task(name).contract
    env = isthmus_sim.make_vec(name, 8, plant)
    observation, _ = env.reset(seed=7)
    draw = np.random.default_rng(1)
    steps = 30 if name == "navigate" else model.horizon
    controls = np.repeat(draw.uniform(model.low, model.high, (8, steps // 5, len(model.low))), 5, axis=1) * 0.7
    start, seen, over = flat(contract, observation), [], np.zeros(8, dtype=bool)
    for step in range(steps):
        observation, _, terminated, truncated, _ = env.step(controls[:, step])
        over |= terminated | truncated
        seen.append(np.where(over[:, None], np.nan, flat(contract, observation)))
    env.close()
    assert over.sum() <= 2
    error = dict(zip(model.states, np.moveaxis(model.rollout(start, controls)[:, 1:] - np.stack(seen, 1), 2, 0), strict=True))
    frame = "base_link" if name == "navigate" else "tool0"
    assert np.nanmax(np.hypot(error[f"{frame}.x"], error[f"{frame}.y"])) < worst
    exact = [part for part in error if part.startswith(("goal", "obstacles", "ball", "time", "previous_action"))]
    assert len(exact) > 8
    assert max(np.nanmax(np.abs(error[part])) for part in exact) < 1e-6


def flat(contract, observation):
    return np.concatenate([observation[signal.name][:, -1] for signal in contract.observation], 1).astype(np.float64)


@pytest.mark.parametrize("name", ["navigate", "dodge"])
def test_states_are_free_and_drawn_alike(name, models):
    model = models[name]
    states = model.sample(500, np.random.default_rng(3))
    np.testing.assert_array_equal(states, model.sample(500, np.random.default_rng(3)))
    assert (model.signals(states[:, None])["gap"] > 0.02).all()
    if name == "navigate":
        np.testing.assert_allclose(states[:, 2] ** 2 + states[:, 3] ** 2, 1)
        still = stl.robustness(stl.parse(model.safety), model.signals(model.rollout(states, np.zeros((500, model.horizon, 2)))))
        assert (still >= 0).mean() > 0.99  # whoever brakes at once touches nothing


@pytest.mark.parametrize("name", ["navigate", "dodge"])
def test_torch_plans_like_numpy(name, models):
    torch = pytest.importorskip("torch")
    model = models[name]
    states = model.sample(20, np.random.default_rng(0))
    choices = np.random.default_rng(1).uniform(model.low, model.high, (20, model.horizon // model.hold, len(model.low)))
    controls = np.repeat(choices, model.hold, axis=1)
    tensors = torch.from_numpy(states), torch.from_numpy(controls).requires_grad_()
    trajectory = model.rollout(*tensors)
    np.testing.assert_allclose(trajectory.detach().numpy(), model.rollout(states, controls), atol=1e-12)
    np.testing.assert_allclose(model.step(states, controls[:, 0]), model.rollout(states, controls)[:, 1])
    np.testing.assert_allclose(model.encode(tensors[0]).numpy(), model.encode(states), atol=1e-12)
    robustness = stl.robustness(stl.parse(model.specification), model.signals(trajectory), mode="logsumexp", temperature=0.1)
    robustness.sum().backward()
    assert torch.isfinite(tensors[1].grad).all()
    assert (tensors[1].grad != 0).any()
