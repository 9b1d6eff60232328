"""Planners that look for a plan anew at every decision: the baselines that neural predictive control is measured against.

They take a model, as `isthmus_controllers.npc` does, and are policies; they are not written into files.
"""

from isthmus_controllers.planners.cem import CemPlanner
from isthmus_controllers.planners.gradient import GradientPlanner

__all__ = ["CemPlanner", "GradientPlanner"]
