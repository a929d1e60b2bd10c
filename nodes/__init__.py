"""Node code that comes with rexcli; `rex init` copies it as a start for your own."""
