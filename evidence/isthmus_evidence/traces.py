"""Records the episodes of a batch, one MCAP file per row."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from isthmus.contract import Contract
from isthmus.records import Command
from isthmus.runner import Tick
from isthmus.trace import TraceStep, TraceWriter, row_of
from isthmus_sim.episodes import EpisodeResult

__all__ = ["EpisodeTraces"]


class EpisodeTraces:
    """Writes `PLANT-SEED.mcap` per row; a context manager, so that every file gets its footer. A row's file ends with its episode."""

    def __init__(
        self,
        folder: Path,
        contract: Contract,
        base_frame: str,
        plant: str,
        seeds: Sequence[int],
        parameters: Sequence[Mapping[str, float]],
    ) -> None:
        """Open the files.

        Args:
            folder: created if missing; files of the same names are replaced.
            contract: of the policy.
            base_frame: frame of poses.
            plant: name of the engine.
            seeds: one per row.
            parameters: physical parameters that were set, per row.

        Raises:
            OSError: a file cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        known = {"task": contract.task, "plant": plant}
        physical = [{f"parameter.{name}": repr(value) for name, value in row.items()} for row in parameters]
        self._contract = contract
        self._files = [folder / f"{plant}-{seed:06d}.mcap" for seed in seeds]
        with contextlib.ExitStack() as stack:
            self._writers = [
                stack.enter_context(TraceWriter(file, contract, {**known, **row, "seed": str(seed)}, base_frame))
                for file, seed, row in zip(self._files, seeds, physical, strict=True)
            ]
            self._open = stack.pop_all()

    def __enter__(self) -> EpisodeTraces:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._open.__exit__(kind, error, traceback)

    def record(self, tick: Tick) -> None:
        """Append one control period to each row."""
        mode, joints = self._contract.mode, self._contract.action.elements
        sent = tick.decision.command
        for row, writer in enumerate(self._writers):
            if tick.ended[row]:
                continue
            cut, place = slice(row, row + 1), tick.rows == row
            decided = bool(place.any())
            writer.record(
                TraceStep(
                    measurement=row_of(tick.measurement, row),
                    command=None if tick.asked is None else Command(mode, joints, tick.asked[cut]),
                    executed=None if sent is None else row_of(sent, row),
                    rung=int(tick.decision.rung[row]),
                    cause=tick.decision.cause[row],
                    inputs=row_of(tick.inputs, row) if decided else {},
                    observation=row_of(tick.observation, row) if decided and tick.observation is not None else None,
                    action=tick.chunk.actions[place] if decided and tick.chunk is not None else None,
                )
            )

    def remove(self, first: int = 0) -> None:
        """Close the files, and delete those of episodes that do not count, from row `first` on."""
        self._open.close()
        for file in self._files[first:]:
            file.unlink(missing_ok=True)

    def conclude(self, results: Sequence[EpisodeResult]) -> None:
        """Store the score of each row."""
        for writer, result in zip(self._writers, results, strict=True):
            writer.conclude(
                {
                    "return": repr(result.total_reward),
                    "success": str(result.success).lower(),
                    "steps": str(result.steps),
                    "stopped_by_guard": result.stopped_by_guard,
                }
            )
