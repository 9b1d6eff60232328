"""Isaac Gym has never run here. A stand-in of its two modules, with numpy-backed tensors and no physics, shows what the plant asks of it."""

import dataclasses
import importlib
import sys
import types

import numpy as np
import pytest
import torch

from isthmus import Command, load_robot
from isthmus_sim.plants import make_plant

ORDER = ("wrist_3_joint", "shoulder_pan_joint", "extra_joint", "elbow_joint", "wrist_1_joint", "shoulder_lift_joint", "wrist_2_joint")
FIELDS = [("driveMode", "i4"), *((name, "f4") for name in ("stiffness", "damping", "effort", "armature", "velocity", "friction"))]


class Engine:
    """Keeps what it is told; a simulated step puts every degree of freedom on its target."""

    def __init__(self):
        self.servos, self.masses, self.targets, self.params, self.destroyed = {}, {}, None, None, 0

    def create_sim(self, compute, graphics, kind, params):
        self.params = params
        return "sim"

    def create_env(self, *_):
        self.servos[len(self.servos)] = np.zeros(len(ORDER), FIELDS)
        return len(self.servos) - 1

    def find_asset_dof_index(self, asset, name):
        return ORDER.index(name) if name in ORDER else -1

    def find_asset_rigid_body_index(self, asset, name):
        return 0

    def get_actor_dof_properties(self, environment, actor):
        return self.servos[environment].copy()

    def set_actor_dof_properties(self, environment, actor, values):
        self.servos[environment] = values

    def get_actor_rigid_body_properties(self, environment, actor):
        return [types.SimpleNamespace(mass=self.masses.get(environment, 0.5))]

    def set_actor_rigid_body_properties(self, environment, actor, bodies, recompute):
        self.masses[environment] = bodies[0].mass

    def get_actor_index(self, environment, actor, domain):
        return environment

    def get_asset_dof_count(self, asset):
        return len(ORDER)

    def acquire_dof_state_tensor(self, sim):
        self.state = torch.zeros(len(self.servos) * len(ORDER), 2)
        return self.state

    def acquire_dof_force_tensor(self, sim):
        return torch.zeros(len(self.servos) * len(ORDER))

    def set_dof_state_tensor_indexed(self, sim, state, actors, count):
        self.placed = actors.tolist()

    def set_dof_position_target_tensor(self, sim, targets):
        self.targets = targets.clone()

    def simulate(self, sim):
        self.state[:, 0] = self.targets.flatten()

    def set_sim_params(self, sim, params):
        self.params = params

    def destroy_sim(self, sim):
        self.destroyed += 1

    def __getattr__(self, name):
        if name in ("load_asset", "create_actor", "enable_actor_dof_force_sensors", "prepare_sim", "fetch_results") or name.startswith(
            "refresh_"
        ):
            return lambda *_: 0
        raise AttributeError(name)


@pytest.fixture
def engine(monkeypatch):
    engine = Engine()
    bag = types.SimpleNamespace
    api, tensors = types.ModuleType("isaacgym.gymapi"), types.ModuleType("isaacgym.gymtorch")
    api.acquire_gym = lambda: engine
    api.SimParams, api.AssetOptions, api.Transform = lambda: bag(physx=bag()), bag, bag
    api.Vec3 = lambda x, y, z: (x, y, z)
    api.SIM_PHYSX, api.UP_AXIS_Z, api.DOMAIN_SIM, api.DOF_MODE_EFFORT, api.DOF_MODE_POS = 1, 1, 2, 3, 1
    tensors.wrap_tensor = tensors.unwrap_tensor = lambda tensor: tensor
    package = types.ModuleType("isaacgym")
    package.gymapi, package.gymtorch = api, tensors
    package.__spec__ = importlib.machinery.ModuleSpec("isaacgym", None)
    for name, module in (("isaacgym", package), ("isaacgym.gymapi", api), ("isaacgym.gymtorch", tensors)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "isthmus_sim.plants.isaacgym", raising=False)
    yield engine
    sys.modules.pop("isthmus_sim.plants.isaacgym", None)


def made(robot=None, mode="position", batch=2, **options):
    return make_plant("isaacgym", robot or load_robot("ur5e"), mode=mode, period=0.05, batch=batch, **options)


def test_missing_isaac_gym_tells_how_to_install_it_although_its_stubs_are_there():
    importlib.metadata.version("isaacgym-stubs")
    with pytest.raises(
        ModuleNotFoundError, match=r"plant 'isaacgym' needs isaacgym; .*developer.nvidia.com/isaac-gym.* pip install .*Python 3.6 to 3.8"
    ):
        made()


def test_commands_states_and_servos_are_bound_to_joints_by_name(engine):
    plant = made()
    columns = [ORDER.index(name) for name in plant.robot.joint_names]
    np.testing.assert_allclose(plant.read().position, np.tile(plant.robot.home, (2, 1)), atol=1e-6)
    for joint, column in zip(plant.robot.joints, columns, strict=True):
        servo = engine.servos[1][column]
        assert (servo["effort"], servo["stiffness"]) == (joint.effort, joint.servo.position_gain)
    goal = np.arange(12.0).reshape(2, 6) / 10
    plant.write(Command("position", plant.robot.joint_names[::-1], goal[:, ::-1]))
    plant.advance()
    np.testing.assert_allclose(engine.targets[:, columns], goal, atol=1e-6)
    np.testing.assert_allclose(plant.read().position, goal, atol=1e-6)
    plant.close()
    plant.close()
    assert engine.destroyed == 1


def test_only_reset_rows_are_placed_and_told_their_parameters(engine):
    plant = made()
    plant.advance()
    plant.reset(np.array([1]), parameters={"payload": np.array([2.0]), "joint_damping": np.array([3.0])})
    plant.advance()
    assert engine.placed == [1]
    assert engine.masses == {1: 2.5}
    elbow = ORDER.index("elbow_joint")
    assert engine.servos[1]["damping"][elbow] - engine.servos[0]["damping"][elbow] == pytest.approx(3.0)


def test_velocity_command_moves_the_set_point(engine):
    plant = made(mode="velocity")
    plant.write(Command("velocity", plant.robot.joint_names, np.full((2, 6), 0.4)))
    plant.advance()
    np.testing.assert_allclose(plant.read().position, np.tile(plant.robot.home + 0.02, (2, 1)), atol=1e-6)


def test_refusals_name_what_isaac_gym_cannot_do(engine):
    plant = made()
    with pytest.raises(ValueError, match=r"plant 'isaacgym' cannot express parameter 'elbow_joint.armature'"):
        plant.reset(parameters={"elbow_joint.armature": np.ones(2)})
    with pytest.raises(ValueError, match=r"cannot express parameter 'gravity': it is one for all rows"):
        plant.reset(np.array([0]), parameters={"gravity": np.array([1.6])})
    plant.reset(parameters={"gravity": np.array([1.6, 1.6])})
    assert engine.params.gravity == (0.0, 0.0, -1.6)
    with pytest.raises(ValueError, match="simulates fixed bases only, robot 'diffbot' has a differential one"):
        made(load_robot("diffbot"), mode="twist")
    robot = load_robot("ur5e")
    other = dataclasses.replace(robot, joints=(dataclasses.replace(robot.joints[0], name="elbow"),), hold=None)
    with pytest.raises(ValueError, match=r"ur5e.urdf has no joint or link 'elbow'"):
        made(other)
    with pytest.raises(ValueError, match="draws no pictures"):
        plant.render()
