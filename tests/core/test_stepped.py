"""The guarded stream in stepped time: each state is answered once, and a stop is carried out though none comes any more."""

import dataclasses

import numpy as np
import pytest
from stream_bench import COUNT, PERIOD, ROBOT, TICK, Bench

from isthmus.guard import PASS, STOP
from isthmus.phases import Phase

MODES = ["velocity", "position"]


def stepped(mode="velocity"):
    bench = Bench(mode)
    bench.arm.realtime = False
    bench.stream = type(bench.stream)(
        bench.arm, bench.stream.guard, PERIOD, tick=TICK, last_resort=bench.helped.append, clock=lambda: bench.arm.now
    )
    return bench


def test_in_stepped_time_each_state_is_answered_once_by_the_command_that_was_made_for_it():
    bench = stepped()
    bench.stream.arm()
    assert bench.arm.sent == []
    for _ in range(5):
        bench.ask(np.full(COUNT, 0.5))
        bench.ask(np.full(COUNT, 0.6))
        bench.arm.pass_time(PERIOD)
        bench.stream.watch()
    assert [number for _, number, _ in bench.arm.sent] == [1, 3, 5, 7, 9]
    bench.ask(np.full(COUNT, 0.5))
    assert bench.stream.moving
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(bench.arm), "stamp", 0)  # a command for another state waits for it
        bench.ask(np.full(COUNT, 0.5))
    sent = len(bench.arm.sent)
    bench.stream.step()
    assert len(bench.arm.sent) == sent


def test_in_stepped_time_a_stop_brakes_state_by_state_and_ends_disarmed():
    bench = stepped()
    bench.stream.arm()
    for _ in range(5):
        bench.ask(np.full(COUNT, 0.5))
        bench.arm.pass_time(PERIOD)
    bench.stream.stop("told to")
    for _ in range(6):
        bench.stream.step()
        bench.arm.pass_time(PERIOD)
    assert bench.phase is Phase.STOPPED
    np.testing.assert_allclose(bench.arm.velocity, 0.0)


def test_in_stepped_time_a_sender_that_is_gone_is_given_up_and_a_motion_at_rest_may_be_disarmed():
    bench = stepped()
    bench.stream.arm()
    for _ in range(5):
        bench.ask(np.full(COUNT, 0.5))
        bench.arm.pass_time(PERIOD)
    bench.arm.now += 5.1
    bench.stream.watch()
    assert bench.stream.cause == "no command within 5 s"
    bench = stepped()
    bench.stream.arm()
    bench.ask(np.zeros(COUNT))
    bench.arm.pass_time(PERIOD)
    assert (bench.phase, bench.stream.moving) == (Phase.FOLLOWING, False)
    bench.stream.disarm()
    assert bench.phase is Phase.DISARMED


@pytest.mark.parametrize("mode", MODES)
def test_a_command_at_rest_is_at_rest_in_stepped_time_whatever_noise_says_of_the_robot(mode):
    """No other state comes before something is sent: whoever waited for a quiet one waited for ever."""
    bench = stepped(mode)
    bench.stream.arm()
    bench.ask(np.zeros(COUNT) if mode == "velocity" else bench.arm.position[0])
    bench.arm.pass_time(PERIOD)
    bench.arm.tell = lambda sample: dataclasses.replace(sample, velocity=sample.velocity + 0.03)
    assert not bench.stream.moving
    bench.arm.realtime = True
    assert bench.stream.moving


@pytest.mark.parametrize("mode", MODES)
def test_a_robot_whose_time_passes_by_itself_is_not_taken_for_a_stepped_one(mode):
    """On 2579444 an armed elbow moved 1.5 rad unseen, as nobody looks where time is stepped."""
    bench = stepped(mode)
    bench.stream.arm()
    bench.run(0.1)
    assert bench.stream.rung == STOP
    assert "the clock must be wall, not stepped" in bench.stream.cause
    bench = stepped(mode)
    bench.stream.arm()
    bench.arm.pass_time(PERIOD)  # it is put elsewhere
    bench.arm.pass_time(PERIOD)
    for _ in range(10):
        bench.stream.watch()
        bench.ask(np.zeros(COUNT) if mode == "velocity" else bench.arm.position[0])
        bench.arm.pass_time(PERIOD)
    assert bench.stream.rung == PASS


