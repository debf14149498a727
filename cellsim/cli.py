"""The command line. No computation here: each command reads, calls, prints."""

from __future__ import annotations

import math
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from cellsim.base import InputError, __version__, interrupted
from cellsim.terminal import FILE, SETTINGS, Commands, progress_bar, progress_line, say


@click.group(cls=Commands, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="cellsim")
def main() -> None:
    """Predict a polarisation experiment: Li | electrolyte | Li.

    \b
    Begin with:  cellsim new my_cell.toml && cellsim run my_cell.toml
    """


@main.command()
@click.argument("file", type=FILE)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def new(file: Path, force: bool) -> None:
    """Write a commented case to start from.

    \b
    Example:  cellsim new my_cell.toml
    """
    from importlib import resources

    from cellsim.files.folder import write_text

    if file.suffix != ".toml":
        raise InputError(f"{file}: a case is a .toml file")
    if file.exists() and not force:
        raise InputError(f"{file}: exists; choose another name or say --force")
    text = (resources.files("cellsim") / "template.toml").read_text(encoding="utf-8")
    try:
        write_text(file, text.replace("THIS_FILE.toml", file.name))
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror})") from error
    click.echo(f"{file} written; next: cellsim run {file}")


SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help='Change a value of the case, such as "thickness=1 mm", "step[0].value=0.2 V"; repeatable.',
)


def _changes(settings: tuple[str, ...]) -> dict[str, Any]:
    from cellsim.files.schema import assignment

    return dict(assignment(text) for text in settings)


@main.command()
@click.argument("case", type=FILE)
@SET
def check(case: Path, settings: tuple[str, ...]) -> None:
    """Read a case and say what will be run.

    \b
    Example:  cellsim check cases/steinruck2020/rs.toml
    """
    from cellsim.run import mixture
    from cellsim.run.case import describe

    read = mixture.read_case(case, changes=_changes(settings))
    say(mixture.describe(read) if isinstance(read, mixture.MixtureCase) else describe(read))


@main.command()
@click.argument("case", type=FILE)
@SET
def plan(case: Path, settings: tuple[str, ...]) -> None:
    """Compute currents, times, voltages and velocities from formulas, before any run.

    \b
    Example:  cellsim plan cases/steinruck2020/rs.toml
    """
    from cellsim.model.mixture import plan as plan_mixture
    from cellsim.model.plan import plan as make_plan
    from cellsim.run.mixture import MixtureCase, read_case

    read = read_case(case, changes=_changes(settings), whole=False)
    if isinstance(read, MixtureCase):
        say(plan_mixture(read.cell, read.transport, read.protocol, read.r0))
        return
    say(make_plan(read.cell, read.transport, read.protocol, read.start).lines())


@main.command()
@click.argument("case", type=FILE)
@click.option("-o", "--output", type=FILE, metavar="DIR", help="The run folder; default runs/<name of the case>.")
@click.option(
    "--solver", metavar="NAME", help="Instead of the solver the case names: auto, compiled, fipy, material, sundials."
)
@click.option("--no-figures", is_flag=True, help="Leave the figures and the report out.")
@click.option(
    "--bands",
    "draws",
    type=click.IntRange(min=20),
    metavar="N",
    help="Also bands by N draws of the set's own covariance, as `mdcoeffs to-set` states it.",
)
@SET
def run(
    case: Path,
    output: Path | None,
    solver: str | None,
    no_figures: bool,
    draws: int | None,
    settings: tuple[str, ...],
) -> None:
    """Simulate current, voltage, profiles and velocities; write a folder with figures and a report.

    Exit code 0: done. 1: ended early, the partial result is kept. 2: bad input, nothing written.

    \b
    Example:  cellsim run cases/steinruck2020/rs.toml -o runs/rs
    """
    from cellsim.files.folder import check_writable
    from cellsim.run import mixture
    from cellsim.run.folder import drawer, predict, write_run

    read = mixture.read_case(case, changes=_changes(settings))
    if draws and isinstance(read, mixture.MixtureCase):
        raise InputError(f"{case}: --bands draws from the covariance of a binary set; this one has n components")
    directory = check_writable(output or Path("runs") / case.stem)
    try:
        with progress_bar(case.stem) as progress:
            solution = predict(read, solver=solver, progress=progress)
    except (KeyboardInterrupt, SystemError) as error:
        if not interrupted(error):
            raise
        click.echo("interrupted before the first time step; nothing was kept", err=True)
        sys.exit(1)
    if isinstance(read, mixture.MixtureCase):
        draw = None if no_figures else mixture.drawer(read, solution)
        kept = write_run(directory, read, solution, draw=draw, summary=mixture.summarise(read, solution))
        say(mixture.told(kept.summary))
    else:
        kept = write_run(directory, read, solution, draw=None if no_figures else drawer(read, solution))
        say(_told(kept.summary))
    if not solution.succeeded:
        click.echo(f"{solution.status}: {solution.message}", err=True)
        click.echo(f"the partial result is kept in {kept.directory}", err=True)
        if kept.beside:
            click.echo(f"{directory} holds a finished run and was left as it is", err=True)
        sys.exit(1)
    if draws and not isinstance(read, mixture.MixtureCase):
        from cellsim.fit.bands import bands_of_case, write_bands

        with progress_line() as stage:
            found = bands_of_case(read, draws, progress=partial(stage, "bands"))
        say(write_bands(read, found, kept.directory))
    click.echo(f"written to {kept.directory}")


