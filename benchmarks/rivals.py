"""What the environments are raced against: the bare engine with their own commands, and other people's vector environments."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
from mujoco.batch import Batch

from isthmus import Command
from isthmus.records import Array
from isthmus_evidence.results import Results
from isthmus_sim.vector_env import TaskVectorEnv

__all__ = ["BareBatch", "Loop", "Race", "Recorder", "bare_pybullet", "envpool_loop", "gymnasium_loop", "staggered", "step_all"]

Loop = tuple[Callable[[], object] | None, Callable[[], object]]  # what comes before, untimed, and what is timed

_NO_STAGE = int(mujoco.mjtStage.mjSTAGE_NONE)


def staggered(env: TaskVectorEnv, seed: int = 0) -> None:
    """Begin all episodes, at different times of their lives, so that every control period has its share of resets."""
    env.reset(seed=seed)
    env.elapsed[:] = np.random.default_rng(seed).integers(0, env.task.episode_steps, env.num_envs)


class BareBatch:
    """A loop on MuJoCo's batch that replays what an environment did: its commands, and the states that its rows began in.

    It resets and forwards rows as MuJoCo's documentation asks for, steps to the same stage on as many threads, and reads nothing.
    """

    def __init__(self, env: TaskVectorEnv, actions: Array, stage: int, fields: Sequence[str]) -> None:
        """Record the environment for one run.

        Args:
            env: on a plant of MuJoCo.
            actions: `[T, num_envs, A]`.
            stage: that the environment's plant steps to.
            fields: derived fields that the plant binds.

        Raises:
            RuntimeError: the replay does not end in the very state of the environment.
        """
        plant: Any = env.plant
        self._substeps, self._stage = plant.substeps, stage
        staggered(env)
        real, self._events = plant._batch, []
        state, ctrl = real.state, real.bind("ctrl")
        self._start = state.copy()
        begins, steps = (lambda ids: self._events.append((ids.copy(), state[ids]))), (lambda: self._events.append((None, ctrl.copy())))
        plant._batch = _Recorder(real, begins, steps)
        step_all(env, actions)
        plant._batch = real
        self._batch = Batch(plant.model, nsim=env.num_envs, nthread=plant.threads)
        for name in fields:
            self._batch.bind(name)
        self._state, self._ctrl = self._batch.state, self._batch.bind("ctrl")
        self.begin()
        self.run()
        if not np.array_equal(self._state, state):
            raise RuntimeError("the bare engine does not repeat what the environment did")

    def begin(self) -> None:
        """Put all rows where the environment began."""
        self._batch.reset()
        self._state[:] = self._start
        self._batch.forward()

    def run(self) -> None:
        """One run."""
        batch, ctrl, state = self._batch, self._ctrl, self._state
        for ids, values in self._events:
            if ids is None:
                ctrl[:] = values
                batch.step(nstep=self._substeps, stage=self._stage)
            else:
                batch.reset(ids, stage=_NO_STAGE)
                state[ids] = values
                batch.forward(ids)


class _Recorder:
    """A batch that tells when rows begin and when it steps."""

    def __init__(self, batch: Batch, begins: Callable[[Array], None], steps: Callable[[], None]) -> None:
        self._real, self._begins, self._steps = batch, begins, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def forward(self, ids: Array) -> None:
        self._begins(ids)
        self._real.forward(ids)

    def step(self, **options: int) -> None:
        self._steps()
        self._real.step(**options)


class Race:
    """Two or more loops of the same length, timed in turns."""

    def __init__(self, loops: dict[str, Loop], rounds: int) -> None:
        times: dict[str, list[float]] = {name: [] for name in loops}
        for _ in range(rounds):
            for name, (prepare, loop) in loops.items():
                if prepare:
                    prepare()
                began = time.perf_counter()
                loop()
                times[name].append(time.perf_counter() - began)
        self._times = times

    def seconds(self, name: str) -> float:
        """Median of one loop."""
        return float(np.median(self._times[name]))

    def ratio(self, slow: str, fast: str) -> float:
        """How many times longer `slow` takes than `fast`: median over the rounds, so that a busy machine slows both."""
        return float(np.median(np.array(self._times[slow]) / np.array(self._times[fast])))


class Recorder:
    """Keeps the lines of a race in a file of figures, with the load of the machine; without a file it does nothing."""

    def __init__(self, file: Path | None, *packages: str) -> None:
        self._results = Results(file, *packages) if file else None

    def line(self, what: str, here: str, rival: str, ratio: str, target: str) -> None:
        """Keep one line, as it is printed."""
        if self._results:
            row = {"what": what, "here": here, "rival": rival, "ratio": ratio, "target": target, "load": round(os.getloadavg()[0], 2)}
            self._results.add(what, row, ("speed",))


def gymnasium_loop(mode: str, count: int, actions: Array) -> Loop:
    """Gymnasium's own vector environment of HalfCheetah-v5; `mode` is "sync" or "async"."""
    env = gymnasium.make_vec("HalfCheetah-v5", num_envs=count, vectorization_mode=mode)
    return lambda: env.reset(seed=0), lambda: step_all(env, actions)


def envpool_loop(count: int, threads: int, actions: Array) -> Loop | None:
    """EnvPool's HalfCheetah-v5; None where EnvPool is not installed."""
    try:
        import envpool
    except ModuleNotFoundError:
        return None
    env = envpool.make("HalfCheetah-v5", env_type="gymnasium", num_envs=count, num_threads=threads)
    doubles = actions.astype(np.float64)
    return env.reset, lambda: step_all(env, doubles)


def step_all(env: Any, actions: Array) -> None:
    """Step a vector environment with each of the actions `[T, num_envs, A]`."""
    for action in actions:
        env.step(action)


def bare_pybullet(env: TaskVectorEnv, actions: Array) -> Loop:
    """A loop on the plant of PyBullet that writes the environment's commands, steps, and reads joints and tool pose."""
    commands: list[Command] = []
    write = env.plant.write

    def remember(command: Command) -> None:
        commands.append(Command(command.mode, command.joints, command.values.copy()))
        write(command)

    env.plant.write = remember  # type: ignore[method-assign]
    staggered(env)
    step_all(env, actions)
    env.plant.write = write  # type: ignore[method-assign]

    def run() -> None:
        for command in commands:
            env.plant.write(command)
            env.plant.advance()
            env.plant.truth()

    return lambda: staggered(env), run
