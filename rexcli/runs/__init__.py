"""Run directories: what a command leaves behind, written so that it is whole, read as mere data."""
