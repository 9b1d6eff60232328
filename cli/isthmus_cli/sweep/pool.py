"""Where the trainings of a sweep run: processes of Ray, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

from isthmus_cli.ray_session import connect
from isthmus_cli.sweep.training import Training
from isthmus_policies.interruption import killed_by_signals

__all__ = ["Pool", "RayPool"]

_RETRIES = 3  # of a training whose process died; it continues from its newest checkpoint


class Pool(Protocol):
    """Runs trainings at the same time.

    Attributes:
        slots: how many.
    """

    slots: int

    def submit(self, training: Training) -> Any:
        """Start one; returns a handle."""
        ...

    def wait(self, handles: list[Any]) -> tuple[Any, dict[str, Any]]:
        """Wait for one of them; returns its handle and what came of it, as `Training.run` does, or `lost` if its process died again and again."""
        ...


class RayPool:
    """See `Pool`; a context manager."""

    def __init__(self, address: str | None, workers: int | None, cpus: int) -> None:
        """Connect, or start Ray on this machine.

        Args:
            address: of a cluster; None means this machine.
            workers: at most so many at the same time; None means as many as there are cores for.
            cpus: cores that each training reserves.

        Raises:
            ValueError: the cluster cannot be reached, or has too few cores.
        """
        self._ray = ray = connect(address, (workers or 1) * cpus if address is None else cpus)
        fit = int(ray.cluster_resources()["CPU"]) // cpus
        self.slots = min(fit, workers or fit)
        self._run: Callable[[Training], Any] = ray.remote(num_cpus=cpus, max_retries=_RETRIES)(_run).remote

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._ray.shutdown()

    def submit(self, training: Training) -> Any:
        """See `Pool.submit`."""
        return self._run(training)

    def wait(self, handles: list[Any]) -> tuple[Any, dict[str, Any]]:
        """See `Pool.wait`.

        Raises:
            Exception: what a training raised.
        """
        (done, *_), _ = self._ray.wait(handles, num_returns=1)
        try:
            return done, self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.OutOfMemoryError, self._ray.exceptions.NodeDiedError):
            return done, {"lost": "its process died again and again"}


def _run(training: Training) -> dict[str, Any]:
    # Ray ends the processes of a driver that died with SIGTERM. A checkpoint of that moment would make the resumed training another one.
    with killed_by_signals():
        return training.run()
