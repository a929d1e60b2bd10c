"""Holds the nodes that come with rexcli; `rex init` copies them as a start for your own."""
