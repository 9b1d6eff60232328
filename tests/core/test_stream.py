"""The guarded stream in simulated time: following, missing commands, braking, and who may command."""

import numpy as np
import pytest
from stream_bench import COUNT, ELBOW, EPOCH, JOINTS, PERIOD, ROBOT, TICK, Bench

from isthmus.guard import CLAMP, HOLD, PASS, STOP
from isthmus.phases import Phase
from isthmus.records import Command
from isthmus.senders import Asked

MODES = ["velocity", "position"]
STOPPING = np.array(ROBOT.limits().stop_acceleration)


def test_before_arming_nothing_is_sent_and_commands_are_counted():
    bench = Bench().run(1.0, lambda t: np.ones(COUNT))
    assert bench.arm.sent == []
    assert bench.stream.gate.counts["unarmed"] == 20


@pytest.mark.parametrize("mode", MODES)
def test_an_armed_guard_sends_the_robots_rest_until_a_command_comes(mode):
    bench = Bench(mode).armed().run(0.5)
    assert len(bench.arm.sent) >= 9
    rest = np.zeros(COUNT) if mode == "velocity" else ROBOT.home
    np.testing.assert_allclose(bench.arm.values, np.tile(rest, (len(bench.arm.sent), 1)))
    np.testing.assert_allclose(np.diff(bench.arm.moments), PERIOD)
    assert bench.arm.braked


def test_the_effort_of_an_idle_robot_follows_it():
    bench = Bench("effort").armed().run(0.5)
    bench.arm.position = bench.arm.position + 0.01
    bench.run(0.1)
    assert (bench.arm.values[-1] != bench.arm.values[-4]).any()


def test_every_command_is_sent_once_under_its_number():
    bench = Bench().armed().cruise()
    numbers = [number for _, number, _ in bench.arm.sent if number >= 0]
    assert numbers == list(range(1, 21))
    assert (bench.phase, bench.stream.rung) == (Phase.FOLLOWING, PASS)
    assert (bench.arm.epoch, bench.arm.braked) == (EPOCH, False)


def test_the_first_command_in_place_of_a_missing_one_is_one_of_braking():
    bench = Bench("position").armed().cruise()
    sent = len(bench.arm.sent)
    bench.run(0.09)
    assert (len(bench.arm.sent), bench.arm.braked) == (sent + 1, True)


@pytest.mark.parametrize("mode", MODES)
def test_silence_in_motion_holds_then_stops_within_the_limits_and_ends_disarmed(mode):
    bench = Bench(mode).armed().cruise()
    bench.run(2.0)
    assert bench.phase is Phase.STOPPED
    assert "no command came within 0.085 s" in bench.stream.cause
    assert [phase for phase in bench.changes if phase is not Phase.IDLE] == [
        Phase.FOLLOWING,
        Phase.HOLDING,
        Phase.BRAKING,
        Phase.STOPPED,
    ]
    speed = bench.arm.values if mode == "velocity" else np.diff(bench.arm.values, axis=0) / PERIOD
    assert (np.abs(np.diff(speed, axis=0)) <= STOPPING * PERIOD + 1e-9).all()
    np.testing.assert_allclose(speed[-1], 0.0, atol=1e-9)
    sent = len(bench.arm.sent)
    bench.run(1.0)
    assert len(bench.arm.sent) == sent


def test_a_hold_becomes_a_stop_after_half_a_second_however_often_bad_commands_come():
    bench = Bench().armed().cruise()
    began = bench.arm.now
    while bench.stream.rung < STOP:
        for _ in range(16):  # a bad command every 80 ms
            bench.run(TICK)
        bench.ask(np.full(COUNT, np.nan))
        assert bench.arm.now < began + 1.0
    assert bench.arm.now - began == pytest.approx(0.6, abs=0.11)


def test_five_good_commands_clear_a_hold():
    bench = Bench().armed().cruise()
    bench.run(0.15)
    assert bench.phase is Phase.HOLDING
    bench.cruise(seconds=0.4)
    assert (bench.phase, bench.stream.rung) == (Phase.FOLLOWING, PASS)


