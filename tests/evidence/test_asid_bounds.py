"""What an exploration must keep to: a force is the change of momentum, a formula is judged on what was observed."""

from dataclasses import replace

import numpy as np
import pytest

from isthmus.records import Measurement
from isthmus_evidence.asid.bounds import SAFETY, Bounds, Watch
from isthmus_evidence.asid.exploration import Exploration, check_best, player
from isthmus_evidence.asid.strikes import strike_space
from isthmus_sim.identification.information_preflight import Expected, with_length
from isthmus_sim.identification.information_task import find_unknown
from isthmus_sim.tasks import get_task

TASK = with_length(get_task("slide"), 0.3)
UNKNOWN = find_unknown(TASK, ["puck.friction"])


def truth(place, speed):
    """Of two rows: where the puck is along x, and how fast."""
    puck = np.zeros((2, 7))
    puck[:, 0], puck[:, 6] = place, 1.0
    twist = np.zeros((2, 6))
    twist[:, 0] = speed
    joints = TASK.contract.action.elements
    return Measurement(np.zeros(2), joints, np.zeros((2, 6)), np.zeros((2, 6)), poses={"puck": puck}, twists={"puck": twist})


def run(bounds, places, speeds, alive=(True, True)):
    watch = Watch(TASK, UNKNOWN, bounds, 2)
    for place, speed in zip(places, speeds, strict=True):
        watch(truth(place, speed), np.array(alive))
    return watch


def test_a_force_is_the_change_of_momentum_over_a_period_and_ended_rows_do_not_count():
    speeds = [(0.0, 0.0), (0.5, 0.1), (0.4, 0.1)]  # 0.3 kg to 0.5 m/s in 0.05 s
    watch = run(Bounds(force=2.0), [(0.2, 0.2)] * 3, speeds)
    assert watch.force == pytest.approx([3.0, 0.6])
    assert watch.kept().tolist() == [False, True]
    assert watch.excess() == pytest.approx([0.5, 0.0])
    assert run(Bounds(), [(0.2, 0.2)] * 3, speeds).kept().all()
    assert run(Bounds(force=2.0), [(0.2, 0.2)] * 3, speeds, alive=(False, True)).force == pytest.approx([0.0, 0.6])


def test_a_search_leaves_a_margin_of_force():
    bounds = Bounds("always[0,0.1] (puck.x >= 0.2)", force=2.0)
    speeds = [(0.0, 0.0), (0.3, 0.26), (0.3, 0.26)]  # 1.8 N and 1.56 N
    assert bounds.searched.formula == bounds.formula
    assert run(bounds, [(0.3, 0.3)] * 3, speeds).kept().tolist() == [True, True]
    assert run(bounds.searched, [(0.3, 0.3)] * 3, speeds).kept().tolist() == [False, True]


def test_of_explorations_the_one_that_keeps_to_its_force_is_best_whatever_others_tell(monkeypatch):
    task = with_length(get_task("slide"), 2.5)
    asked = Exploration(task, find_unknown(task, ["puck.friction"]), "a", None, 0)
    space = strike_space(task, asked.unknown, 2.5)
    hard, soft = (space.artifact(np.array([0.0, 0.0, speed, 0.0])).policy() for speed in (2.0, -1.5))
    free = check_best(asked, [hard], 3, lambda *_: None)  # of one there is no contest
    assert free.force > 2.0
    assert free.force >= free.usual_force > 0
    run, known = free.expected.run, {id(hard): 0.01, id(soft): 0.2}
    latest = []
    monkeypatch.setattr("isthmus_evidence.asid.exploration.player", lambda policy: latest.append(policy) or player(policy))

    class Simulated:
        def __init__(self, *_, **__): ...
        def passes(self, _):
            return 1

        def close(self): ...
        def run(self, *_, **__):
            return Expected(np.array([known[id(latest[-1])]]), np.zeros((3, 1)), run)

    monkeypatch.setattr("isthmus_evidence.asid.exploration.SimulatedIdentification", Simulated)
    assert check_best(asked, [soft, hard], 3, lambda *_: None).best == 1
    bounded = check_best(replace(asked, bounds=Bounds(force=0.9 * free.force)), [soft, hard], 3, lambda *_: None)
    assert (bounded.best, bounded.kept) == (0, 1.0)
    assert bounded.force < 0.9 * free.force / SAFETY


def test_a_formula_holds_or_does_not_and_its_robustness_is_told():
    bounds = Bounds("always[0,0.1] (puck.x >= 0.2)")
    watch = run(bounds, [(0.25, 0.25), (0.3, 0.15), (0.22, 0.3)], [(0.0, 0.0)] * 3)
    assert watch.robustness() == pytest.approx([0.02, -0.05])
    assert watch.kept().tolist() == [True, False]
    assert watch.excess() == pytest.approx([0.0, 0.05])
    assert bounds.specification.formula == bounds.formula
    assert Bounds(force=20.0).specification is None


def test_what_cannot_be_bounded_is_refused():
    with pytest.raises(ValueError, match="must be > 0 N"):
        Bounds(force=0.0)
    with pytest.raises(ValueError, match="nowhere"):
        Watch(TASK, UNKNOWN, Bounds("always[0,0.1] (nowhere.z >= 0)"), 2)
