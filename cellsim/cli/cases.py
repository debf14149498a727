"""Commands on cases, runs and transport sets."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from cellsim.base import InputError, interrupted
from cellsim.terminal import FILE, progress_bar, progress_line, say


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--template",
    type=click.Choice(["thick-polymer", "coin"]),
    default="thick-polymer",
    show_default=True,
    help="A thick polymer for a beam or a scanner, or a coin cell with a liquid in a separator.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
def new(file: Path, template: str, force: bool) -> None:
    """Write a commented case to start from.

    \b
    Example:  cellsim new my_cell.toml
              cellsim new my_coin_cell.toml --template coin
    """
    from importlib import resources

    from cellsim.files.json_schema import shipped
    from cellsim.files.writing import write_text

    if file.suffix != ".toml":
        raise InputError(f"{file}: a case is a .toml file")
    if file.exists() and not force:
        raise InputError(f"{file}: exists; choose another name or add --force")
    text = (resources.files("cellsim") / "templates" / f"{template}.toml").read_text(encoding="utf-8")
    schema = f"#:schema {shipped('case').as_uri()}\n"  # editors with a plug-in for TOML read it
    try:
        write_text(file, schema + text.replace("THIS_FILE.toml", file.name))
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


@click.command()
@click.argument("case", type=FILE)
@SET
def check(case: Path, settings: tuple[str, ...]) -> None:
    """Read a case and print what will be run, or read a transport set and print its contents.

    \b
    Example:  cellsim check cases/steinruck2020/rs.toml
    """
    from cellsim.electrolyte.describe import describe as describe_set
    from cellsim.electrolyte.describe import is_set
    from cellsim.run import mixture
    from cellsim.run.case import describe

    if is_set(case):
        if settings:
            raise InputError(f"{case}: is a transport set; --set changes the keys of a case")
        say(describe_set(str(case)))
        return
    read = mixture.read_case(case, changes=_changes(settings))
    say(mixture.describe(read) if isinstance(read, mixture.MixtureCase) else describe(read))


@click.command()
@click.argument("case", type=FILE)
@click.option(
    "--capacitance",
    metavar="C",
    help='Capacitance of each double layer, such as "10 uF/cm^2", for computing between which times i_0 can be read; '
    "default: that of the case.",
)
@click.option(
    "--spectrum",
    type=FILE,
    metavar="FILE.csv",
    help="Write the impedance of the cell, computed from its formula with the double layers of the case, to this file.",
)
@SET
def plan(case: Path, capacitance: str | None, spectrum: Path | None, settings: tuple[str, ...]) -> None:
    """Compute currents, times, voltages and velocities from formulas, before any run.

    \b
    Example:  cellsim plan cases/steinruck2020/rs.toml
              cellsim plan my_coin_cell.toml --capacitance "10 uF/cm^2"
    """
    from cellsim.base import to_si
    from cellsim.model import charging
    from cellsim.model.mixture import plan as plan_mixture
    from cellsim.model.plan import plan as make_plan
    from cellsim.run.mixture import MixtureCase, read_case

    read = read_case(case, changes=_changes(settings), whole=False)
    if isinstance(read, MixtureCase):
        if capacitance is not None or (spectrum is None and read.cell.has_double_layers):
            raise InputError(
                f"{case}: the set has n components, whose runs carry no double layers; leave the capacitance out, or "
                "compute the spectrum of such a cell with --spectrum FILE.csv"
            )
        told = plan_mixture(read.cell, read.transport, read.protocol, read.r0)
        if spectrum is not None:
            told += _write_spectrum(spectrum, *charging.spectrum_of_species(read.cell, read.transport, read.r0))
        say(told)
        return
    told = [] if read.cell.is_blocked else make_plan(read.cell, read.transport, read.protocol, read.start).lines()
    if capacitance is not None or read.cell.has_double_layers:
        C = None if capacitance is None else to_si(capacitance, "F/m^2", field="--capacitance")
        layers = charging.Charging.of(read.cell, read.transport, read.c0, C)
        first = read.protocol.steps[0]
        held = float(first.value[0]) if first.drive == "voltage" and first.time is None else None
        told += [*([""] if told else []), *layers.lines(held)]
        if min(read.cell.positive.phase, read.cell.negative.phase) < 1:
            told.append("  constant-phase elements are taken as capacitances here; a run does not take them")
    if spectrum is not None:
        told += _write_spectrum(spectrum, *charging.spectrum(read.cell, read.transport, read.c0))
    say(told)


def _write_spectrum(file: Path, frequency: Any, Z: Any) -> list[str]:
    """A table of an impedance; what to say of it."""
    from cellsim.files.writing import write_rows

    head = ("frequency (Hz)", "Re(Z) (ohm cm^2)", "Im(Z) (ohm cm^2)")
    rows = zip(frequency.tolist(), (1e4 * Z.real).tolist(), (1e4 * Z.imag).tolist(), strict=True)
    return ["", f"impedance at the average concentration written to {write_rows(file, [head, *rows])}"]


@click.command()
@click.argument("case", type=FILE)
@click.option("-o", "--output", type=FILE, metavar="DIR", help="The run folder; default runs/<name of the case>.")
@click.option(
    "--solver", metavar="NAME", help="Solver in place of that of the case: auto, compiled, fipy, material, sundials."
)
@click.option("--no-figures", is_flag=True, help="Write no figures and no report.")
@click.option(
    "--bands",
    "draws",
    type=click.IntRange(min=20),
    metavar="N",
    help="Also compute uncertainty bands from N draws of the covariance that the set states.",
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
    if draws:
        from cellsim.fit.mixture_model import own_model

        own_model(read.transport)  # refuses a set without a covariance before any work
    directory = check_writable(output or Path("runs") / case.stem)
    try:
        with progress_bar(case.stem) as progress:
            solution = predict(read, solver=solver, folder=directory, progress=progress)
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
            click.echo(f"{directory} contains a finished run and was not changed", err=True)
        sys.exit(1)
    if draws:
        from cellsim.fit.bands import bands_of_case, write_bands
        from cellsim.workers import cores

        with progress_line() as stage:
            workers = cores() if isinstance(read, mixture.MixtureCase) else 1
            told = partial(stage, "bands")
            found = bands_of_case(read, draws, workers=workers, folder=kept.directory, progress=told)
        say(write_bands(read, found, kept.directory))
    click.echo(f"written to {kept.directory}")


@click.command()
@click.argument("file", type=FILE, metavar="CASE")
@click.option(
    "--over",
    multiple=True,
    metavar="KEY=VALUES",
    help='Key and values: "thickness=0.5, 1, 2 mm", "voltage=0.1 V to 0.5 V in 5", "current=0.1 to 10 A/m^2 in 7 log".',
)
@SET
@click.option("--paired", is_flag=True, help="Combine first values with first values, second with second, and so on.")
@click.option(
    "-o", "--output", type=FILE, metavar="DIR", help="Folder of the results; default runs/<name of the case>-sweep."
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of processes; default: one up to 300 runs, then all cores.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Address of a dask scheduler, such as tcp://host:8786.")
@click.option("--no-figures", is_flag=True, help="Write no figures.")
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
    from cellsim.run.axes import read_sweep
    from cellsim.run.sweep import run_sweep, write_sweep

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
    from cellsim.run.steps import duration

    drives = [entry["drive"] for entry in summary["steps"]]
    # else the ratio is no current fraction
    held = len(drives) == 1 and "hold voltage" in drives[0] and summary["initial"] is None
    ratio = summary["i_end_over_i_0"] if held else None
    return [
        f"{summary['title']}: {duration(summary['time_end'])} in {summary['wall_time']:.2f} s, {summary['status']}",
        f"i   {summary['i_0']:.4g} -> {summary['i_end']:.4g} A/m^2"
        + (f" (ratio {ratio:.4g}; {_expected(summary)})" if ratio else ""),
        f"V   {summary['V_0']:.4g} -> {summary['V_end']:.4g} V",
        f"c   {summary['c_min']:.4g} to {summary['c_max']:.4g} mol/m^3, salt conserved to {summary['salt_drift']:.1e}",
        *(["properties were held at the ends of their range (clamped)"] if summary["clamped"] else []),
        f"transport set: {summary['transport']} ({summary['transport_status']})",
    ]


@click.command()
@click.argument("directories", type=FILE, metavar="DIR...", nargs=-1, required=True)
@click.option("--case", "case_path", type=FILE, help="Where the case is now, if it has moved since the run.")
@click.option(
    "--at", "moments", multiple=True, metavar="TIME", help="Time of the profiles of several runs; repeatable."
)
@click.option(
    "--label", "labels", multiple=True, metavar="TEXT", help="Name of a run in the legend; once for each run."
)
@click.option("--format", "suffix", type=click.Choice(["png", "pdf", "svg"]), default="png", help="Format of figures.")
@click.option("--no-title", is_flag=True, help="Draw no titles.")
@click.option("--no-note", is_flag=True, help="Leave out the note below: status of the set, clamped properties.")
@click.option(
    "--time", "time_axis", type=click.Choice(["linear", "root", "log"]), default="linear", help="Scale of time axes."
)
@click.option("--paper-units", is_flag=True, help="mA/cm^2 and mV in place of A/m^2 and V.")
@click.option("--animate", type=FILE, metavar="FILE.gif|html", help="Write only an animation, to this file.")
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="DIR",
    help="Folder of figures with such options; default DIR/figures, for several runs runs/overlay.",
)
def plot(
    directories: tuple[Path, ...],
    case_path: Path | None,
    moments: tuple[str, ...],
    labels: tuple[str, ...],
    suffix: str,
    no_title: bool,
    no_note: bool,
    time_axis: Any,
    paper_units: bool,
    animate: Path | None,
    output: Path | None,
) -> None:
    """Draw the figures and write the report of a run again from its solution.nc; or figures for a paper or a talk.

    Several runs are drawn into the same figures; the legend states in what they differ.

    \b
    Example:  cellsim plot runs/rs
              cellsim plot runs/rs --format pdf --no-title --time root --paper-units
              cellsim plot runs/rs --animate rs.gif
              cellsim plot runs/rs runs/pnb --at "100 min" --at "900 min" -o runs/both
    """
    from cellsim.files.folder import result_folder
    from cellsim.run import mixture
    from cellsim.run.figures import Look, write_figures
    from cellsim.run.folder import drawer, read_run

    look = Look(suffix, not no_title, not no_note, time_axis, paper_units)
    if len(directories) > 1:
        for given, option in ((case_path, "--case"), (animate, "--animate")):
            if given is not None:
                raise InputError(f"{option} belongs to one run, and {len(directories)} are named")
        say(_plot_together(directories, moments, labels, look, output or Path("runs") / "overlay"))
        return
    if moments or labels:
        raise InputError(f"{'--at' if moments else '--label'} is for several runs, and one is named")
    (directory,) = directories
    mixed = mixture.read_kept(directory, case_path)
    if look == Look() and animate is None and output is None:
        draw = drawer(*read_run(directory, case_path)) if mixed is None else mixture.drawer(*mixed)
        draw(directory)
        click.echo(f"figures and report written in {directory}")
        return
    if mixed is not None:
        raise InputError(f"{directory}: contains a run of n components; these options exist for binary salts only")
    case, solution = read_run(directory, case_path)
    if animate is not None:
        from cellsim.run.animation import animate as write_animation

        click.echo(f"{write_animation(solution, animate, case=case)} written")
        return
    output = output or directory / "figures"
    with result_folder(output, last=f"current.{suffix}") as fresh:
        written = [path.name for path in write_figures(solution, fresh, case=case, look=look)]
    click.echo(f"{', '.join(written)} written in {output}")


def _plot_together(
    directories: tuple[Path, ...], moments: tuple[str, ...], labels: tuple[str, ...], look: Any, output: Path
) -> list[str]:
    """Draw runs over one another; what is said of it."""
    from cellsim.base import to_si
    from cellsim.files.folder import result_folder
    from cellsim.run.folder import read_run
    from cellsim.run.overlay import draw_overlay, overlay

    times = [to_si(text, "s", field="--at") for text in moments]
    runs = [read_run(directory) for directory in directories]
    found = overlay(runs, [directory.name for directory in directories], times=times, labels=labels, look=look)
    with result_folder(output, last=f"profiles.{look.suffix}") as fresh:
        written = [path.name for path in draw_overlay(found, fresh)]
    return [*found.labels, f"{', '.join(written)} written in {output}"]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--plot",
    "picture",
    type=FILE,
    metavar="FILE.png",
    help="Draw kappa, D, t+0 and chi; several sets in one figure.",
)
@click.option("-T", "--temperature", metavar="T", help='Temperature of the values shown, such as "40 degC".')
@click.option(
    "--to", "kind", type=click.Choice(["pybamm", "bpx", "csv", "toml"]), help="Write the set for another program."
)
@click.option("-o", "--output", type=FILE, metavar="FILE", help="The file that --to writes.")
@click.option("--c", "c", metavar="C", help='Initial concentration in files for PyBaMM and BPX, such as "1.2 mol/L".')
@click.option(
    "--like",
    metavar="SET",
    help="Set whose salt, solvent and volumes complete a .py, .json or .csv file in place of NAME.",
)
@click.option(
    "--frame",
    type=click.Choice(["volume", "solvent"]),
    default="volume",
    help="Frame of the transference number in files for PyBaMM and BPX (their equations need volume).",
)
def sets(
    names: tuple[str, ...],
    picture: Path | None,
    temperature: str | None,
    kind: str | None,
    output: Path | None,
    c: str | None,
    like: str | None,
    frame: Any,
) -> None:
    """List the transport sets, or show some: range, sources, values; or write one for another program.

    \b
    Example:  cellsim sets steinruck2020_rs --plot rs.png
              cellsim sets nyman2008_ec_emc --to pybamm -o nyman.py
              cellsim sets nyman.py --like nyman2008_ec_emc --to toml -o mine.toml
    """
    from cellsim.base import to_si
    from cellsim.electrolyte import describe as set_report

    T = None if temperature is None else to_si(temperature, "K", field="--temperature")
    if not names:
        if picture is not None or T is not None or kind is not None:
            raise InputError("--plot, --temperature and --to need the name of a set; `cellsim sets` lists them")
        say(set_report.catalogue())
        return
    if len(names) > 1:
        if kind is not None or like is not None:
            raise InputError(f"{', '.join(names)}: --to and --like take one set")
        lines = [line for each in names for line in (*set_report.describe(each, T), "")]
        if picture is not None:
            _draw_sets(names, T, picture)
        say(lines[:-1])
        return
    (name,) = names
    foreign = Path(name).suffix in (".py", ".json", ".csv")
    if kind is None and not foreign:
        lines = set_report.describe(name, T)
        if picture is not None:
            _draw_sets((name,), T, picture)
        say(lines)
        return
    from cellsim.electrolyte.set_file import read_set
    from cellsim.instruments.exchange import write_exchange
    from cellsim.instruments.foreign_sets import read_exchange

    if foreign and like is None:
        raise InputError(f"{name}: name with --like a set that states the salt, the solvent and their volumes")
    if kind is None or output is None:
        raise InputError(f"{name}: state the format with --to and the file to write with -o")
    own = read_set(name) if like is None else read_exchange(name, read_set(like), T=T, frame=frame)
    start = None if c is None else to_si(c, "mol/m^3", field="--c")
    write_exchange(own, output, kind, T=T, frame=frame, c=start)
    click.echo(f"{output} written")


def _draw_sets(names: tuple[str, ...], T: float | None, picture: Path) -> None:
    from cellsim.electrolyte.describe import plot_set, plot_sets
    from cellsim.electrolyte.set_file import load_set

    bound = [load_set(name, T) for name in names]
    try:
        plot_set(bound[0], picture) if len(bound) == 1 else plot_sets(bound, picture)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{picture}: the picture cannot be written ({reason})") from error


@click.command()
@click.argument("directory", type=FILE, metavar="DIR")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV: one file per group of variables, units in the header.")
@click.option("-o", "--output", type=FILE, metavar="DIR", help="Folder to write to; default DIR/csv.")
def export(directory: Path, as_csv: bool, output: Path | None) -> None:
    """Write a run's result in another format.

    \b
    Example:  cellsim export runs/rs --csv
    """
    from cellsim.run.folder import export_csv, read_solution

    if not as_csv:
        raise InputError("export: add --csv, which is the only format")
    for path in export_csv(read_solution(directory), output or directory / "csv"):
        click.echo(str(path))


@click.command()
@click.argument("what", required=False, metavar="[RUN|SET]")
def cite(what: str | None) -> None:
    """Say what to cite: the program, a run with the checksums of its files, the sources of a transport set.

    \b
    Example:  cellsim cite runs/rs
    """
    from cellsim.run.cite import citation

    say(citation(what))