def test_silence_at_rest_ends_the_motion_and_keeps_the_guard_armed():
    bench = Bench().armed().cruise(seconds=0.5)
    bench.run(0.5, lambda t: np.zeros(COUNT)).run(1.0)
    assert (bench.phase, bench.stream.moving, bench.stream.rung) == (Phase.IDLE, False, PASS)


@pytest.mark.parametrize("wait", [1, 4, 7])
def test_a_stop_brakes_at_the_next_look_and_no_harder_than_its_share_of_the_period(wait):
    bench = Bench().armed().cruise()
    bench.run(wait * TICK)
    last, _, before = bench.arm.sent[-1]
    bench.stream.stop("told to")
    bench.run(TICK)
    moment, _, values = bench.arm.sent[-1]
    assert moment == bench.arm.now > last
    np.testing.assert_allclose(before - values, np.minimum(STOPPING * min(moment - last, PERIOD), 0.5), atol=1e-9)


def test_an_urgent_stop_in_position_mode_does_not_leap_to_where_a_whole_period_would_lead():
    bench = Bench("position").armed().cruise()
    bench.run(TICK)
    bench.stream.stop("told to")
    sent = len(bench.arm.sent) - 1
    bench.run(0.5)
    moments, values = bench.arm.moments[sent:], bench.arm.values[sent:]
    speed = np.diff(values, axis=0) / np.diff(moments)[:, None]
    assert np.abs(speed).max() <= 0.5 + 1e-6


def test_a_guard_that_did_not_run_stops_in_motion_and_counts_what_is_shorter():
    bench = Bench().armed().cruise()
    bench.arm.pass_time(0.04)
    bench.stream.watch()
    assert bench.stream.late_looks == 1
    bench.cruise(seconds=0.3)
    assert bench.stream.rung < HOLD
    bench.arm.pass_time(0.19)
    bench.stream.watch()
    assert "the guard itself did not run for 0.19 s" in bench.stream.cause
    assert bench.phase is Phase.BRAKING


def test_a_policy_that_was_restarted_moves_nothing_without_a_fresh_arm():
    bench = Bench().armed().cruise(seconds=4.15)
    bench.run(0.5, lambda t: np.zeros(COUNT)).run(0.5)
    assert bench.phase is Phase.IDLE
    bench.number = -1
    bench.run(6.0, lambda t: np.full(COUNT, 0.5), epoch="ffffffff")
    np.testing.assert_allclose(bench.arm.velocity, 0.0)
    assert bench.phase is Phase.STOPPED
    assert "a second sender (ffffffff)" in bench.stream.cause


def test_arming_an_armed_guard_renews_it_for_a_new_sender_at_once():
    bench = Bench().armed().cruise()
    bench.run(0.5, lambda t: np.zeros(COUNT)).run(0.5)
    bench.armed()
    bench.number = -1
    bench.run(0.2, lambda t: np.full(COUNT, 0.5), epoch="ffffffff")
    assert bench.stream.gate.epoch == "ffffffff"
    assert bench.arm.velocity.min() > 0.4


def test_no_command_leaves_a_guard_whose_state_is_unarmed():
    bench = Bench().armed().cruise()
    bench.stream.state = bench.stream.guard.disarm(bench.stream.state)
    sent = len(bench.arm.sent)
    bench.run(0.05, lambda t: np.full(COUNT, 0.5)).run(0.5)
    assert len(bench.arm.sent) == sent


def test_a_robot_that_is_sent_whole_motions_is_judged_by_where_it_is_told_to_be():
    bench = Bench()
    bench.arm.place = lambda joints, ago=0.0: bench.arm.position - bench.arm.velocity * ago
    bench.armed().cruise()
    assert (bench.phase, bench.stream.rung) == (Phase.FOLLOWING, PASS)
    bench.arm.place = lambda joints, ago=0.0: bench.arm.position + 1.0  # told to be where it is not
    bench.run(0.1, lambda t: np.full(COUNT, 0.5))
    assert bench.stream.rung == STOP


