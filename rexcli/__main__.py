"""Runs `python -m rexcli`, which is the same as `rex`."""

from rexcli.cli.main import start

if __name__ == "__main__":
    start()
