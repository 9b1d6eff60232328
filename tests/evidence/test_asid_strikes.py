"""What strikes tell of a body: a strike more than a slow push, and a rod's balance point at once."""

from dataclasses import replace

import numpy as np
import pytest

from isthmus_controllers.scripted import STRIKE, scripted_policy
from isthmus_evidence.asid.exploration import Exploration, information_env, played, player
from isthmus_evidence.asid.motions import search_space
from isthmus_evidence.asid.strikes import StrikeSpace, strike_space
from isthmus_sim.identification.information import expected_sd
from isthmus_sim.identification.information_task import find_unknown
from isthmus_sim.tasks import get_task


def space_of(name, *unknown, seconds=3.5):
    task = get_task(name)
    asked = Exploration.of(task, find_unknown(task, unknown), "a", None, 0, seconds)
    return asked, strike_space(task, asked.unknown, seconds)


def test_sizes_are_those_of_body_and_tool():
    _, space = space_of("push", "puck.friction")
    assert space.size == pytest.approx({"tip": 0.2, "height": 0.025, "length": 0.045, "width": 0.058, "strikes": 1.0})
    _, rod = space_of("rod", "rod.com_y")
    assert (rod.size["length"], rod.size["tip"]) == pytest.approx((0.15, 0.0))
    assert rod.contract.horizon == 70
    assert [signal.name for signal in rod.contract.inputs] == []


def test_what_cannot_be_struck_is_searched_with_sines_or_refused():
    asked, none = space_of("door", "door.damping")
    assert none is None
    assert not isinstance(search_space(asked, "auto", 3.5), StrikeSpace)
    with pytest.raises(ValueError, match=r"a strike tells of one body that moves freely .* unknown is door\.damping"):
        search_space(asked, "strike", 3.5)


def test_a_strike_tells_more_of_friction_than_a_slow_push():
    """While it is pushed, a puck goes where the stick goes; struck, it slides as far as friction lets it."""
    asked, space = space_of("push", "puck.friction")
    env = information_env(asked, 4)
    told = {}
    for name, speed in (("slow", 0.05), ("fast", 0.6)):
        settings = {**space.size, "place": 0.0, "angle": 0.0, "speed": speed, "reach": 0.03}
        known, run = played(env, player(scripted_policy(STRIKE, replace(space.contract), settings)), [1, 2, 3, 4])
        assert not run.bad.any()
        told[name] = float(np.sqrt((expected_sd(known) ** 2).mean()))
    env.close()
    assert told["fast"] < 0.02
    assert told["slow"] > 3 * told["fast"]
