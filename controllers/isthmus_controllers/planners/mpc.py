"""Nonlinear model predictive control with CasADi and IPOPT: the controller that a user would otherwise write.

See Andersson et al. 2019 and Wächter & Biegler 2006. The specification is taken apart. What must hold at every time of a window,
`always[a,b] predicate`, becomes one soft constraint per sample; what is left becomes smooth robustness to be maximised:

    minimise  max(γ − ρ_θ(rest), 0) + μ Σ slack + ε Σ (u / u_max)²     subject to  predicate(s_t) + slack ≥ 0,  u within its bounds

With `constraints=False` everything is robustness. The problem is built once, with the state as parameter, and warm-started by the last plan, moved
on by one step. The solver has a budget of time; if it ends without a solution, the best of what it returned, the warm start and the fail-safe
control is taken, by exact robustness.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import casadi
import numpy as np

from isthmus.contract import Contract
from isthmus.records import ActionChunk, Array
from isthmus_controllers import stl
from isthmus_controllers.npc.model import Model
from isthmus_controllers.planners.mpc_settings import MpcSettings
from isthmus_controllers.planners.planner import Problem

__all__ = ["MpcPlanner"]

_ENOUGH = 0.5  # γ, robustness beyond which more is not worth anything
_EFFORT = 1e-3  # ε
_SLACK = 100.0  # μ


class MpcPlanner:
    """Plans by nonlinear optimisation, row by row, from a warm start of each row's own (`isthmus.policy.RowPolicy`).

    Attributes:
        contract: its horizon is that of the model.
    """

    def __init__(self, contract: Contract, model: Model, settings: MpcSettings | None = None) -> None:
        self.contract = contract
        self._problem, self._settings = Problem(contract, model), settings or MpcSettings()
        self._warm: dict[int, Array] = {}
        self._solver, self._bounds = self._build()

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Forget the warm starts of these rows; of all if None."""
        for row in list(self._warm) if rows is None else np.asarray(rows).tolist():
            self._warm.pop(int(row), None)

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Solve; `info` has the exact `robustness` of the plan, whether the solver had to be given up (`fallback`) and `solve_time` in s, `[B]`."""
        states = self._problem.states(observation)
        return self._plan(states, np.arange(len(states)))

    def act_rows(self, observation: Mapping[str, Array], rows: Array) -> ActionChunk:
        """As `act`, for these rows of a batch, from their warm starts."""
        return self._plan(self._problem.states(observation), rows)

    def _plan(self, states: Array, rows: Array) -> ActionChunk:
        plans, fallback, times = [], [], []
        for row, state in zip(rows.tolist(), states, strict=True):
            began = time.perf_counter()
            plan, solved = self._solve(row, state)
            times.append(time.perf_counter() - began)
            plans.append(plan)
            fallback.append(not solved)
        found = np.array(plans)
        robustness = np.asarray(self._problem.robustness(states, found))
        return ActionChunk(found, {"robustness": robustness, "fallback": np.array(fallback), "solve_time": np.array(times)})

    def _build(self) -> tuple[Any, dict[str, Any]]:
        """The solver and the bounds of its variables and constraints."""
        model, problem, settings = self._problem.model, self._problem, self._settings
        count = len(problem.low)
        state = casadi.SX.sym("state", len(model.states))
        controls = casadi.SX.sym("controls", problem.choices * count)
        chosen = _elements(controls).reshape(1, problem.choices, count)
        plan = problem.held(chosen)
        trajectory = model.rollout(_elements(state)[None], plan)
        signals = model.signals(trajectory[:, model.first :])
        constraints, rest = _taken_apart(problem.formula, signals) if settings.constraints else ([], [problem.formula])
        effort = sum(value * value for value in ((chosen - problem.center) / problem.half).ravel())
        slack = casadi.SX.sym("slack", len(constraints))
        cost = _EFFORT * effort + _SLACK * casadi.sum1(slack)
        if rest:
            left = rest[0] if len(rest) == 1 else stl.And(tuple(rest))
            robustness = stl.robustness(left, signals, mode="logsumexp", temperature=settings.temperature, end=model.end)[0]
            shortfall = _ENOUGH - robustness
            cost += settings.temperature * casadi.log1p(casadi.exp(-casadi.fabs(shortfall) / settings.temperature)) + casadi.fmax(
                shortfall, 0
            )
        expressions = {
            "x": casadi.vertcat(controls, slack),
            "p": state,
            "f": cost,
            "g": casadi.vertcat(*constraints) + slack if constraints else casadi.SX(0, 1),
        }
        options: dict[str, Any] = {
            "print_time": False,
            "ipopt.print_level": 0,
            "ipopt.sb": "yes",
            "ipopt.max_iter": settings.iterations,
            "ipopt.max_cpu_time": settings.budget,
            "ipopt.warm_start_init_point": "yes",
        }
        bounds = {
            "lbx": np.concatenate([np.tile(problem.low, problem.choices), np.zeros(len(constraints))]),
            "ubx": np.concatenate([np.tile(problem.high, problem.choices), np.full(len(constraints), np.inf)]),
            "lbg": np.zeros(len(constraints)),
            "ubg": np.full(len(constraints), np.inf),
        }
        return casadi.nlpsol("plan", "ipopt", expressions, options), bounds

    def _solve(self, row: int, state: Array) -> tuple[Array, bool]:
        """A plan, and whether it is the solver's."""
        problem = self._problem
        shape = (problem.choices, len(problem.low))
        start = self._warm.get(row, np.tile(problem.center, (shape[0], 1)))
        slack = np.zeros(len(self._bounds["lbg"]))
        answer = self._solver(x0=np.concatenate([start.ravel(), slack]), p=state, **self._bounds)
        chosen = np.clip(np.array(answer["x"]).ravel()[: start.size].reshape(shape), problem.low, problem.high)
        solved = bool(self._solver.stats()["success"]) and bool(np.isfinite(chosen).all())
        if not solved:
            fail_safe = np.tile(np.array(problem.model.fail_safe), (shape[0], 1))
            candidates = np.array([candidate for candidate in (chosen, start, fail_safe) if np.isfinite(candidate).all()])
            robustness = problem.robustness(np.repeat(state[None], len(candidates), 0), problem.held(candidates))
            chosen = candidates[int(np.argmax(robustness))]
        # Where controls are held, the next decision comes before the first of them is over.
        self._warm[row] = np.concatenate([chosen[1:], chosen[-1:]]) if problem.model.hold == 1 else chosen
        return problem.held(chosen[None])[0], solved


def _elements(vector: Any) -> Array:
    """The scalars of a CasADi vector, as a numpy array."""
    return np.array([vector[index] for index in range(vector.shape[0])], dtype=object)


def _taken_apart(formula: stl.Formula, signals: Mapping[str, Any]) -> tuple[list[Any], list[stl.Formula]]:
    """Expressions that must not be negative, from `always` of a predicate, and what is left."""
    constraints: list[Any] = []
    rest: list[stl.Formula] = []
    for part in formula.operands if isinstance(formula, stl.And) else (formula,):
        if isinstance(part, stl.Always) and isinstance(part.operand, stl.Predicate):
            margin = part.operand.margin({name: signals[name] for name in part.operand.signals})
            constraints += list(margin[0, part.start : part.stop + 1])
        else:
            rest.append(part)
    return constraints, rest
