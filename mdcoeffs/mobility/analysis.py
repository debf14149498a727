"""From a SPECIES.toml to everything about mobility: read every replica, then translation, rotation, paddle-wheel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellsim.base import Array, InputError, Ints, Progress
from mdcoeffs.frames.scratch import CHUNK, ParticleStore
from mdcoeffs.frames.stream import Stream, run_stream
from mdcoeffs.inputs.species import SpeciesFile
from mdcoeffs.mobility.paddlewheel import Response, Sampled, jumps, nearest, reorientation, response, sample
from mdcoeffs.mobility.paths import Recorder, tracks_of
from mdcoeffs.mobility.rotation import BEGUN, COARSE, Relaxation, relaxation, unwrapped_angles
from mdcoeffs.mobility.settings import Friction, MobilitySettings, Paddle, read_mobility
from mdcoeffs.mobility.translation import (
    FEWEST_LAGS,
    Exponent,
    FrictionFit,
    bjerrum_length,
    default_window,
    exponent,
    fit_conductivity,
    lags_for,
    order_parameter,
)
from mdcoeffs.statistics.lagged import Estimate, Lagged, blocks_of, cosines, groups_of, join, spread, squares, total


@dataclass(frozen=True, eq=False)
class Mover:
    """Translation of one species, or of chosen atoms.

    Parameters
    ----------
    name : str
        Name.
    what : str
        ``"molecules"`` (centres of mass) or ``"atoms"``.
    count : int
        Particles, in one replica.
    msd : Lagged
        Squared displacements [m^2].
    law : Exponent
        Their power law.
    M : Estimate, optional
        Mobility order parameter; None for the cation itself [1].
    D : Estimate
        Self-diffusion coefficient, the mean square over 6 t at the end of the window; says something only
        where the exponent is 1 [m^2/s].
    """

    name: str
    what: str
    count: int
    msd: Lagged
    law: Exponent
    M: Estimate | None
    D: Estimate


@dataclass(frozen=True, eq=False)
class Turner:
    """Rotation of one kind of axis.

    Parameters
    ----------
    name : str
        Name.
    count : int
        Axes, in one replica.
    msad : Lagged
        Squared unwrapped angles [rad^2].
    law : Exponent
        Their power law.
    M : Estimate
        Rotational order parameter M_theta [1].
    correlations : tuple of Lagged
        Autocorrelations C_1 and C_2 [1].
    relaxations : tuple of Relaxation
        Their relaxation times.
    step : float
        Root mean square angle between two frames [rad].
    """

    name: str
    count: int
    msad: Lagged
    law: Exponent
    M: Estimate
    correlations: tuple[Lagged, Lagged]
    relaxations: tuple[Relaxation, Relaxation]
    step: float


@dataclass(frozen=True, eq=False)
class MobilityResult:
    """What ``mdcoeffs mobility`` reports.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    temperature : float
        Temperature [K].
    cation : str
        The working ion.
    window : tuple of float
        First and last lag of the power laws [s].
    movers : tuple of Mover
        Species in the order of the file, then chosen atoms.
    turners : tuple of Turner
        Rotors.
    response : Response, optional
        Paddle-wheel.
    jumps : int, optional
        Jumps found, whether counted in the response or not.
    bjerrum : float, optional
        Bjerrum length [m].
    conductivity : float, optional
        As given, for the table [S/m].
    friction : FrictionFit, optional
        kappa = A r exp(-r / r_star).
    friction_data : Friction, optional
        The conductivities behind it.
    frames : tuple of int
        Frames of each replica.
    interval : float
        Time between frames [s].
    notes : tuple of str
        What the user must know.
    """

    title: str
    temperature: float
    cation: str
    window: tuple[float, float]
    movers: tuple[Mover, ...]
    turners: tuple[Turner, ...]
    response: Response | None
    jumps: int | None
    bjerrum: float | None
    conductivity: float | None
    friction: FrictionFit | None
    friction_data: Friction | None
    frames: tuple[int, ...]
    interval: float
    notes: tuple[str, ...]


NAME = "mobility"
MISFIT = 0.1
"""Difference from exp(-t / tau) that is said [1]."""
BENT = 3.5
"""Standard errors by which the exponents of the two halves of a window may differ before it is said."""


def mobility_from_file(
    file: SpeciesFile, *, folder: Path, checkpoint_every: float = 60.0, progress: Progress | None = None
) -> MobilityResult:
    """Read all replicas and analyse translation, rotation and the paddle-wheel.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.
    folder : Path
        Where scratch files and checkpoints go; a reading that was killed goes on from there.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        Called with (frames done, frames in all) of each replica.

    Returns
    -------
    MobilityResult

    Raises
    ------
    InputError
        Bad input of any kind, or too little of it.
    """
    settings = read_mobility(file)
    recorders: list[Recorder] = []

    def make(stream: Stream) -> Mapping[str, Recorder]:
        place = (file.scratch or folder) / f"{NAME}-{len(recorders)}"
        recorders.append(Recorder(tracks_of(stream, settings), place, stream.n_frames))
        return {"paths": recorders[-1]}

    run_stream(
        file, make, name=NAME, folder=folder, unwrap=True, checkpoint_every=checkpoint_every, progress=progress,
        settings={"follow": [repr(one) for one in settings.follow], "rotor": [repr(one) for one in settings.rotors]},
    )  # fmt: skip
    result = _analyse(file, settings, recorders)
    for one in recorders:
        one.close()
    return result


def _analyse(file: SpeciesFile, settings: MobilitySettings, runs: Sequence[Recorder]) -> MobilityResult:
    intervals = [(run.times[run.frames - 1] - run.times[0]) / (run.frames - 1) for run in runs]
    dt = float(intervals[0])
    if any(abs(one - dt) > 1e-3 * dt for one in intervals):
        raise InputError(f"{file.path}: replicas differ in the time between frames ({intervals}); use stride")
    frames = min(run.frames for run in runs)
    window = settings.window or default_window([(frames - 1) * dt])
    lags = lags_for(frames, dt, window, per_decade=settings.lags_per_decade)
    longest = int(np.floor(window[1] / dt * (1 + 1e-9)))
    notes: list[str] = []
    laws = {}
    for key in runs[0].tracks:
        if not key.startswith("rotor"):
            msd = _msd(runs, key, lags, dt, longest, file.memory)
            if key != f"species {settings.cation}" and not np.any(msd.mean > 0):
                notes.append(f"{key.split(' ', 1)[1]} does not move at all: left out")
                continue
            laws[key] = msd, exponent(msd, window)
    plus = laws[f"species {settings.cation}"][1]
    movers = tuple(_mover(runs[0], key, *laws[key], plus, settings) for key in laws)
    turners = tuple(_turner(runs, key, lags, dt, longest, window, plus, file.memory, notes)
                    for key in runs[0].tracks if key.startswith("rotor"))  # fmt: skip
    found, count = None, None
    if settings.paddlewheel is not None:
        found, count = _paddlewheel(runs, settings, settings.paddlewheel, dt, file.memory)
        if found is None:
            notes.append(f"{count} jumps are too few for a response of the cage")
    for mover in movers:
        notes += _doubts(mover.name, mover.msd, mover.law)
    low, high = plus.alpha.interval()
    if not low <= 1 <= high:
        notes.append(
            f"{settings.cation} does not diffuse over this window (alpha_+ = {plus.alpha.value:.3g}, 95 %: {low:.3g} "
            f"to {high:.3g}): M compares a transient, not the limit of long times that it is defined in"
        )
    if not plus.alpha.value > 2 * plus.alpha.error:
        notes.append(f"M is not given: alpha_+ of {settings.cation} cannot be told from 0")
    return MobilityResult(
        file.title, file.temperature, settings.cation, plus.window, movers, turners, found, count,
        None if settings.permittivity is None else bjerrum_length(settings.permittivity, file.temperature),
        settings.conductivity,
        None if settings.friction is None else _friction(file, settings), settings.friction,
        tuple(run.frames for run in runs), dt, tuple(notes),
    )  # fmt: skip


def _friction(file: SpeciesFile, settings: MobilitySettings) -> FrictionFit:
    data = settings.friction
    assert data is not None
    try:
        return fit_conductivity(data.r, data.kappa, data.error)
    except InputError as error:
        raise InputError(f"{file.path}: mobility.friction: {error}") from error


def _blocks(store: ParticleStore, frames: int, memory: float) -> Iterator[tuple[int, Array]]:
    first = 0
    for block in store.blocks(0, store.particles, frames, memory):
        yield first, block
        first += len(block)


def _msd(runs: Sequence[Recorder], key: str, lags: Ints, dt: float, longest: int, memory: float) -> Lagged:
    found = []
    lag: Array = np.asarray(lags * dt, dtype=np.float64)
    for run in runs:
        group, bounds = groups_of(run.tracks[key].owner), blocks_of(run.frames, longest)
        parts = (
            squares(block, lags, bounds, group[first : first + len(block)], int(group.max()) + 1)
            for first, block in _blocks(run.stores[key], run.frames, memory)
        )
        found.append(total(parts, lag))
    return join(found)


def _mover(
    run: Recorder, key: str, msd: Lagged, law: Exponent, plus: Exponent, settings: MobilitySettings
) -> Mover:  # fmt: skip
    kind, name = key.split(" ", 1)
    last = int(np.argmin(np.abs(msd.lag - law.window[1])))
    weights = np.zeros(msd.lag.size)
    weights[last] = 1 / (6 * msd.lag[last])
    error, freedom, common = spread([msd.influence(weights)])
    D = Estimate(float(weights @ msd.mean), error, freedom, common, ())
    mine = name == settings.cation and kind == "species"
    return Mover(
        name, "molecules" if kind == "species" else "atoms", run.tracks[key].owner.size, msd, law,
        None if mine else order_parameter(law, plus), D,
    )  # fmt: skip


def _turner(
    runs: Sequence[Recorder], key: str, lags: Ints, dt: float, longest: int, window: tuple[float, float],
    plus: Exponent, memory: float, notes: list[str],
) -> Turner:  # fmt: skip
    angles, first_order, second_order, steps = [], [], [], []
    lag: Array = np.asarray(lags * dt, dtype=np.float64)
    for run in runs:
        group, bounds = groups_of(run.tracks[key].owner), blocks_of(run.frames, longest)
        size = int(group.max()) + 1
        turned, cosine = [], []
        for first, axes in _blocks(run.stores[key], run.frames, memory):
            path, step = unwrapped_angles(axes)
            here = group[first : first + len(axes)]
            turned.append(squares(path, lags, bounds, here, size))
            cosine.append(cosines(axes, lags, bounds, here, size))
            steps.append((len(axes), step))
        angles.append(total(turned, lag))
        first_order.append(total([(sums[0], counts) for sums, counts in cosine], lag))
        second_order.append(total([(sums[1], counts) for sums, counts in cosine], lag))
    msad = join(angles)
    law = exponent(msad, window)
    pair = join(first_order), join(second_order)
    both = relaxation(pair[0], 1), relaxation(pair[1], 2)
    name = key.split(" ", 1)[1]
    weight = sum(n for n, _ in steps)
    step = float(np.sqrt(sum(n * s**2 for n, s in steps) / weight))
    if step > COARSE:
        notes.append(
            f"{name} turns by {np.degrees(step):.0f} degrees between frames: its unwrapped angle is not to be trusted; "
            f"store frames more often"
        )
    if np.isnan(both[0].tau):
        notes.append(
            f"{name} has not turned enough for a relaxation time: C_1 is {pair[0].mean.min():.3g} at "
            f"{pair[0].lag[-1]:.3g} s, above {BEGUN:g}"
        )
    for fit in both:
        if fit.misfit > MISFIT:
            notes.append(
                f"{name}: C_{fit.order} is not exp(-t / tau), it differs by up to {fit.misfit:.2g}: tau is a "
                f"rough mean of more than one decay"
            )
    notes += _doubts(f"the angle of {name}", msad, law)
    return Turner(name, run.tracks[key].owner.size, msad, law, order_parameter(law, plus), pair, both, step)


def _doubts(name: str, msd: Lagged, law: Exponent) -> list[str]:
    found = []
    if np.isnan(law.alpha.error):
        found.append(f"{name}: too few molecules, and too short a run, for an error of the exponent")
    if law.alpha.common:
        found.append(f"{name}: the error comes from blocks of time, the molecules do not move on their own")
    low, high = law.window
    middle = float(np.sqrt(low * high))
    inside = (msd.lag >= low * (1 - 1e-9)) & (msd.lag <= high * (1 + 1e-9))
    if min((inside & (msd.lag <= middle)).sum(), (inside & (msd.lag >= middle)).sum()) < FEWEST_LAGS:
        return found
    early, late = exponent(msd, (low, middle)), exponent(msd, (middle, high))
    error = spread([late.alpha.cells[0] - early.alpha.cells[0]])[0]
    if abs(late.alpha.value - early.alpha.value) > BENT * error:
        found.append(
            f"{name}: not one power law over the window: the exponent is {early.alpha.value:.3g} in its first half, "
            f"{late.alpha.value:.3g} in its second (half in the logarithm)"
        )
    return found


def _paddlewheel(
    runs: Sequence[Recorder], settings: MobilitySettings, asked: Paddle, dt: float, memory: float
) -> tuple[Response | None, int]:
    half = max(1, round(asked.half / dt))
    reach = max(half, round(asked.longest / dt))
    delays = np.arange(-reach, reach + 1)
    rng = np.random.default_rng(settings.seed)
    rotor = next(one for one in settings.rotors if one.name == asked.rotor)
    sampled: list[Sampled] = []
    count = 0
    for run in runs:
        if run.frames < 4 * half + 2 * reach:
            raise InputError(
                f"mobility.paddlewheel: half = {asked.half:.3g} s and longest = {asked.longest:.3g} s need a run of "
                f"{4 * half + 2 * reach} frames, this one has {run.frames}"
            )
        cations, centres = run.stores[f"species {settings.cation}"], run.stores[f"species {rotor.species}"]
        events = jumps(cations.block(0, cations.particles, run.frames), half=half, threshold=asked.jump)
        count += events.count
        before = np.maximum(events.frame - 1, 0)
        boxes = None if np.isnan(run.boxes[0]).any() else run.boxes[before]
        there = np.array([centres.data[k // CHUNK, :, k % CHUNK] for k in before]).reshape(-1, centres.particles, 3)
        molecules = nearest(events.before, there, boxes, count=asked.neighbours, cutoff=asked.cutoff)
        angles = _cage_angles(run, f"rotor {rotor.name}", half, memory)
        sampled.append(sample(events, molecules, angles, delays, half=half, rng=rng))
    return response(sampled, delays, dt, half=half), count


def _cage_angles(run: Recorder, key: str, half: int, memory: float) -> Iterator[tuple[int, Array]]:
    """Reorientation of every molecule, the mean over its axes, in blocks of molecules."""
    owner, store = run.tracks[key].owner, run.stores[key]
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    last = np.append(first[1:], owner.size)
    size = max(1, int(memory / (12 * 24 * run.frames * (last - first).max())))
    for start in range(0, first.size, size):
        rows = slice(start, min(start + size, first.size))
        begin, end = int(first[rows][0]), int(last[rows][-1])
        theta = reorientation(store.block(begin, end, run.frames), half=half)
        axes = (last - first)[rows, None]
        yield start, np.add.reduceat(theta, first[rows] - begin, axis=0) / axes
