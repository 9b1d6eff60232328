"""Rows of the fault table that a safety review added, 74 and on."""

from __future__ import annotations

import dataclasses

from isthmus_cli.faults import acts, review, words
from isthmus_cli.faults.rows import ALONE, ARMS, BOTH, PF, TW, VF, VT, Row
from isthmus_cli.faults.subject import Setting, arranged

__all__ = ["REVIEW_ROWS"]

EF = Setting("effort", "forward_effort", period=0.02, options=(("alone", True),))
FULL = Setting("position", "trajectory", full=True)
TO_WALL = tuple(dataclasses.replace(setting, full=True, policy="wall") for setting in (VT, VF))
JUMP = "position_offset:={middle}=1.0"

REVIEW_ROWS = (
    *(
        Row(
            "74",
            f"`emergency_stop` true, false {1000 * delay:g} ms later, {who} publisher",
            ("S",),
            review.pressed(delay, another=another),
            BOTH,
        )
        for delay in (0.0, 0.005, 0.02)
        for another, who in ((False, "same"), (True, "another"))
    ),
    Row("74", "`emergency_stop` true and false at once, plain QoS", ("S",), review.pressed(0.0, plain=True), BOTH),
    Row("75", "one button pressed, another released; reset, arm", ("R",), review.pressed_and_released, BOTH, timed=False),
    Row(
        "76",
        "policy restarted, guard armed; start",
        ("R", "moves at once"),
        review.restarted_policy,
        arranged(*BOTH, policy="anywhere"),
        fresh=True,
        timed=False,
    ),
    Row("77", "armed and idle: runaway at 1.5 rad/s", ("X",), review.idle("runaway:={middle}=1.5"), BOTH, timed=False),
    Row("77", "armed and idle: moved slowly, as by hand", ("disarmed",), review.idle("runaway:={middle}=0.1"), BOTH, timed=False),
    Row("77", "armed and idle: NaN in a position", ("S",), review.idle("nan_position:={told}"), BOTH, timed=False),
    Row("77", "armed and idle: stamps frozen", ("S",), review.idle("stamp_rate:=0"), BOTH, timed=False),
    Row("77", "armed and idle: a position jumps by 1 rad", ("S",), review.idle(JUMP), ARMS, timed=False),
    Row("78", "guard killed while it brakes for a stop", ("stop services",), review.braking_guard_killed, (VF,), fresh=True, timed=False),
    Row("79", "second sender on `guard/command`, at start", ("R",), review.another_sender_at_start, BOTH, timed=False),
    Row("79", "second sender on `guard/command`, in motion", ("S",), review.another_sender(), BOTH),
    Row("79", "one message with number 10⁹ from somebody else", ("S",), review.another_sender(once=10**9), BOTH),
    Row("80", "commands stamped 0.2 s ahead", ("H→S",), review.stamped_ahead, ALONE),
    Row("81", "odometry falls silent", ("H→S", "S"), acts.says("silent_odometry:=true"), (TW,)),
    Row("81", "twists of the odometry are NaN", ("H→S", "S"), acts.says("nan_odometry:=true"), (TW,)),
    Row("81", "odometry is stamped in 1970", ("H→S", "S"), acts.says("odometry_offset:=-1.7e9"), (TW,)),
    Row("82", "stop, cleanup, configure, activate, arm", ("R",), review.arms_after_cleanup, arranged(*BOTH), fresh=True, timed=False),
    Row(
        "83",
        "the speed scaling falls silent, in motion",
        ("S",),
        acts.says("silent_scaling:=true", seconds=2.6),
        ARMS,
        timed=False,
        needs="speed_scaling",
    ),
    Row(
        "83",
        "the speed scaling falls silent, at start",
        ("R",),
        acts.says_at_start("silent_scaling:=true", seconds=1.3),
        ARMS,
        timed=False,
        needs="speed_scaling",
    ),
    Row("84", "effort: states stop", ("X",), review.effort_without_states, (EF,), fresh=True, timed=False),
    Row("84", "effort: after a stop", ("holds",), review.effort_after_stop, (EF,), fresh=True, timed=False),
    Row("85", "full speed: stop 5 ms after a command", ("S",), review.stopped_after_command, (FULL,)),
    Row("85", "full speed: one command 34 ms late", ("N", "C"), review.late_once, arranged(FULL, alone=True), timed=False),
    Row("85", "full speed: guard frozen for 0.19 s", ("S",), acts.frozen("guard_node", 0.19), (FULL,), fresh=True, timed=False),
    Row("86", "states 30 ms late at full speed towards a limit", ("N", "C"), review.towards_limit(0.03), TO_WALL, timed=False),
    Row("86", "states 80 ms late at full speed towards a limit", ("S",), review.towards_limit(0.08), TO_WALL, timed=False),
    Row("87", "arm and gripper publish their own joint states", ("N",), review.another_driver, ARMS, timed=False),
    Row(
        "88",
        "contract that commands all joints but one",
        ("R",),
        words.not_brought_up,
        arranged(VT, policy="fewer"),
        fresh=True,
        timed=False,
    ),
    Row(
        "88",
        "contract that brakes a tenth as hard as the robot",
        ("R",),
        words.not_brought_up,
        arranged(VT, policy="weak"),
        fresh=True,
        timed=False,
    ),
    Row(
        "89",
        "driver dies in motion, comes back elsewhere",
        ("S, disarmed, no command",),
        review.driver_returns,
        (VT, PF, VF),
        fresh=True,
        timed=False,
    ),
    Row("90", "armed and idle, states stop for 10 s", ("silent",), review.silence, BOTH, timed=False),
    Row("91", "`rate_scale` 0.1 in a parameter file", ("counts",), review.slowed, arranged(*ARMS, rate_scale=review.SLOW), timed=False),
    Row(
        "92",
        "discovery on LOCALHOST, policy SIGKILL",
        ("H→S",),
        acts.killed("policy_node"),
        arranged(*ARMS, localhost=True),
        fresh=True,
    ),
)
