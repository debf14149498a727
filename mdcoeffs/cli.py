"""The command line of mdcoeffs. No computation here: each command reads, calls, prints."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cellsim.base import CellsimError, InputError, __version__

FILE = click.Path(path_type=Path)


class Commands(click.Group):
    """Turns an error the user can mend into one line and exit code 2, any other of ours into exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except CellsimError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2 if isinstance(error, InputError) else 1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of use, as they stand in this file."""
        return list(self.commands)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mdcoeffs")
@click.option("-v", "--verbose", is_flag=True, help="Say what is read and done.")
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
    # The size of a scratch file is said before it is made, whether asked for or not.
    logging.getLogger("mdcoeffs.frames.scratch").setLevel(logging.INFO)
    # Doubts about an estimate are printed with the result.
    logging.getLogger("mdcoeffs.onsager.estimate").setLevel(logging.ERROR)


@main.command()
@click.argument("species", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Folder for onsager.nc, summary.json and the figure.")
@click.option("--checkpoint", "every", type=click.FloatRange(min=0), default=60.0, show_default=True,
              help="Seconds between checkpoints; a run that was killed goes on from the last one.")  # fmt: skip
@click.option("--scheduler", metavar="ADDRESS", help="Read the replicas on a dask cluster, such as tcp://host:8786.")
def onsager(species: Path, output: Path, every: float, scheduler: str | None) -> None:
    """Trajectories, arrays or OCTP tables to Onsager coefficients.

    \b
    Example:  mdcoeffs onsager SPECIES.toml -o results
    """
    from mdcoeffs.inputs.species import read_species

    file = read_species(species)
    from mdcoeffs.onsager.analysis import onsager_from_file
    from mdcoeffs.onsager.report import onsager_figure, write_netcdf, write_summary

    _make_folder(output)
    with _progress("reading") as step:
        if scheduler is None:
            result = onsager_from_file(file, folder=output, checkpoint_every=every, progress=step)
        else:
            from mdcoeffs.onsager.cluster import onsager_on_cluster

            [(_, result)] = onsager_on_cluster([file], scheduler, progress=step)
    write_netcdf(result, output / "onsager.nc")
    write_summary(result, output / "summary.json")
    onsager_figure(result, output / "onsager.png")
    from mdcoeffs.onsager.report import lines_of

    for line in lines_of(result):
        click.echo(line)
    click.echo(f"written to {output}")


@main.command()
@click.argument("species", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Folder for interface.nc, tables, summary and figure.")
@click.option("--checkpoint", "every", type=click.FloatRange(min=0), default=60.0, show_default=True,
              help="Seconds between checkpoints; a run that was killed goes on from the last one.")  # fmt: skip
def interface(species: Path, output: Path, every: float) -> None:
    """Profiles, populations and barriers along z: is the interface equilibrated?

    \b
    Example:  mdcoeffs interface SPECIES.toml -o results
    """
    from mdcoeffs.inputs.species import read_species

    file = read_species(species)
    from mdcoeffs.frames.stream import remove_checkpoints
    from mdcoeffs.interface.analysis import interface_from_file
    from mdcoeffs.interface.report import interface_figure, lines_of, write_results

    _make_folder(output)
    with _progress("reading") as step:
        result = interface_from_file(file, folder=output, checkpoint_every=every, progress=step)
    write_results(result, output)
    interface_figure(result, output / "interface.png")
    remove_checkpoints(output, "interface")
    for line in lines_of(result):
        click.echo(line)
    click.echo(f"written to {output}")


@main.command()
@click.argument("species", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Folder for mobility.nc, tables, summary and figure.")
@click.option("--checkpoint", "every", type=click.FloatRange(min=0), default=60.0, show_default=True,
              help="Seconds between checkpoints; a run that was killed goes on from the last one.")  # fmt: skip
def mobility(species: Path, output: Path, every: float) -> None:
    """How ions and their cages move and turn: exponents, order parameters, relaxation, paddle-wheel.

    \b
    Example:  mdcoeffs mobility SPECIES.toml -o results
    """
    from mdcoeffs.inputs.species import read_species

    file = read_species(species)
    from mdcoeffs.frames.stream import remove_checkpoints
    from mdcoeffs.mobility.analysis import NAME, mobility_from_file
    from mdcoeffs.mobility.report import lines_of, mobility_figure, write_results

    _make_folder(output)
    with _progress("reading") as step:
        result = mobility_from_file(file, folder=output, checkpoint_every=every, progress=step)
    write_results(result, output)
    mobility_figure(result, output / "mobility.png")
    remove_checkpoints(output, NAME)
    for line in lines_of(result):
        click.echo(line)
    click.echo(f"written to {output}")


@main.command("to-set")
@click.argument("recipe", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="The transport set to write (TOML).")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def to_set(recipe: Path, output: Path, force: bool) -> None:
    """Onsager coefficients at one or more concentrations to a transport set.

    \b
    Example:  mdcoeffs to-set SET.toml -o my_set.toml
    """
    from mdcoeffs.chain.to_set import set_from_recipe

    if output.exists() and not force:
        raise InputError(f"{output}: exists; choose another name or say --force")
    made = set_from_recipe(recipe, name=output.stem)
    try:
        output.write_text(made.text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror})") from error
    for line in made.notes:
        click.echo(line)
    click.echo(f'{output} written; a case uses it with transport = "{output.name}"')


@main.command()
@click.argument("system", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Folder for the runs; finished and killed ones go on.")
@click.option("--state", "states", multiple=True, help="Run this state only (may be repeated).")
@click.option("--platform", help="CUDA, HIP, OpenCL, CPU or Reference; the fastest that works when left out.")
@click.option("--jobs", type=click.IntRange(min=1), help="Runs side by side; one per core when left out, one on a GPU.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads of each run.")
@click.option("--checkpoint", "every", type=click.FloatRange(min=0), default=20.0, show_default=True,
              help="Seconds between checkpoints; a run that was killed goes on from the last one.")  # fmt: skip
def simulate(
    system: Path, output: Path, states: tuple[str, ...], platform: str | None, jobs: int | None, threads: int,
    every: float,
) -> None:  # fmt: skip
    """Coarse-grained molecular dynamics of a salt in a solvent, ready for `mdcoeffs onsager` (extra md).

    \b
    Example:  mdcoeffs simulate cases/coarse_grained/short.toml -o runs/md
    """
    from mdcoeffs.md.simulate import line_of, run_folder, simulate_system
    from mdcoeffs.md.system import read_system

    file = read_system(system)
    with _progress("running") as step:
        done = simulate_system(file, output, states=states or None, platform=platform, jobs=jobs, threads=threads,
                               checkpoint_every=every, progress=step)  # fmt: skip
    points = {run_folder(output, point): point for point in file.all_points}
    for record in done.records:
        click.echo(line_of(points[record.folder], record))
    click.echo(f"written to {output} in {done.seconds:.0f} s; next: mdcoeffs onsager {output}/STATE/SPECIES.toml")


@main.command()
@click.argument("case", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Folder; what is there and current is taken as it is.")
@click.option("--scheduler", metavar="ADDRESS", help="Read the replicas on a dask cluster, such as tcp://host:8786.")
@click.option("--platform", help="Of the simulation: CUDA, HIP, OpenCL, CPU; the fastest that works when left out.")
@click.option("--jobs", type=click.IntRange(min=1), help="Simulations side by side; one per core when left out.")
def pipeline(case: Path, output: Path, scheduler: str | None, platform: str | None, jobs: int | None) -> None:
    """Trajectories to a polarised cell with bands: Omega(c), chi(c), transport set, cell, report.

    \b
    Example:  mdcoeffs pipeline cases/coarse_grained/pipeline.toml -o runs/pipeline
    """
    from mdcoeffs.chain.pipeline import run_pipeline
    from mdcoeffs.chain.pipeline_file import read_pipeline

    file = read_pipeline(case)
    with _progress("working") as step:
        done = run_pipeline(file, output, scheduler=scheduler, platform=platform, jobs=jobs, tell=click.echo,
                            progress=step)  # fmt: skip
    for line in done.lines:
        click.echo(line)
    click.echo(f"{done.report} written")


@main.command("field")
@click.argument("folder", type=FILE)
@click.option("-o", "--output", type=FILE, help="JSON to write; FOLDER/field.json when left out.")
@click.option("--block", help='Length of the blocks of the runs in a field, such as "100 ps"; 40 in all when left out.')
def field(folder: Path, output: Path | None, block: str | None) -> None:
    """Omega at rest against the drift in a field, for one state that `mdcoeffs simulate` ran.

    \b
    Example:  mdcoeffs field runs/md/c2
    """
    from cellsim.base import to_si
    from mdcoeffs.chain.field import field_lines, field_result, write_field

    result = field_result(folder, block=None if block is None else to_si(block, "s", field="--block"))
    output = folder / "field.json" if output is None else output
    try:
        write_field(result, output)
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror})") from error
    for line in field_lines(result):
        click.echo(line)


@main.command()
@click.argument("species", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Folder for structure.nc, summary.json, the figure.")
@click.option("--checkpoint", "every", type=click.FloatRange(min=0), default=60.0, show_default=True,
              help="Seconds between checkpoints; a run that was killed goes on from the last one.")  # fmt: skip
def structure(species: Path, output: Path, every: float) -> None:
    """Shells of the cations: g(r), coordination, bound and free ions, clusters.

    \b
    Example:  mdcoeffs structure SPECIES.toml -o results
    """
    from mdcoeffs.inputs.species import read_species

    file = read_species(species)
    from mdcoeffs.frames.stream import remove_checkpoints
    from mdcoeffs.structure.analysis import structure_from_file
    from mdcoeffs.structure.report import structure_figure, structure_lines, write_radial, write_structure

    _make_folder(output)
    with _progress("reading") as step:
        result = structure_from_file(
            file, folder=output, checkpoint_every=every, progress=step,
            look=lambda radial: write_radial(radial, output / "radial.csv"),
        )  # fmt: skip
    write_structure(result, output)
    structure_figure(result, output / "structure.png")
    for name in ("radial", "shells"):
        remove_checkpoints(output, name)
    for line in structure_lines(result):
        click.echo(line)
    click.echo(f"written to {output}")


@main.command()
@click.argument("species", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Folder for residence.nc, summary.json, the figure.")
@click.option("--checkpoint", "every", type=click.FloatRange(min=0), default=60.0, show_default=True,
              help="Seconds between checkpoints; a run that was killed goes on from the last one.")  # fmt: skip
def residence(species: Path, output: Path, every: float) -> None:
    """How long solvent and anions stay at a cation, and how long cations link two anions.

    \b
    Example:  mdcoeffs residence SPECIES.toml -o results
    """
    from mdcoeffs.inputs.species import read_species

    file = read_species(species)
    from mdcoeffs.frames.stream import remove_checkpoints
    from mdcoeffs.residence.analysis import residence_from_file
    from mdcoeffs.residence.report import residence_figure, residence_lines, write_residence

    _make_folder(output)
    with _progress("reading") as step:
        result = residence_from_file(file, folder=output, checkpoint_every=every, progress=step)
    write_residence(result, output)
    residence_figure(result, output / "residence.png")
    remove_checkpoints(output, "radial")
    for line in residence_lines(result):
        click.echo(line)
    click.echo(f"written to {output}")


@main.command()
@click.argument("species", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Folder for summary.json, tables and the figure.")
@click.option("--checkpoint", "every", type=click.FloatRange(min=0), default=60.0, show_default=True,
              help="Seconds between checkpoints; a run that was killed goes on from the last one.")  # fmt: skip
def activity(species: Path, output: Path, every: float) -> None:
    """Thermodynamic factor chi from composition waves and Kirkwood-Buff integrals.

    \b
    Example:  mdcoeffs activity SPECIES.toml -o results
    """
    from mdcoeffs.inputs.species import read_species

    file = read_species(species)
    from mdcoeffs.activity.analysis import NAME, activity_of
    from mdcoeffs.activity.report import activity_figure, activity_lines, write_activity
    from mdcoeffs.frames.stream import remove_checkpoints

    _make_folder(output)
    with _progress("reading") as step:
        result = activity_of(file, folder=output, checkpoint_every=every, progress=step)
    write_activity(result, output)
    activity_figure(result, output / "activity.png")
    remove_checkpoints(output, NAME)
    for line in activity_lines(result):
        click.echo(line)
    click.echo(f"written to {output}")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made a folder ({error.strerror})") from error


@contextmanager
def _progress(text: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=text, file=sys.stderr) as bar:

        def step(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield step


if __name__ == "__main__":
    main()
