"""Controllers that are policies: they have a contract, live in an artifact and run wherever a trained policy runs."""
