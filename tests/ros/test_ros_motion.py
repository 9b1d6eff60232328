"""The motion of a policy that asks a guard, transition by transition, without ROS; issue 14, lines 2 and 6 on the policy's side."""

import threading

import numpy as np
import pytest

pytest.importorskip("rclpy")

from guarded_plant import PERIOD, ROBOT, GuardedPlant, Owner, Still, still_contract

from isthmus.guard import HOLD, STOP
from isthmus.records import ActionChunk
from isthmus_ros.policy.exploration import Exploration
from isthmus_ros.policy.motion import Motion
from isthmus_ros.policy.ramp import PEAK_SPEED
from isthmus_ros.policy.transitions import IDLE, PARK, RAMP, RUN, STOPPING, TRANSITIONS, WITH_PARKING
from isthmus_sim.tasks import get_task

REACH, SPEED = get_task("reach").contract, 0.3
HOME = {joint.name: joint.home for joint in ROBOT.joints}


class Hanging:
    """Wants a constant speed; decision `when` waits for `released`."""

    def __init__(self, when=-1, contract=REACH):
        self.contract, self.when, self.decisions, self.hangs = contract, when, 0, threading.Event()
        self.released = threading.Event()

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        self.decisions += 1
        if self.decisions == self.when:
            self.hangs.set()
            assert self.released.wait(20)
            return ActionChunk(np.full((1, 1, 6), -1.0))
        return ActionChunk(np.full((1, 1, 6), SPEED))


def begun(policy, decisions=4, plant=None, **options):
    owner = Owner(plant or GuardedPlant(), policy, **options)
    owner.motion.start(None)
    owner.wait(lambda: policy.decisions > decisions)
    return owner


def test_a_motion_is_stopped_by_asking_for_rest_and_the_guard_stays_armed():
    owner = begun(Hanging())
    owner.motion.stop()
    owner.wait(lambda: not owner.motion.moving)
    np.testing.assert_array_equal(owner.plant.asked[-1].values, 0.0)
    assert (owner.motion.state, owner.motion.failure, owner.motion.stopped, owner.plant.guard.armed) == (IDLE, "", -1, True)
    owner.motion.start(None)  # once more
    owner.wait(lambda: len(owner.plant.asked) > 30)
    assert owner.motion.starts == 2
    owner.motion.stop()
    owner.wait(lambda: not owner.motion.moving)


def test_the_guards_stop_ends_a_motion_and_nothing_more_is_asked():
    owner = begun(Hanging())
    owner.plant.halt("guard/stop was called")
    asked = len(owner.plant.asked)
    owner.wait(lambda: not owner.motion.moving)
    assert len(owner.plant.asked) <= asked + 1
    assert owner.motion.stopped >= 0
    assert owner.motion.step.decision.cause == ("guard/stop was called",)


def test_a_guard_that_disarms_leaves_nothing_to_wait_for_though_the_robot_is_on_its_way():
    """On 0188891 the policy stayed in `stopping` for ever beside a robot whose last sample was in motion."""
    owner = begun(Hanging())
    owner.plant.fault("frozen")
    owner.plant.guard.armed = False
    owner.wait(lambda: not owner.motion.moving)


def test_a_motion_whose_thread_hangs_ends_once_the_guard_has_stopped_the_robot_and_what_comes_late_is_not_asked():
    policy = Hanging(when=5)
    owner = begun(policy, 4)
    policy.hangs.wait(10)
    owner.motion.look()
    assert owner.motion.moving, "the robot still moves"
    owner.plant.halt("no command came within 0.085 s")
    owner.wait(lambda: not owner.motion.moving)
    assert owner.motion.hung
    asked = len(owner.plant.asked)
    policy.released.set()
    owner.wait(lambda: not owner.motion.hung)
    assert len(owner.plant.asked) == asked
    assert owner.motion.state == IDLE


