"""Learners: they turn environments into artifacts."""