@main.command()
@click.argument("file", type=FILE, metavar="CASE")
@click.option(
    "--over",
    multiple=True,
    metavar="KEY=VALUES",
    help='What to sweep: "thickness=0.5, 1, 2 mm", "voltage=0.1 V to 0.5 V in 5", "current=0.1 to 10 A/m^2 in 7 log".',
)
@SET
@click.option("--paired", is_flag=True, help="The values go together one by one, in place of every combination.")
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Where to; default runs/<name of the case>-sweep.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes; default as many as serve.")
@click.option("--scheduler", metavar="ADDRESS", help="A dask scheduler that does the work.")
@click.option("--no-figures", is_flag=True, help="Leave the figures out.")
def sweep(
    file: Path,
    over: tuple[str, ...],
    settings: tuple[str, ...],
    paired: bool,
    output: Path | None,
    workers: int | None,
    scheduler: str | None,
    no_figures: bool,
) -> None:
    """Run a case over lists of values of its keys; write one table, one NetCDF file and figures.

    CASE is a case, or a file that names a case and what to sweep (docs/sweep.md). An interrupted call continues
    when it is repeated. Exit code 1: some of the runs could not be made. 2: none could.

    \b
    Example:  cellsim sweep cases/steinruck2020/rs.toml --over "voltage=0.1, 0.2, 0.3 V" --over "thickness=1, 2, 3 mm"
    """
    from cellsim.files.folder import work_folder
    from cellsim.run.sweep import read_sweep, run_sweep, write_sweep

    asked = read_sweep(file, over, settings, paired=paired)
    with work_folder(output or Path("runs") / f"{file.stem}-sweep") as directory, progress_line() as progress:
        result = run_sweep(asked, directory, workers=workers, scheduler=scheduler, progress=partial(progress, "runs"))
        written = write_sweep(result, directory, figures=not no_figures)
    say(result.lines())
    click.echo(f"written to {written[0].parent}")
    if result.refused:
        sys.exit(1)


def _expected(summary: dict[str, Any]) -> str:
    """What a held voltage's ratio of currents is to be compared with, in words."""
    bare = f"1/(1+Ne) at the average: {summary['rho_plus']:.4g}"
    if not summary["ratio_expected"] or summary["bruce_vincent"] is None:
        return bare
    return (
        f"a small voltage with these interfaces: {summary['ratio_expected']:.4g}; without their share, Bruce-Vincent: "
        f"{summary['bruce_vincent']:.4g}; {bare}"
    )


def _told(summary: dict[str, Any]) -> list[str]:
    """The few numbers of a summary that one wants to see at once."""
    minutes = summary["time_end"] / 60
    drives = [entry["drive"] for entry in summary["steps"]]
    # else the ratio is no current fraction
    held = len(drives) == 1 and "hold voltage" in drives[0] and summary["initial"] is None
    ratio = summary["i_end_over_i_0"] if held else None
    return [
        f"{summary['title']}: {minutes:.4g} min in {summary['wall_time']:.2f} s, {summary['status']}",
        f"i   {summary['i_0']:.4g} -> {summary['i_end']:.4g} A/m^2"
        + (f" (ratio {ratio:.4g}; {_expected(summary)})" if ratio else ""),
        f"V   {summary['V_0']:.4g} -> {summary['V_end']:.4g} V",
        f"c   {summary['c_min']:.4g} to {summary['c_max']:.4g} mol/m^3, salt conserved to {summary['salt_drift']:.1e}",
        *(["properties were held at the ends of their range (clamped)"] if summary["clamped"] else []),
        f"transport set: {summary['transport']} ({summary['transport_status']})",
    ]