def together(bench, *speeds, epochs=None):
    """Commands of one speed each that are read at once."""
    commands = []
    for speed, epoch in zip(speeds, epochs or [EPOCH] * len(speeds), strict=True):
        bench.number += 1
        commands.append(Asked(epoch, bench.number, bench.arm.stamp, 0.0, Command("velocity", JOINTS, np.full((1, COUNT), speed))))
    bench.stream.accept(*commands)


@pytest.mark.parametrize("late", [False, True])
def test_of_commands_that_are_read_at_once_the_newest_is_carried_out(late):
    bench = Bench().armed().cruise()
    bench.arm.pass_time(0.03 if late else PERIOD)
    before = len(bench.arm.sent)
    together(bench, 0.5, -0.1, 0.3, 0.49)
    bench.run(3 * TICK)
    assert bench.stream.gate.counts["overtaken"] == 3
    assert bench.stream.rung < HOLD
    np.testing.assert_allclose([values for _, _, values in bench.arm.sent[before:]], np.full((1, COUNT), 0.49))


@pytest.mark.parametrize("late", [False, True])
def test_old_and_repeated_numbers_that_are_read_with_a_new_one_do_not_hide_it(late):
    bench = Bench().armed().cruise()
    newest = bench.number + 1
    for order in ([newest, newest - 3, newest], [newest + 1, newest - 5], [newest - 1, newest + 2, newest + 2]):
        bench.run(PERIOD - 0.03)
        bench.arm.pass_time(0.03) if late else bench.run(0.03)
        before = len(bench.arm.sent)
        commands = [Asked(EPOCH, number, bench.arm.stamp, 0.0, Command("velocity", JOINTS, np.full((1, COUNT), 0.48))) for number in order]
        bench.stream.accept(*commands)
        bench.run(2 * TICK)
        assert max(number for _, number, _ in bench.arm.sent[before:]) == max(order)
    assert bench.stream.rung < HOLD


@pytest.mark.parametrize("epochs", [[EPOCH, "ffffffff"], ["ffffffff", EPOCH], [EPOCH, "ffffffff", EPOCH]])
@pytest.mark.parametrize("late", [False, True])
def test_a_second_sender_is_noticed_whoever_is_read_at_once_with_it(epochs, late):
    """On 2579444 the later message replaced the earlier one before it was read, once in three times over DDS."""
    bench = Bench().armed().cruise()
    bench.arm.pass_time(0.03 if late else TICK)
    together(bench, *[0.5] * len(epochs), epochs=epochs)
    bench.run(3 * TICK)
    assert "a second sender (ffffffff)" in bench.stream.cause
    assert bench.phase is Phase.BRAKING


@pytest.mark.parametrize("rung", ["", "stopped"])
def test_commands_to_a_stopped_guard_are_counted_as_such(rung):
    bench = Bench().armed().cruise()
    if rung:
        bench.stream.stop("told to")
    bench.ask(np.full(COUNT, 0.5))
    assert bench.stream.gate.counts["stopped"] == bool(rung)


def test_a_robot_that_is_told_to_stand_is_moved_all_the_same_until_nobody_tells_it_any_more():
    bench = Bench().armed().cruise(0.0, 0.5)
    assert bench.stream.moving
    bench.stream.disarm()
    assert bench.phase is Phase.FOLLOWING
    bench.run(0.1)
    assert (bench.phase, bench.stream.moving) == (Phase.IDLE, False)


def test_a_velocity_that_is_judged_again_becomes_the_decision():
    """Towards a limit, with the next command late."""
    bench = Bench()
    bench.arm.position[0, ELBOW] = ROBOT.limits().position_high[ELBOW] - 0.2
    bench.run(0.05).armed()
    asked, again = np.zeros(COUNT), 0
    asked[ELBOW] = 0.5
    for tick in range(100):
        if tick % 10 == 0:
            bench.ask(asked)
        sent = len(bench.arm.sent)
        bench.run(TICK)
        again += len(bench.arm.sent) > sent
        np.testing.assert_array_equal(bench.stream.decision.command.values[0], bench.arm.values[-1])
        if len(bench.arm.sent) > sent:
            assert bench.stream.rung == CLAMP
            assert bench.stream.decision.rung.dtype == np.int8
    assert again > 5
    assert bench.arm.position[0, ELBOW] <= ROBOT.limits().position_high[ELBOW] + 1e-9


