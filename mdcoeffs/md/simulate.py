"""All state points of a SYSTEM.toml: run side by side, resumed, and left as folders that ``mdcoeffs onsager`` reads.

OUT/system.toml, and for every state OUT/STATE/SPECIES.toml with its replicas OUT/STATE/r0, r1, ...; runs in a field
are beside them as OUT/STATE/E0.03_r0 (field in V/nm).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tomli_w

from cellsim.base import InputError, Progress
from cellsim.files.writing import write_text
from cellsim.workers import cores, mapped, tell
from mdcoeffs.md.engine import CHECKPOINT_EVERY, openmm, simulate_point
from mdcoeffs.md.record import RunRecord, read_record
from mdcoeffs.md.system import StatePoint, SystemFile

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Simulation:
    """What a call of `simulate_system` did.

    Parameters
    ----------
    records : tuple of RunRecord
        One per run, in the order of the file.
    seconds : float
        Wall time of the call [s].
    """

    records: tuple[RunRecord, ...]
    seconds: float


def run_folder(output: str | Path, point: StatePoint) -> Path:
    """Folder of one run.

    Parameters
    ----------
    output : str or Path
        Output folder of the whole.
    point : StatePoint
        The run.

    Returns
    -------
    Path
    """
    return Path(output) / point.state / point.label


def simulate_system(
    file: SystemFile,
    output: str | Path,
    *,
    states: Sequence[str] | None = None,
    platform: str | None = None,
    jobs: int | None = None,
    threads: int = 1,
    checkpoint_every: float = CHECKPOINT_EVERY,
    progress: Progress | None = None,
) -> Simulation:
    """Run every state point of a file; finished runs are taken as they are, killed ones go on.

    Parameters
    ----------
    file : SystemFile
        As :func:`mdcoeffs.md.system.read_system` gives it.
    output : str or Path
        Folder to write.
    states : sequence of str, optional
        Names of the states to run; all when left out.
    platform : str, optional
        OpenMM platform; the fastest that works when left out.
    jobs : int, optional
        Runs side by side; as many as there are cores when left out (one on a graphics card).
    threads : int
        Threads of each run on the CPU platform.
    checkpoint_every : float
        Time between checkpoints of each run [s].
    progress : callable, optional
        Called with (steps done, steps in all), of all runs together.

    Returns
    -------
    Simulation

    Raises
    ------
    InputError
        OpenMM is missing, an unknown state, a folder that holds other runs.
    ConvergenceError
        A run that broke down.
    """
    begun, output = time.monotonic(), Path(output)
    known = list(dict.fromkeys(point.state for point in file.points))
    for name in states or ():
        if name not in known:
            raise InputError(f"{file.path}: state {name!r} is not one of its states; allowed: {', '.join(known)}")
    points = [point for point in file.all_points if states is None or point.state in states]
    for point in points:  # refuse a foreign folder before any work
        read_record(run_folder(output, point), point)
    openmm()
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_text(output / "system.toml", file.text)
        for state in dict.fromkeys(point.state for point in points):
            replicas = [point for point in file.points if point.state == state]
            (output / state).mkdir(exist_ok=True)
            write_text(output / state / "SPECIES.toml", species_text(file.title, replicas))
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror or error})") from error
    options = {"platform": platform, "threads": threads, "checkpoint_every": checkpoint_every}
    whole = sum(point.equilibration + point.steps for point in points)

    def share_done(share: float) -> None:
        if progress is not None:
            progress(round(share * whole), whole)

    records: dict[int, RunRecord] = {}
    run = partial(_run, output=output, options=options)
    for returned in mapped(run, points, workers=jobs or _default_jobs(platform), chunk=1, told=share_done):
        # The first run that breaks down ends the call, and with it the runs beside it; they go on when it is repeated.
        records[returned.index] = returned.result()
        log.info("%s", line_of(points[returned.index], returned.value))
    return Simulation(tuple(record for _, record in sorted(records.items())), time.monotonic() - begun)


def _run(point: StatePoint, *, output: Path, options: dict[str, Any]) -> RunRecord:
    def step(done: int, whole: int) -> None:
        tell(done / whole)

    return simulate_point(point, run_folder(output, point), progress=step, **options)


def species_text(title: str, points: Sequence[StatePoint]) -> str:
    """SPECIES.toml of the replicas of one state.

    Parameters
    ----------
    title : str
        Of the system.
    points : sequence of StatePoint
        Replicas of one state.

    Returns
    -------
    str
        TOML.
    """
    first = points[0]
    species = {
        particle.name: {
            "role": particle.role,
            "charge": particle.z,
            "count": count,
            "mass": f"{particle.mass:.10g} kg/mol",
        }
        for particle, count in zip(first.species, first.counts, strict=True)
    }
    head = {"title": f"{title}, {first.state}", "temperature": f"{first.temperature:.10g} K"}
    units = {"position": "pm", "time": "ps"}
    replicas = [{"arrays": f"{point.label}/displacements.npz"} for point in points]
    several = {"estimate": {"matrix": "species"}} if len(first.species) > 3 else {}
    return tomli_w.dumps(head | several | {"units": units, "species": species, "replica": replicas})


def _default_jobs(platform: str | None) -> int:
    """One per core, and one on a graphics card, which several runs would only share."""
    module = openmm()
    names = {module.Platform.getPlatform(k).getName() for k in range(module.Platform.getNumPlatforms())}
    if (platform or "CPU") in ("CUDA", "HIP", "OpenCL") or (platform is None and names & {"CUDA", "HIP"}):
        return 1
    return cores()


def line_of(point: StatePoint, record: RunRecord) -> str:
    """One line about a run.

    Parameters
    ----------
    point : StatePoint
        The run.
    record : RunRecord
        What came of it.

    Returns
    -------
    str
    """
    error = "" if record.temperature_error is None else f" +- {record.temperature_error:.1f}"
    nanoseconds = record.frames * point.frame_interval * 1e9
    per_day = record.steps_per_second * point.timestep * 1e9 * 86400
    how = "found, " if record.cached else ""
    return (
        f"{point.state}/{point.label}: {how}{nanoseconds:.4g} ns, {record.temperature:.1f}{error} K, "
        f"{record.steps_per_second:.0f} steps/s = {per_day:.0f} ns/day on {record.platform}"
    )