@pytest.mark.parametrize("sent_as", ["velocity", "velocity, as motions", "position"])
def test_a_stop_in_stepped_time_is_carried_out_though_no_state_comes_any_more(sent_as):
    """On 2ac73ae an arm whose time passed by itself went on for ever once its states had died, emergency stop or not.

    On e253566 one that rests by itself was moved again, from where its last motion had begun.
    """
    mode = sent_as.split(",")[0]
    bench = stepped(mode)
    if "motions" in sent_as:
        bench.arm.place = lambda joints, ago=0.0: bench.arm.position
    bench.stream.arm()
    for _ in range(5):
        bench.ask(np.full(COUNT, 0.5) if mode == "velocity" else bench.arm.position[0] + 0.02)
        bench.arm.pass_time(PERIOD)
    bench.ask(np.full(COUNT, 0.5) if mode == "velocity" else bench.arm.position[0] + 0.02)
    bench.arm.silent = True
    bench.stream.stop("told to")
    sent = len(bench.arm.sent)
    bench.run(0.9)
    assert (len(bench.arm.sent), bench.helped) == (sent, [])  # a simulation may take its time
    bench.run(0.5)
    assert bench.helped == ["no new state came within 1 s after a stop"]
    if sent_as == "velocity":  # which would go on by itself
        np.testing.assert_array_equal(bench.arm.values[-1], 0.0)
    else:
        assert len(bench.arm.sent) == sent
    assert bench.phase is Phase.STOPPED
    sent = len(bench.arm.sent)
    bench.run(1.0)
    assert len(bench.arm.sent) == sent


def test_an_effort_that_braked_blindly_in_stepped_time_has_faded_and_is_over():
    """On fcddd72 it went on for ever, and an arm that came back 0.3 rad elsewhere was given 46 N m at once."""
    bench = stepped("effort")
    bench.stream.arm()
    for _ in range(5):
        bench.ask(np.zeros(COUNT))
        bench.arm.pass_time(PERIOD)
    bench.arm.silent = True
    bench.stream.stop("told to")
    bench.run(1.9)
    assert bench.helped == ["no new state came within 1 s after a stop"]
    assert bench.phase is Phase.BRAKING
    bench.run(0.6)
    assert bench.phase is Phase.STOPPED
    np.testing.assert_array_equal(bench.arm.values[-1], 0.0)
    sent = len(bench.arm.sent)
    bench.arm.silent, bench.arm.position = False, bench.arm.position + 0.3
    bench.run(1.0)
    assert len(bench.arm.sent) == sent


def test_a_stop_in_stepped_time_of_a_robot_at_rest_needs_no_help():
    bench = stepped()
    bench.stream.arm()
    bench.arm.silent = True
    bench.stream.stop("told to")
    bench.run(1.2)
    assert (bench.phase, bench.helped) == (Phase.STOPPED, [])


def test_three_states_may_come_without_a_command_and_the_fourth_is_of_a_time_that_passes_by_itself():
    bench = stepped()
    bench.stream.arm()
    for _ in range(3):
        bench.arm.pass_time(PERIOD)
        bench.stream.watch()
        bench.stream.watch()
    assert (bench.phase, bench.stream.cause) == (Phase.IDLE, "")
    bench.arm.pass_time(PERIOD)
    bench.stream.watch()
    words = "states come though nothing was sent: this robot's time passes by itself, so the clock must be wall, not stepped"
    assert (bench.phase, bench.stream.cause) == (Phase.STOPPED, words)
    bench = stepped()
    bench.stream.arm()
    bench.ask(np.zeros(COUNT))
    for _ in range(3):
        bench.arm.pass_time(PERIOD)
        bench.stream.watch()
    assert bench.stream.rung == PASS
    bench.arm.pass_time(PERIOD)
    bench.stream.watch()
    assert bench.stream.rung == STOP