def test_a_second_sender_in_motion_stops():
    bench = Bench().armed().cruise()
    bench.ask(np.full(COUNT, -0.5), epoch="ffffffff")
    assert bench.phase is Phase.BRAKING


def test_only_old_numbers_hold_with_that_cause():
    bench = Bench().armed().cruise()
    bench.run(0.2, lambda t: np.full(COUNT, 0.5), sequence=1)
    assert bench.stream.rung == HOLD
    assert "what came is out of sequence" in bench.stream.cause


def test_commands_stamped_ahead_hold_then_stop():
    bench = Bench().armed().cruise()
    bench.run(1.0, lambda t: np.full(COUNT, 0.5), age=-3600.0)
    assert bench.stream.rung == STOP
    assert "what came is stamped ahead" in bench.stream.cause


def test_a_stop_while_disarmed_is_latched_until_a_reset():
    bench = Bench()
    bench.stream.stop("emergency_stop is true")
    assert bench.phase is Phase.STOPPED
    bench.stream.arm()
    assert (bench.phase, bench.arm.sent) == (Phase.STOPPED, [])
    bench.stream.reset()
    bench.armed()


def test_effort_holds_after_a_stop_until_a_person_resets_it():
    bench = Bench("effort").armed().run(0.3)
    bench.stream.stop("told to")
    bench.run(3.0)
    assert (bench.phase, bench.helped) == (Phase.HELD, [])
    sent = len(bench.arm.sent)
    bench.stream.disarm()
    bench.run(0.5)
    assert (bench.phase, bench.stream.moving) == (Phase.HELD, True)
    assert len(bench.arm.sent) > sent + 8
    bench.stream.reset()
    assert bench.phase is Phase.DISARMED


@pytest.mark.parametrize("mode", MODES)
def test_a_hold_that_is_asked_for_brakes_without_waiting_for_the_next_command_to_be_missed(mode):
    bench = Bench(mode).armed().cruise()
    bench.stream.hold("guard/hold was called")
    assert (bench.phase, bench.stream.cause, bench.arm.braked) == (Phase.HOLDING, "guard/hold was called", False)
    began, sent = bench.arm.now, len(bench.arm.sent)
    bench.run(PERIOD)
    assert mode == "velocity" or len(bench.arm.sent) == sent  # the next command has its time
    bench.run(0.03)
    assert len(bench.arm.sent) > sent
    assert bench.arm.braked
    assert bench.arm.moments[-1] - began <= PERIOD + 0.015
    speed = bench.arm.values[-1] if mode == "velocity" else (bench.arm.values[-1] - bench.arm.values[-2]) / PERIOD
    assert speed.max() < 0.4


def test_a_hold_of_an_idle_guard_ends_when_it_is_disarmed():
    bench = Bench().armed()
    bench.stream.hold("guard/hold was called")
    bench.stream.disarm()
    assert (bench.phase, bench.stream.rung, bench.stream.cause) == (Phase.DISARMED, PASS, "")


@pytest.mark.parametrize(("wait", "told"), [(0, ""), (0.03, "; what came is not a command")])
def test_what_came_in_place_of_a_command_is_told_if_it_still_came_when_one_was_missed(wait, told):
    bench = Bench().armed().cruise()
    bench.run(wait)
    bench.stream.ignore("not a command")
    bench.run(0.11 - wait)
    assert (bench.phase, bench.stream.cause) == (Phase.HOLDING, f"no command came within 0.085 s{told}")


def test_silence_that_follows_good_commands_has_no_other_cause():
    bench = Bench().armed().cruise()
    bench.stream.ignore("not a command")
    bench.run(PERIOD).cruise(seconds=0.2)
    bench.run(0.08)
    bench.stream.gate.reason = "old"
    bench.run(0.02)
    assert bench.stream.cause == "no command came within 0.085 s"


def test_a_message_that_is_no_command_keeps_nobody_waiting_after_a_motion():
    bench = Bench().armed().cruise(0.0, 0.2)
    bench.stream.ignore("not a command")
    assert bench.stream.streaming
    bench.run(0.2)
    assert not bench.stream.streaming


