import numpy as np
import pytest
from sample_contract import PENDULUM, UR5E, make_contract

from isthmus import ActionChunk
from isthmus.testing import FakePlant, plant_conformance, policy_conformance


@pytest.mark.parametrize(("robot", "mode"), [(UR5E, "velocity"), (UR5E, "position"), (PENDULUM, "effort")])
@pytest.mark.parametrize("lag", [0.0, 0.06])
def test_the_fake_plant_conforms(robot, mode, lag):
    plant_conformance(lambda batch: FakePlant(robot, mode, 0.05, batch, lag=lag), mode=mode)


def test_a_real_time_plant_conforms():
    plant_conformance(lambda batch: FakePlant(UR5E, "velocity", 0.05, batch, realtime=True))


class Forgetful(FakePlant):
    def reset(self, rows=None, seeds=None, state=None, parameters=None):
        super().reset(None, seeds, state, parameters)


class Shared(FakePlant):
    def read(self):
        sample = super().read()
        sample.position = self._position
        return sample

    def _move(self, duration):
        before = self._position
        super()._move(duration)
        before[:] = self._position
        self._position = before


class Crowded(FakePlant):
    def _move(self, duration):
        super()._move(duration)
        self._position = self._position + 1e-12 * self.batch


class Restless(FakePlant):
    def stop(self, reason):
        pass


class Slow(FakePlant):
    def advance(self):
        self._move(self.period * 1.01)


class Blurred(FakePlant):
    def truth(self):
        return self.read()


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (Forgetful, "resetting some rows changes others: stamp"),
        (Shared, r"read\(\) returns arrays that later periods overwrite: position"),
        (Crowded, "of a batch differs from a single run: position"),
        (Restless, "a stopped plant must stay at rest until reset"),
        (Slow, r"stamps must advance by 0.05 s, advanced by 0.0505"),
        (Blurred, r"truth\(\) must hold the pose of the tool 'tool0'"),
    ],
)
def test_a_broken_plant_is_told_what_it_breaks(plant, message):
    with pytest.raises(AssertionError, match=message):
        plant_conformance(lambda batch: plant(UR5E, "velocity", 0.05, batch))


def test_faults_and_joints_are_known_by_name():
    plant = FakePlant(UR5E, "velocity", 0.05)
    with pytest.raises(ValueError, match="unknown fault 'frozn'; did you mean 'frozen'"):
        plant.fault("frozn")
    with pytest.raises(ValueError, match="unknown joint 'elbow'; did you mean 'elbow_joint'"):
        plant.fault("frozen", "elbow")
    with pytest.raises(ValueError, match="unknown parameter 'mass'; Known: lag"):
        plant.reset(parameters={"mass": np.ones(1)})


class Proportional:
    """Moves every joint towards zero."""

    contract = make_contract(horizon=2)

    def __init__(self):
        self.calls = 0

    def reset(self, rows=None, seed=None):
        self.calls = 0

    def act(self, observation):
        self.calls += 1
        for signal in self.contract.observation:
            observation[signal.name]
        action = np.clip(-observation["position"][:, -1], -3, 3)
        return ActionChunk(self.change(np.repeat(action[:, None], 2, axis=1)))

    def change(self, actions):
        return actions


def broken(change):
    return type("Broken", (Proportional,), {"change": change})


def test_a_stateless_policy_conforms():
    policy_conformance(Proportional)
    policy_conformance(Proportional())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda self, actions: actions[:, 0], r"actions must have shape \[5, 2, 6\], got \[5, 6\]"),
        (lambda self, actions: actions * np.nan, "actions must be finite"),
        (lambda self, actions: actions + 9, "beyond them: shoulder_pan_joint"),
        (lambda self, actions: actions * self.calls / 10, "the same observation gives another action"),
        (lambda self, actions: actions - actions.mean(axis=0), "row 0 of a batch gives another action|beyond them"),
    ],
)
def test_a_broken_policy_is_told_what_it_breaks(change, message):
    with pytest.raises(AssertionError, match=message):
        policy_conformance(broken(change))


def test_a_policy_that_ignores_a_missing_signal_is_told_so():
    class Careless(Proportional):
        def act(self, observation):
            return ActionChunk(np.zeros((len(next(iter(observation.values()))), 2, 6)))

    with pytest.raises(AssertionError, match="must raise a KeyError when signal 'position' is missing"):
        policy_conformance(Careless)
