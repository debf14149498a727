"""All state points of a SYSTEM.toml: run side by side, resumed, and left as folders that ``mdcoeffs onsager`` reads.

OUT/system.toml, and for every state OUT/STATE/SPECIES.toml with its replicas OUT/STATE/r0, r1, ...; runs in a field
stand beside them as OUT/STATE/E0.03_r0 (field in V/nm).
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from cellsim.base import InputError, Progress
from mdcoeffs.md.engine import CHECKPOINT_EVERY, openmm, simulate_point
from mdcoeffs.md.run_record import RunRecord, read_record
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
    _put_text(output / "system.toml", file.text)
    for state in dict.fromkeys(point.state for point in points):
        _put_text(
            output / state / "SPECIES.toml", species_text(file.title, [p for p in file.points if p.state == state])
        )
    count = jobs or _default_jobs(platform)
    if count == 1:
        records = _one_by_one(points, output, platform, threads, checkpoint_every, progress)
    else:
        records = _side_by_side(points, output, platform, threads, checkpoint_every, progress, count)
    return Simulation(tuple(records), time.monotonic() - begun)


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
    lines = [
        f"title = {json.dumps(f'{title}, {first.state}', ensure_ascii=False)}",
        f'temperature = "{first.temperature:.10g} K"', "", "[units]", 'position = "pm"', 'time = "ps"',
    ]  # fmt: skip
    for one, count in zip(first.species, first.counts, strict=True):
        lines += ["", f"[species.{json.dumps(one.name)}]", f'role = "{one.role}"', f"charge = {one.z}",
                  f"count = {count}", f'mass = "{one.mass:.10g} kg/mol"']  # fmt: skip
    for point in points:
        lines += ["", "[[replica]]", f'arrays = "{point.label}/displacements.npz"']
    return "\n".join(lines) + "\n"


def _default_jobs(platform: str | None) -> int:
    module = openmm()
    names = {module.Platform.getPlatform(k).getName() for k in range(module.Platform.getNumPlatforms())}
    if (platform or "CPU") in ("CUDA", "HIP", "OpenCL") or (platform is None and names & {"CUDA", "HIP"}):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _one_by_one(
    points: Sequence[StatePoint], output: Path, platform: str | None, threads: int, every: float,
    progress: Progress | None,
) -> list[RunRecord]:  # fmt: skip
    whole = sum(point.equilibration + point.steps for point in points)
    records, before = [], 0
    for point in points:

        def step(done: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, whole)

        records.append(simulate_point(point, run_folder(output, point), platform=platform, threads=threads,
                                      checkpoint_every=every, progress=step))  # fmt: skip
        log.info("%s", line_of(point, records[-1]))
        before += point.equilibration + point.steps
    return records


def _side_by_side(
    points: Sequence[StatePoint], output: Path, platform: str | None, threads: int, every: float,
    progress: Progress | None, count: int,
) -> list[RunRecord]:  # fmt: skip
    spawn = multiprocessing.get_context("spawn")
    whole = sum(point.equilibration + point.steps for point in points)
    done = spawn.Array("q", len(points))
    with ProcessPoolExecutor(count, mp_context=spawn, initializer=_share, initargs=(done,)) as pool:
        waiting: dict[Future[RunRecord], StatePoint] = {
            pool.submit(_job, number, point, run_folder(output, point), platform, threads, every): point
            for number, point in enumerate(points)
        }
        order = list(waiting)
        try:
            left = set(order)
            while left:
                finished, left = wait(left, timeout=1.0, return_when=FIRST_EXCEPTION)
                for one in finished:
                    log.info("%s", line_of(waiting[one], one.result()))
                if progress is not None:
                    progress(sum(done[:]), whole)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [one.result() for one in order]


_done: Any = None


def _share(done: Any) -> None:
    """In a worker: where it reports how far it is, and an end when the parent is gone, so that no orphan runs on."""
    global _done
    _done = done
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)


def _job(number: int, point: StatePoint, folder: Path, platform: str | None, threads: int, every: float) -> RunRecord:

    def step(at: int, _: int) -> None:
        if _done is not None:
            _done[number] = at

    record = simulate_point(point, folder, platform=platform, threads=threads, checkpoint_every=every, progress=step)
    step(point.equilibration + point.steps, 0)
    return record


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


def _put_text(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