def test_a_message_that_is_no_command_is_counted_and_keeps_the_guard_from_being_armed():
    bench = Bench()
    bench.stream.ignore("not a command")
    assert bench.stream.gate.counts["not a command"] == 1
    assert bench.stream.streaming
    bench.run(0.95)
    assert bench.stream.streaming
    bench.run(0.1)
    assert not bench.stream.streaming


@pytest.mark.parametrize("rate", [0.8, 2, 8, 20])
def test_a_sender_that_was_there_before_arming_moves_nothing(rate):
    """Arming, then a start that asks for motion: in this order, however slowly somebody sends. On 04e0de3 senders below 12 Hz moved the arm."""
    bench = Bench()
    refusals = 0
    for round_ in range(4):
        bench.ask(np.full(COUNT, 0.3))
        bench.run(0.5 / rate)
        refusals += bench.stream.streaming
        if round_ == 1:
            bench.armed()
        bench.run(0.5 / rate)
    assert refusals >= 2
    np.testing.assert_array_equal(bench.arm.velocity, 0.0)
    assert bench.stream.gate.counts["begun before arming"] == 2
    bench.run(1.0, lambda t: np.full(COUNT, 0.3), epoch="ffffffff")
    assert bench.arm.velocity.min() > 0.2


def test_a_motion_that_was_under_way_needs_no_second_of_silence_to_be_armed_for_again():
    """Episodes follow each other: only what comes while nothing is armed keeps the guard from being armed for a second."""
    bench = Bench().armed().cruise()
    bench.run(0.3, lambda t: np.zeros(COUNT)).run(0.1)
    assert not bench.stream.streaming


def test_who_is_armed_for_is_said_at_once():
    bench = Bench().armed().cruise()
    bench.run(0.3, lambda t: np.zeros(COUNT)).run(0.3)
    said = len(bench.changes)
    bench.armed()
    assert len(bench.changes) == said + 1


def test_after_a_late_look_states_are_let_in_before_commands_are_judged():
    bench = Bench().armed().cruise()
    bench.arm.silent = True
    bench.arm.pass_time(0.1)
    bench.ask(np.full(COUNT, 0.5))  # the executor brings the command first, with the last state 0.1 s old
    assert bench.stream.rung < HOLD
    bench.arm.silent = False
    bench.run(0.05)
    assert (bench.phase, bench.stream.sequence) == (Phase.FOLLOWING, bench.number)


def test_a_position_that_is_unknown_when_armed_is_no_place_to_hold():
    bench = Bench("position")
    bench.arm.said[0][:] = np.nan
    bench.stream.arm()
    assert bench.phase is Phase.STOPPED
    assert "is unknown and nothing was executed since arming" in bench.stream.cause
    assert bench.arm.sent == []


@pytest.mark.parametrize("phase", [Phase.FOLLOWING, Phase.BRAKING])
def test_motion_is_neither_armed_nor_disarmed_nor_reset(phase):
    bench = Bench().armed().cruise()
    if phase is Phase.BRAKING:
        bench.stream.stop("told to")
    for ask in (bench.stream.arm, bench.stream.disarm, bench.stream.reset):
        ask()
        assert bench.phase is phase


@pytest.mark.parametrize("mode", MODES)
def test_turns_tell_who_means_to_begin_whether_somebody_has_been_here(mode):
    bench = Bench(mode)
    assert bench.stream.turns == 0
    bench.stream.stop("told to")
    bench.stream.stop("told again")
    assert bench.stream.turns == 1
    bench.stream.reset()
    bench.stream.disarm()
    assert bench.stream.turns == 3
    bench.armed().run(0.2)
    assert bench.stream.turns == 4
    bench.stream.stop("told to")
    bench.run(1.0)
    assert bench.stream.turns == 5


def test_a_guard_that_slept_lets_what_waits_come_in_before_it_judges_and_does_so_once():
    for again, phase in ((False, Phase.IDLE), (True, Phase.STOPPED)):
        bench = Bench().armed().run(0.5)
        bench.arm.silent = True
        for sleep in range(1 + again):
            for _ in range(20):
                bench.arm.pass_time()
            bench.stream.watch()
            assert bench.phase is (phase if sleep else Phase.IDLE)
        bench.arm.silent = False
        bench.arm.pass_time()
        bench.stream.watch()
        assert bench.phase is phase


