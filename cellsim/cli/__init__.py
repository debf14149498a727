"""The command line. No computation here: each command reads, calls, prints."""

from __future__ import annotations

import click

from cellsim.base import __version__
from cellsim.cli import cases, lessons, measurements
from cellsim.terminal import SETTINGS, Commands


@click.group(cls=Commands, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="cellsim")
def main() -> None:
    """Predict a polarisation experiment: Li | electrolyte | Li.

    \b
    Begin with:  cellsim new my_cell.toml && cellsim run my_cell.toml
    """


# in the order of use, as `cellsim --help` lists them
for command in (
    cases.new,
    cases.check,
    cases.plan,
    cases.run,
    cases.sweep,
    cases.plot,
    measurements.compare,
    measurements.xpcs,
    measurements.volumes,
    measurements.fit,
    measurements.watch,
    measurements.design,
    lessons.lab,
    measurements.analyse,
    cases.sets,
    lessons.app,
    cases.export,
    cases.cite,
):
    main.add_command(command)
