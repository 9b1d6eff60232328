"""What a policy is given wrongly is one sentence that names the signal, whatever kind of policy it is."""

import numpy as np
import pytest

from isthmus.robot import load_robot
from isthmus_controllers.scripted import scripted_policy, scripted_tasks
from isthmus_controllers.tracking import tracking_artifact, tracking_contract
from isthmus_sim.tasks import get_task


def resting(contract):
    return {signal.name: np.zeros((1, signal.history, *signal.shape), signal.dtype) for signal in contract.observation}


def check(policy):
    given = resting(policy.contract)
    policy.act(given)
    alone = policy.act({name: values[0] for name, values in given.items()})
    assert alone.actions.shape == (1, policy.contract.horizon, len(policy.contract.action.elements))
    for wrong in (None, np.zeros(3), [given]):
        with pytest.raises(ValueError, match="an observation maps names of signals to arrays, got a"):
            policy.act(wrong)
    for name, values in given.items():
        with pytest.raises(KeyError, match=f"signal '{name}' is missing; given: "):
            policy.act({other: given[other] for other in given if other != name})
        for wrong in (values.ravel(), values[..., :-1], values[..., None], np.float64(1)):
            with pytest.raises(ValueError, match=rf"signal '{name}' must be \[.*\], got \["):
                policy.act({**given, name: wrong})
        for wrong in (None, "a", [[1.0], [1.0, 2.0]]):
            with pytest.raises(ValueError, match=f"signal '{name}' must be an array"):
                policy.act({**given, name: wrong})
    if len(given) > 1:
        with pytest.raises(ValueError, match=r"signal '\w+' must be \[2, "):
            policy.act({**given, next(iter(given)): np.repeat(next(iter(given.values())), 2, axis=0)})


@pytest.mark.parametrize("name", scripted_tasks())
def test_scripted_policies(name):
    check(scripted_policy(name, get_task(name).contract))


def test_a_tracker():
    check(tracking_artifact(tracking_contract(load_robot("ur5e"), 0.05)).policy())
