"""Robots and tasks of a lab, for isthmus; `pyproject.toml` gives them their names."""
