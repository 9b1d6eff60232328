"""Planners that look for a plan anew at every decision: the baselines that neural predictive control is measured against.

They take a model, as `isthmus_controllers.npc` does, and are policies. Model predictive control can be written into a file, of kind `mpc`.
"""

from isthmus_controllers.planners.cem import CemPlanner
from isthmus_controllers.planners.gradient import GradientPlanner

__all__ = ["CemPlanner", "GradientPlanner"]
