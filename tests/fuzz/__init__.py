"""Seeded fuzzers over everything that a person types and that a disk holds; `python -m tests.fuzz.run` runs them."""
