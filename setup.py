"""What `pyproject.toml` cannot say: a wheel holds the top-level `conf/` as data of the package `rexcli._bundled.conf`.

The tree has no link for it, so that it builds on Windows, from a zip download and from a source distribution.
"""

from setuptools import find_namespace_packages, find_packages, setup

CONF = "rexcli._bundled.conf"

setup(
    packages=[
        *find_packages(include=["rexcli*", "nodes*"]),
        CONF,
        *(f"{CONF}.{folder}" for folder in find_namespace_packages("conf")),
    ],
    package_dir={CONF: "conf"},
    package_data={"": ["*.yaml", "*.xml", "*.urdf"], "rexcli.report": ["*.css", "*.js"], "rexcli": ["templates/**/*"]},
)
