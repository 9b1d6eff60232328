"""The runtimes of policy files that the core brings; `isthmus.kind` finds them and those of other packages."""
