"""Commands on what was measured: comparison, reduction of raw data, fits, and what to measure next."""

from __future__ import annotations

import math
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from cellsim.base import InputError, interrupted
from cellsim.terminal import FILE, progress_line, say


@click.command()
@click.argument("case", type=FILE)
@click.argument("data", nargs=-1, type=FILE)
@click.option(
    "-o", "--output", type=FILE, metavar="DIR", help="Folder of the results; default runs/<name of the case>-compare."
)
@click.option("--also", multiple=True, type=FILE, metavar="CASE", help="A second case beside the first; repeatable.")
@click.option(
    "--leave-out", multiple=True, metavar="X", help='Position left out of mean and spread, such as "-0.85 mm".'
)
@click.option("--window", nargs=2, metavar="FROM TO", help="Times between which velocity ratios are averaged.")
@click.option("--profile-at", metavar="T", help="Time at which the symmetry is evaluated; default: the last profile.")
@click.option(
    "--refit",
    multiple=True,
    metavar="NAME",
    help="Rank the sets after fitting this nuisance parameter (R_int, area, gain); repeatable.",
)
@click.option(
    "--bands",
    "draws",
    type=click.IntRange(min=20),
    metavar="N",
    help="Also compute bands from N draws of the set's covariance, and chi squared with its error.",
)
def compare(
    case: Path,
    data: tuple[Path, ...],
    output: Path | None,
    also: tuple[Path, ...],
    leave_out: tuple[str, ...],
    window: tuple[str, str] | None,
    profile_at: str | None,
    refit: tuple[str, ...],
    draws: int | None,
) -> None:
    """Compare a prediction with data; nothing is fitted without --refit. CASE is a case or the folder of a run.

    DATA: potentiostat exports (.mpt, .DTA), tables with units in the header, data sheets (docs/compare.md); the
    [[measured]] tables of the case are used as well.

    \b
    Example:  cellsim compare cases/thienenkamp2022/polarisation.toml -o compared
    """
    from cellsim.base import to_si
    from cellsim.compare.report import ComparisonResult, Wanted, compare_case, write_comparison
    from cellsim.files.folder import check_writable

    wanted = Wanted(
        tuple(to_si(x, "m", field="--leave-out") for x in leave_out),
        (to_si(window[0], "s", field="--window"), to_si(window[1], "s", field="--window")) if window else None,
        None if profile_at is None else to_si(profile_at, "s", field="--profile-at"),
    )
    directory = check_writable(output or Path("runs") / f"{case.stem}-compare")
    result = ComparisonResult(tuple(compare_case(path, data, wanted) for path in (case, *also)))
    written = write_comparison(result, directory)
    say(result.lines())
    click.echo(f"written to {written[-1]}")
    if refit:
        from cellsim.fit.rivals import evidence, rivals, verdict

        measured = [(c.case, [item.measurement for item in c.items]) for c in result.comparisons]
        with progress_line() as progress:
            weighed = evidence(rivals(measured, refit), progress=partial(progress, "refitting"))
        say(verdict(weighed))
    if draws:
        from cellsim.files.writing import write_json
        from cellsim.fit.bands import bands_of_case, write_bands
        from cellsim.fit.set_error import with_set_error
        from cellsim.run.mixture import MixtureCase
        from cellsim.workers import cores

        first = result.comparisons[0]
        workers = cores() if isinstance(first.case, MixtureCase) else 1  # such a draw takes a second
        with progress_line() as progress:
            told = partial(progress, "draws")
            judged = with_set_error(first.case, first.items, draws, workers=workers, progress=told)
            found = bands_of_case(first.case, draws, workers=workers, progress=partial(progress, "bands"))
        say([*judged.lines(), *write_bands(first.case, found, directory)])
        write_json(directory / "bands.json", judged.numbers())
    early = [c for c in result.comparisons if not c.solution.succeeded]
    for c in early:
        click.echo(f"{c.case.title}: {c.solution.status}: {c.solution.message}", err=True)
    if early:
        sys.exit(1)