@main.command()
@click.argument("directory", type=FILE, metavar="DIR")
@click.option("--case", "case_path", type=FILE, help="Where the case is now, if it has moved since the run.")
def plot(directory: Path, case_path: Path | None) -> None:
    """Draw the figures and write the report of a run again from its solution.nc.

    \b
    Example:  cellsim plot runs/rs
    """
    from cellsim.run import mixture
    from cellsim.run.folder import drawer, read_run

    mixed = mixture.read_kept(directory, case_path)
    draw = drawer(*read_run(directory, case_path)) if mixed is None else mixture.drawer(*mixed)
    draw(directory)
    click.echo(f"figures and report written in {directory}")


@main.command()
@click.argument("case", type=FILE)
@click.argument("data", nargs=-1, type=FILE)
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Where to; default runs/<name of the case>-compare.")
@click.option("--also", multiple=True, type=FILE, metavar="CASE", help="A second case beside the first; repeatable.")
@click.option("--leave-out", multiple=True, metavar="X", help='Position kept out of the spread, such as "-0.85 mm".')
@click.option("--window", nargs=2, metavar="FROM TO", help="Times between which velocity ratios are averaged.")
@click.option("--profile-at", metavar="T", help="When the symmetry of the profile is judged; default the last one.")
@click.option(
    "--refit",
    multiple=True,
    metavar="NAME",
    help="Judge the sets by evidence, a nuisance (R_int, area, gain) refitted; repeatable.",
)
@click.option(
    "--bands",
    "draws",
    type=click.IntRange(min=20),
    metavar="N",
    help="Also bands by N draws of the set's covariance, and chi squared with the error of the set.",
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
        from cellsim.files.folder import write_json
        from cellsim.fit.bands import bands_of_case, with_set_error, write_bands

        first = result.comparisons[0]
        with progress_line() as progress:
            judged = with_set_error(first.case, first.items, draws, progress=partial(progress, "draws"))
            found = bands_of_case(first.case, draws, progress=partial(progress, "bands"))
        say([*judged.lines(), *write_bands(first.case, found, directory)])
        write_json(directory / "bands.json", judged.numbers())
    early = [c for c in result.comparisons if not c.solution.succeeded]
    for c in early:
        click.echo(f"{c.case.title}: {c.solution.status}: {c.solution.message}", err=True)
    if early:
        sys.exit(1)


@main.command()
@click.argument("files", nargs=-1, type=FILE, metavar="LIST.toml | FILE...")
@click.option("--position", metavar="X", help='Of a single file, such as "0.65 mm".')
@click.option("--time", metavar="T", help='Of a single file, such as "120 min".')
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Where to; default runs/<name of the first file>-xpcs.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
def xpcs(files: tuple[Path, ...], position: str | None, time: str | None, output: Path | None, workers: int) -> None:
    """Velocities from heterodyne XPCS correlation functions, for `compare` and `fit`.

    A LIST names files with their positions and times; FILEs are HDF5 results of 8-ID, tables or .npz (docs/xpcs.md).
    Writes velocities.csv, xpcs.json, xpcs.nc, figures and a page. Exit code 1 where some series could not be fitted.

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


@main.command()
@click.argument("table", type=FILE, metavar="DENSITIES.csv")
@click.option("--salt", required=True, metavar="M", help='Molar mass of the salt, such as "287.09 g/mol".')
@click.option("--solvent", required=True, metavar="M", help="Of the solvent; of a polymer, its repeat unit.")
@click.option("--json", "as_json", type=FILE, metavar="FILE", help="Also write the numbers there.")
def volumes(table: Path, salt: str, solvent: str, as_json: Path | None) -> None:
    """Partial molar volumes of salt and solvent from densities at several concentrations, with errors.

    DENSITIES.csv: the column r, m (mol/kg) or c (mol/L), the column density (g/cm^3), and, if known, its error.
    Prints the volumes and the [volumes] block of a transport set.

    \b
    Example:  cellsim volumes densities.csv --salt "287.09 g/mol" --solvent "44.05 g/mol"
    """
    from cellsim.base import to_si
    from cellsim.files.folder import write_json
    from cellsim.instruments.densities import volumes_of_densities

    masses = [to_si(text, "kg/mol", field=name) for text, name in ((salt, "--salt"), (solvent, "--solvent"))]
    for mass, name in zip(masses, ("--salt", "--solvent"), strict=True):
        if not 1e-3 < mass < 10:
            raise InputError(f"{name} = {mass:.4g} kg/mol must lie between 1 g/mol and 10 kg/mol")
    found = volumes_of_densities(table, M_e=masses[0], M_0=masses[1])
    say(found.lines())
    if as_json is not None:
        write_json(as_json, found.numbers())


@main.command()
@click.argument("recipe", type=FILE, metavar="FIT.toml")
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Where to; default runs/<name of the file>.")
@click.option("--starts", type=click.IntRange(min=1), default=3, show_default=True, help="Searches for the best point.")
@click.option("--no-profiles", is_flag=True, help="Leave the profile likelihoods out: errors by the curvature alone.")
@click.option(
    "--posterior",
    "steps",
    type=click.IntRange(min=0),
    default=0,
    metavar="STEPS",
    help="Also sample the posterior, with at most so many steps; continues an earlier call.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
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


@main.command()
@click.argument("recipe", type=FILE, metavar="FIT.toml")
@click.argument("folder", type=FILE)
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Where to; default runs/<name of the file>-watch.")
@click.option("--target", "targets", multiple=True, metavar="NAME=ERROR", help='Such as t_plus=0.05 or "D=5 %".')
@click.option("--every", default="2 s", show_default=True, metavar="T", help="Between two looks at the folder.")
@click.option("--for", "lasting", metavar="T", help='How long, such as "8 h"; default until Ctrl-C. "0 s": once.')
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
    """Fit while the scan runs: take in files as they appear in FOLDER, and say what the next hour would add.

    FIT.toml names its data by patterns (files = "*.csv", docs/fit.md). watch.html in DIR is kept up to date.

    \b
    Example:  cellsim watch fit.toml /data/today --target t_plus=0.05
    """
    from cellsim.base import to_si
    from cellsim.files.folder import check_writable
    from cellsim.fit.watch import REPORT
    from cellsim.fit.watch import watch as follow

    directory = check_writable(output or Path("runs") / f"{recipe.stem}-watch")
    period = to_si(every, "s", field="--every")
    if period <= 0:
        raise InputError(f"--every {every} must be positive")
    time = math.inf if lasting is None else to_si(lasting, "s", field="--for")
    click.echo(f"watching {folder}; the page is {directory / REPORT}; Ctrl-C ends", err=True)
    try:
        follow(
            *(recipe, folder, directory),
            targets=targets,
            every=period,
            lasting=time,
            until_met=until_met,
            told=lambda state: say(state.lines()),
        )
    except (KeyboardInterrupt, SystemError) as error:
        if not interrupted(error):
            raise
        click.echo(f"ended; {directory} holds the last update", err=True)


@main.command()
@click.argument("file", type=FILE, metavar="DESIGN.toml")
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Where to; default runs/<name of the file>.")
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


@main.command()
@click.argument("experiment", required=False)
@click.argument("source", required=False, metavar="SET")
@click.option("--c", "c", metavar="C", help='Salt concentration, such as "1.2 mol/L"; default 1 mol/L or mid-range.')
@click.option("--r", "r", type=float, metavar="R", help="Salt per solvent molecule (Li:EO) instead.")
@click.option("-T", "--temperature", metavar="T", help='Of a set, such as "40 degC".')
@click.option("--thickness", metavar="L", help='Distance of the electrodes; default "0.5 mm" or the case\'s.')
@click.option("--resistance", metavar="R", help='Of each interface; default "10 ohm*cm^2" or the case\'s.')
@click.option("--noise", is_flag=True, help="Instruments with ordinary noise, and so error bars.")
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Also write figures and summary.json.")
def lab(
    experiment: str | None,
    source: str | None,
    c: str | None,
    r: float | None,
    temperature: str | None,
    thickness: str | None,
    resistance: str | None,
    noise: bool,
    output: Path | None,
) -> None:
    """Textbook experiments on the full model: true value, inferred value, and whether the textbook's assumption holds.

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
    units = {
        "c": (c, "mol/m^3"),
        "temperature": (temperature, "K"),
        "thickness": (thickness, "m"),
        "resistance": (resistance, "ohm*m^2"),
    }
    si = {k: None if text is None else to_si(text, unit, field=f"--{k}") for k, (text, unit) in units.items()}
    bench = report.put_on_bench(
        source,
        c=si["c"],
        r=r,
        T=si["temperature"],
        thickness=si["thickness"],
        resistance=si["resistance"],
        noise=report.ORDINARY if noise else None,
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


@main.command()
@click.argument("kind", required=False)
@click.argument("files", nargs=-1, type=FILE, metavar="FILE...")
@click.option("--thickness", metavar="L", help='Distance of the electrodes, with its standard error: "0.50 ± 0.01 mm".')
@click.option("--area", metavar="A", help='Of an electrode, "1.13 ± 0.02 cm^2" or "1.13 cm^2 +- 2 %".')
@click.option("--voltage", metavar="V", help="Voltage held, where the file does not record it.")
@click.option("--r0", metavar="R", help='Both interfaces before the current, "50 ± 1 ohm" or "50 ohm cm^2".')
@click.option("--rss", metavar="R", help="The same at the end of it; default: as before.")
@click.option("--bulk", metavar="R", help="R_b, by impedance; without it i_0 is fitted to the first seconds.")
@click.option("--before", type=FILE, metavar="FILE", help="Spectrum before the current, in place of --r0 and --bulk.")
@click.option("--after", type=FILE, metavar="FILE", help="Spectrum at its end, in place of --rss.")
@click.option("--from", "begin", metavar="T", help="Start of the rest or the step, on the clock of the file.")
@click.option("--to", "end", metavar="T", help="Where the record is cut, on the clock of the file.")
@click.option("--at", metavar="C", help='Of concentration cells: where the slope is wanted, "1 mol/kg" or "1 mol/L".')
@click.option("-T", "--temperature", metavar="T", help="Of concentration cells of a 1:1 salt, for (1 - t+0) chi.")
@click.option("--column", multiple=True, metavar="ROLE=NAME", help='A column by name, "voltage=Ewe/V"; repeatable.')
@click.option(
    "-o", "--output", type=FILE, metavar="DIR", help="Where to; default runs/<name of the first file>-<kind>."
)
def analyse(kind: str | None, files: tuple[Path, ...], output: Path | None, **given: Any) -> None:
    """Numbers measured from real files, each with its 95 % interval and the assumptions that were checked.

    KIND: relaxation, fraction, concentration-cell, impedance, chain; without arguments: the list (docs/analyse.md).
    FILE is a potentiostat's export (.mpt, .DTA) or a table with units in the header; of a chain, a TOML file.

    \b
    Example:  cellsim analyse relaxation rest.mpt --thickness "0.50 ± 0.01 mm"
    """
    from cellsim.files.folder import check_writable
    from cellsim.laboratory.measured import Request, catalogue, read_chain, write_chain, write_finding
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
        written, lines = write_chain(chain, directory), chain.finding.lines()
    else:
        found = analyse_files(Request(kind, files, values))
        written, lines = write_finding(found, directory), found.lines()
    say(lines)
    click.echo(f"written to {written[-1].parent}")


@main.command()
@click.argument("name", required=False)
@click.option("--plot", "picture", type=FILE, metavar="FILE.png", help="Draw the set's four functions.")
@click.option("-T", "--temperature", metavar="T", help='Temperature of the values shown, such as "40 degC".')
def sets(name: str | None, picture: Path | None, temperature: str | None) -> None:
    """List the transport sets, or show one: range, sources, values.

    \b
    Example:  cellsim sets steinruck2020_rs --plot rs.png
    """
    from cellsim.base import to_si
    from cellsim.electrolyte import describe as set_report

    T = None if temperature is None else to_si(temperature, "K", field="--temperature")
    if name is None:
        if picture is not None or T is not None:
            raise InputError("--plot and --temperature need the name of a set; `cellsim sets` lists them")
        lines = set_report.catalogue()
    else:
        lines = set_report.describe(name, T)
        if picture is not None:
            _draw_set(name, T, picture)
    say(lines)


def _draw_set(name: str, T: float | None, picture: Path) -> None:
    from cellsim.electrolyte.describe import plot_set
    from cellsim.electrolyte.set_file import load_set

    try:
        plot_set(load_set(name, T), picture)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{picture}: the picture cannot be written ({reason})") from error


@main.command()
@click.option(
    "-o",
    "--output",
    type=FILE,
    default=Path("polarization.html"),
    metavar="FILE.html",
    show_default=True,
    help="Where to; a file that is there is replaced.",
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


@main.command()
@click.argument("directory", type=FILE, metavar="DIR")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, one file per group of variables, units in the header.")
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Where to; default DIR/csv.")
def export(directory: Path, as_csv: bool, output: Path | None) -> None:
    """Write a run's result in another format.

    \b
    Example:  cellsim export runs/rs --csv
    """
    from cellsim.run.folder import export_csv, read_solution

    if not as_csv:
        raise InputError("export: say --csv, the one format there is")
    for path in export_csv(read_solution(directory), output or directory / "csv"):
        click.echo(str(path))
