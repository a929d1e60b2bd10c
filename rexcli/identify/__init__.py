"""From recordings to parameters and delays: simulated signals are made to reproduce recorded ones.

`identify` replays what some nodes sent on the recorded timeline, simulates the others around it, and looks for the
values with which the simulated outputs are nearest to the recorded ones; how sure these are, and what the data cannot
tell, comes with them.
"""

from rexcli.identify.cem import CEM
from rexcli.identify.cma import CMAES
from rexcli.identify.gradient import Gradient
from rexcli.identify.levenberg import LevenbergMarquardt
from rexcli.identify.optimizer import Optimizer, Optimum, Search

__all__ = ["CEM", "CMAES", "Gradient", "LevenbergMarquardt", "Optimizer", "Optimum", "Search"]
