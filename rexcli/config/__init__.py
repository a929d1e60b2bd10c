"""Reads YAML to a checked `Experiment` (without JAX), and builds a `System` from it."""
