"""The information reward: against closed forms, against the traps of finite differences, and what its objectives want."""

from dataclasses import replace

import numpy as np
import pytest

from isthmus.signals import Signal
from isthmus_sim.identification.information import expected_sd, sensitivity, value
from isthmus_sim.identification.information_env import InformationVectorEnv
from isthmus_sim.identification.information_outputs import MeasurementNoise
from isthmus_sim.identification.information_task import find_unknown
from isthmus_sim.identification.problem import Unknown
from isthmus_sim.scene import Body, Hinge, Scene, Shape
from isthmus_sim.tasks import get_task

PERIOD, SUBSTEP = 0.05, 0.005
UNIT = MeasurementNoise(1.0, 1.0, 1.0, 1.0)
MASS, FRICTION, SLOPE = 0.5, 1.0, np.sqrt(0.5)
SLUG = (Unknown("slug.frictionloss", 0.5, 2.0), Unknown("slug.mass", 0.3, 1.0))


def sliding_mass(steps=20):
    """A mass on a slope beside a pendulum that nobody moves; gravity is 10 m/s²."""
    slug = Body(
        "slug", (Shape("box", (0.05, 0.05, 0.05)),), mass=MASS, joint=Hinge((SLOPE, 0.0, -SLOPE), kind="slide", frictionloss=FRICTION)
    )
    task = get_task("pendulum")
    seen = (*task.contract.observation, Signal("slug", "pose", ("x", "z"), "m", (-np.inf,) * 2, (np.inf,) * 2))
    return replace(
        task,
        contract=replace(task.contract, observation=seen),
        episode_steps=steps,
        success_steps=1,
        scene=Scene((slug,)),
    )


def explored(env, steps, action=0.0, seed=0):
    env.reset(seed=seed)
    rewards, told = [], []
    for _ in range(steps):
        _, reward, _, _, info = env.step(np.full((env.num_envs, 1), action))
        rewards.append(reward)
        told.append(info["information"])
    return np.array(rewards), np.array(told)


def test_information_of_a_sliding_mass_is_that_of_the_closed_form():
    env = InformationVectorEnv(sliding_mass(), SLUG, 2, step=1e-4, noise=UNIT, cap=np.inf, autoreset=False)
    _, told = explored(env, 20)
    friction, mass = env._compared.values.T
    n = np.arange(10, 201, 10)
    fallen = SUBSTEP**2 * n * (n + 1) / 2  # m per m/s²: a semi-implicit Euler step at a time
    # x = (g sin 45° − f / m) · fallen, along a slope whose x and z are measured with a noise of 1 m each
    slopes = np.stack([-1.5 / mass[:, None] * fallen, 0.7 * (friction / mass**2)[:, None] * fallen], axis=1)
    expected = np.cumsum(np.einsum("bph,bqh->hbpq", slopes, slopes), axis=0)
    assert told[-1] == pytest.approx(expected[-1], rel=2e-4)
    assert told[9] == pytest.approx(expected[9], rel=2e-4)
    env.close()


def pendulum(**how):
    task = replace(get_task("pendulum"), episode_steps=40)
    unknown = find_unknown(task, [], {"hinge.damping": (0.0, 0.4), "gravity": (8.0, 12.0)})
    return InformationVectorEnv(task, unknown, 3, step=1e-4, noise=UNIT, cap=np.inf, autoreset=False, **how)


def one_period(q, v, damping, gravity, effort, moved):
    """A uniform rod of 1 kg and 1 m, upright at 0: state, and derivatives `[B, 2, n]` of it, after one period."""
    dq, dv, along_damping, along_gravity = moved
    for _ in range(10):
        whole = 1 / 3 + SUBSTEP * damping
        acceleration = (effort + 0.5 * gravity * np.sin(q) - damping * v) / whole
        turning = 0.5 * gravity * np.cos(q)
        change = turning[:, None] * dq + 0.5 * np.sin(q)[:, None] * along_gravity - damping[:, None] * dv
        change -= (v + SUBSTEP * acceleration)[:, None] * along_damping
        dv = dv + SUBSTEP * change / whole[:, None]
        dq = dq + SUBSTEP * dv
        v = v + SUBSTEP * acceleration
        q = q + SUBSTEP * v
    return q, v, np.stack([dq, dv], axis=1)


