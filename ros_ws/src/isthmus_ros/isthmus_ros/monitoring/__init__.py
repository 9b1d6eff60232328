"""The process that watches a specification; it only listens."""
