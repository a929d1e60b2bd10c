"""Writes run directories, in which files are whole or absent, and reads them as mere data."""