def test_a_hanging_policy_that_is_stopped_at_rest_ends_without_a_stop_of_the_guard():
    policy = Hanging(when=5)
    owner = begun(policy, 4)
    policy.hangs.wait(10)
    owner.plant.halt("")
    owner.plant.guard.rung = 0
    owner.motion.look()
    assert owner.motion.moving, "nobody has stopped it"
    owner.motion.stop()
    owner.wait(lambda: not owner.motion.moving)
    policy.released.set()


@pytest.mark.parametrize("reason", ["out of sequence", "unarmed", "stamped ahead"])
def test_a_motion_begins_in_time_or_not_at_all(reason):
    """Line 2: on 0188891 it began 4.3 s after policy/start, or half an hour."""
    plant = GuardedPlant()
    plant.guard.drops = reason
    plant.guard.dropped = {"old": 7}
    owner = Owner(plant, Hanging())
    owner.motion.start(None)
    owner.wait(lambda: not owner.motion.moving)
    plant.guard.drops = ""
    asked = len(plant.asked)
    assert owner.motion.failure == (f"the guard has executed nothing within 0.150 s of policy/start: commands were dropped ({reason})")
    assert not plant.written
    assert asked <= 4
    assert not owner.silent, "the guard lives"


def test_a_first_decision_that_takes_too_long_is_not_asked_for():
    policy = Hanging(when=1)
    owner = Owner(GuardedPlant(), policy)
    owner.motion.start(None)
    policy.hangs.wait(10)
    owner.wait(lambda: owner.drive.hanging)
    threading.Event().wait(0.2)
    policy.released.set()
    owner.wait(lambda: not owner.motion.moving)
    assert not owner.plant.asked
    assert "has executed nothing within 0.150 s of policy/start" in owner.motion.failure


def test_a_motion_that_rests_while_its_policy_hangs_does_not_go_on_much_later():
    policy = Hanging(when=5)
    policy.released.wait = lambda seconds: threading.Event().wait(1.3) or True
    owner = begun(policy, 4)
    owner.wait(lambda: not owner.motion.moving)
    assert "has executed nothing within 1.085 s of its last answer" in owner.motion.failure
    assert min(command.values.min() for command in owner.plant.asked) >= 0.0  # the late decision was negative


def test_a_silent_guard_is_given_up_after_three_commands():
    owner = begun(Hanging())
    owner.plant.guard.alive = False
    asked = len(owner.plant.asked)
    owner.wait(lambda: not owner.motion.moving)
    assert len(owner.plant.asked) <= asked + 4
    assert [cause.startswith("the guard left 3 commands in a row without an answer") for cause in owner.silent] == [True]
    assert owner.motion.failure == owner.silent[0] == owner.plant.stopped


def test_a_guard_that_speaks_but_leaves_three_commands_unanswered_ends_the_motion_and_no_more():
    """It was called silent, and the stop services were called, although it had been heard 0.00 s ago."""
    owner = begun(Hanging())
    guard = owner.plant.guard
    guard.cause, guard.drops = "no command came", "surplus"
    asked = len(owner.plant.asked)
    owner.wait(lambda: not owner.motion.moving)
    assert not owner.silent
    assert "commands in a row without an answer: no command came; commands were dropped (surplus)" in owner.motion.failure
    assert 3 <= len(owner.plant.asked) - asked <= 6


def test_answers_that_come_a_period_late_are_answers():
    """Each was missed for as long as the next command was sent before it came; on a busy computer three in a row often were."""
    owner = begun(Hanging())
    plant, asked = owner.plant, len(owner.plant.asked)
    ask, late = plant.guard.ask, []

    def answer(sequence, command):
        late.append((sequence, command))
        return ask(*late.pop(0)) if len(late) > 2 else None

    plant.guard.ask = answer
    owner.wait(lambda: len(plant.asked) > asked + 12)
    assert owner.motion.state == RUN
    assert not owner.silent
    owner.motion.end("the test is over")


