"""One state point of molecular dynamics with OpenMM: built, equilibrated, run, written, resumed.

A salt of charged Lennard-Jones spheres in a solvent of neutral ones, or of rigid SPC/E water; particle-mesh Ewald in a
medium of given permittivity; a field along x adds the force z e E to every ion. The only module that imports OpenMM
(extra ``md``).

A run folder holds, while it grows, ``frames.bin`` (summed positions per species), ``log.bin``, ``positions.bin`` and
``checkpoint.npz``; when it is done ``displacements.npz`` and ``positions.npz`` as `mdcoeffs.inputs.arrays` reads them,
and ``run.json``.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellsim.base import N_A, Array, ConvergenceError, InputError, Progress, __version__, e, k_B
from cellsim.files.reading import read_arrays
from cellsim.files.writing import write_arrays
from mdcoeffs.md.record import RunRecord, block_error, read_record, write_record
from mdcoeffs.md.system import StatePoint

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

PLATFORMS = ("CUDA", "HIP", "OpenCL", "CPU")
"""In the order they are tried."""
PRECISION = {"CUDA": "mixed", "HIP": "mixed", "OpenCL": "mixed"}
"""Of the platforms that have a choice: in single precision the energy drifts, double is slow on most cards."""
CHECKPOINT_EVERY = 20.0
"""Time between checkpoints [s]."""
GROWING = ("frames.bin", "log.bin", "positions.bin")
"""Files of a run under way: summed positions, energies, positions."""
_NM, _PS, _GRAM = 1e9, 1e12, 1e3  # OpenMM counts in nm, ps, g/mol and kJ/mol
_SHAKES = 10  # times the velocities are drawn anew in the first half of the equilibration
_CHUNK = 1000  # steps between looks at the clock outside of frames
_CHARGE = e * N_A * 1e-3  # kJ/mol per elementary charge and volt
SPCE = {"r_OH": 0.1, "angle": 109.47, "q_O": -0.8476, "m_O": 15.9994, "m_H": 1.008}
"""SPC/E water (Berendsen, Grigera & Straatsma 1987, doi:10.1021/j100308a038): nm, degrees, e, g/mol."""


@dataclass(frozen=True, eq=False)
class Sites:
    """Sites of all molecules, one species after another.

    Parameters
    ----------
    mass : array (sites,)
        Masses [g/mol].
    first : array of int (molecules,)
        First site of each molecule.
    share : array (sites,)
        Mass of a site over that of its molecule [1].
    edges : array of int (species,)
        First molecule of each species.
    freedom : int
        Degrees of freedom, constraints and the centre of mass taken away.
    """

    mass: Array
    first: NDArray[np.int64]
    share: Array
    edges: NDArray[np.int64]
    freedom: int

    def centres(self, x: Array) -> Array:
        """Centres of mass (molecules, 3) of positions (sites, 3), in their unit."""
        if self.first.size == self.mass.size:
            return x
        return np.asarray(np.add.reduceat(x * self.share[:, None], self.first, axis=0))


def sites_of(point: StatePoint) -> Sites:
    """Sites of a state point.

    Parameters
    ----------
    point : StatePoint
        What is simulated.

    Returns
    -------
    Sites
    """
    masses: list[float] = []
    first: list[int] = []
    constraints = 0
    for particle, count in zip(point.species, point.counts, strict=True):
        own = [particle.mass * _GRAM] if particle.model is None else [SPCE["m_O"], SPCE["m_H"], SPCE["m_H"]]
        constraints += 0 if particle.model is None else 3 * count
        first += [len(masses) + len(own) * k for k in range(count)]
        masses += own * count
    mass, starts = np.array(masses), np.array(first, dtype=np.int64)
    whole = np.add.reduceat(mass, starts)
    share = mass / np.repeat(whole, np.diff(np.append(starts, mass.size)))
    edges = np.concatenate([[0], np.cumsum(point.counts)])[:-1]
    return Sites(mass, starts, share, edges, 3 * mass.size - constraints - 3)


def build(module: Any, point: StatePoint) -> Any:
    """OpenMM's System of a state point.

    Parameters
    ----------
    module : module
        `openmm`.
    point : StatePoint
        What to build.

    Returns
    -------
    openmm.System
        Particles in the order of the species.
    """
    edge = point.volume ** (1 / 3) * _NM
    system = module.System()
    system.setDefaultPeriodicBoxVectors((edge, 0, 0), (0, edge, 0), (0, 0, edge))
    pairs = module.NonbondedForce()
    pairs.setNonbondedMethod(module.NonbondedForce.PME)
    pairs.setCutoffDistance(point.cutoff * _NM)
    pairs.setUseSwitchingFunction(True)
    pairs.setSwitchingDistance(0.9 * point.cutoff * _NM)
    pairs.setUseDispersionCorrection(False)
    pairs.setEwaldErrorTolerance(1e-3 if all(particle.model is None for particle in point.species) else 5e-4)
    for particle, count in zip(point.species, point.counts, strict=True):
        depth = (point.well_depth if particle.well_depth is None else particle.well_depth) * 1e-3
        for _ in range(count):
            if particle.model is None:
                system.addParticle(particle.mass * _GRAM)
                charge = point.charge_scaling * particle.z / math.sqrt(point.permittivity)
                pairs.addParticle(charge, particle.diameter * _NM, depth)
            else:
                _add_water(system, pairs, particle.diameter * _NM, depth, point.permittivity)
    system.addForce(pairs)
    if point.field:
        pull = module.CustomExternalForce("-f*x")
        pull.addPerParticleParameter("f")
        for index, z in enumerate(np.repeat(point.z[:2], point.counts[:2])):  # ions come first
            pull.addParticle(index, [float(z) * _CHARGE * point.field / _NM])
        system.addForce(pull)
    system.addForce(module.CMMotionRemover(10))
    return system


def _add_water(system: Any, pairs: Any, diameter: float, depth: float, permittivity: float) -> None:
    """One rigid SPC/E molecule."""
    scale = 1 / math.sqrt(permittivity)
    first = system.addParticle(SPCE["m_O"])
    pairs.addParticle(SPCE["q_O"] * scale, diameter, depth)
    for _ in range(2):
        system.addParticle(SPCE["m_H"])
        pairs.addParticle(-0.5 * SPCE["q_O"] * scale, 1.0, 0.0)
    across = 2 * SPCE["r_OH"] * math.sin(math.radians(SPCE["angle"] / 2))
    for a, b, length in ((0, 1, SPCE["r_OH"]), (0, 2, SPCE["r_OH"]), (1, 2, across)):
        system.addConstraint(first + a, first + b, length)
        pairs.addException(first + a, first + b, 0.0, 1.0, 0.0)


def start_positions(point: StatePoint) -> Array:
    """Molecules in random order, and where they have several sites at random orientations, on a cubic lattice.

    Parameters
    ----------
    point : StatePoint
        What is simulated; its seed decides.

    Returns
    -------
    array (sites, 3)
        Positions [nm].
    """
    rng = np.random.default_rng(point.seed)
    count = sum(point.counts)
    size = math.ceil(round(count ** (1 / 3), 9))
    lattice = np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    chosen = lattice[rng.permutation(len(lattice))[:count]]
    places: Array = (chosen + 0.5) * (point.volume ** (1 / 3) * _NM / size)
    if all(particle.model is None for particle in point.species):
        return places
    half = math.radians(SPCE["angle"] / 2)
    arms = SPCE["r_OH"] * np.array(
        [[0, 0, 0], [math.sin(half), math.cos(half), 0], [-math.sin(half), math.cos(half), 0]]
    )
    molecules = []
    kinds = np.repeat(np.arange(len(point.counts)), point.counts)
    for place, kind in zip(places, kinds, strict=True):
        if point.species[kind].model is None:
            molecules.append(place[None])
            continue
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        molecules.append(place + arms @ turn)
    return np.concatenate(molecules)


# ---- the run --------------------------------------------------------------------------------------------------------


def openmm() -> Any:
    """The OpenMM module.

    Returns
    -------
    module

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        import openmm as module
    except ImportError as error:
        raise InputError("molecular dynamics needs OpenMM; install the extra, pip install 'cellsim[md]'") from error
    return module