@click.command()
@click.argument("files", nargs=-1, type=FILE, metavar="LIST.toml | FILE...")
@click.option("--position", metavar="X", help='Position of a single file, such as "0.65 mm".')
@click.option("--time", metavar="T", help='Time of a single file, such as "120 min".')
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="DIR",
    help="Folder of the results; default runs/<name of the first file>-xpcs.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Number of processes.")
def xpcs(files: tuple[Path, ...], position: str | None, time: str | None, output: Path | None, workers: int) -> None:
    """Velocities from heterodyne XPCS correlation functions, for `compare` and `fit`.

    A LIST names files with their positions and times; FILEs are HDF5 results of 8-ID, tables or .npz (docs/xpcs.md).
    Writes velocities.csv, xpcs.json, xpcs.nc, figures and a page. Exit code 1: some series could not be fitted.

    \b
    Example:  cellsim xpcs beamtime.toml -o velocities
    """
    from cellsim.files.folder import check_writable
    from cellsim.instruments.xpcs.series import fit_list, read_list, with_place, write_series

    asked = with_place(read_list(files), position, time)
    directory = check_writable(output or Path("runs") / f"{files[0].stem}-xpcs")
    with progress_line() as progress:
        result = fit_list(asked, workers=workers, progress=partial(progress, "series"))
    written = write_series(result, directory)
    say(result.lines())
    click.echo(f"written to {written[-1]}")
    if result.failed:
        sys.exit(1)


@click.command()
@click.argument("table", type=FILE, metavar="DENSITIES.csv")
@click.option("--salt", required=True, metavar="M", help='Molar mass of the salt, such as "287.09 g/mol".')
@click.option(
    "--solvent", required=True, metavar="M", help="Molar mass of the solvent; for a polymer of its repeat unit."
)
@click.option("--json", "as_json", type=FILE, metavar="FILE", help="Also write the numbers to this file.")
def volumes(table: Path, salt: str, solvent: str, as_json: Path | None) -> None:
    """Partial molar volumes of salt and solvent from densities at several concentrations, with errors.

    DENSITIES.csv: the column r, m (mol/kg) or c (mol/L), the column density (g/cm^3), and, if known, its error.
    Prints the volumes and the [volumes] block of a transport set.

    \b
    Example:  cellsim volumes densities.csv --salt "287.09 g/mol" --solvent "44.05 g/mol"
    """
    from cellsim.base import to_si
    from cellsim.files.writing import write_json
    from cellsim.instruments.densities import volumes_of_densities

    masses = [to_si(text, "kg/mol", field=name) for text, name in ((salt, "--salt"), (solvent, "--solvent"))]
    for mass, name in zip(masses, ("--salt", "--solvent"), strict=True):
        if not 1e-3 < mass < 10:
            raise InputError(f"{name} = {mass:.4g} kg/mol must lie between 1 g/mol and 10 kg/mol")
    found = volumes_of_densities(table, M_e=masses[0], M_0=masses[1])
    say(found.lines())
    if as_json is not None:
        write_json(as_json, found.numbers())


