"""Tells Gymnasium of our tasks."""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

from isthmus_sim.tasks import task_names

__all__ = ["register_tasks"]


def register_tasks() -> None:
    """Register `isthmus/TASK-v0` for every task, those of other packages too; a second call changes nothing."""
    for task in task_names():
        name = f"isthmus/{task}-v0"
        if name not in registry:
            register(name, "isthmus_sim:make", vector_entry_point="isthmus_sim:make_vec", kwargs={"task": task, "render_mode": None})
