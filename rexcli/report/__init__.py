"""Builds a self-contained HTML page of runs: curves, tables, pictures, configuration, provenance."""

from rexcli.report.data import Entry
from rexcli.report.page import render

__all__ = ["Entry", "render"]
