"""The state machine of a guarded motion, line by line."""

import pytest

from isthmus.phases import ARMED, TRANSITIONS, Event, Phase, diagram, following


def reached(start, allowed):
    """Phases that events of `allowed` lead to, in any number."""
    found, todo = {start}, [start]
    while todo:
        phase = todo.pop()
        for (begin, event), goal in TRANSITIONS.items():
            if begin is phase and event in allowed and goal not in found:
                found.add(goal)
                todo.append(goal)
    return found


def test_nothing_but_arming_leads_from_disarmed_to_where_commands_leave():
    assert not reached(Phase.DISARMED, set(Event) - {Event.ARM}) & ARMED


def test_nothing_but_a_reset_and_arming_leads_from_a_stop_back_to_motion():
    assert reached(Phase.STOPPED, set(Event) - {Event.RESET}) == {Phase.STOPPED}
    assert not reached(Phase.STOPPED, set(Event) - {Event.ARM}) & ARMED
    assert Phase.FOLLOWING not in reached(Phase.BRAKING, set(Event) - {Event.RESET})


def test_a_motion_begins_with_a_command_of_an_idle_guard_alone():
    assert [key for key, goal in TRANSITIONS.items() if goal is Phase.FOLLOWING] == [
        (Phase.IDLE, Event.COMMAND),
        (Phase.HOLDING, Event.RECOVER),
    ]


@pytest.mark.parametrize("phase", sorted(ARMED, key=lambda phase: phase.name))
def test_every_phase_in_which_commands_leave_stops_when_it_must(phase):
    stopping = {Phase.BRAKING, Phase.HELD}
    assert phase in stopping or following(phase, Event.STOP, effort=True) is Phase.BRAKING
    assert phase in stopping or following(phase, Event.STOP) is (Phase.STOPPED if phase is Phase.IDLE else Phase.BRAKING)


def test_an_effort_goes_on_holding_after_a_stop_until_a_person_resets_it():
    assert following(Phase.BRAKING, Event.STANDSTILL, effort=True) is Phase.HELD
    assert following(Phase.BRAKING, Event.STANDSTILL) is Phase.STOPPED
    assert following(Phase.HELD, Event.DISARM, effort=True) is None
    assert following(Phase.HELD, Event.RESET, effort=True) is Phase.DISARMED


def test_motion_is_not_disarmed():
    for phase in (Phase.FOLLOWING, Phase.HOLDING, Phase.BRAKING, Phase.HELD):
        assert following(phase, Event.DISARM) is None
        assert following(phase, Event.ARM) is None


def test_the_drawing_has_every_phase_and_every_change():
    drawn = diagram()
    for (phase, event), goal in TRANSITIONS.items():
        if phase is not goal:
            (line,) = [line for line in drawn.splitlines() if line.strip().startswith(f"{phase.name} --> {goal.name}:")]
            assert event.value in line
    assert all(phase.name in drawn for phase in Phase)
    assert drawn.splitlines()[:3] == ["stateDiagram-v2", "    [*] --> DISARMED", "    DISARMED --> IDLE: guard/arm"]
    assert (
        "    BRAKING --> STOPPED: standstill confirmed / at rest for 1 s without a fresh state / the robot is not where it was left"
        in drawn
    )
