"""From a SPECIES.toml to everything its [interface] table asks for: read every replica, average, judge."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.special import stdtr

from cellsim.base import Array, InputError, Progress
from mdcoeffs.frames.stream import Stream, open_stream, run_stream
from mdcoeffs.inputs.species import SpeciesFile
from mdcoeffs.interface.profiles import (
    barrier_between,
    charge_integral,
    correlate_populations,
    displacement_variance,
    free_energy_profile,
    long_blocks,
    sign_changes,
)
from mdcoeffs.interface.rates import (
    Estimate,
    Verdict,
    judge,
    jump_rate,
    mean_barrier,
    rate_at,
    rate_ratio,
    split_barrier,
    time_to_coefficient,
    tst_rate,
    well_frequency,
)
from mdcoeffs.interface.settings import Barrier, InterfaceSettings, read_interface
from mdcoeffs.interface.sums import InterfaceSums, grid_of
from mdcoeffs.statistics.blocks import Averaged, average


@dataclass(frozen=True, eq=False)
class RegionResult:
    """One region: its population, who crossed, and what that means.

    Parameters
    ----------
    name : str
        Of the region.
    series : tuple of array (samples,)
        Population over time, one per replica; from the start [1].
    population : Averaged
        Mean since `settled`, less the stoichiometric number: the excess [1].
    entered, left : tuple of int
        Crossings through the lower and the upper face [1].
    donors : float
        Mean number of ions that could enter [1].
    time : float
        Time the crossings were counted over, all replicas [s].
    entry, exit : Estimate
        Rates of one ion outside and inside [1/s].
    verdict : Verdict
        What the crossings say.
    """

    name: str
    series: tuple[Array, ...]
    population: Averaged
    entered: tuple[int, int]
    left: tuple[int, int]
    donors: float
    time: float
    entry: Estimate
    exit: Estimate
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class BarrierResult:
    """One well with its barrier.

    Parameters
    ----------
    name : str
        Of the barrier.
    profile : Averaged
        Free energy along z, over k_B (bins,) [K].
    numbers : Averaged
        Barrier over k_B [K], curvature [J/m^2], places of well and top [m].
    frequency : float
        Of the well [1/s]; NaN where the well is none.
    rate : float
        Of transition-state theory, transmission 1 [1/s].
    rate_factor : float
        One standard error of the rate, as a factor [1].
    transmission : Estimate, optional
        Entry rate of the region over `rate`; the interval is that of counting.
    """

    name: str
    profile: Averaged
    numbers: Averaged
    frequency: float
    rate: float
    rate_factor: float
    transmission: Estimate | None = None


@dataclass(frozen=True)
class Predicted:
    """A rate at another temperature.

    Parameters
    ----------
    T : float
        Temperature [K].
    rate : Estimate
        Of one ion; 95 % by the counts behind gamma [1/s].
    likely : tuple of float
        The same at 68 % [1/s].
    needed : Estimate
        Run in which EC is expected to reach one half [s].
    """

    T: float
    rate: Estimate
    likely: tuple[float, float]
    needed: Estimate


@dataclass(frozen=True, eq=False)
class InterfaceResult:
    """What ``mdcoeffs interface`` reports.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    T : float
        Temperature [K].
    settings : InterfaceSettings
        What was asked.
    edges, charge_edges : array
        Edges of the bins [m].
    profiles : tuple of str
        Names of the densities.
    density : Averaged
        (profiles, bins) [1/m^3].
    charge : Averaged, optional
        Charge per area from the lower end of the box, at the upper ends of the charge bins [C/m^2].
    changes : array
        Where it changes its sign beyond two standard errors [m].
    times : tuple of array
        Of the samples of the populations, one per replica [s].
    regions : tuple of RegionResult
        The regions.
    barriers : tuple of BarrierResult
        The barriers.
    variance : dict
        Profile -> displacement variance (lags, layers, 3) [m^2].
    lags : tuple of float
        Lags as taken [s].
    correlation : Averaged, optional
        Slope of the second region over the first, and Pearson's r [1].
    ratio : Estimate, optional
        gamma of the prediction [1].
    split : tuple of float, optional
        dE over k_B [K] and dS over k_B [1] at that gamma.
    predicted : tuple of Predicted
        Rates at other temperatures.
    notes : tuple of str
        What the user must know.
    frames : tuple of int
        Frames averaged over in each replica.
    """

    title: str
    T: float
    settings: InterfaceSettings
    edges: Array
    charge_edges: Array
    profiles: tuple[str, ...]
    density: Averaged
    charge: Averaged | None
    changes: Array
    times: tuple[Array, ...]
    regions: tuple[RegionResult, ...]
    barriers: tuple[BarrierResult, ...]
    variance: dict[str, Averaged]
    lags: tuple[float, ...]
    correlation: Averaged | None
    ratio: Estimate | None = None
    split: tuple[float, float] | None = None
    predicted: tuple[Predicted, ...] = ()
    notes: tuple[str, ...] = ()
    frames: tuple[int, ...] = ()

    @property
    def z(self) -> Array:
        """Middles of the bins of the densities [m]."""
        return np.asarray(0.5 * (self.edges[1:] + self.edges[:-1]))


log = logging.getLogger(__name__)


def interface_from_file(
    file: SpeciesFile, *, folder: Path, checkpoint_every: float = 60.0, progress: Progress | None = None
) -> InterfaceResult:
    """Read all replicas and analyse the interface.

    Parameters
    ----------
    file : SpeciesFile
        As :func:`mdcoeffs.inputs.species.read_species` gives it.
    folder : Path
        Where checkpoints go; a reading that was killed goes on from there.
    checkpoint_every : float
        Time between checkpoints [s].
    progress : callable, optional
        Called with (frames done, frames in all) of each replica.

    Returns
    -------
    InterfaceResult

    Raises
    ------
    InputError
        Bad input of any kind, or too little of it.
    """
    settings = read_interface(file)
    first = open_stream(file, 0)
    edges, interval = grid_of(first, settings.axis, settings.width)
    bins = max(4, round(float(edges[-1] - edges[0]) / settings.charge_width))
    charge_edges = np.linspace(edges[0], edges[-1], bins + 1)

    def make(stream: Stream) -> dict[str, InterfaceSums]:
        return {"sums": InterfaceSums(stream, settings, edges, charge_edges, interval, file.memory)}

    runs: list[InterfaceSums] = [
        parts["sums"]
        for parts in run_stream(
            file, make, name="interface", folder=folder, settings={**asdict(settings), "edges": edges.tolist()},
            unwrap=True, checkpoint_every=checkpoint_every, progress=progress,
        )
    ]  # fmt: skip
    masses = {name: float(points.mass.mean()) for name, points in runs[0].points.items()}
    return analyse(file, settings, runs, interval, masses if first.has_masses else {})


def analyse(
    file: SpeciesFile,
    settings: InterfaceSettings,
    runs: Sequence[InterfaceSums],
    interval: float,
    masses: dict[str, float],
) -> InterfaceResult:
    """Sums of all replicas to what is reported.

    Parameters
    ----------
    file : SpeciesFile
        For title and temperature.
    settings : InterfaceSettings
        What was asked.
    runs : sequence of InterfaceSums
        One per replica.
    interval : float
        Time between frames [s].
    masses : dict
        Mass of one point of each profile, where known [kg].

    Returns
    -------
    InterfaceResult

    Raises
    ------
    InputError
        No frame after `settled`, or a free energy whose bin of zero is empty.
    """
    if any(run.density.frames == 0 for run in runs):
        raise InputError(f"{file.path}: interface.settled = {settings.settled:g} s lies behind the end of a run")
    notes: list[str] = []
    edges, names = runs[0].edges, tuple(settings.profiles)
    weights = [run.density.lengths for run in runs]
    shape = (len(names), edges.size - 1)
    parts, lengths = long_blocks([run.density.sums for run in runs], weights)
    density = average(
        [one.reshape(-1, *shape) / n[:, None, None] for one, n in zip(parts, lengths, strict=True)], weights=lengths
    )
    regions = tuple(_region(settings, runs, k) for k in range(len(settings.regions)))
    z = 0.5 * (edges[1:] + edges[:-1])
    sums = {name: [run.density.sums.reshape(-1, *shape)[:, k] for run in runs] for k, name in enumerate(names)}
    barriers = tuple(
        _barrier(one, sums[one.points], weights, z, file.temperature, masses, regions, notes)
        for one in settings.barriers
    )
    charge = None
    changes = np.zeros(0)
    if settings.charge:
        charge = charge_integral([run.charge.sums for run in runs], [run.charge.lengths for run in runs])
        changes = runs[0].charge_edges[1:][sign_changes(charge.value, charge.error)]
    count = 0 if settings.layers is None else len(settings.layers) - 1
    variance = {
        name: displacement_variance(
            [run.layers[name].sums.sums.reshape(-1, len(settings.lags), count, 7) for run in runs],
            [run.layers[name].sums.lengths for run in runs],
        )
        for name in settings.layer_points
    }
    correlation = None
    for first, second in settings.correlations:
        pair = {one.name: one for one in regions}
        late = [run.times[: run.samples] >= settings.settled * (1 - 1e-9) for run in runs]
        correlation = correlate_populations(*(
            [s[keep] for s, keep in zip(pair[one].series, late, strict=True)] for one in (first, second)
        ))  # fmt: skip
    ratio, split, predicted = _predict(settings, file.temperature, regions, barriers, notes)
    if not density.settled.all() and np.isfinite(density.error).any():
        share = float(np.mean(~density.settled[density.value > 0]))
        if share > 0.2:
            notes.append(
                f"in {100 * share:.0f} % of the bins the density is still correlated over the longest blocks: "
                f"its errors are lower bounds"
            )
    return InterfaceResult(
        title=file.title, T=file.temperature, settings=settings, edges=edges, charge_edges=runs[0].charge_edges,
        profiles=names, density=density, charge=charge, changes=changes,
        times=tuple(run.times[: run.samples] for run in runs), regions=regions, barriers=barriers, variance=variance,
        lags=tuple(max(1, round(lag / interval)) * interval for lag in settings.lags), correlation=correlation,
        ratio=ratio, split=split, predicted=predicted, notes=tuple(notes),
        frames=tuple(run.density.frames for run in runs),
    )  # fmt: skip


def _region(settings: InterfaceSettings, runs: Sequence[InterfaceSums], k: int) -> RegionResult:
    region = settings.regions[k]
    kept = [run.times[: run.samples] >= settings.settled * (1 - 1e-9) for run in runs]
    series = tuple(run.regions[k].population[: run.samples].astype(float) for run in runs)
    late = [one[keep] for one, keep in zip(series, kept, strict=True)]
    time = sum(float(np.ptp(run.times[: run.samples][keep])) for run, keep in zip(runs, kept, strict=True))
    if region.donors:
        other = [one.name for one in settings.regions].index(region.donors)
        pool = [run.regions[other].population[: run.samples][keep] for run, keep in zip(runs, kept, strict=True)]
    else:
        pool = [run.regions[k].state.size - one for run, one in zip(runs, late, strict=True)]
    donors = float(np.mean(np.concatenate(pool)))
    population = average(late)
    crossings = np.sum([run.regions[k].crossings for run in runs], axis=0)
    entered, left = (int(n) for n in crossings.sum(axis=1))
    exposure = max(donors, 1e-300) * time
    verdict = judge(
        region.name, entered, left, donors=max(donors, 1e-300), time=time, scale=settings.scale, drift=_drift(late),
        settled=bool(population.settled) or not population.error > 0,
    )  # fmt: skip
    return RegionResult(
        name=region.name, series=series,
        population=Averaged(
            population.value - region.stoichiometric, population.error, population.blocks, population.settled
        ),
        entered=(int(crossings[0, 0]), int(crossings[0, 1])), left=(int(crossings[1, 0]), int(crossings[1, 1])),
        donors=donors, time=time, entry=jump_rate(entered, exposure),
        exit=jump_rate(left, max(float(population.value), 1e-300) * time), verdict=verdict,
    )  # fmt: skip


def _drift(series: Sequence[Array]) -> float | None:
    """Probability of a difference between the halves of a population as large as seen, were there none."""
    halves = [average([one[part] for one in series]) for part in _halves(min(len(one) for one in series))]
    a, b = halves
    error = float(np.hypot(a.error, b.error))
    if not (np.isfinite(error) and error > 0 and bool(a.settled) and bool(b.settled)):
        return None  # the halves are too short to tell
    return float(2.0 * stdtr(min(a.blocks, b.blocks) - 1, -abs(float(a.value - b.value)) / error))


def _halves(length: int) -> tuple[slice, slice]:
    return slice(0, length // 2), slice(length // 2, None)


def _barrier(
    one: Barrier,
    sums: Sequence[Array],
    weights: Sequence[Array],
    z: Array,
    T: float,
    masses: dict[str, float],
    regions: Sequence[RegionResult],
    notes: list[str],
) -> BarrierResult:
    zero = int(np.argmin(np.abs(z - one.zero)))
    if not any(part[:, zero].any() for part in sums):
        raise InputError(
            f"interface.barriers.{one.name}.zero = {one.zero * 1e10:.4g} angstrom: no {one.points} was found there; "
            f"choose a place where the density is high"
        )
    profile = free_energy_profile(sums, weights, T, zero)
    well, top = ((z >= low) & (z <= high) for low, high in (one.well, one.top))
    numbers = barrier_between(sums, weights, T, z, well, top)
    height, k, middle, summit = (float(v) for v in numbers.value)
    mass = one.mass if one.mass is not None else masses.get(one.points)
    frequency = rate = factor = float("nan")
    if not k > 0:
        notes.append(f"barrier {one.name}: the well is not curved upwards in its range; widen or move it")
    elif mass is None:
        notes.append(f"barrier {one.name}: no mass is known, so no frequency; give mass")
    else:
        frequency = float(well_frequency(k, mass))
        rate = float(tst_rate(frequency, height, T))
        spread = np.hypot(numbers.error[0] / T, 0.5 * numbers.error[1] / k)
        factor = float(np.exp(spread))
    for name, place, (low, high) in (("well", middle, one.well), ("top", summit, one.top)):
        if not low <= place <= high:
            notes.append(f"barrier {one.name}: the vertex of its {name} lies outside the range it was fitted in")
    transmission = None
    for region in regions:
        if region.name == one.region and np.isfinite(rate):
            entry = region.entry
            transmission = Estimate(entry.value / rate, entry.low / rate, entry.high / rate, entry.level)
            if transmission.low > factor**2:
                notes.append(
                    f"barrier {one.name}: more ions entered {region.name} than transition-state theory allows; "
                    f"crossings back and forth are counted (give the region a margin), or the range of the top "
                    f"misses it"
                )
    return BarrierResult(one.name, profile, numbers, frequency, rate, factor, transmission)


def _predict(
    settings: InterfaceSettings,
    T: float,
    regions: Sequence[RegionResult],
    barriers: Sequence[BarrierResult],
    notes: list[str],
) -> tuple[Estimate | None, tuple[float, float] | None, tuple[Predicted, ...]]:
    asked = settings.prediction
    if asked is None:
        return None, None, ()
    chosen = [one for one in barriers if one.name in asked.barriers]
    name = next(one.region for one in settings.barriers if one.name in asked.barriers)
    region = next(one for one in regions if one.name == name)
    if not all(np.isfinite(one.rate) for one in chosen) or sum(region.entered) == 0:
        notes.append("no prediction: it needs a well, a barrier and at least one entry in this run")
        return None, None, ()
    jumps, exposures = (sum(region.entered), asked.jumps), (region.donors * region.time, asked.ions * asked.time)
    ratio = rate_ratio(jumps, exposures)
    if not np.isfinite(ratio.value):
        notes.append("no prediction: no entry was seen at the other temperature")
        return ratio, None, ()
    barrier = mean_barrier([float(one.numbers.value[0]) for one in chosen], T)
    frequency = float(np.mean([one.frequency for one in chosen]))
    share = region.entry.value / float(tst_rate(frequency, barrier, T))

    def rates(gamma: float, at: float, reduction: float) -> float:
        parts = split_barrier(gamma, temperatures=(T, asked.temperature), barrier=barrier, reduction=asked.reduction)
        # Transmission is what makes the formula give the counted rate at T, so it may pass 1 without harm here.
        return share * float(rate_at(at, parts, frequency, reduction=reduction))

    likely = rate_ratio(jumps, exposures, level=0.6827)
    predicted = []
    for at, reduction in asked.at:
        ends = sorted(rates(g, at, reduction) for g in (ratio.low, ratio.high))
        rate = Estimate(rates(ratio.value, at, reduction), ends[0], ends[1], ratio.level)
        inner = sorted(rates(g, at, reduction) for g in (likely.low, likely.high))
        times = [float(time_to_coefficient(r, region.donors, scale=settings.scale)) for r in (rate.value, *ends[::-1])]
        predicted.append(Predicted(at, rate, (inner[0], inner[1]), Estimate(times[0], times[1], times[2], ratio.level)))
    parts = split_barrier(ratio.value, temperatures=(T, asked.temperature), barrier=barrier, reduction=asked.reduction)
    return ratio, (float(parts.dE), float(parts.dS)), tuple(predicted)
