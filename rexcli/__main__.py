"""`python -m rexcli`: the same as `rex`."""

from rexcli.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
