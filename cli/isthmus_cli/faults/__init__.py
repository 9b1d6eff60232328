"""Faults of processes, states and commands, brought about around a simulated robot of any profile, and what guard and robot do about them."""