@click.command()
@click.argument("kind", required=False)
@click.argument("files", nargs=-1, type=FILE, metavar="FILE...")
@click.option("--thickness", metavar="L", help='Distance of the electrodes, with its standard error: "0.50 ± 0.01 mm".')
@click.option("--area", metavar="A", help='Area of an electrode, "1.13 ± 0.02 cm^2" or "1.13 cm^2 +- 2 %".')
@click.option("--voltage", metavar="V", help="Held voltage, if the file does not contain it.")
@click.option(
    "--r0", metavar="R", help='Resistance of both interfaces before the current, "50 ± 1 ohm" or "50 ohm cm^2".'
)
@click.option("--rss", metavar="R", help="Resistance of both interfaces at its end; default: as --r0.")
@click.option("--bulk", metavar="R", help="R_b by impedance; without it i_0 is fitted to the first seconds.")
@click.option("--before", type=FILE, metavar="FILE", help="Spectrum before the current, in place of --r0 and --bulk.")
@click.option("--after", type=FILE, metavar="FILE", help="Spectrum at its end, in place of --rss.")
@click.option("--from", "begin", metavar="T", help="Start of the rest or the step, on the clock of the file.")
@click.option("--to", "end", metavar="T", help="Times after this one are ignored, on the clock of the file.")
@click.option("--at", metavar="C", help='Concentration cells: place of the slope, "1 mol/kg" or "1 mol/L".')
@click.option("--c", "c", metavar="C", help='Average salt concentration, "1.00 ± 0.01 mol/L", for D/(1 - t+).')
@click.option("-T", "--temperature", metavar="T", help="Concentration cells of a 1:1 salt: also (1 - t+0) chi.")
@click.option(
    "--column", multiple=True, metavar="ROLE=NAME", help='Column to use, such as "voltage=Ewe/V"; repeatable.'
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="DIR",
    help="Folder of the results; default runs/<name of the first file>-<kind>.",
)
def analyse(kind: str | None, files: tuple[Path, ...], output: Path | None, **given: Any) -> None:
    """Compute properties from measured files, with 95 % intervals and the assumptions that were checked.

    KIND: relaxation, fraction, limiting-current, concentration-cell, impedance, chain; without arguments: the list
    (docs/analyse.md). FILE is a potentiostat's export (.mpt, .DTA) or a table with units in the header; for a chain
    it is a TOML file.

    \b
    Example:  cellsim analyse relaxation rest.mpt --thickness "0.50 ± 0.01 mm"
    """
    from cellsim.files.folder import check_writable
    from cellsim.laboratory.measured import Request, catalogue, read_chain, write_measured
    from cellsim.laboratory.measured import analyse as analyse_files

    if kind is None:
        say(catalogue())
        return
    if not files:
        raise InputError(f"analyse {kind}: name the file that was recorded, such as `relaxation rest.mpt`")
    names = {"begin": "from", "end": "to"}
    values = {names.get(key, key): value for key, value in given.items() if value not in (None, ())}
    directory = check_writable(output or Path("runs") / f"{files[0].stem}-{kind}")
    if kind == "chain":
        if len(files) > 1 or values:
            raise InputError("analyse chain: takes one TOML file, which states everything else (docs/analyse.md)")
        chain = read_chain(files[0])
        written, lines = write_measured(chain, directory), chain.finding.lines()
    else:
        found = analyse_files(Request(kind, files, values))
        written, lines = write_measured(found, directory), found.lines()
    say(lines)
    click.echo(f"written to {written[-1].parent}")


@click.command()
@click.argument("recipe", type=FILE, metavar="FIT.toml")
@click.option(
    "-o", "--output", type=FILE, metavar="DIR", help="Folder of the results; default runs/<name of the file>."
)
@click.option(
    "--starts", type=click.IntRange(min=1), default=3, show_default=True, help="Number of searches for the best point."
)
@click.option("--no-profiles", is_flag=True, help="No profile likelihoods: errors by the curvature alone.")
@click.option(
    "--posterior",
    "steps",
    type=click.IntRange(min=0),
    default=0,
    metavar="STEPS",
    help="Also sample the posterior, with at most this many steps; continues an earlier call.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Number of processes.")
