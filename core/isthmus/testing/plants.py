"""What every plant keeps, as checks that any test framework can run.

def test_my_plant_conforms():
    plant_conformance(lambda batch: MyPlant(load_robot("ur5e"), batch))
"""

# ruff: noqa: PT018 - a suite is made of assertions
from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable

import numpy as np

from isthmus.plant import Plant, Simulator
from isthmus.records import Array, Command, Measurement

__all__ = ["plant_conformance"]

Factory = Callable[[int], Plant]
ROWS = 4


def plant_conformance(factory: Factory, *, mode: str | None = None, steps: int = 20, batch_exact: bool = True) -> None:
    """Run every check that applies to the plant.

    Args:
        factory: makes a new plant with that many rows.
        mode: command mode of the plant; None means the robot's preferred one.
        steps: control periods per run.
        batch_exact: whether rows of a batch equal single runs bit for bit.

    Raises:
        AssertionError: naming the first promise that is not kept.
    """
    with contextlib.closing(factory(1)) as plant:
        realtime = plant.realtime
        mode = mode or plant.robot.command_modes[0]
    _check_attributes(factory)
    _check_close(factory)
    if realtime:
        return
    _check_names(factory)
    _check_repeatable(factory, mode, steps)
    _check_rows_are_independent(factory, mode, steps)
    _check_stamps_and_snapshots(factory, mode, steps)
    _check_stop(factory, mode, steps)
    _check_truth(factory)
    if batch_exact:
        _check_batch_equals_singles(factory, mode, steps)


def _check_attributes(factory: Factory) -> None:
    with contextlib.closing(factory(1)) as plant:
        assert isinstance(plant, Plant), f"{type(plant).__name__} lacks a method or attribute of Plant"
        assert plant.batch == 1, f"factory(1) must make one row, got batch {plant.batch}"
        assert plant.period > 0, f"period must be > 0 s, got {plant.period} s"
        low, high = plant.robot.control_period
        assert low <= plant.period <= high, f"period {plant.period} s is not one of the robot's: {low} to {high} s"


def _check_close(factory: Factory) -> None:
    plant = factory(1)
    plant.close()
    plant.close()  # closing twice is allowed: error paths do it


def _check_names(factory: Factory) -> None:
    with contextlib.closing(factory(1)) as plant:
        message = _refusal(lambda: plant.reset(state={"no_such_state": np.zeros((1, 1))}))
        assert all(word in message for word in ("no_such_state", "position", "velocity")), (
            f"an unknown state must be refused by a ValueError that names it and the valid ones, got {message!r}"
        )
        message = _refusal(lambda: plant.reset(parameters={"no_such_parameter": np.zeros(1)}))
        assert "no_such_parameter" in message and "known" in message.lower(), (
            f"an unknown parameter must be refused by a ValueError that names it and the known ones, got {message!r}"
        )


def _check_repeatable(factory: Factory, mode: str, steps: int) -> None:
    with contextlib.closing(factory(ROWS)) as plant:
        commands = _commands(plant, mode, steps)
        first = _run(plant, mode, commands)
        second = _run(plant, mode, commands)
    with contextlib.closing(factory(ROWS)) as plant:
        third = _run(plant, mode, commands)
    for again, what in ((second, "a second run of the same plant"), (third, "a run of a new plant")):
        _assert_same(first, again, f"{what} with the same seeds and commands differs")