def test_a_simulation_that_takes_its_time_between_two_commands_needs_no_help():
    bench = stepped()
    bench.stream.arm()
    bench.ask(np.full(COUNT, 0.5))
    bench.arm.silent = True
    bench.run(4.9)
    assert (bench.phase, len(bench.arm.sent), bench.helped) == (Phase.FOLLOWING, 1, [])


@pytest.mark.parametrize(("waited", "helped"), [(1.0, 0), (1.0009765625, 1)])
def test_a_stop_without_a_new_state_waits_for_a_second_and_no_longer(waited, helped):
    bench = stepped()
    bench.arm.now = bench.arm.seen = 128.0
    bench.stream.arm()
    bench.ask(np.full(COUNT, 0.5))
    bench.stream.stop("told to")
    bench.arm.now += waited
    bench.stream.watch()
    assert len(bench.helped) == helped
    assert len(bench.arm.sent) == 1 + helped


def test_where_time_passes_by_itself_nothing_is_stepped():
    bench = Bench().armed().cruise()
    sent = len(bench.arm.sent)
    for _ in range(6):
        bench.arm.pass_time()
        bench.stream.step()
    assert (bench.phase, bench.stream.rung, len(bench.arm.sent)) == (Phase.FOLLOWING, PASS, sent)


def test_standstill_takes_two_states_in_a_row_at_rest():
    bench = stepped()
    bench.stream.arm()
    for _ in range(3):
        bench.ask(np.full(COUNT, 0.5))
        bench.arm.pass_time(PERIOD)
    bench.stream.stop("told to")
    sent = len(bench.arm.sent)
    for _ in range(6):
        bench.stream.step()
        bench.arm.pass_time(PERIOD)
    assert bench.phase is Phase.STOPPED
    np.testing.assert_array_equal(bench.arm.values[sent:], np.zeros((3, COUNT)))  # the first is answered while it still moves


def test_the_first_state_of_all_is_answered_at_the_time_0():
    bench = stepped()
    bench.stream.arm()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(bench.arm), "stamp", 0)
        bench.ask(np.full(COUNT, 0.1))
    assert len(bench.arm.sent) == 1


@pytest.mark.parametrize("speed", [0.0, 0.5])
def test_an_arm_that_is_commanded_an_effort_moves_if_it_moves(speed):
    bench = stepped("effort")
    bench.stream.arm()
    bench.arm.said[1][:] = speed
    bench.ask(np.full(COUNT, 1.0))
    assert bench.stream.moving == (speed > 0)


def test_a_robot_of_which_nothing_is_known_is_not_braked_for_ever():
    bench = stepped("position")
    bench.arm.tell = lambda sample: dataclasses.replace(sample, position=np.full_like(sample.position, np.nan))
    bench.stream.arm()
    bench.ask(bench.arm.position[0])
    assert bench.phase is Phase.STOPPED
    assert "is unknown and nothing was executed since arming" in bench.stream.cause


def test_in_stepped_time_each_arming_begins_where_the_robot_is_and_not_where_it_was_told_to_be():
    """Between two episodes a simulated robot is put elsewhere; a real one only sags from its set-point."""
    bench = stepped("position")
    bench.stream.arm()
    home = bench.arm.position[0].copy()
    bench.ask(home)
    bench.arm.pass_time(PERIOD)
    bench.stream.disarm()
    bench.arm.position = home[None] - 0.01
    bench.arm.pass_time(PERIOD)
    bench.stream.arm()
    bench.ask(home + 1.0, epoch="00000002")
    reach = np.array(ROBOT.limits().acceleration) * PERIOD**2
    np.testing.assert_allclose(bench.arm.values[-1], home - 0.01 + reach)
