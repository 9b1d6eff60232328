"""The analytic systems: one step by hand, what their samplers promise, and numpy and torch alike."""

import numpy as np
import pytest

from isthmus_controllers import stl
from isthmus_sim.systems import get_system, system_contract, system_names
from isthmus_sim.systems.arm import HIGH, LOW, tip
from isthmus_sim.systems.rover import OBSTACLES

NAMES = system_names()


def drawn(name, count=2000, seed=0):
    system = get_system(name)
    return system, system.sample(count, np.random.default_rng(seed))


@pytest.mark.parametrize("name", NAMES)
def test_the_specification_speaks_about_the_systems_signals_and_fits_its_plans(name):
    system, states = drawn(name, 20)
    formula, safety = stl.parse(system.specification), stl.parse(system.safety)
    controls = np.random.default_rng(1).uniform(system.low, system.high, (20, system.horizon, len(system.controls)))
    trajectory = system.rollout(states, controls)
    assert trajectory.shape == (20, system.horizon + 1, len(system.states))
    signals = system.signals(trajectory[:, system.first :])
    assert formula.signals | safety.signals <= set(signals)
    whole = stl.robustness(formula, signals, end=system.end)
    assert (stl.robustness(safety, signals, end=system.end)[whole >= 0] >= 0).all()  # what is satisfied is safe
    if system.end == "strict":
        assert formula.horizon == system.horizon - system.first


@pytest.mark.parametrize("name", NAMES)
def test_torch_steps_like_numpy(name):
    torch = pytest.importorskip("torch")
    system, states = drawn(name, 50)
    controls = np.random.default_rng(2).uniform(system.low, system.high, (50, system.horizon, len(system.controls)))
    tensors = torch.from_numpy(states), torch.from_numpy(controls).requires_grad_()
    trajectory = system.rollout(*tensors)
    np.testing.assert_allclose(trajectory.detach().numpy(), system.rollout(states, controls), atol=1e-12)
    np.testing.assert_allclose(system.encode(tensors[0]).numpy(), system.encode(states))
    formula = stl.parse(system.specification)
    robustness = stl.robustness(formula, system.signals(trajectory[:, system.first :]), mode="logsumexp", temperature=0.1, end=system.end)
    robustness.sum().backward()
    assert torch.isfinite(tensors[1].grad).all()
    assert (tensors[1].grad != 0).any()


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_draw_equal_states(name):
    system, states = drawn(name, 30)
    np.testing.assert_array_equal(states, system.sample(30, np.random.default_rng(0)))
    assert states.shape == (30, len(system.states))
    assert np.isfinite(states).all()


def test_a_step_of_traffic_by_hand():
    system = get_system("stl:traffic")
    before = np.array(
        [
            [-5.0, 3.0, 0.0, 0.7, 4.0, 2.0, 1.0],  # before a stop sign, behind a leader
            [-0.5, 0.0, 0.0, 0.7, -1.0, 0.0, 0.0],  # in the zone of the sign
            [0.1, 1.0, 0.0, 0.7, -1.0, 0.0, 0.0],  # beyond it
            [-5.0, 9.9, 1.0, 7.95, -1.0, 0.0, 0.0],  # before a light
        ]
    )
    after = system.step(before, np.array([[2.0], [-10.0], [0.0], [10.0]]))
    expected = [
        [-4.7, 3.2, 0.0, 0.7, 3.9, 2.0, 1.0],
        [-0.5, -0.01, 0.0, 0.8, -1.0, 0.0, 0.0],
        [0.2, 1.0, 0.0, 0.0, -1.0, 0.0, 0.0],
        [-4.01, 10.0, 1.0, 0.05, -1.0, 0.0, 0.0],
    ]
    np.testing.assert_allclose(after, expected, atol=1e-12)


def test_traffic_can_still_brake():
    _, states = drawn("stl:traffic", 10_000)
    x, speed, light, timer, gap, leader, taken = states.T
    approaching = x < -1
    assert (speed[approaching] ** 2 <= 20 * (-x - 1)[approaching] + 1e-9).all()
    assert ((gap == -1) | (gap >= 1)).all()
    led = gap >= 0
    assert (leader[led] ** 2 + 1e-9 >= (20 * (1 - gap) + speed**2)[led]).all()
    assert 0.45 < light.mean() < 0.55
    assert set(np.unique(taken)) == {0.0, 1.0}
    assert timer.max() < 8


def test_a_step_of_the_maze_by_hand():
    system = get_system("stl:maze")
    before = np.array([[4.8, 3.0, -1.0, 1.0, 2.0, -1.0, 2.0, 2.5, 0.5]])
    np.testing.assert_allclose(system.step(before, np.array([[-10.0]])), [[4.9, 1.0, -0.8, 1.0, 2.0, -1.0, 2.0, 2.5, 0.5]])


def test_maze_draws_walls_with_gaps_and_coins_within_them():
    _, states = drawn("stl:maze", 10_000)
    for left, length, coin in (states[:, 3:6].T, states[:, 6:9].T):
        right = left + length
        assert ((left == 0) | (left >= 0.1)).all()
        assert (right <= 5 + 1e-9).all()
        assert ((length >= 2) & (length <= 4)).all()
        placed = coin > 0
        margin = np.where(coin < left, np.minimum(coin, left - coin), np.minimum(coin - right, 5 - coin))
        assert (margin[placed] >= 0.4 - 1e-9).all()
    x, y = states[:, 0], states[:, 2]
    assert ((x >= 0) & (x <= 5)).all()
    assert not ((y >= -0.5) & (y <= 0) & (x > states[:, 3]) & (x < states[:, 3] + states[:, 4])).any()


