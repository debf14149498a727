"""How ions and their cages move and turn: exponents, order parameters, relaxation times, paddle-wheel.

The analysis ``mdcoeffs mobility``: one pass writes the paths of molecules, atoms and axes; here they are read back in
blocks of particles and become curves and numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cellsim.base import Array, InputError, Ints
from mdcoeffs.analysis import Analysis
from mdcoeffs.frames.paths import PathRecorder
from mdcoeffs.frames.stream import Stream
from mdcoeffs.inputs.species import SpeciesFile
from mdcoeffs.mobility.bottleneck import Opening, areas, windows_of
from mdcoeffs.mobility.cooperative import Coincidences, Cooperation, cooperation, neighbours_of
from mdcoeffs.mobility.paddlewheel import Events, Response, Sampled, jumps, nearest, reorientation, response, sample
from mdcoeffs.mobility.result import MobilityResult, Mover, Turner
from mdcoeffs.mobility.rotation import BEGUN, COARSE, relaxation, unwrapped_angles
from mdcoeffs.mobility.settings import (
    Bottleneck,
    Cooperative,
    Friction,
    MobilitySettings,
    Paddle,
    Vibrations,
    followed_in,
    read_mobility,
)
from mdcoeffs.mobility.translation import (
    FEWEST_LAGS,
    Exponent,
    FrictionFit,
    SegmentFit,
    bjerrum_length,
    default_window,
    exponent,
    fit_conductivity,
    fit_segments,
    lags_for,
    order_parameter,
)
from mdcoeffs.mobility.vibration import ALIASED, Vibration, frequencies, segment_of, spectra, vibration_of
from mdcoeffs.statistics.lagged import (
    Lagged,
    LaggedEstimate,
    blocks_of,
    cosines,
    groups_of,
    join,
    spread,
    squares,
    total,
)

MISFIT = 0.1
"""Difference from exp(-t / tau) that is said [1]."""
EVENTS = 256
"""Jumps whose neighbours are looked for at once."""
BENT = 3.5
"""Standard errors by which the exponents of the two halves of a window may differ before it is said."""


def _accumulators(stream: Stream, settings: MobilitySettings) -> dict[str, PathRecorder]:
    followed = followed_in(stream, settings)
    return {"paths": PathRecorder(followed, stream.scratch, stream.n_frames, stream.file.memory)}


@dataclass(frozen=True, eq=False)
class _Lags:
    """The lags that all curves of an analysis have.

    Parameters
    ----------
    frames : array of int (lags,)
        In snapshots.
    time : array (lags,)
        [s].
    window : tuple of float
        First and last lag of the power laws [s].
    longest : int
        Last lag of the window in snapshots; blocks of origins are no shorter.
    memory : float
        Cap on the paths at work [byte].
    """

    frames: Ints
    time: Array
    window: tuple[float, float]
    longest: int
    memory: float


def _mobility(
    file: SpeciesFile, settings: MobilitySettings, replicas: Sequence[Mapping[str, PathRecorder]]
) -> MobilityResult:
    runs = [replica["paths"] for replica in replicas]
    intervals = [(run.times[run.frames - 1] - run.times[0]) / (run.frames - 1) for run in runs]
    dt = float(intervals[0])
    if any(abs(interval - dt) > 1e-3 * dt for interval in intervals):
        raise InputError(f"{file.path}: replicas differ in the time between frames ({intervals}); use stride")
    frames = min(run.frames for run in runs)
    window = settings.window or default_window([(frames - 1) * dt])
    lags = lags_for(frames, dt, window, per_decade=settings.lags_per_decade)
    longest = int(np.floor(window[1] / dt * (1 + 1e-9)))
    shared = _Lags(lags, np.asarray(lags * dt, dtype=np.float64), window, longest, file.memory)
    notes: list[str] = []
    laws = {}
    for key in runs[0].followed:
        if not key.startswith("rotor"):
            msd = _msd(runs, key, shared)
            if key != f"species {settings.cation}" and not np.any(msd.mean > 0):
                notes.append(f"{key.split(' ', 1)[1]} does not move at all: left out")
                continue
            laws[key] = msd, exponent(msd, window)
    plus = laws[f"species {settings.cation}"][1]
    movers = tuple(_mover(runs[0], key, *laws[key], plus, settings) for key in laws)
    rotors = [key for key in runs[0].followed if key.startswith("rotor")]
    turners = tuple(_turner(runs, key, shared, plus, notes) for key in rotors)
    cage, count = None, None
    if settings.paddlewheel is not None:
        cage, count = _paddlewheel(runs, settings, settings.paddlewheel, dt, file.memory)
        if cage is None:
            notes.append(f"{count} jumps are too few for a response of the cage")
    opening = None
    if settings.bottleneck is not None:
        opening, doubts = _opening(runs, settings, settings.bottleneck, dt)
        notes += doubts
    together = None
    if settings.cooperative is not None:
        together, count_together = _together(runs, settings, settings.cooperative, dt)
        if together is None:
            notes.append(f"{count_together} jumps, too few of them with neighbours to say whether they come together")
    vibrations: tuple[Vibration, ...] = ()
    if settings.vibrations is not None:
        vibrations = _vibrations(runs, settings.vibrations, dt, file)
        for each in vibrations:
            S = each.spectrum.mean
            if S[-1] > ALIASED * S.max():
                notes.append(
                    f"{each.name} moves faster than the frames can show: its spectrum at the last frequency, "
                    f"{each.spectrum.lag[-1]:.3g} Hz, is {S[-1] / S.max():.2g} of its largest value, so that higher "
                    "frequencies are folded into it; store frames more often"
                )
    for mover in movers:
        notes += _doubts(mover.name, mover.msd, mover.law)
    low, high = plus.alpha.interval()
    if not low <= 1 <= high:
        notes.append(
            f"{settings.cation} does not diffuse over this window (alpha_+ = {plus.alpha.value:.3g}, 95 %: {low:.3g} "
            f"to {high:.3g}): M compares a transient, not the limit of long times that it is defined in"
        )
    if not plus.alpha.value > 2 * plus.alpha.error:
        notes.append(f"M is not given: alpha_+ of {settings.cation} is compatible with 0")
    permittivity = settings.permittivity
    return MobilityResult(
        title=file.title,
        temperature=file.temperature,
        cation=settings.cation,
        window=plus.window,
        movers=movers,
        turners=turners,
        response=cage,
        jumps=count,
        bjerrum=None if permittivity is None else bjerrum_length(permittivity, file.temperature),
        conductivity=settings.conductivity,
        friction=None if settings.friction is None else _friction(file, settings.friction),
        friction_data=settings.friction,
        segments=None if settings.friction is None else _segments(file, settings.friction),
        frames=tuple(run.frames for run in runs),
        interval=dt,
        notes=tuple(notes),
        opening=opening,
        together=together,
        vibrations=vibrations,
    )


def _friction(file: SpeciesFile, data: Friction) -> FrictionFit:
    try:
        return fit_conductivity(data.r, data.kappa, data.error)
    except InputError as error:
        raise InputError(f"{file.path}: mobility.friction: {error}") from error


def _segments(file: SpeciesFile, data: Friction) -> tuple[SegmentFit, FrictionFit] | None:
    """Friction from the segments, and what it says of the conductivities."""
    if data.segments is None:
        return None
    try:
        given = data.segments
        fit = fit_segments(given.r, given.D_0, given.error, exponent=given.exponent)
        return fit, fit.conductivity(data.r, data.kappa, data.error)
    except InputError as error:
        raise InputError(f"{file.path}: mobility.friction.segments: {error}") from error


def _msd(runs: Sequence[PathRecorder], key: str, lags: _Lags) -> Lagged:
    curves = []
    for run in runs:
        group, bounds = groups_of(run.followed[key].owner), blocks_of(run.frames, lags.longest)
        sums = (
            squares(paths, lags.frames, bounds, group[first : first + len(paths)], int(group.max()) + 1)
            for first, paths in run.stores[key].blocks(run.frames, lags.memory)
        )
        curves.append(total(sums, lags.time))
    return join(curves)


def _mover(
    run: PathRecorder, key: str, msd: Lagged, law: Exponent, plus: Exponent, settings: MobilitySettings
) -> Mover:
    kind, name = key.split(" ", 1)
    last = int(np.argmin(np.abs(msd.lag - law.window[1])))
    weights = np.zeros(msd.lag.size)
    weights[last] = 1 / (6 * msd.lag[last])
    error, freedom, common = spread([msd.influence(weights)])
    D = LaggedEstimate(float(weights @ msd.mean), error, freedom, common, ())
    is_cation = name == settings.cation and kind == "species"
    M = None if is_cation else order_parameter(law, plus)
    what = "molecules" if kind == "species" else "atoms"
    return Mover(name, what, run.followed[key].owner.size, msd, law, M, D)


def _turner(runs: Sequence[PathRecorder], key: str, lags: _Lags, plus: Exponent, notes: list[str]) -> Turner:
    angles, first_order, second_order, steps = [], [], [], []
    for run in runs:
        group, bounds = groups_of(run.followed[key].owner), blocks_of(run.frames, lags.longest)
        size = int(group.max()) + 1
        turned, first, second = [], [], []
        for begin, axes in run.stores[key].blocks(run.frames, lags.memory):
            path, step = unwrapped_angles(axes)
            members = group[begin : begin + len(axes)]
            turned.append(squares(path, lags.frames, bounds, members, size))
            sums, counts = cosines(axes, lags.frames, bounds, members, size)
            first.append((sums[0], counts))
            second.append((sums[1], counts))
            steps.append((len(axes), step))
        angles.append(total(turned, lags.time))
        first_order.append(total(first, lags.time))
        second_order.append(total(second, lags.time))
    msad, C_1, C_2 = join(angles), join(first_order), join(second_order)
    law = exponent(msad, lags.window)
    relaxations = relaxation(C_1, 1), relaxation(C_2, 2)
    name = key.split(" ", 1)[1]
    step = float(np.sqrt(sum(n * s**2 for n, s in steps) / sum(n for n, _ in steps)))
    if step > COARSE:
        notes.append(
            f"{name} turns by {np.degrees(step):.0f} degrees between frames: its unwrapped angle is not to be trusted; "
            f"store frames more often"
        )
    if np.isnan(relaxations[0].tau):
        notes.append(
            f"{name} has not turned enough for a relaxation time: C_1 is {C_1.mean.min():.3g} at {C_1.lag[-1]:.3g} s, "
            f"above {BEGUN:g}"
        )
    for fit in relaxations:
        if fit.misfit > MISFIT:
            notes.append(
                f"{name}: C_{fit.order} is not exp(-t / tau), it differs by up to {fit.misfit:.2g}: tau is a "
                f"rough mean of more than one decay"
            )
    notes += _doubts(f"the angle of {name}", msad, law)
    count = runs[0].followed[key].owner.size
    return Turner(name, count, msad, law, order_parameter(law, plus), (C_1, C_2), relaxations, step)


def _doubts(name: str, msd: Lagged, law: Exponent) -> list[str]:
    doubts = []
    if np.isnan(law.alpha.error):
        doubts.append(f"{name}: too few molecules, and too short a run, for an error of the exponent")
    if law.alpha.common:
        doubts.append(f"{name}: the error comes from blocks of time, the molecules do not move on their own")
    low, high = law.window
    middle = float(np.sqrt(low * high))
    inside = (msd.lag >= low * (1 - 1e-9)) & (msd.lag <= high * (1 + 1e-9))
    if min((inside & (msd.lag <= middle)).sum(), (inside & (msd.lag >= middle)).sum()) < FEWEST_LAGS:
        return doubts
    early, late = exponent(msd, (low, middle)).alpha, exponent(msd, (middle, high)).alpha
    error = spread([late.cells[0] - early.cells[0]])[0]
    if abs(late.value - early.value) > BENT * error:
        doubts.append(
            f"{name}: not one power law over the window: the exponent is {early.value:.3g} in its first half, "
            f"{late.value:.3g} in its second (half in the logarithm)"
        )
    return doubts


def _delays(half: float, longest: float, dt: float, runs: Sequence[PathRecorder], where: str) -> tuple[int, Ints]:
    """Frames averaged on each side of a jump, and the delays around it in frames."""
    frames = max(1, round(half / dt))
    reach = max(frames, round(longest / dt))
    for run in runs:
        if run.frames < 4 * frames + 2 * reach:
            raise InputError(
                f"{where}: half = {half:.3g} s and longest = {longest:.3g} s need a run of "
                f"{4 * frames + 2 * reach:.6g} frames, this one has {run.frames}"
            )
    return frames, np.arange(-reach, reach + 1)


def _jumps(run: PathRecorder, cation: str, half: int, threshold: float) -> Events:
    store = run.stores[f"species {cation}"]
    return jumps(store.block(0, store.particles, run.frames), half=half, threshold=threshold)


def _boxes(run: PathRecorder, frames: Ints) -> Array | None:
    return None if np.isnan(run.boxes[0]).any() else run.boxes[frames]


def _paddlewheel(
    runs: Sequence[PathRecorder], settings: MobilitySettings, asked: Paddle, dt: float, memory: float
) -> tuple[Response | None, int]:
    half, delays = _delays(asked.half, asked.longest, dt, runs, "mobility.paddlewheel")
    rng = np.random.default_rng(settings.seed)
    rotor = next(rotor for rotor in settings.rotors if rotor.name == asked.rotor)
    sampled: list[Sampled] = []
    count = 0
    for run in runs:
        centres = run.stores[f"species {rotor.species}"]
        events = _jumps(run, settings.cation, half, asked.jump)
        count += events.count
        before = np.maximum(events.frame - 1, 0)
        boxes = _boxes(run, before)
        cage = nearest(events.before, centres.at(before), boxes, count=asked.neighbours, cutoff=asked.cutoff)
        angles = _cage_angles(run, f"rotor {rotor.name}", half, memory)
        sampled.append(sample(events, cage, angles, delays, half=half, rng=rng))
    return response(sampled, delays, dt, half=half), count


def _opening(
    runs: Sequence[PathRecorder], settings: MobilitySettings, asked: Bottleneck, dt: float
) -> tuple[Opening | None, list[str]]:
    """Areas of the windows around the jumps, and what its user must know."""
    half, delays = _delays(asked.half, asked.longest, dt, runs, "mobility.bottleneck")
    rng = np.random.default_rng(settings.seed)
    kind = "species" if f"species {asked.corners}" in runs[0].stores else "follow"
    sampled: list[Sampled] = []
    count = windows = through = 0
    for run in runs:
        store = run.stores[f"{kind} {asked.corners}"]
        events = _jumps(run, settings.cation, half, asked.jump)
        found = windows_of(events, store.at(events.frame), _boxes(run, events.frame), cutoff=asked.cutoff)
        count, windows = count + events.count, windows + len(found.corners)
        through += int((found.of_event >= 0).sum())
        triangles = areas(found, store, run.frames)
        sampled.append(sample(events, found.of_event[:, None], triangles, delays, half=half, rng=rng))
    notes = []
    if count > through:
        notes.append(
            f"{count - through} of {count} jumps lead through no triangle of three {asked.corners} within "
            f"{asked.cutoff * 1e10:.3g} angstrom of their middle: left out of the bottleneck"
        )
    mean = response(sampled, delays, dt, half=half)
    if mean is None:
        return None, [*notes, f"{through} jumps through a window are too few for its area"]
    return Opening(mean, count, windows), notes


def _together(
    runs: Sequence[PathRecorder], settings: MobilitySettings, asked: Cooperative, dt: float
) -> tuple[Cooperation | None, int]:
    half, window = (max(1, round(time / dt)) for time in (asked.half, asked.window))
    rng = np.random.default_rng(settings.seed)
    found = []
    for run in runs:
        store = run.stores[f"species {settings.cation}"]
        events = _jumps(run, settings.cation, half, asked.jump)
        pairs: list[tuple[Ints, Ints]] = []
        for first in range(0, events.count, EVENTS):  # positions of all cations at every jump are too many at once
            rows = slice(first, first + EVENTS)
            at = np.maximum(events.frame[rows] - 1, 0)
            own = events.before[rows], events.cation[rows]
            centre, near = neighbours_of(*own, store.at(at), _boxes(run, at), cutoff=asked.cutoff)
            pairs.append((centre + first, near))
        centre, near = (np.concatenate(part) for part in zip(*pairs, strict=True)) if pairs else np.zeros((2, 0), int)
        last = run.frames - half + 1
        found.append(Coincidences(events.cation, events.frame, centre, near, store.particles, half, last))
    try:
        return cooperation(found, window=window, dt=dt, rng=rng), sum(each.frame.size for each in found)
    except InputError as error:
        raise InputError(f"mobility.cooperative: {error}") from error


def _vibrations(runs: Sequence[PathRecorder], asked: Vibrations, dt: float, file: SpeciesFile) -> tuple[Vibration, ...]:
    try:
        size = segment_of(min(run.frames for run in runs), dt, asked.resolution)
    except InputError as error:
        raise InputError(f"mobility.vibrations: {error}") from error
    found = []
    for key in runs[0].followed:
        sort, name = key.split(" ", 1)
        if asked.of and name not in asked.of:
            continue
        curves = []
        for run in runs:
            group = groups_of(run.followed[key].owner)
            sums = (
                spectra(paths, dt, size, group[first : first + len(paths)], int(group.max()) + 1)
                for first, paths in run.stores[key].blocks(run.frames, file.memory)
            )
            curves.append(total(sums, frequencies(size, dt)))
        what = {"species": "molecules", "follow": "atoms", "rotor": "axes"}[sort]
        shown = f"axes of {name}" if sort == "rotor" else name  # a rotor may have the name of its species
        found.append(vibration_of(shown, what, join(curves), runs[0].followed[key].mass, file.temperature))
    return tuple(found)


def _cage_angles(run: PathRecorder, key: str, half: int, memory: float) -> Iterator[tuple[int, Array]]:
    """Reorientation of every molecule, the mean over its axes, in blocks of molecules."""
    owner, store = run.followed[key].owner, run.stores[key]
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    last = np.append(first[1:], owner.size)
    size = max(1, int(memory / (12 * 24 * run.frames * (last - first).max())))  # twice an FFT correlator: two averages
    for start in range(0, first.size, size):
        rows = slice(start, min(start + size, first.size))
        begin, end = int(first[rows][0]), int(last[rows][-1])
        theta = reorientation(store.block(begin, end, run.frames), half=half)
        axes = (last - first)[rows, None]
        yield start, np.add.reduceat(theta, first[rows] - begin, axis=0) / axes


def _depends_on(settings: MobilitySettings) -> list[str]:
    return [repr(each) for each in (*settings.follow, *settings.rotors)]


ANALYSIS = Analysis("mobility", read_mobility, _accumulators, _mobility, depends_on=_depends_on)
