"""Kind `npc`: a plan from a network, checked by a model, and a search where it fails; onnxruntime and numpy only.

`policy.onnx` maps observations to a plan, `dynamics.onnx` a state and a plan to the trajectory and its signals. The plan is kept if the formula in
`specification.txt` holds on that trajectory exactly. Otherwise the backup tries many beginnings, lets the network complete each of them, and takes

1. the completed plan with the highest robustness, if one satisfies the formula (`backup` 1); the first few hundred candidates often have one, and
   then the others are not tried;
2. else the one with the highest robustness of the safety part, if one satisfies that (2);
3. else the task's fail-safe control (3).

The network's own plan is among the candidates. See "Signal Temporal Logic Neural Predictive Control", Meng & Fan, arXiv 2309.05131; there, the best
candidate is taken even if it violates the formula, by smooth robustness.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from isthmus import strict
from isthmus.contract import Contract
from isthmus.kind import PolicyData
from isthmus.kinds.graph import GraphPolicy
from isthmus.kinds.session import start_session
from isthmus.onnx_audit import audit_onnx
from isthmus.records import ActionChunk, Array
from isthmus_controllers import stl

__all__ = ["FAIL_SAFE", "FULL", "NONE", "SAFE", "BackupSettings", "NpcPolicy", "settings_member"]

NONE, FULL, SAFE, FAIL_SAFE = range(4)
"""What `ActionChunk.info["backup"]` says of each row: the network's plan was good; the search found one that satisfies the formula; one that is safe
only; none of them."""

_FIRST = 256  # candidates that are tried before the others
_NUMBERS = 10**7  # of all beginnings together
_POLICY, _DYNAMICS, _FORMULA, _SETTINGS = "policy.onnx", "dynamics.onnx", "specification.txt", "npc.json"


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """How plans are checked and what is tried when they fail.

    Attributes:
        signals: names of the signals of `dynamics.onnx`, in its order.
        safety: the part of the formula that must hold even if the rest cannot.
        end: "strict" or "truncate", see `isthmus_controllers.stl`.
        choices: values of each control that the search tries.
        prefix: how many choices it makes, one after the other; 0 switches the search off.
        candidates: beginnings that are tried at most; drawn once, by a fixed seed, where there are more combinations.
        fail_safe: control `[m]` for when nothing else can be done.
        hold: steps for which each choice is held.
    """

    signals: tuple[str, ...]
    safety: str
    end: str
    choices: tuple[tuple[float, ...], ...]
    prefix: int
    candidates: int
    fail_safe: tuple[float, ...]
    hold: int = 1

    def __post_init__(self) -> None:
        if self.end not in ("strict", "truncate"):
            raise ValueError(f"end must be strict or truncate, got {self.end!r}")
        if self.prefix < 0 or self.candidates < 1 or self.hold < 1:
            raise ValueError(f"prefix must be >= 0, candidates and hold >= 1, got {self.prefix}, {self.candidates} and {self.hold}")
        if len(self.choices) != len(self.fail_safe) or not all(self.choices):
            raise ValueError(f"choices need values for each of {len(self.fail_safe)} controls, got {[len(row) for row in self.choices]}")
        numbers = max(math.prod(len(row) for row in self.choices), self.candidates * self.prefix * self.hold) * len(self.choices)
        if numbers > _NUMBERS:
            raise ValueError(
                f"the search may keep {_NUMBERS} numbers (choices and candidates × prefix × hold), these settings need {numbers}"
            )

    def beginnings(self) -> Array:
        """What the search tries, `[K, prefix * hold, m]`."""
        per_step = np.array(list(itertools.product(*self.choices)))  # [C, m]
        total = len(per_step) ** self.prefix
        if total <= self.candidates:
            chosen = np.array(list(itertools.product(range(len(per_step)), repeat=self.prefix))).reshape(-1, self.prefix)
            chosen = np.random.default_rng(0).permutation(chosen)  # the first few are as different as all
        else:
            chosen = np.random.default_rng(0).integers(0, len(per_step), (self.candidates, self.prefix))
        return np.repeat(per_step[chosen], self.hold, axis=1)


class NpcPolicy:
    """Plans for a formula, and checks its plans.

    Attributes:
        contract: its horizon is the length of a plan; the concatenated newest observations are the state of the model.
        formula: what plans are checked against.
        settings: of the backup.

    Raises:
        ValueError: a graph cannot be run or does not fit the contract; the formula cannot be read, names unknown signals or is longer than a plan.
    """

    members: ClassVar[tuple[str, ...]] = (_POLICY, _DYNAMICS, _FORMULA, _SETTINGS)

    def __init__(self, contract: Contract, policy: bytes, dynamics: bytes, formula: str, settings: BackupSettings) -> None:
        if any(signal.dtype == "uint8" or signal.history > 1 for signal in contract.observation):
            raise ValueError("neural predictive control needs numbers without history: the observation is the state of its model")
        self.contract, self.settings = contract, settings
        self.formula, self.safety = stl.parse(formula), stl.parse(settings.safety)
        for name in sorted(self.formula.signals | self.safety.signals):
            if name not in settings.signals:
                raise ValueError(
                    f"the formula names signal {name!r}, which the model does not have; {strict.suggest(name, settings.signals)}"
                )
        if settings.prefix * settings.hold > contract.horizon:
            raise ValueError(f"the search chooses {settings.prefix * settings.hold} steps, a plan has {contract.horizon}")
        self._beginnings = settings.beginnings() if settings.prefix else np.zeros((0, 0, len(settings.fail_safe)))
        rows = max(1, *(len(part) for part in np.split(self._beginnings, [_FIRST])))
        self._network = GraphPolicy(contract, policy, rows)
        self._dynamics = self._opened(dynamics, rows)
        self._check_dynamics()

    @classmethod
    def from_artifact(cls, artifact: PolicyData) -> NpcPolicy:
        """The policy of an artifact of kind `npc`."""
        members = artifact.members
        return cls(artifact.contract, members[_POLICY], members[_DYNAMICS], members[_FORMULA].decode(), _settings(members))

    @classmethod
    def audit(cls, members: Mapping[str, bytes]) -> None:
        """Refuse graphs with external data or custom operators, settings that cannot be read, and text that is no formula."""
        for name in (_POLICY, _DYNAMICS):
            audit_onnx(members[name], f"member {name!r}")
        for name, text in ((_FORMULA, members[_FORMULA].decode(errors="replace")), (_SETTINGS, _settings(members).safety)):
            try:
                stl.parse(text)
            except ValueError as error:
                raise ValueError(f"member {name!r}: {error}") from None

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Plan, check, and search where the check fails.

        Returns:
            the plan `[B, T, m]`; `info` has `robustness` of the plan on the model, `backup` (see the module) and `solve_time` in s, `[B]` each.
        """
        began = time.perf_counter()
        plans = self._network.act(observation).actions  # checks the observation
        state = np.concatenate([np.asarray(observation[signal.name])[:, -1] for signal in self.contract.observation], 1).astype(np.float32)
        robustness, _ = self._judged(state, plans)
        backup = np.zeros(len(plans), dtype=np.int64)
        for row in np.flatnonzero(robustness < 0) if len(self._beginnings) else ():
            plans[row], robustness[row], backup[row] = self._search(state[row : row + 1], plans[row : row + 1])
        spent = np.full(len(plans), (time.perf_counter() - began) / len(plans))
        return ActionChunk(plans, {"robustness": robustness, "backup": backup, "solve_time": spent})

    def _opened(self, dynamics: bytes, rows: int) -> Any:
        """The session of the model, once it is known to run on as many rows as the search asks for."""
        states, controls = sum(math.prod(signal.shape) for signal in self.contract.observation), len(self.contract.action.elements)
        if len(self.settings.fail_safe) != controls:
            raise ValueError(f"member {_SETTINGS!r}: fail_safe must have {controls} values, got {len(self.settings.fail_safe)}")
        shapes = {"state": (rows, states), "actions": (rows, self.contract.horizon, controls)}
        session, complaint = start_session(dynamics, _DYNAMICS, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
        if complaint:
            raise ValueError(f"member {_DYNAMICS!r} cannot predict from {states} states and {controls} controls: {complaint}")
        return session

    def _check_dynamics(self) -> None:
        """Run the model once, so that what does not fit is refused before anything moves."""
        states, controls = sum(math.prod(signal.shape) for signal in self.contract.observation), len(self.contract.action.elements)
        try:
            found = self.predict(np.zeros((1, states), dtype=np.float32), np.zeros((1, self.contract.horizon, controls)))
        except Exception as error:  # onnxruntime's errors have no common class
            raise ValueError(f"member {_DYNAMICS!r} cannot predict from {states} states and {controls} controls: {error}") from None
        samples = found[1].shape[1] if found[1].ndim == 3 else 0
        shapes, expected = (
            [value.shape for value in found],
            [(1, self.contract.horizon + 1, states), (1, samples, len(self.settings.signals))],
        )
        if shapes != expected:
            raise ValueError(f"member {_DYNAMICS!r}: states and signals must be {expected}, got {shapes}")
        longest = max(self.formula.horizon, self.safety.horizon)
        if self.settings.end == "strict" and longest >= samples:
            raise ValueError(f"the formula needs {longest + 1} samples, the model predicts {samples}")

    def _judged(self, state: Array, plans: Array) -> tuple[Array, Array]:
        """Exact robustness `[B]` of the formula, and of its safety part, on the trajectories that the model predicts."""
        _, values = self.predict(state, plans)
        signals = {name: values[:, :, index] for index, name in enumerate(self.settings.signals)}
        whole, safe = (stl.robustness(formula, signals, end=self.settings.end) for formula in (self.formula, self.safety))
        return np.asarray(whole, dtype=np.float64), np.asarray(safe, dtype=np.float64)

    def plan(self, states: Array) -> Array:
        """What the network plans from states `[B, n]`: `[B, T, m]`."""
        sizes = [math.prod(signal.shape) for signal in self.contract.observation]
        pieces = np.split(states, np.cumsum(sizes)[:-1], axis=1)
        observation = {signal.name: piece[:, None] for signal, piece in zip(self.contract.observation, pieces, strict=True)}
        return self._network.act(observation).actions

    def predict(self, state: Array, plans: Array) -> tuple[Array, Array]:
        """What the model predicts for states `[B, n]` and plans `[B, T, m]`: trajectory `[B, T + 1, n]` and signals `[B, T', S]`."""
        trajectory, signals = self._dynamics.run(["states", "signals"], {"state": state, "actions": plans.astype(np.float32)})
        return trajectory, signals

    def _search(self, state: Array, own: Array) -> tuple[Array, float, int]:
        """The best plan for one row, its robustness, and what kind of plan it is."""
        whole, safe = self._judged(state, own)
        safest, safety, robustness = own[0], safe[0], whole[0]
        for beginnings in np.split(self._beginnings, [_FIRST]):
            if not len(beginnings):
                continue
            plans = self._completed(state, beginnings, own.shape[1])
            whole, safe = self._judged(np.repeat(state, len(plans), 0), plans)
            best = int(np.argmax(whole))
            if whole[best] >= 0:
                return plans[best], float(whole[best]), FULL
            best = int(np.argmax(safe))
            if safe[best] > safety:
                safest, safety, robustness = plans[best], safe[best], whole[best]
        if safety >= 0:
            return safest, float(robustness), SAFE
        stopped = np.broadcast_to(np.array(self.settings.fail_safe), own.shape)
        return stopped[0], float(self._judged(state, stopped)[0][0]), FAIL_SAFE

    def _completed(self, state: Array, beginnings: Array, length: int) -> Array:
        """Beginnings `[K, prefix, m]` from one state, and what the network plans from where they lead: `[K, T, m]`."""
        count, steps, controls = beginnings.shape
        plans = np.concatenate([beginnings, np.zeros((count, length - steps, controls))], 1)
        after = self.predict(np.repeat(state, count, 0), plans)[0][:, steps]
        plans[:, steps:] = self.plan(after)[:, : length - steps]
        return plans


def _settings(members: Mapping[str, bytes]) -> BackupSettings:
    return strict.decode(BackupSettings, strict.load_json(members[_SETTINGS], f"member {_SETTINGS!r}"), f"member {_SETTINGS!r}")


def settings_member(settings: BackupSettings) -> bytes:
    """The settings as they stand in a policy file."""
    return json.dumps(strict.encode(settings), indent=1).encode()