@pytest.mark.parametrize("every", [1, None])
def test_information_of_a_pendulum_is_that_of_its_derivatives(every):
    """Of one step each, summed, and of the whole rollout, whose sensitivities follow S' = A S + G."""
    env = pendulum(every=every)
    env.reset(seed=3)
    q, v = (getattr(env._compared.truth(), name)[:, 0] for name in ("position", "velocity"))
    damping, gravity = env._compared.values.T
    expected, whole = np.zeros((3, 2, 2)), np.zeros((3, 2, 2))
    nothing, width = np.zeros((3, 4)), np.array([0.4, 4.0])
    for _ in range(12):
        info = env.step(np.full((3, 1), 1.0))[-1]
        moved = [nothing.copy() for _ in range(4)]
        for number in range(4):  # by state: A, and by parameter: G
            moved[number][:, number] = 1.0
        q, v, slopes = one_period(q, v, damping, gravity, 1.0, moved)
        steps = slopes[..., 2:] * width
        whole = np.einsum("bij,bjp->bip", slopes[..., :2], whole) + steps
        taken = steps if every else whole
        expected += np.einsum("bkp,bkq->bpq", taken, taken)
    assert info["information"] == pytest.approx(expected, rel=2e-4)
    assert env.doubtful == 0.0
    env.close()


def test_rewards_add_up_to_the_objective_and_begin_anew_with_each_episode():
    for objective in ("a", "d", "t"):
        env = InformationVectorEnv(sliding_mass(5), SLUG, 2, objective=objective)
        rewards, told = explored(env, 7)
        gained = value(objective, told[4]) - value(objective, np.zeros((2, 2)))
        assert rewards[:5].sum(0) == pytest.approx(gained)
        assert (np.trace(told[5], axis1=1, axis2=2) < np.trace(told[4], axis1=1, axis2=2)).all()
        assert env.hidden[:, :2].min() >= 0
        assert env.hidden[:, -1] == pytest.approx(0.4)
        env.close()


@pytest.mark.parametrize("every", [None, 1, 3])
@pytest.mark.parametrize("bounds", [{"puck.friction": (0.05, 0.3)}, {"action_delay": (0.01, 0.04), "elbow_joint.damping": (0.0, 2.0)}])
def test_a_difference_of_nothing_is_exactly_nothing(every, bounds):
    """With commands that are under way when copies are put back, too."""
    task = replace(get_task("slide"), episode_steps=8)
    env = InformationVectorEnv(task, find_unknown(task, [], bounds), 2, step=0.0, every=every, autoreset=False)
    env.reset(seed=1)
    for number in range(8):
        env.step(np.full((2, 6), 0.5 if number % 2 else 0.1))
        assert np.array_equal(env._compared.differences, np.zeros_like(env._compared.differences))
    assert env.doubtful == 0.0
    env.close()


def test_a_jump_on_one_side_is_no_information():
    smooth = np.array([[[0.02, 0.0]], [[-0.02, 0.0]]])
    room = np.full((1,), 0.02)
    plain, doubtful = sensitivity(smooth[0], smooth[1], room, room)
    assert plain == pytest.approx(np.array([[1.0, 0.0]]))
    assert not doubtful.any()
    jumped = smooth.copy()
    jumped[0, 0, 1] = 5.0  # contact begins a little above the parameter
    found, doubtful = sensitivity(jumped[0], jumped[1], room, room)
    assert found == pytest.approx(plain)
    assert doubtful.all()


