"""The command line of mdcoeffs. No computation here: each command reads, calls, prints."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from cellsim.base import InputError, __version__
from cellsim.terminal import FILE, SETTINGS, Commands, progress_bar, say
from mdcoeffs.inputs.species import ANALYSES


@click.group(cls=Commands, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="mdcoeffs")
@click.option("-v", "--verbose", is_flag=True, help="Print what is read and done.")
def main(verbose: bool) -> None:
    """Onsager coefficients from molecular dynamics, with error bars.

    \b
    Begin with:  mdcoeffs onsager SPECIES.toml -o results
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("mdcoeffs")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO if verbose else logging.WARNING)


# ---- analyses -------------------------------------------------------------------------------------------------------

_CHECKPOINTS = "Seconds between checkpoints; a run that was killed continues from the last one."
_SCHEDULER = "Read the replicas on a dask cluster, such as tcp://host:8786."
_MEASURED = "Table: quantity, value, error, unit, source; once for each series."
_PLATFORM = "CUDA, HIP, OpenCL, CPU or Reference; default: the fastest that works."


def _analysis(name: str, what: str) -> click.Command:
    """The command of one analysis; its module is imported when it is called."""

    @click.command(name, help=f"{what}\n\n\b\nExample:  mdcoeffs {name} SPECIES.toml -o results")
    @click.argument("species", type=FILE)
    @click.option("-o", "--output", type=FILE, required=True, help="Folder for data, tables, summary.json and figure.")
    @click.option("--checkpoint", type=click.FloatRange(min=0), default=60.0, show_default=True, help=_CHECKPOINTS)
    @click.option("--scheduler", metavar="ADDRESS", help=_SCHEDULER)
    def command(species: Path, output: Path, checkpoint: float, scheduler: str | None) -> None:
        from mdcoeffs.inputs.species import read_species

        file = read_species(species)
        from mdcoeffs.analysis import analyse_into

        analysis = import_module(f"mdcoeffs.{name}").ANALYSIS
        with _progress("reading") as step:
            result = analyse_into(
                analysis, file, output, checkpoint_every=checkpoint, scheduler=scheduler, progress=step
            )
        say([*result.lines(), f"written to {output}"])

    return command


for _name, _what in ANALYSES.items():
    main.add_command(_analysis(_name, _what))


# ---- the chain ------------------------------------------------------------------------------------------------------


@main.command("to-set")
@click.argument("recipe", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="The transport set to write (TOML).")
@click.option("--force", is_flag=True, help="Replace an existing file.")
def to_set(recipe: Path, output: Path, force: bool) -> None:
    """Make a transport set from Onsager coefficients at one or more concentrations.

    \b
    Example:  mdcoeffs to-set SET.toml -o my_set.toml
    """
    from mdcoeffs.chain.to_set import set_from_recipe

    if output.exists() and not force:
        raise InputError(f"{output}: exists; choose another name or add --force")
    made = set_from_recipe(recipe, name=output.stem)
    with _writing(output):
        made.write(output)
    say([*made.notes, f'{output} written; a case uses it with transport = "{output.name}"'])


@main.command()
@click.argument("results", type=FILE, nargs=-1, required=True)
@click.option("-o", "--output", type=FILE, required=True, help="Folder for summary.json and figure.")
def sizes(results: tuple[Path, ...], output: Path) -> None:
    """Test whether Omega depends on the size of the box, with results for one liquid in several boxes.

    \b
    Example:  mdcoeffs sizes small/onsager large/onsager -o sizes
    """
    from cellsim.files.folder import keep
    from mdcoeffs.onsager.sizes import compare_boxes, read_box

    result = compare_boxes([read_box(path, number) for number, path in enumerate(results)])
    keep(result, output, "sizes", tables=result.tables())
    say([*result.lines(), f"written to {output}"])


