"""One HTML page of runs that needs nothing else: curves, tables, pictures, configuration, provenance."""

from rexcli.report.data import Entry
from rexcli.report.page import render

__all__ = ["Entry", "render"]