def test_at_the_end_of_a_range_one_side_is_divided_by_what_it_really_moved():
    found, doubtful = sensitivity(np.array([[0.0]]), np.array([[-0.01]]), np.array([0.0]), np.array([0.01]))
    assert found == pytest.approx(np.array([[1.0]]))
    assert not doubtful.any()


def test_an_explosion_and_a_cap():
    found, _ = sensitivity(np.array([[np.nan, 50.0]]), np.array([[np.inf, -50.0]]), np.array([0.01]), np.array([0.01]), 1e3)
    assert found == pytest.approx(np.array([[0.0, 1e3]]))


def test_of_two_parameters_the_loud_one_contents_t_alone():
    """Effort is split between two parameters, one of which answers ten times as loudly: where each objective puts it."""
    shares = np.linspace(0.0, 1.0, 201)
    designs = np.stack([np.diag([1e6 * share, 1e2 * (1 - share)]) for share in shares])
    best = {objective: designs[int(value(objective, designs).argmax())] for objective in ("a", "d", "t")}
    error = {objective: float((expected_sd(design) ** 2).sum()) for objective, design in best.items()}
    assert max(error["a"], error["d"]) < 0.5 * error["t"]
    assert error["a"] <= error["d"]


def test_the_errors_of_500_fits_have_the_covariance_that_the_information_promises():
    """Of x' = a x + b u + w, whose states are seen: I⁻¹ is the covariance of least squares."""
    generator, noise, steps, fits = np.random.default_rng(0), 0.1, 300, 500
    a, b = 0.7, 0.5
    commands = np.sin(np.arange(steps) / 3)
    found, information = [], np.zeros((2, 2))
    for _ in range(fits):
        x, seen = 0.0, np.zeros((steps + 1, 1))
        for number in range(steps):
            x = a * x + b * commands[number] + noise * generator.standard_normal()
            seen[number + 1] = x
        before, after = seen[:-1, 0], seen[1:, 0]
        above = 0.01 * np.stack([before, commands]) / noise  # more of a, and of b, in multiples of the noise
        slopes, doubtful = sensitivity(above, -above, np.full(2, 0.01), np.full(2, 0.01))
        assert not doubtful.any()
        information += slopes @ slopes.T / fits
        found.append(np.linalg.lstsq(np.stack([before, commands], axis=1), after, rcond=None)[0])
    covariance = np.cov(np.array(found), rowvar=False)
    promised = np.linalg.inv(information)
    assert np.diag(covariance) == pytest.approx(np.diag(promised), rel=0.15)
    assert covariance[0, 1] == pytest.approx(promised[0, 1], rel=0.3)


def test_what_is_unknown_is_refused_in_one_sentence():
    slide = get_task("slide")
    for task, names, bounds, words in (
        (get_task("reach"), [], None, "task 'reach' names nothing that a robot cannot know about it"),
        (slide, ["puck.fricton"], None, "unknown parameter 'puck.fricton' of task 'slide'.*puck.friction"),
        (get_task("rod"), ["rod.friction"], None, "task 'rod' gives 'rod.friction' no range, only rod.com_y, rod.mass"),
        (slide, [], {"puck.mass": (0.1, 500.0)}, "prior of 'puck.mass' must lie in 0.001 … 100 kg, got 0.1 … 500"),
        (slide, [], {"pose_noise": (0.0, 0.1)}, "cannot express parameter 'pose_noise'"),
        (get_task("reach-effort"), [], {"elbow_joint.gain": (0.5, 2.0)}, "cannot express parameter 'elbow_joint.gain'"),
        (
            slide,
            [],
            {"lane.x": (-0.1, 0.1)},
            "unknown 'lane.x' is of a body that ur5e cannot move: contacts of task 'slide' are puck – table",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            find_unknown(task, names, bounds)
    with pytest.raises(ValueError, match="unknown objective 'e'"):
        value("e", np.eye(1))
    assert [one.name for one in find_unknown(slide, [])] == ["puck.friction", "puck.mass"]
