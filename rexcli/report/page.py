"""Renders the page: a Content-Security-Policy that loads nothing, styles, data, and the script that draws."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from rexcli.report.data import Entry, encode, page_data


def render(entries: Sequence[Entry], title: str, extra: Mapping[str, bytes] | None = None) -> bytes:
    """Returns a page of runs as HTML in UTF-8. The same runs give the same bytes.

    Runs may come from a stranger. Their content is in the page as data, which the script shows as text, and the page's
    Content-Security-Policy allows no other script, style or address.

    Args:
        entries: runs and jobs, in order; at least one.
        title: title of the page.
        extra: pictures of all entries together, by file name.

    Raises:
        RexError: a run's files are damaged; the message names the file.
    """
    style, script = _resource("report.css"), _resource("report.js")
    policy = f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    data = encode(page_data(entries, title, extra))
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<style>{style}</style>
</head>
<body>
<main id="page"><noscript>This page draws itself by a script that it carries; allow scripts.</noscript></main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""
    return text.encode()


@cache
def _resource(name: str) -> str:
    return files("rexcli.report").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
