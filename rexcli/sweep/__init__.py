"""Runs sweeps: one command on many variants of an experiment, by Hydra's sweepers and launchers; stopped ones can be
resumed.
"""