@main.command()
@click.argument("tables", type=FILE, nargs=-1, required=True)
@click.option("--temperature", required=True, help='Temperature of the liquid, such as "298 K".')
@click.option("--volume", required=True, help='Volume of the box, such as "32.4 nm^3".')
@click.option("--averaged", is_flag=True, help="Each row is the mean stress since the previous row.")
@click.option("-o", "--output", type=FILE, required=True, help="Folder for viscosity.nc, summary.json and a figure.")
def viscosity(tables: tuple[Path, ...], temperature: str, volume: str, averaged: bool, output: Path) -> None:
    """Compute the shear viscosity and its interval from tables of the stress, one for each run.

    \b
    Example:  mdcoeffs viscosity stress.csv --temperature "298 K" --volume "32 nm^3" -o results
    """
    from cellsim.base import to_si
    from cellsim.files.folder import keep
    from mdcoeffs.onsager.viscosity import viscosity_of_tables

    T, V = to_si(temperature, "K", field="--temperature"), to_si(volume, "m^3", field="--volume")
    result = viscosity_of_tables(tables, T=T, volume=V, averaged=averaged)
    keep(result, output, "viscosity", tables=result.tables())
    say([*result.lines(), f"written to {output}"])


@main.command()
@click.argument("system", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Folder of the runs; interrupted ones continue.")
@click.option("--state", "states", multiple=True, help="Run this state only (may be repeated).")
@click.option("--platform", help=_PLATFORM)
@click.option("--jobs", type=click.IntRange(min=1), help="Runs at the same time; default: one per core, one on a GPU.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads of each run.")
@click.option("--checkpoint", type=click.FloatRange(min=0), default=20.0, show_default=True, help=_CHECKPOINTS)
def simulate(
    system: Path,
    output: Path,
    states: tuple[str, ...],
    platform: str | None,
    jobs: int | None,
    threads: int,
    checkpoint: float,
) -> None:
    """Coarse-grained molecular dynamics of a salt in a solvent, ready for `mdcoeffs onsager` (needs OpenMM).

    \b
    Example:  mdcoeffs simulate cases/coarse_grained/short.toml -o runs/md
    """
    from mdcoeffs.md.simulate import line_of, run_folder, simulate_system
    from mdcoeffs.md.system import read_system

    file = read_system(system)
    options: dict[str, Any] = {"platform": platform, "jobs": jobs, "threads": threads, "checkpoint_every": checkpoint}
    with _progress("running") as step:
        done = simulate_system(file, output, states=states or None, progress=step, **options)
    points = {run_folder(output, point): point for point in file.all_points}
    say(line_of(points[record.folder], record) for record in done.records)
    say([f"written to {output} in {done.seconds:.0f} s; next: mdcoeffs onsager {output}/STATE/SPECIES.toml"])


@main.command()
@click.argument("folder", type=FILE)
@click.option("-o", "--output", type=FILE, help="JSON file to write; default FOLDER/field.json.")
@click.option("--block", help='Length of the blocks of the runs in a field, such as "100 ps"; default: 40 blocks.')
def field(folder: Path, output: Path | None, block: str | None) -> None:
    """Compare Omega from equilibrium runs with the drift in an electric field, for one state of `mdcoeffs simulate`.

    \b
    Example:  mdcoeffs field runs/md/c2
    """
    from cellsim.base import to_si
    from cellsim.files.writing import write_json
    from mdcoeffs.chain.field import field_result

    result = field_result(folder, block=None if block is None else to_si(block, "s", field="--block"))
    output = folder / "field.json" if output is None else output
    with _writing(output):
        write_json(output, result.numbers())
    say(result.lines())


@main.command()
@click.argument("case", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Folder; results in it that are up to date are reused.")
@click.option("--scheduler", metavar="ADDRESS", help=_SCHEDULER)
@click.option("--platform", help=f"For the simulation: {_PLATFORM}")
@click.option("--jobs", type=click.IntRange(min=1), help="Simulations at the same time; default: one per core.")
def pipeline(case: Path, output: Path, scheduler: str | None, platform: str | None, jobs: int | None) -> None:
    """From trajectories to a polarised cell with bands: Omega(c), chi(c), transport set, cell, report.

    \b
    Example:  mdcoeffs pipeline cases/coarse_grained/pipeline.toml -o runs/pipeline
    """
    from mdcoeffs.chain.pipeline import run_pipeline
    from mdcoeffs.chain.pipeline_file import read_pipeline

    file = read_pipeline(case)
    options: dict[str, Any] = {"scheduler": scheduler, "platform": platform, "jobs": jobs}
    with _progress("working") as step:
        done = run_pipeline(file, output, tell=click.echo, progress=step, **options)
    say([*done.lines, f"{done.report} written"])


@main.command()
@click.argument("series", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Folder; results in it that are up to date are reused.")
@click.option("--jobs", type=click.IntRange(min=1), help="Analyses at the same time; default: one per core.")
@click.option("--scheduler", metavar="ADDRESS", help="Analyse the states on a dask cluster, such as tcp://host:8786.")
@click.option("--no-figures", is_flag=True, help="Write tables only.")
@click.pass_context
def series(
    ctx: click.Context, series: Path, output: Path, jobs: int | None, scheduler: str | None, no_figures: bool
) -> None:
    """Analyse many concentrations or temperatures on one page, with laws of temperature.

    \b
    Example:  mdcoeffs series cases/coarse_grained/series.toml -o runs/series
    """
    from mdcoeffs.series.page import lines, write_series
    from mdcoeffs.series.recipe import read_series
    from mdcoeffs.series.run import run_series

    if jobs is not None and scheduler is not None:
        raise InputError("--jobs and --scheduler exclude each other; give one of them")
    recipe = read_series(series)
    with _progress("analysing") as step:
        found = run_series(recipe, output, jobs=jobs, scheduler=scheduler, tell=click.echo, progress=step)
    write_series(found, output, figures=not no_figures)
    say([*lines(found), f"written to {output}" if no_figures else f"{output / 'report.html'} written"])
    if found.failures:
        ctx.exit(1)


@main.command()
@click.argument("windows", type=FILE)
@click.option(
    "-o", "--output", type=FILE, required=True, help="Folder for umbrella.nc, profile.csv, summary.json, figure."
)
def umbrella(windows: Path, output: Path) -> None:
    """Free energy and barrier across an interface from umbrella windows, by MBAR (needs pymbar).

    \b
    Example:  mdcoeffs umbrella WINDOWS.toml -o results
    """
    from cellsim.files.folder import keep
    from mdcoeffs.interface.umbrella import analyse_umbrella, read_umbrella

    result = analyse_umbrella(read_umbrella(windows))
    keep(result, output, "umbrella", tables=result.tables())
    say([*result.lines(), f"written to {output}"])


@main.command()
@click.argument("series", type=FILE, nargs=-1, required=True)
@click.option("--measured", type=FILE, required=True, multiple=True, help=_MEASURED)
@click.option("-o", "--output", type=FILE, required=True, help="Folder of the series; the result is in calibration/.")
@click.option("--jobs", type=click.IntRange(min=1), help="Analyses at the same time; default: one per core.")
@click.option("--no-figures", is_flag=True, help="Write tables only.")
def calibrate(
    series: tuple[Path, ...], measured: tuple[Path, ...], output: Path, jobs: int | None, no_figures: bool
) -> None:
    """Find the charge scaling, or another parameter of the force field, that gives measured transport coefficients.

    Several series, one for each concentration or temperature, are calibrated to one common value.

    \b
    Example:  mdcoeffs calibrate series.toml --measured measured.csv -o runs/scaling
    """
    from mdcoeffs.series import calibration, calibration_page, joint_calibration
    from mdcoeffs.series.recipe import read_series
    from mdcoeffs.series.run import run_series

    if len(series) != len(measured):
        raise InputError(f"{len(series)} series and {len(measured)} tables: give --measured once for each, in order")
    recipes = [read_series(path) for path in series]
    targets = [calibration.read_targets(path) for path in measured]
    parts = []
    for k, (recipe, target) in enumerate(zip(recipes, targets, strict=True), 1):
        place = output if len(series) == 1 else output / f"series{k}"
        with _progress("analysing") as step:
            states = run_series(recipe, place, jobs=jobs, tell=click.echo, progress=step)
        if states.failures:
            raise InputError(f"a calibration needs all its states: {states.failures[0]}")
        found = calibration.calibrate(calibration.family_of(states), target)
        folder = place / "calibration"
        calibration_page.write_calibration(found, folder, recipe.title, figures=not no_figures)
        say([*calibration_page.lines(found), f"written to {folder}"])
        parts.append(found)
    if len(parts) > 1:
        joint = joint_calibration.join_calibrations(parts)
        joint_calibration.write_joint(joint, output / "joint", recipes[0].title, figures=not no_figures)
        say([*joint.lines(), f"written to {output / 'joint'}"])


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """A file that cannot be written is an error of the input."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


@contextmanager
def _progress(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on the terminal, moved by (done, in all); None where nobody watches."""
    with progress_bar(label) as advance:
        yield None if advance is None else lambda done, total: advance(done / total)


if __name__ == "__main__":
    main()