def simulate_point(
    point: StatePoint,
    folder: str | Path,
    *,
    platform: str | None = None,
    threads: int = 1,
    checkpoint_every: float = CHECKPOINT_EVERY,
    progress: Progress | None = None,
) -> RunRecord:
    """Run one state point into a folder, or go on with the run the folder holds.

    Parameters
    ----------
    point : StatePoint
        What to run.
    folder : str or Path
        Where to; made if need be. A finished run of the same content hash and at least the frames asked for is
        returned as it is; a shorter or killed one goes on from its last checkpoint.
    platform : str, optional
        OpenMM platform; the fastest that works when left out.
    threads : int
        Threads of the CPU platform.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        Called with (steps done, steps in all).

    Returns
    -------
    RunRecord

    Raises
    ------
    InputError
        OpenMM or the platform is missing, the folder holds another run.
    ConvergenceError
        The particles flew apart: the time step is too long.
    """
    folder = Path(folder)
    done = read_record(folder, point)
    if done is not None and done.frames >= point.frames:
        return done
    module = openmm()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _Run(module, point, folder, platform, threads).go(checkpoint_every, progress)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    except module.OpenMMException as error:
        raise ConvergenceError(
            f"{folder}: the run broke down ({error}); use a timestep shorter than {point.timestep * 1e15:g} fs"
        ) from error