def test_what_may_not_be_asked_is_withheld_and_the_motion_goes_on():
    owner = begun(Hanging())
    owner.drive.sight = lambda measurement: "the camera is blind"
    owner.wait(lambda: owner.drive.decision.rung[0] == HOLD)
    assert "the camera is blind" in owner.drive.decision.cause[0]
    owner.drive.sight = lambda measurement: ""
    asked = len(owner.plant.asked)
    owner.wait(lambda: len(owner.plant.asked) > asked + 2)
    assert owner.motion.state == RUN
    owner.motion.end("the test is over")


def test_a_policy_that_fails_is_withheld_in_passing_time_and_ends_the_motion_in_stepped_time():
    class Failing(Hanging):
        def act(self, observation):
            chunk = super().act(observation)
            if self.decisions > 5:
                raise ArithmeticError("too hard")
            return chunk

    owner = begun(Failing())
    owner.wait(lambda: "policy failed: ArithmeticError: too hard" in owner.drive.decision.cause[0])
    assert owner.motion.state == RUN
    owner.motion.end("the test is over")
    owner = Owner(GuardedPlant(realtime=False), Failing())
    owner.motion.start(None)
    owner.wait(lambda: not owner.motion.moving)
    assert owner.motion.failure == "ArithmeticError: too hard"
    np.testing.assert_array_equal(owner.plant.asked[-1].values, 0.0)


@pytest.mark.parametrize("realtime", [True, False])
def test_a_failure_while_braking_ends_the_motion(realtime):
    owner = begun(Hanging(), plant=GuardedPlant(realtime=realtime))
    owner.plant.broken = True
    owner.wait(lambda: not owner.motion.moving)
    assert "the publisher is gone" in owner.motion.failure
    assert "braking failed" in owner.plant.stopped
    assert not owner.motion.hung


def test_callbacks_that_raise_disturb_nothing_and_are_logged_once():
    def gone(*_):
        raise RuntimeError("the disk is full")

    log = []
    owner = begun(Hanging(), on_change=gone, on_tick=gone, on_end=gone, log=log.append)
    owner.motion.stop()
    owner.wait(lambda: not owner.motion.moving)
    np.testing.assert_array_equal(owner.plant.asked[-1].values, 0.0)
    assert log == ["a callback of the motion raised RuntimeError: the disk is full"]


def test_ramp_in_position_mode_stays_slow_after_a_hold():
    contract = still_contract({name: (place, 0.02) for name, place in HOME.items()})
    plant = GuardedPlant("position", realtime=False)
    plant.reset(state={"position": (ROBOT.home + 0.45)[None]})
    owner = Owner(plant, Still(contract), longest=3)
    write = plant.write

    def held(command):
        write(command)
        if len(plant.asked) == 25:
            owner.drive.hold("a test")

    plant.write = held
    owner.motion.start(HOME)
    owner.wait(lambda: not owner.motion.moving)
    speed = np.abs(np.diff([command.values[0] for command in plant.asked], axis=0)) / PERIOD
    assert not owner.motion.failure
    assert len(speed) > 60
    assert 0.1 < speed.max() <= PEAK_SPEED + 1e-9


def test_the_previous_action_is_what_the_guard_has_sent_in_this_run():
    seen = []

    class Looking(Still):
        def act(self, observation):
            seen.append(observation["previous_action"][0, -1])
            return super().act(observation)

    plant = GuardedPlant("position", realtime=False)
    owner = Owner(plant, Looking(still_contract()), longest=3)
    for _ in range(2):
        owner.motion.start(None)
        owner.wait(lambda: not owner.motion.moving)
    assert len(seen) == 6
    np.testing.assert_array_equal(seen[3], seen[0])  # nothing, though the run before has executed something
    np.testing.assert_allclose(seen[1], plant.asked[0].values[0], atol=1e-6)


