"""Commands that teach: the shipped examples, textbook experiments, and the page with sliders."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from cellsim.base import InputError
from cellsim.terminal import FILE, say


@click.command()
@click.argument("experiment", required=False)
@click.argument("source", required=False, metavar="SET")
@click.option("--c", "c", metavar="C", help='Salt concentration, such as "1.2 mol/L"; default 1 mol/L or mid-range.')
@click.option("--r", "r", type=float, metavar="R", help="Salt per solvent molecule (Li:EO), instead of --c.")
@click.option("-T", "--temperature", metavar="T", help='Temperature of a set, such as "40 degC".')
@click.option("--thickness", metavar="L", help='Distance of the electrodes; default "0.5 mm" or the case\'s.')
@click.option("--resistance", metavar="R", help='Resistance of each interface; default "10 ohm*cm^2" or the case\'s.')
@click.option(
    "--capacitance", metavar="C", help='Double layer of each electrode, for an impedance; default "10 uF/cm^2".'
)
@click.option("--phase", type=float, metavar="A", help="Exponent of a constant-phase element instead, 0.5 to 1.")
@click.option("--noise", is_flag=True, help="Add ordinary instrument noise; results then have error bars.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="Seed of the noise; another number draws other errors. Default 0.",
)
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Also write figures and summary.json.")
def lab(
    experiment: str | None,
    source: str | None,
    c: str | None,
    r: float | None,
    temperature: str | None,
    thickness: str | None,
    resistance: str | None,
    capacitance: str | None,
    phase: float | None,
    noise: bool,
    seed: int | None,
    output: Path | None,
) -> None:
    """Textbook experiments on the full model: true value, inferred value, and whether the assumption is fulfilled.

    SET: a shipped set, a set's file, or a case. Without arguments: the list of experiments (docs/laboratory.md).

    \b
    Example:  cellsim lab chain landesfeind2019_ec_dmc --c "1.5 mol/L"
    """
    from cellsim.base import to_si
    from cellsim.files.folder import check_writable
    from cellsim.laboratory import report as report

    if experiment is None:
        say(report.catalogue())
        return
    if source is None:
        raise InputError(f"lab {experiment}: give an experiment and a set, such as `chain landesfeind2019_ec_dmc`")
    if seed is not None and not noise:
        raise InputError(f"--seed {seed}: perfect instruments draw no random numbers; add --noise or leave it out")
    units = {
        "c": (c, "mol/m^3"),
        "temperature": (temperature, "K"),
        "thickness": (thickness, "m"),
        "resistance": (resistance, "ohm*m^2"),
        "capacitance": (capacitance, "F/m^2"),
    }
    si = {k: None if text is None else to_si(text, unit, field=f"--{k}") for k, (text, unit) in units.items()}
    bench = report.put_on_bench(
        source,
        c=si["c"],
        r=r,
        T=si["temperature"],
        thickness=si["thickness"],
        resistance=si["resistance"],
        capacitance=si["capacitance"],
        phase=phase,
        noise=replace(report.ORDINARY, seed=seed or 0) if noise else None,
    )
    directory = None if output is None else check_writable(output)
    records, failed = report.do_all(bench) if experiment == "all" else (report.do(experiment, bench), {})
    say(report.lines(bench, records, failed))
    for sentence in report.left_aside(source):
        click.echo(f"note: {sentence}", err=True)
    if directory is not None:
        click.echo(f"written to {report.write_lab(bench, records, directory, failed)[-1].parent}")
    if failed:
        sys.exit(1)


@click.command()
@click.argument("directory", type=FILE, required=False, default=Path("cellsim-examples"))
def examples(directory: Path) -> None:
    """Copy the shipped cases, their data and the notebooks into a folder.

    DIRECTORY: a new folder; default cellsim-examples. Inside it the paths of the README and of the pages work.

    \b
    Example:  cellsim examples && cd cellsim-examples && cellsim run cases/steinruck2020/rs.toml
    """
    from cellsim.files.folder import copy_examples

    written = copy_examples(directory)
    enter = "" if directory.resolve() == Path.cwd() else f"cd {directory} && "
    click.echo(f"examples written to {written}; next: {enter}cellsim run cases/steinruck2020/rs.toml")


@click.command()
@click.option(
    "-o",
    "--output",
    type=FILE,
    default=Path("polarization.html"),
    metavar="FILE.html",
    show_default=True,
    help="File to write; an existing file is replaced.",
)
@click.option("--open", "show", is_flag=True, help="Also open it in the browser.")
def app(output: Path, show: bool) -> None:
    """Write the interactive page: one file with sliders that solves a cell in any browser, offline.

    \b
    Example:  cellsim app -o polarization.html --open
    """
    from cellsim.app import write_page

    write_page(output)
    click.echo(f"{output} written; open it in any browser")
    if show:
        click.launch(str(output))