class _Run:
    """A run under way: the context, the counters and the open files (a protocol, not a model)."""

    def __init__(self, module: Any, point: StatePoint, folder: Path, platform: str | None, threads: int) -> None:
        self.module, self.point, self.folder = module, point, folder
        self.context, self.integrator, self.platform = _context(module, point, platform, threads)
        self.sites: Sites = sites_of(point)
        self.step = -point.equilibration
        self.seconds = 0.0
        self.earlier = 0.0

    # ---- the loop --------------------------------------------------------------------------------------------------

    def go(self, every: float, progress: Progress | None) -> RunRecord:
        with self._alone():
            return self._go(every, progress)

    def _go(self, every: float, progress: Progress | None) -> RunRecord:
        point, last = self.point, time.monotonic()
        fresh = not self._resume()
        if fresh:
            self._start()
        begun, at = time.monotonic(), self.step
        with self._files() as (frames, logs, places):
            if fresh and self.step >= 0:
                self._record(frames, logs, places)
            while self.step < point.steps:
                self._advance()
                if self.step >= 0 and self.step % point.frame_every == 0:
                    self._record(frames, logs, places)
                if progress is not None:
                    progress(self.step + point.equilibration, point.steps + point.equilibration)
                if time.monotonic() - last > every or self.step == point.steps:
                    self.seconds = self.earlier + time.monotonic() - begun
                    self._save(frames, logs, places)
                    last = time.monotonic()
        log.info("%s: %.0f steps/s on %s", self.folder, (self.step - at) / (time.monotonic() - begun), self.platform)
        return self._finish()

    def _advance(self) -> None:
        """To the next frame; in the equilibration to the next drawing of velocities or look at the clock."""
        point = self.point
        if self.step >= 0:
            size = point.frame_every
        else:
            half = -point.equilibration // 2
            spacing = max(1, point.equilibration // (2 * _SHAKES))
            if self.step < half and (self.step + point.equilibration) % spacing == 0:
                number = (self.step + point.equilibration) // spacing
                self.context.setVelocitiesToTemperature(point.temperature, _seed(point, number))
            size = min(_CHUNK, -self.step, spacing if self.step < half else -self.step)
        self._integrate(size)
        self.step += size

    def _integrate(self, size: int) -> None:
        """`size` time steps; on OpenMM's Reference platform one at a time, each checked.

        That platform goes on after a coordinate has become NaN, and its next particle-mesh Ewald sum then writes
        outside its grid, into memory that belongs to others (seen with valgrind: patches of 5 x 5 NaN in unrelated
        arrays). The other platforms stop with an exception.
        """
        if self.platform != "Reference":
            self.integrator.step(size)
            return
        for _ in range(size):
            self.integrator.step(1)
            if not np.all(np.isfinite(self.context.getState(getPositions=True).getPositions(asNumpy=True)._value)):
                raise self.module.OpenMMException("a coordinate is NaN")

    def _start(self) -> None:
        """Molecules on a lattice in random order, relaxed, with random velocities."""
        self.context.setPositions(start_positions(self.point))
        self.module.LocalEnergyMinimizer.minimize(self.context, maxIterations=300)
        self.context.setVelocitiesToTemperature(self.point.temperature, _seed(self.point, 99))

    # ---- what is written -------------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two processes in one folder would write over one another; where the system has no locks, no check."""
        with open(self.folder / "lock", "ab") as stream:
            if fcntl is not None:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise InputError(
                        f"{self.folder}: another process is running it; wait for that or end it"
                    ) from error
            yield
        (self.folder / "lock").unlink(missing_ok=True)

    @contextmanager
    def _files(self) -> Iterator[tuple[Any, Any, Any]]:
        with ExitStack() as stack:
            frames, logs, places = (stack.enter_context(open(self.folder / name, "ab")) for name in GROWING)
            yield frames, logs, places

    def _record(self, frames: Any, logs: Any, places: Any) -> None:
        state = self.context.getState(getPositions=True)
        x = state.getPositions(asNumpy=True)._value
        centres = self.sites.centres(x)
        summed = np.add.reduceat(centres, self.sites.edges, axis=0)
        if not np.all(np.isfinite(summed)):
            raise self.module.OpenMMException("a coordinate is NaN")
        frames.write(summed.tobytes())
        frame = self.step // self.point.frame_every
        if frame % 20 == 0:
            logs.write(self._energies().tobytes())
        if self.point.positions_every and self.step % self.point.positions_every == 0:
            places.write(centres.astype(np.float32).tobytes())

    def _energies(self) -> Array:
        """Time [ps], kinetic temperature [K], potential energy [kJ/mol], velocity of the centre of mass [nm/ps]."""
        state = self.context.getState(getEnergy=True, getVelocities=True)
        v = state.getVelocities(asNumpy=True)._value
        mass = self.sites.mass
        drift = mass @ v / mass.sum()
        T = float(mass @ ((v - drift) ** 2).sum(axis=1)) / (self.sites.freedom * k_B * N_A * 1e-3)
        return np.array([self.step * self.point.timestep * _PS, T, state.getPotentialEnergy()._value, *drift])

    def _save(self, *files: Any) -> None:
        # What has grown must be on the disk before a checkpoint says so: resuming cuts the files back to its sizes.
        for stream in files:
            stream.flush()
            os.fsync(stream.fileno())
        state = self.context.getState(
            getPositions=True, getVelocities=True, getParameters=True, getIntegratorParameters=True
        )
        text = self.module.XmlSerializer.serialize(state).encode()
        arrays = {
            "digest": self.point.digest,
            "step": self.step,
            "seconds": self.seconds,
            "sizes": [stream.tell() for stream in files],
            "state": np.frombuffer(text, dtype=np.uint8),
        }
        write_arrays(self.folder / "checkpoint.npz", arrays, synced=True)

    def _resume(self) -> bool:
        """Take up the checkpoint; files are cut back to its length."""
        path = self.folder / "checkpoint.npz"
        names = [self.folder / name for name in GROWING]
        if not path.is_file():
            for name in names:
                name.unlink(missing_ok=True)
            return False
        try:
            stored = read_arrays(path, what="a checkpoint")
            digest, self.step = str(stored["digest"]), int(stored["step"])
            self.earlier = self.seconds = float(stored["seconds"])
            sizes = [int(size) for size in stored["sizes"]]
            text = stored["state"].tobytes().decode()
            if len(sizes) != len(names) or min(sizes) < 0:
                raise ValueError(f"sizes = {sizes}")
        except (InputError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise InputError(f"{path}: cannot be read as a checkpoint ({error}); remove the folder") from error
        if digest != self.point.digest:
            raise InputError(f"{path.parent}: holds a run of other inputs; choose another output folder or remove it")
        for name, size in zip(names, sizes, strict=True):
            if (name.stat().st_size if name.is_file() else -1) < size:
                raise InputError(f"{name}: is shorter than the checkpoint says; remove the folder")
            os.truncate(name, size)
        self.context.setState(self.module.XmlSerializer.deserialize(text))
        log.info("%s: goes on from %.4g ps", self.folder, self.step * self.point.timestep * _PS)
        return True

    def _finish(self) -> RunRecord:
        point, count = self.point, sum(self.point.counts)
        summed = np.fromfile(self.folder / "frames.bin").reshape(-1, len(point.counts), 3)[: point.frames + 1]
        interval = point.frame_interval * _PS
        logs = np.fromfile(self.folder / "log.bin").reshape(-1, 6)
        logs = logs[logs[:, 0] <= (point.frames + 0.5) * interval]
        box = np.eye(3) * point.volume ** (1 / 3) * _NM
        moved = {
            "time": np.arange(len(summed)) * interval,
            "R": np.rint((summed - summed[0]) * 1e3).astype(np.int64),
            "volume": point.volume,
            "log": logs,
        }
        write_arrays(self.folder / "displacements.npz", moved)
        if point.positions_every:
            x = np.fromfile(self.folder / "positions.bin", dtype=np.float32).reshape(-1, count, 3)
            interval = point.positions_every * point.timestep * _PS
            places = {
                "time": np.arange(len(x)) * interval,
                "positions": x * np.float32(1e3),
                "labels": np.repeat([particle.name for particle in point.species], point.counts),
                "box": box * 1e3,
            }
            write_arrays(self.folder / "positions.npz", places)
        return self._put_record(len(summed) - 1, logs)

    def _put_record(self, frames: int, logs: Array) -> RunRecord:
        """Write run.json, the file that says the run is finished, after all others."""
        point = self.point
        thermal = math.sqrt(k_B * point.temperature * N_A * 1e-3 / self.sites.mass.sum())
        values = {
            "state": point.state,
            "field": point.field,
            "frame_interval": point.frame_interval,
            "frames": frames,
            "temperature": float(logs[:, 1].mean()),
            "temperature_error": block_error(logs[:, 1]),
            "potential_energy": float(logs[:, 2].mean() * 1e3),
            "momentum": float(np.abs(logs[:, 3:]).max() / thermal),
            "steps_per_second": (self.step + point.equilibration) / max(self.seconds, 1e-9),
            "platform": self.platform,
            "openmm": self.module.__version__,
            "mdcoeffs": __version__,
            "digest": point.digest,
        }
        return write_record(self.folder, values)


def _seed(point: StatePoint, number: int) -> int:
    return int(np.random.SeedSequence([point.seed, point.replica, number]).generate_state(1)[0] % (2**31 - 1)) + 1


def _context(module: Any, point: StatePoint, platform: str | None, threads: int) -> tuple[Any, Any, str]:
    """Context, integrator and platform; the first platform that works where none is asked for."""
    known = [module.Platform.getPlatform(k).getName() for k in range(module.Platform.getNumPlatforms())]
    if platform is not None and platform not in known:
        raise InputError(f"platform = {platform!r} is not one this OpenMM has; allowed: {', '.join(known)}")
    wanted = [platform] if platform is not None else [name for name in PLATFORMS if name in known]
    for number, name in enumerate(wanted):
        integrator = _integrator(module, point)
        options = {"Threads": str(threads)} if name == "CPU" else {}
        if name in PRECISION:
            options["Precision"] = PRECISION[name]
        try:
            where = module.Platform.getPlatformByName(name)
            return module.Context(build(module, point), integrator, where, options), integrator, name
        except module.OpenMMException as error:  # a driver may be missing although the plugin loads
            if number == len(wanted) - 1:
                raise InputError(f"platform = {name!r} does not start here ({error})") from error
            log.info("platform %s does not start here (%s)", name, error)
    raise InputError("this OpenMM has no platform")


def _integrator(module: Any, point: StatePoint) -> Any:
    step, heat = point.timestep * _PS, point.thermostat_time * _PS
    if point.thermostat == "nose-hoover":
        return module.NoseHooverIntegrator(point.temperature, 1 / heat, step)
    if point.thermostat == "dpd":
        reach = point.cutoff * _NM / 2
        integrator = module.DPDIntegrator(point.temperature, 1 / heat, reach, step)
        integrator.setRandomNumberSeed(_seed(point, 98))
        return integrator
    return module.VerletIntegrator(step)
