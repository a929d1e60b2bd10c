"""From YAML to a checked `Experiment` (no JAX), and from there to a `System`."""
