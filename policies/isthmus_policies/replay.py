"""The memory of off-policy learners: every control period of every row once, in the order in which it happened.

An observation is stored once, although it is the successor of one transition and the beginning of the next: the slot after a transition always holds
what followed it. Where an episode ends, or is cut, that slot holds nothing but its final observation and is never drawn as a transition. Of pictures
each frame is kept once, see `Pictures`; a transition whose stack reaches back to frames that are overwritten is not drawn any more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus_policies.pictures import Pictures, reach

__all__ = ["Batch", "Replay"]

_CONTINUES, _TERMINATED, _TRUNCATED, _ONLY_OBSERVED = range(4)
_TRIES = 100  # to draw a transition, after which it is asked whether there is any


@dataclass(frozen=True, slots=True)
class Batch:
    """Transitions.

    Attributes:
        slots: where they lie in the replay, `[B]`; what messages name them by.
        observation: `[2B, history, *shape]` per signal: first the B observations, then what followed each, n steps later.
        previous: action executed before the observation, `[B, A]`, in [−1, 1].
        action: what the policy chose, `[B, A]`, in [−1, 1].
        reward: Σ_k γ^k r of the n steps, `[B]`.
        discount: of the value of what followed: γ^n, and 0 where the episode terminated, `[B]`. Time limits do not terminate.
    """

    slots: Array
    observation: Mapping[str, Tensor]
    previous: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """What it consists of, by name."""
        named = {"slots": torch.from_numpy(self.slots), "action": self.action, "reward": self.reward, "discount": self.discount}
        return {**named, **{f"observation.{name}": values for name, values in self.observation.items()}}

    def to(self, device: torch.device) -> Batch:
        """The same on a device; itself if it is there."""
        if self.reward.device == device:
            return self
        observation = {name: values.to(device) for name, values in self.observation.items()}
        return Batch(self.slots, observation, *(values.to(device) for values in (self.previous, self.action, self.reward, self.discount)))


class Replay:
    """A ring of control periods per row.

    Attributes:
        capacity: control periods kept, of all rows together.
    """

    def __init__(self, contract: Contract, capacity: int, rows: int = 1, folder: Path | None = None) -> None:
        """Reserve the memory; the system hands it out as it is used.

        Args:
            contract: gives signals and actions. Numbers are kept as float32, images as uint8.
            capacity: control periods kept, of all rows together.
            rows: of the environment.
            folder: for the file of many pictures, see `Pictures`.

        Raises:
            ValueError: the pictures need more than there is.
        """
        images = [signal for signal in contract.observation if signal.source == "image"]
        self._length = max(-(-capacity // rows), 2 + reach(images))
        self._signals = [signal for signal in contract.observation if signal.source != "image"]
        self._sizes = [signal.history * math.prod(signal.shape) for signal in self._signals]
        self._actions = len(contract.action.elements)
        self._rows = rows
        self.capacity = self._length * rows
        self._width = sum(self._sizes)
        # Observation, previous action and action of a period lie side by side, so that drawing one touches one piece of memory.
        # numpy's zeros are handed out when they are used, torch's are written at once.
        self._values = torch.from_numpy(np.zeros((self.capacity, self._width + 2 * self._actions), dtype=np.float32))
        self._pictures = Pictures(images, rows, self._length, folder)
        self._reward = np.zeros(self.capacity, dtype=np.float32)
        self._end = np.full(self.capacity, _ONLY_OBSERVED, dtype=np.uint8)
        self._first = np.arange(rows) * self._length
        self._at = np.zeros(rows, dtype=np.int64)
        self._used = np.zeros(rows, dtype=np.int64)
        self._age = np.zeros(rows, dtype=np.int64)  # control periods of the present episodes

    @property
    def nbytes(self) -> int:
        """Memory when full."""
        return self._reward.nbytes + self._end.nbytes + self._pictures.nbytes + self._values.numel() * self._values.element_size()

    def add(
        self,
        observation: Mapping[str, Array],
        previous: Array,
        action: Array,
        reward: Array,
        terminated: Array,
        truncated: Array,
        following: Mapping[str, Array],
        lost: Array | None = None,
        hidden: Array | None = None,
    ) -> None:
        """Remember one control period of all rows.

        A period that is lost is no transition: what it led to belongs to no task, and whatever stood for it could be better than the truth. Its
        observation stays as the successor of the transition before.

        Args:
            observation: `[rows, history, *shape]` per signal.
            previous: action executed before it, `[rows, A]`, in [−1, 1].
            action: chosen by the policy, `[rows, A]`, in [−1, 1].
            reward: `[rows]`.
            terminated: the episode ended, and nothing is to be gained after it, `[rows]`.
            truncated: the episode was ended from outside, `[rows]`.
            following: what was observed at the end of the period, before any reset; shaped as `observation`.
            lost: the simulation broke in this period, or nothing valid was asked for; the episode has ended, `[rows]`. None means nowhere.
            hidden: not kept; off-policy learners see what a policy sees.
        """
        slots = self._first + self._at
        after = self._first + (self._at + 1) % self._length
        self._observe(slots, observation, self._age)
        self._observe(after, following, self._age + 1)
        self._values[slots, self._width :] = torch.from_numpy(np.concatenate([previous, action], axis=1).astype(np.float32))
        self._reward[slots] = reward
        lost = np.zeros(self._rows, dtype=bool) if lost is None else lost
        self._end[slots] = np.where(terminated, _TERMINATED, np.where(truncated, _TRUNCATED, _CONTINUES))
        self._end[slots[lost]] = self._end[after] = _ONLY_OBSERVED
        self._advance(1 + ((terminated | truncated) & ~lost))
        self._age = np.where(terminated | truncated | lost, 0, self._age + 1)

    def cut(self) -> None:
        """All rows are about to be reset: what was observed last stays as the successor of the last transition."""
        self._advance((self._end[self._first + (self._at - 1) % self._length] == _CONTINUES) & (self._used > 0))
        self._age[:] = 0

    def sample(self, count: int, gamma: float, steps: int, generator: np.random.Generator) -> Batch:
        """Draw transitions, all equally likely.

        Args:
            count: B.
            gamma: discount per control period.
            steps: n of the n-step return; fewer where the episode, or what is known of it, ends before.
            generator: draws the slots.

        Raises:
            ValueError: there is no transition.
        """
        slots = self._draw(count, generator)
        at, last = slots, slots
        reward, discount = np.zeros(count, dtype=np.float32), np.ones(count, dtype=np.float32)
        going = np.ones(count, dtype=bool)
        for _ in range(steps):
            reward += np.where(going, discount * self._reward[at], np.float32(0))
            discount = np.where(going, discount * np.float32(gamma) * (self._end[at] != _TERMINATED), discount)
            row = at // self._length * self._length
            following = row + (at - row + 1) % self._length
            last = np.where(going, following, last)
            going &= (self._end[at] == _CONTINUES) & (self._end[following] != _ONLY_OBSERVED)
            at = following
        both = torch.from_numpy(np.concatenate([slots, last]))
        values = self._values.index_select(0, both)
        acted = values[:count, self._width :]
        return Batch(
            slots,
            self._observation(values, both),
            acted[:, : self._actions],
            acted[:, self._actions :],
            torch.from_numpy(reward),
            torch.from_numpy(discount),
        )

    def observations(self, count: int) -> dict[str, Array]:
        """Up to `count` observations spread over the memory, `[n, history, *shape]` per signal, in the signals' own types."""
        known = np.concatenate([first + np.arange(used) for first, used in zip(self._first, np.maximum(self._used, 1), strict=True)])
        chosen = torch.from_numpy(known[np.linspace(0, len(known) - 1, min(count, len(known))).astype(np.int64)])
        found = self._observation(self._values.index_select(0, chosen), chosen)
        types = {signal.name: signal.dtype for signal in self._signals}
        return {name: values.numpy().astype(types.get(name, "uint8")) for name, values in found.items()}

    def state(self) -> dict[str, Tensor]:
        """What was remembered, without the memory that was never used."""
        most = min(int(self._used.max()) + 1, self._length)  # with the newest observation
        rings = {
            name: values.view(self._rows, self._length, *values.shape[1:])[:, :most].contiguous() for name, values in self._kept().items()
        }
        return {**rings, "at": torch.from_numpy(self._at.copy()), "used": torch.from_numpy(self._used.copy())}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Remember what `state` told; the replay has the same contract, capacity and rows. New episodes begin."""
        self._at[:], self._used[:] = state["at"].numpy(), state["used"].numpy()
        self._age[:] = 0
        for name, values in self._kept().items():
            values.view(self._rows, self._length, *values.shape[1:])[:, : state[name].shape[1]] = state[name]

    def _kept(self) -> dict[str, Tensor]:
        return {
            "values": self._values,
            "reward": torch.from_numpy(self._reward),
            "end": torch.from_numpy(self._end),
            **self._pictures.state(),
        }

    def _observe(self, slots: Array, observation: Mapping[str, Array], age: Array) -> None:
        flat = [np.asarray(observation[signal.name]).reshape(self._rows, -1) for signal in self._signals]
        if flat:
            self._values[slots, : self._width] = torch.from_numpy(np.concatenate(flat, axis=1).astype(np.float32))
        self._pictures.put(slots, observation, age)

    def _observation(self, values: Tensor, slots: Tensor) -> dict[str, Tensor]:
        parts = values[:, : self._width].split(self._sizes, dim=1)
        numbers = {
            signal.name: part.unflatten(1, (signal.history, *signal.shape)) for signal, part in zip(self._signals, parts, strict=True)
        }
        return {**numbers, **self._pictures.stacks(slots)}

    def _advance(self, periods: Array) -> None:
        self._at = (self._at + periods) % self._length
        self._used = np.minimum(np.maximum(self._used + periods, 0), self._length)

    def _draw(self, count: int, generator: np.random.Generator) -> Array:
        """Slots `[count]` that hold a transition."""
        slots = np.zeros(count, dtype=np.int64)
        missing = np.arange(count)
        tried = 0
        while missing.size:
            if tried == _TRIES and not np.count_nonzero(self._end != _ONLY_OBSERVED):
                raise ValueError("the replay holds no transition: every control period so far was lost")
            tried += 1
            rows = generator.integers(0, self._rows, missing.size)
            # The same bound for all rows, so that no transition is likelier than others.
            most = np.full(missing.size, max(int(self._used.max()), 1))
            slots[missing] = self._first[rows] + generator.integers(0, most)
            drawn = slots[missing]
            whole = self._pictures.whole(drawn, self._at[rows], self._used[rows] == self._length)
            missing = missing[(self._end[drawn] == _ONLY_OBSERVED) | ~whole]
        return slots