def test_a_step_of_the_ship_by_hand():
    system, h = get_system("stl:ship-track"), 0.075
    before = np.array([[1.0, 0.5, 0.2, 4.0, 0.1, 0.3, 6.0, 0.0, 1.0, 0.9]])
    state = before[0, :6]
    for _ in range(2):
        x, y, psi, u, v, r = state
        state = np.array(
            [
                x + (u * np.cos(psi) - v * np.sin(psi)) * h,
                y + (u * np.sin(psi) + v * np.cos(psi)) * h,
                np.clip(psi + r * h, -0.5, 0.5),
                np.clip(u + 0.5 * h, 3, 5),
                np.clip(v + 0.01 * -3 * h, -0.3, 0.3),
                np.clip(r + 0.5 * -3 * h, -0.5, 0.5),
            ]
        )
    after = system.step(before, np.array([[0.5, -3.0]]))[0]
    np.testing.assert_allclose(after, [*state, 6.0, 0.0, 1.0, 0.9 - 2 * h], atol=1e-12)
    on_track = system.step(np.array([[1.0, 0.1, 0.0, 4.0, 0.0, 0.0, 6.0, 0.0, 1.0, 0.9]]), np.zeros((1, 2)))
    assert on_track[0, -1] == pytest.approx(0.9)


def test_ships_begin_clear_of_obstacles():
    _, safe = drawn("stl:ship-safe", 10_000)
    assert (np.hypot(safe[:, 6], safe[:, 7] - safe[:, 1]) > 2.5).all()
    assert (safe[:, 9] == safe[:, 6] + 7.5).all()
    _, track = drawn("stl:ship-track", 10_000)
    assert (np.hypot(track[:, 6], track[:, 1]) >= track[:, 8]).all()
    assert ((track[:, 9] / 0.15).round(6) % 1 == 0).all()


def test_a_ship_sees_places_relative_to_itself():
    system, states = drawn("stl:ship-safe", 10)
    moved = states.copy()
    moved[:, [0, 6, 9]] += 3.0
    np.testing.assert_allclose(system.encode(moved), system.encode(states), atol=1e-12)


def test_a_step_of_the_rover_by_hand():
    system = get_system("stl:rover")
    before = np.array([[5.0, 2.0, 1.0, 9.0, 5.5, 2.0, 3.0, 0.4], [1.0, 5.0, 1.0, 9.0, 5.5, 2.0, 3.0, 0.6]])
    after = system.step(before, np.array([[0.0, 0.0], [0.5, np.pi / 2]]))
    expected = [[5.0, 2.0, 1.0, 9.0, 5.5, 2.0, 5.0, 0.2], [1.0, 6.0, 1.0, 9.0, 5.5, 2.0, 2.8, 0.6]]
    np.testing.assert_allclose(after, expected, atol=1e-12)


def test_a_rover_that_jumps_through_an_obstacle_crosses_it():
    system = get_system("stl:rover")
    through = np.array([[[2.0, 5.0], [8.0, 5.0], [8.0, 5.0]]])  # past the middle box, whose corners are 4.25 and 5.75
    beside = np.array([[[2.0, 6.5], [8.0, 6.5], [8.0, 6.5]]])
    for place, crossed in ((through, True), (beside, False)):
        trajectory = np.concatenate([place, np.zeros((1, 3, 6))], 2)
        signals = system.signals(trajectory)
        assert (signals["crossing3"][0, 0] >= 0) == crossed
        assert (signals["inside3"][0] < 0).all()
        assert signals["crossing3"][0, -1] == -1


def test_rovers_begin_outside_of_obstacles():
    _, states = drawn("stl:rover", 10_000)
    for index in (0, 2, 4):
        x, y = states[:, index], states[:, index + 1]
        assert ((x >= -0.01) & (x <= 10.01) & (y >= -0.01) & (y <= 10.01)).all()
        for left, right, bottom, top in OBSTACLES:
            assert not ((x > left) & (x < right) & (y > bottom) & (y < top)).any()


def test_the_arms_flange_is_where_the_urdf_says():
    """Digest of arXiv 2309.05131: at q = 0 the flange is at (0.088, 0, 0.926)."""
    np.testing.assert_allclose([float(value[0]) for value in tip(np.zeros((1, 7)))], [0.088, 0, 0.926], atol=1e-12)
    turned = tip(np.array([[np.pi / 2, 0, 0, 0, 0, 0, 0]]))
    np.testing.assert_allclose([float(value[0]) for value in turned], [0, 0.088, 0.926], atol=1e-12)


def test_arms_begin_within_their_limits_and_clear_of_the_sphere():
    _, states = drawn("stl:arm", 10_000)
    assert ((states[:, :7] >= LOW) & (states[:, :7] <= HIGH)).all()
    assert (np.linalg.norm(np.stack(tip(states[:, :7]), 1) - [0.3, 0.3, 0.5], axis=1) > 0.2 - 1e-9).all()
    assert (np.linalg.norm(states[:, 7:] - [0.3, 0.3, 0.5], axis=1) > 0.2).all()


def test_the_contract_names_what_the_system_has():
    contract = system_contract(get_system("stl:rover"))
    assert (contract.task, contract.horizon, contract.control_period) == ("stl:rover", 10, 0.2)
    assert contract.signal("state").elements == get_system("stl:rover").states
    assert contract.action.elements == ("speed", "heading")
    assert "in a scale of their own" in contract.no_robot
    with pytest.raises(ValueError, match=r"unknown task 'stl:mase'; did you mean 'stl:maze'"):
        get_system("stl:mase")