def fit(recipe: Path, output: Path | None, starts: int, no_profiles: bool, steps: int, workers: int) -> None:
    """Fit a transport set to measurements, and report what the data do not determine.

    Writes fit.json, fitted_set.toml, figures and fit.html (docs/fit.md). Profile likelihoods and the posterior
    continue an interrupted call.

    \b
    Example:  cellsim fit cases/fit_example/fit.toml -o fitted
    """
    from cellsim.files.folder import work_folder
    from cellsim.fit.recipe import read_recipe
    from cellsim.fit.report import run_fit, write_fit

    read = read_recipe(recipe)
    with work_folder(output or Path("runs") / recipe.stem) as directory, progress_line() as progress:
        result = run_fit(
            read,
            directory,
            starts=starts,
            with_profiles=not no_profiles,
            posterior_steps=steps,
            workers=workers,
            progress=progress,
        )
        written = write_fit(result, directory)
    say(result.lines())
    click.echo(f"written to {written[-1]}")
    if result.estimate.early or (result.posterior is not None and not result.posterior.converged):
        sys.exit(1)


@click.command()
@click.argument("recipe", type=FILE, metavar="FIT.toml")
@click.argument("folder", type=FILE)
@click.option(
    "-o", "--output", type=FILE, metavar="DIR", help="Folder of the results; default runs/<name of the file>-watch."
)
@click.option(
    "--target", "targets", multiple=True, metavar="NAME=ERROR", help='Wanted error, such as t_plus=0.05 or "D=5 %".'
)
@click.option("--every", default="2 s", show_default=True, metavar="T", help="Time between two looks into the folder.")
@click.option(
    "--for", "lasting", metavar="T", help='How long to watch, such as "8 h"; "0 s": once; default: until Ctrl-C.'
)
@click.option("--until-met", is_flag=True, help="End when every target is met.")
def watch(
    recipe: Path,
    folder: Path,
    output: Path | None,
    targets: tuple[str, ...],
    every: str,
    lasting: str | None,
    until_met: bool,
) -> None:
    """Fit while data are measured: use files as they appear in FOLDER, and state what the next hour would add.

    FIT.toml names its data by patterns (files = "*.csv", docs/fit.md). watch.html in DIR is kept up to date.

    \b
    Example:  cellsim watch fit.toml /data/today --target t_plus=0.05
    """
    from cellsim.base import to_si
    from cellsim.files.folder import check_writable
    from cellsim.fit.watch import REPORT, State
    from cellsim.fit.watch import watch as follow

    directory = check_writable(output or Path("runs") / f"{recipe.stem}-watch")
    period = to_si(every, "s", field="--every")
    if period <= 0:
        raise InputError(f"--every {every} must be positive")
    time = math.inf if lasting is None else to_si(lasting, "s", field="--for")
    began = False

    def told(state: State) -> None:
        nonlocal began
        if not began:  # the folder and the fit's file were found good
            click.echo(f"watching {folder}; the page is {directory / REPORT}; Ctrl-C ends", err=True)
        began = True
        say(state.lines())

    try:
        follow(
            *(recipe, folder, directory),
            targets=targets,
            every=period,
            lasting=time,
            until_met=until_met,
            told=told,
        )
    except (KeyboardInterrupt, SystemError) as error:
        if not interrupted(error):
            raise
        click.echo(f"ended; {directory} contains the last update", err=True)


@click.command()
@click.argument("file", type=FILE, metavar="DESIGN.toml")
@click.option(
    "-o", "--output", type=FILE, metavar="DIR", help="Folder of the results; default runs/<name of the file>."
)
def design(file: Path, output: Path | None) -> None:
    """Find the experiment that determines a parameter best per hour: voltage, thickness, duration, times, places.

    \b
    Example:  cellsim design cases/fit_example/design.toml -o designed
    """
    from cellsim.files.folder import check_writable
    from cellsim.fit.design import design as rate
    from cellsim.fit.design import read_design, write_design

    read = read_design(file)
    directory = check_writable(output or Path("runs") / file.stem)
    with progress_line() as progress:
        tell = partial(progress, "cells")
        result = rate(read, progress=tell)
    written = write_design(result, directory)
    say(result.lines())
    click.echo(f"written to {written[0]}")
