"""`cellsim app`: write the interactive page."""

from __future__ import annotations

from pathlib import Path

import click

from cellsim.app import write_page


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("polarization.html"), metavar="FILE.html",
              show_default=True, help="Where to; a file that is there is replaced.")  # fmt: skip
@click.option("--open", "show", is_flag=True, help="Also open it in the browser.")
def app(output: Path, show: bool) -> None:
    """Write the interactive page: one file with sliders that solves a cell in any browser, offline.

    \b
    Example:  cellsim app -o polarization.html --open
    """
    write_page(output)
    click.echo(f"{output} written; open it in any browser")
    if show:
        click.launch(str(output))
