"""The process that writes everything down; it only listens."""