def _check_rows_are_independent(factory: Factory, mode: str, steps: int) -> None:
    reset = np.array([1, 3])
    kept = np.array([0, 2])
    with contextlib.closing(factory(ROWS)) as plant:
        commands = _commands(plant, mode, steps)
        undisturbed = _run(plant, mode, commands)
        before = _run(plant, mode, commands[: steps // 2])
        plant.reset(reset, seeds=[71, 73])
        now = plant.read()
        _assert_same([_rows(before[-1], kept)], [_rows(now, kept)], "resetting some rows changes others")
        after = _drive(plant, mode, commands[steps // 2 :])
    _assert_same(
        [_rows(m, kept) for m in undisturbed[steps // 2 + 1 :]], [_rows(m, kept) for m in after], "resetting some rows disturbs others"
    )


def _check_stamps_and_snapshots(factory: Factory, mode: str, steps: int) -> None:
    with contextlib.closing(factory(ROWS)) as plant:
        plant.reset(seeds=range(ROWS))
        sample = plant.read()
        copy = _rows(sample, np.arange(ROWS))
        _assert_same([copy], [plant.read()], "reading twice within a period gives two samples")
        samples = [sample, *_drive(plant, mode, _commands(plant, mode, steps))]
    _assert_same([copy], [sample], "read() returns arrays that later periods overwrite")
    for before, after in itertools.pairwise(samples):
        step = after.stamp - before.stamp
        assert np.allclose(step, plant.period, rtol=0, atol=1e-9), f"stamps must advance by {plant.period} s, advanced by {step[0]} s"


def _check_stop(factory: Factory, mode: str, steps: int) -> None:
    with contextlib.closing(factory(1)) as plant:
        plant.reset(seeds=[0])
        commands = _commands(plant, mode, steps)
        _drive(plant, mode, commands)
        plant.stop("conformance")
        for _ in range(int(np.ceil(5 / plant.period))):
            plant.advance()
        first = plant.read()
        for command in commands:
            plant.write(Command(mode, plant.robot.joint_names, command[:1]))
            plant.advance()
        moved = float(np.abs(plant.read().position - first.position).max())
    assert moved < 0.01, f"a stopped plant must stay at rest until reset, but 5 s after stop() it moved by {moved:.3g} rad"


def _check_truth(factory: Factory) -> None:
    with contextlib.closing(factory(1)) as plant:
        if isinstance(plant, Simulator):
            plant.reset(seeds=[0])
            poses = plant.truth().poses
            tool = plant.robot.tool_frame
            assert tool in poses, f"truth() must hold the pose of the tool {tool!r}, it has: {', '.join(poses) or 'none'}"
            assert poses[tool].shape == (1, 7), f"the pose of {tool!r} must be [B, 7], got {list(poses[tool].shape)}"


def _check_batch_equals_singles(factory: Factory, mode: str, steps: int) -> None:
    with contextlib.closing(factory(ROWS)) as plant:
        commands = _commands(plant, mode, steps)
        batch = _run(plant, mode, commands)
    for row in range(ROWS):
        with contextlib.closing(factory(1)) as plant:
            single = _run(plant, mode, [command[row : row + 1] for command in commands], seeds=[row])
        _assert_same([_rows(m, np.array([row])) for m in batch], single, f"row {row} of a batch differs from a single run")


def _commands(plant: Plant, mode: str, steps: int) -> list[Array]:
    """Smooth commands well within the limits, `[B, J]` each, different in every row."""
    joints = plant.robot.joints
    fastest, effort = np.array([j.velocity for j in joints]), np.array([j.effort for j in joints])
    phase = np.random.default_rng(5).uniform(0, 6, (ROWS, len(joints)))[: max(plant.batch, 1)]
    waves = [np.sin(phase + 0.3 * step) for step in range(steps)]
    if mode in ("velocity", "twist"):
        return [0.1 * fastest * wave for wave in waves]
    if mode == "effort":
        return [0.2 * effort * wave for wave in waves]
    return [plant.robot.home + 0.02 * (wave - waves[0]) for wave in waves]


def _run(plant: Plant, mode: str, commands: list[Array], seeds: list[int] | None = None) -> list[Measurement]:
    plant.reset(seeds=list(range(plant.batch)) if seeds is None else seeds)
    return [plant.read(), *_drive(plant, mode, commands)]


def _drive(plant: Plant, mode: str, commands: list[Array]) -> list[Measurement]:
    samples = []
    for command in commands:
        plant.write(Command(mode, plant.robot.joint_names, command.copy()))
        plant.advance()
        samples.append(plant.read())
    return samples


def _arrays(sample: Measurement) -> dict[str, Array]:
    named = {"stamp": sample.stamp, "position": sample.position, "velocity": sample.velocity}
    if sample.effort is not None:
        named["effort"] = sample.effort
    for group in ("poses", "twists", "wrenches", "images"):
        named |= {f"{group}.{name}": values for name, values in getattr(sample, group).items()}
    return named


def _rows(sample: Measurement, rows: Array) -> Measurement:
    """A copy of some rows."""
    groups = {g: {name: v[rows] for name, v in getattr(sample, g).items()} for g in ("poses", "twists", "wrenches", "images")}
    effort = None if sample.effort is None else sample.effort[rows]
    return Measurement(sample.stamp[rows], sample.joints, sample.position[rows], sample.velocity[rows], effort, **groups)


def _assert_same(first: list[Measurement], second: list[Measurement], what: str) -> None:
    for step, (one, other) in enumerate(zip(first, second, strict=True)):
        for name, values in _arrays(one).items():
            assert np.array_equal(values, _arrays(other)[name], equal_nan=True), f"{what}: {name}, sample {step}"


def _refusal(call: Callable[[], None]) -> str:
    try:
        call()
    except ValueError as error:
        return str(error)
    return ""
