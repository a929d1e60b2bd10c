"""Estimates parameters and delays from recordings, such that simulated signals reproduce recorded ones.

`identify` replays the recorded outputs of some nodes on the recorded timeline, simulates the other nodes around them,
and finds the values with which the simulated outputs are nearest to the recorded ones. It also says how certain these
values are and which of them the data cannot determine.
"""

from rexcli.identify.cem import CEM
from rexcli.identify.cma import CMAES
from rexcli.identify.gradient import Gradient
from rexcli.identify.levenberg import LevenbergMarquardt
from rexcli.identify.optimizer import Optimizer, Optimum, Search

__all__ = ["CEM", "CMAES", "Gradient", "LevenbergMarquardt", "Optimizer", "Optimum", "Search"]