class Driven:
    """Each way through the table, with the states that a motion went through."""

    def __init__(self, kind, realtime=False, away=0.0, **options):
        contract = still_contract({name: (place, 0.02) for name, place in HOME.items()})
        self.plant = GuardedPlant("position", realtime=realtime)
        self.plant.reset(state={"position": (ROBOT.home + away)[None]})
        self.policy = Still(contract)
        self.states = [IDLE]
        self.owner = Owner(self.plant, self.policy, kind, on_change=self.note, **options)
        self.motion = self.owner.motion
        self.at = {}

    def note(self):
        if self.motion.state != self.states[-1]:
            self.states.append(self.motion.state)
            self.at.get(self.motion.state, lambda: None)()

    def run(self, goal=None, **at):
        self.at = at
        write = self.plant.write

        def asked(command):
            write(command)
            self.at.pop("asked", lambda: None)()

        self.plant.write = asked
        self.states[1:] = [RAMP if goal else RUN]  # entered before the thread starts
        self.motion.start(goal)
        self.owner.wait(lambda: not self.motion.moving)
        return set(zip(self.states[:-1], self.states[1:], strict=True))


def hang(driven):
    """Let time stand still: the plant gives no next sample."""

    def advance():
        raise TimeoutError("no next joint state within 5 s")

    driven.plant.advance = advance


def test_every_transition_of_the_table_happens_and_no_other():
    seen = set()
    driven = Driven(Motion, away=0.1, longest=3)
    seen |= driven.run(HOME)
    assert driven.states == [IDLE, RAMP, RUN, STOPPING, IDLE]
    driven = Driven(Motion, longest=3)
    seen |= driven.run()
    assert driven.states == [IDLE, RUN, STOPPING, IDLE]
    driven = Driven(Motion, away=0.1)
    seen |= driven.run(HOME, asked=driven.motion.stop)
    assert driven.states == [IDLE, RAMP, STOPPING, IDLE]
    for goal, away in ((HOME, 0.1), (None, 0.0)):
        driven = Driven(Motion, away=away)
        hang(driven)
        seen |= driven.run(goal)
        assert driven.states[1:] == [RAMP if goal else RUN, IDLE]
        assert driven.motion.failure == "no next joint state within 5 s"
    assert seen == set(TRANSITIONS)


def test_every_transition_of_an_exploration_happens_and_no_other():
    seen = set(TRANSITIONS)
    driven = Driven(Exploration, longest=3)
    seen |= driven.run()
    assert driven.states == [IDLE, RUN, PARK, STOPPING, IDLE]
    assert driven.motion.outcome == "parked"
    assert driven.motion.over
    driven = Driven(Exploration, longest=3)
    seen |= driven.run(park=lambda: hang(driven))
    assert driven.states == [IDLE, RUN, PARK, IDLE]
    assert driven.motion.outcome == "interrupted"
    driven = Driven(Exploration, longest=300)
    driven.run(asked=driven.motion.stop)
    assert driven.motion.outcome == "interrupted"
    assert not driven.motion.over
    assert seen == set(WITH_PARKING)


def test_a_motion_that_is_stopped_for_a_reason_brakes_and_says_it():
    driven = Driven(Motion, longest=300)
    driven.run(asked=lambda: driven.motion.stop("nobody watches"))
    assert driven.states == [IDLE, RUN, STOPPING, IDLE]
    assert driven.motion.failure == "nobody watches"
    assert driven.motion.stopped >= 0
    driven.run(asked=driven.motion.stop)
    assert (driven.motion.failure, driven.motion.stopped) == ("", -1)


def test_a_transition_that_is_not_in_the_table_is_a_fault_of_the_program():
    driven = Driven(Motion)
    with pytest.raises(RuntimeError, match="a motion does not go from idle to stopping"):
        driven.motion._change(STOPPING)


def test_stop_of_the_guard_during_the_ramp_ends_it():
    driven = Driven(Motion, away=0.3)
    states = driven.run(HOME, asked=lambda: driven.plant.halt("guard/stop was called"))
    assert (RAMP, STOPPING) in states
    assert driven.motion.step.decision.rung[0] == STOP