def test_a_new_stream_has_accepted_nothing_and_has_nothing_to_tell():
    bench = Bench()
    bench.stream.reset()
    assert (bench.stream.sequence, bench.stream.decision, bench.changes) == (-1, None, [])


@pytest.mark.parametrize("mode", ["velocity", "position", "effort"])
def test_who_is_armed_again_rests_and_has_accepted_nothing(mode):
    rest = np.zeros(COUNT) if mode == "velocity" else ROBOT.home
    bench = Bench(mode).armed().run(0.5, lambda t: np.full(COUNT, 0.1) if mode == "velocity" else rest)
    bench.run(0.5, lambda t: rest).run(0.5)
    bench.stream.stop("told to")
    bench.run(1.0)
    bench.stream.reset()
    bench.armed()
    assert bench.stream.sequence == -1


def test_a_velocity_that_is_armed_again_is_none():
    bench = Bench().armed().cruise().run(0.5, lambda t: np.zeros(COUNT)).run(0.5)
    bench.stream.disarm()
    bench.armed().run(0.5)
    np.testing.assert_array_equal(bench.arm.values[-1], 0.0)
    assert bench.stream.sequence == -1


def test_whoever_is_told_of_a_phase_reads_the_rung_that_belongs_to_it():
    """On f4b068e a reset was told twice, first as disarmed and stopped."""
    bench, told = Bench().armed().cruise(), []
    bench.stream._on_change = lambda: told.append((bench.phase, bench.stream.rung, bench.stream.cause))
    bench.stream.stop("told to")
    bench.run(1.0)
    bench.stream.reset()
    bench.stream.arm()
    assert told == [
        (Phase.BRAKING, STOP, "told to"),
        (Phase.STOPPED, STOP, "told to"),
        (Phase.DISARMED, PASS, ""),
        (Phase.IDLE, PASS, ""),
    ]


def test_a_reset_while_the_robot_is_braked_changes_nothing():
    bench = Bench().armed().cruise()
    bench.stream.stop("told to")
    bench.run(TICK)
    bench.stream.reset()
    assert (bench.phase, bench.stream.rung, bench.stream.cause) == (Phase.BRAKING, STOP, "told to")


@pytest.mark.parametrize(("waited", "share"), [(0.5, 0.5), (0.94, 0.94), (0.98, 1.0), (1.0, 1.0)])
def test_a_command_that_nearly_keeps_its_time_may_do_what_a_whole_period_allows(waited, share):
    bench = Bench().armed()
    bench.ask(np.zeros(COUNT))
    while bench.arm.now + TICK < 100.0 + waited * PERIOD:
        bench.arm.pass_time()
        bench.stream.watch()
    bench.arm.pass_time(100.0 + waited * PERIOD - bench.arm.now)
    bench.ask(np.full(COUNT, 3.0))
    np.testing.assert_allclose(bench.arm.values[-1], share * PERIOD * np.array(ROBOT.limits().acceleration), rtol=1e-6)


def test_the_first_command_of_an_idle_robot_does_not_come_too_soon():
    bench = Bench().armed().run(0.01)
    bench.ask(np.full(COUNT, 3.0))
    np.testing.assert_allclose(bench.arm.values[-1], PERIOD * np.array(ROBOT.limits().acceleration), rtol=1e-6)


def test_what_forbids_to_rest_is_not_passed_because_nothing_was_asked_for():
    bench = Bench()
    bench.arm.said[0][0, ELBOW] = np.nan
    bench.stream.arm()
    assert (bench.stream.rung, bench.stream.cause) == (HOLD, "no command; joint position of elbow_joint is not finite")


def test_looks_that_come_late_are_counted_one_by_one():
    bench = Bench().armed()
    for _ in range(3):
        bench.arm.pass_time(0.04)
        bench.stream.watch()
        bench.run(0.02)
    assert bench.stream.late_looks == 3
