"""Interfaces: profiles, populations and barriers along z, and whether a run was long enough to see them equilibrate.

The analysis ``mdcoeffs interface``: one pass sums densities, crossings and displacements; here they become averages,
rates and verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from scipy.special import stdtr

from cellsim.base import Array, InputError, Ints
from mdcoeffs.analysis import Analysis, First
from mdcoeffs.frames.stream import Stream, open_stream
from mdcoeffs.inputs.species import SpeciesFile
from mdcoeffs.interface.exchange import Exchange, exchange_of, interfaces_crossed
from mdcoeffs.interface.free_energy import barrier_between, barrier_missed, flank_slope, free_energy_profile
from mdcoeffs.interface.profiles import (
    charge_integral,
    correlate_populations,
    displacement_variance,
    long_blocks,
    region_faces,
    sign_changes,
)
from mdcoeffs.interface.rates import (
    CountEstimate,
    Verdict,
    judge,
    mean_barrier,
    rate_at,
    rate_ratio,
    split_barrier,
    time_to_coefficient,
    tst_rate,
    well_frequency,
)
from mdcoeffs.interface.result import BarrierResult, Counted, InterfaceResult, Predicted, Prospect, RegionResult
from mdcoeffs.interface.settings import Barrier, InterfaceSettings, Region, read_interface
from mdcoeffs.interface.sums import InterfaceGrid, InterfaceSums, grid_of
from mdcoeffs.statistics.blocks import Averaged, average

MISSED = (0.01, 0.1)
"""Shares of a barrier and of the curvature of its well that parabolas may miss without a note [1]."""


def _grid(file: SpeciesFile, settings: InterfaceSettings, first: First) -> InterfaceGrid:
    edges, interval = grid_of(open_stream(file), settings.axis, settings.width)
    bins = max(4, round(float(edges[-1] - edges[0]) / settings.charge_width))
    return InterfaceGrid(settings, edges, np.linspace(edges[0], edges[-1], bins + 1), interval)


def _sums(stream: Stream, grid: InterfaceGrid) -> dict[str, InterfaceSums]:
    return {"sums": InterfaceSums(stream, grid)}


def _depends_on(grid: InterfaceGrid) -> dict[str, Any]:
    return {**asdict(grid.settings), "edges": grid.edges.tolist()}


def _interface(
    file: SpeciesFile, grid: InterfaceGrid, replicas: Sequence[Mapping[str, InterfaceSums]]
) -> InterfaceResult:
    settings, runs = grid.settings, [replica["sums"] for replica in replicas]
    if any(run.density.frames == 0 for run in runs):
        raise InputError(f"{file.path}: interface.settled = {settings.settled:g} s lies behind the end of a run")
    notes: list[str] = []
    names, z = tuple(settings.profiles), 0.5 * (grid.edges[1:] + grid.edges[:-1])
    shape = (len(names), z.size)
    weights = [run.density.lengths for run in runs]
    blocks, lengths = long_blocks([run.density.sums for run in runs], weights)
    means = [each.reshape(-1, *shape) / n[:, None, None] for each, n in zip(blocks, lengths, strict=True)]
    density = average(means, weights=lengths)
    regions = tuple(_region(settings, runs, k, file.temperature) for k in range(len(settings.regions)))
    for region, asked in zip(regions, settings.regions, strict=True):
        if asked.rates_from is not None and region.counted.outside == 0:
            notes.append(f"{region.name}: its excess never was {asked.rates_from:g} (rates_from), so no rate is known")
    sums = {name: [run.density.sums.reshape(-1, *shape)[:, k] for run in runs] for k, name in enumerate(names)}
    barriers = tuple(
        _barrier(barrier, sums[barrier.points], weights, z, file.temperature, runs[0].masses, regions, notes)
        for barrier in settings.barriers
    )
    charge, changes = None, np.zeros(0)
    if settings.charge:
        charge = charge_integral([run.charge.sums for run in runs], [run.charge.lengths for run in runs])
        changes = grid.charge_edges[1:][sign_changes(charge.value, charge.error)]
    prospect = _prospect(settings, file.temperature, regions, barriers, notes)
    if not density.settled.all() and np.isfinite(density.error).any():
        share = float(np.mean(~density.settled[density.value > 0]))
        if share > 0.2:
            notes.append(
                f"in {100 * share:.0f} % of the bins the density is still correlated over the longest blocks: "
                f"its errors are lower bounds"
            )
    return InterfaceResult(
        title=file.title,
        T=file.temperature,
        settings=settings,
        edges=grid.edges,
        charge_edges=grid.charge_edges,
        profiles=names,
        density=density,
        charge=charge,
        changes=changes,
        times=tuple(run.times[: run.samples] for run in runs),
        regions=regions,
        barriers=barriers,
        variance=_variances(settings, runs),
        lags=tuple(lag * grid.interval for lag in grid.lags),
        correlation=_correlation(settings, runs, regions),
        prospect=prospect,
        notes=tuple(notes),
        frames=tuple(run.density.frames for run in runs),
    )


def _variances(settings: InterfaceSettings, runs: Sequence[InterfaceSums]) -> dict[str, Averaged]:
    layers = 0 if settings.layers is None else len(settings.layers) - 1
    variances = {}
    for name in settings.layer_points:
        sums = [run.layers[name].sums for run in runs]
        rows = [each.sums.reshape(-1, len(settings.lags), layers, 7) for each in sums]
        variances[name] = displacement_variance(rows, [each.lengths for each in sums])
    return variances


def _late(settings: InterfaceSettings, run: InterfaceSums) -> Array:
    """Which samples of the populations are averaged, (samples,) of bool."""
    return np.asarray(run.times[: run.samples] >= settings.settled * (1 - 1e-9))


def _correlation(
    settings: InterfaceSettings, runs: Sequence[InterfaceSums], regions: Sequence[RegionResult]
) -> Averaged | None:
    if not settings.correlation:
        return None
    series = {region.name: region.series for region in regions}
    x, y = (
        [s[_late(settings, run)] for s, run in zip(series[name], runs, strict=True)] for name in settings.correlation
    )
    return correlate_populations(x, y)


def _region(settings: InterfaceSettings, runs: Sequence[InterfaceSums], k: int, T: float) -> RegionResult:
    region, late = settings.regions[k], [_late(settings, run) for run in runs]
    series = tuple(run.regions[k].population[: run.samples].astype(float) for run in runs)
    settled = [each[keep] for each, keep in zip(series, late, strict=True)]
    time = sum(float(np.ptp(run.times[: run.samples][keep])) for run, keep in zip(runs, late, strict=True))
    if region.donors:
        other = [each.name for each in settings.regions].index(region.donors)
        pool = [run.regions[other].population[: run.samples] for run in runs]
    else:
        pool = [run.regions[k].state.size - each for run, each in zip(runs, series, strict=True)]
    donors = float(np.mean(np.concatenate([each[keep] for each, keep in zip(pool, late, strict=True)])))
    population = average(settled)
    crossings = np.sum([run.regions[k].crossings for run in runs], axis=0)  # (in, out) by (lower, upper) face
    entered, left = (int(n) for n in crossings.sum(axis=1))
    verdict = judge(
        region.name,
        entered,
        left,
        donors=max(donors, 1e-300),  # an empty pool gives an infinite rate, which is said, and no division by zero
        time=time,
        scale=settings.scale,
        drift=_drift(settled),
        settled=bool(population.settled) or not population.error > 0,
    )
    return RegionResult(
        name=region.name,
        series=series,
        population=replace(population, value=population.value - region.stoichiometric),
        entered=(int(crossings[0, 0]), int(crossings[0, 1])),
        left=(int(crossings[1, 0]), int(crossings[1, 1])),
        donors=donors,
        time=time,
        counted=_counted(region, runs, k, pool, (entered, left, donors * time, float(population.value) * time)),
        verdict=verdict,
        exchange=_exchange(region, runs, crossings, verdict, donors, float(population.value), time, T),
    )


def _counted(
    region: Region,
    runs: Sequence[InterfaceSums],
    k: int,
    pool: Sequence[Array | Ints],
    whole: tuple[int, int, float, float],
) -> Counted:
    """What the rates are taken from: all of the settled run, or the part of it in which the excess was large enough."""
    if region.rates_from is None:
        return Counted(*whole)
    outside = inside = 0.0
    for run, donors in zip(runs, pool, strict=True):
        # a sample stands for the time until the next one; the last one for none
        kept = run.regions[k].counted[: max(run.samples - 1, 0)]
        steps = np.diff(run.times[: run.samples])[kept]
        outside += float(donors[:-1][kept] @ steps)
        inside += float(run.regions[k].population[: run.samples - 1][kept] @ steps)
    entered, left = (int(n) for n in np.sum([run.regions[k].jumps for run in runs], axis=0))
    return Counted(entered, left, outside, inside)


def _exchange(
    region: Region,
    runs: Sequence[InterfaceSums],
    crossings: Ints,
    verdict: Verdict,
    outside: float,
    inside: float,
    time: float,
    T: float,
) -> Exchange | None:
    """What crosses one interface at equilibrium; None of neutral points, and where the run is away from it."""
    z = runs[0].charge_numbers.get(region.points, 0.0)
    if not z or verdict.state in ("one-way", "drifting") or not (outside > 0 and time > 0):
        return None
    entered, left = ((int(way[0]), int(way[1])) for way in crossings)
    length = float(np.ptp(runs[0].edges))
    found = region_faces(region.edges, length)
    if not sum(found):
        return None
    return exchange_of(
        sum(entered),
        sum(left),
        outside=outside,
        inside=inside,
        time=time,
        runs=len(runs),
        faces=interfaces_crossed(entered, left, found),
        area=sum(run.area for run in runs) / sum(run.density.frames for run in runs),
        T=T,
        z=z,
    )


def _drift(series: Sequence[Array]) -> float | None:
    """Probability of a difference between the halves of a population as large as seen, were there none."""
    length = min(len(each) for each in series)
    halves = (slice(0, length // 2), slice(length // 2, None))
    a, b = (average([each[half] for each in series]) for half in halves)
    error = float(np.hypot(a.error, b.error))
    if not (np.isfinite(error) and error > 0 and bool(a.settled) and bool(b.settled)):
        return None  # the halves are too short to tell
    return float(2.0 * stdtr(min(a.blocks, b.blocks) - 1, -abs(float(a.value - b.value)) / error))


def _barrier(
    barrier: Barrier,
    sums: Sequence[Array],
    weights: Sequence[Array],
    z: Array,
    T: float,
    masses: Mapping[str, float],
    regions: Sequence[RegionResult],
    notes: list[str],
) -> BarrierResult:
    zero = int(np.argmin(np.abs(z - barrier.zero)))
    if not any(each[:, zero].any() for each in sums):
        raise InputError(
            f"interface.barriers.{barrier.name}.zero = {barrier.zero * 1e10:.4g} angstrom: no {barrier.points} was "
            f"found there; choose a place where the density is high"
        )
    profile = free_energy_profile(sums, weights, T, zero)
    well, top = ((z >= low) & (z <= high) for low, high in (barrier.well, barrier.top))
    numbers = barrier_between(sums, weights, T, z, well, top)
    height, k, middle, summit = (float(v) for v in numbers.value)
    missed = barrier_missed(sums, weights, T, z, well, top)
    if abs(missed[0]) > MISSED[0] * height or abs(missed[1]) > MISSED[1] * abs(k):
        notes.append(
            f"barrier {barrier.name}: the parabolas miss their points; with terms of fourth order the barrier is "
            f"{height + missed[0]:.4g} K for {height:.4g} K and the curvature of the well {k + missed[1]:.3g} J/m^2 "
            f"for {k:.3g} J/m^2, and the errors are widened by the difference; narrow the ranges of well and top"
        )
    # What a parabola misses is no scatter between blocks: an interval without it would be narrow and wrong.
    numbers = replace(numbers, error=np.hypot(numbers.error, missed))
    mass = barrier.mass if barrier.mass is not None else masses.get(barrier.points)
    frequency = rate = factor = float("nan")
    if not k > 0:
        notes.append(f"barrier {barrier.name}: the well is not curved upwards in its range; widen or move it")
    elif mass is None:
        notes.append(f"barrier {barrier.name}: no mass is known, so no frequency; give mass")
    else:
        frequency = float(well_frequency(k, mass))
        rate = float(tst_rate(frequency, height, T))
        spread = np.hypot(numbers.error[0] / T, 0.5 * numbers.error[1] / k)
        factor = float(np.exp(spread))
    found = True
    for name, place, (low, high) in (("well", middle, barrier.well), ("top", summit, barrier.top)):
        if not low <= place <= high:
            found = False
            notes.append(f"barrier {barrier.name}: the vertex of its {name} lies outside the range it was fitted in")
    slope = None
    if barrier.flank is not None:
        slope = flank_slope(sums, weights, T, z, (z >= barrier.flank[0]) & (z <= barrier.flank[1]))
    transmission = None
    for region in regions:
        if region.name == barrier.region and np.isfinite(rate):
            entry = region.entry
            transmission = CountEstimate(entry.value / rate, entry.low / rate, entry.high / rate, entry.level)
            if transmission.low > factor**2:
                notes.append(
                    f"barrier {barrier.name}: more ions entered {region.name} than transition-state theory allows; "
                    f"crossings back and forth are counted (give the region a margin), or the range of the top "
                    f"misses it"
                )
    return BarrierResult(barrier.name, profile, numbers, frequency, rate, factor, transmission, slope, found)


def _prospect(
    settings: InterfaceSettings,
    T: float,
    regions: Sequence[RegionResult],
    barriers: Sequence[BarrierResult],
    notes: list[str],
) -> Prospect | None:
    """Rates at other temperatures: entropy of the barrier from a second temperature, transmission from the counts."""
    asked = settings.prediction
    if asked is None:
        return None
    chosen = [barrier for barrier in barriers if barrier.name in asked.barriers]
    name = next(barrier.region for barrier in settings.barriers if barrier.name in asked.barriers)
    region = next(each for each in regions if each.name == name)
    if not all(np.isfinite(barrier.rate) for barrier in chosen) or region.counted.entered == 0:
        notes.append("no prediction: it needs a well, a barrier and at least one entry in this run")
        return None
    jumps, exposures = (region.counted.entered, asked.jumps), (region.counted.outside, asked.ions * asked.time)
    ratio = rate_ratio(jumps, exposures)
    if not np.isfinite(ratio.value):
        notes.append("no prediction: no entry was seen at the other temperature")
        return Prospect(ratio)
    height = mean_barrier([float(barrier.numbers.value[0]) for barrier in chosen], T)
    frequency = float(np.mean([barrier.frequency for barrier in chosen]))
    share = region.entry.value / float(tst_rate(frequency, height, T))
    temperatures = (T, asked.temperature)

    def rates(gamma: float, at: float, reduction: float) -> float:
        split = split_barrier(gamma, temperatures=temperatures, barrier=height, reduction=asked.reduction)
        # Transmission is what makes the formula give the counted rate at T, so it may pass 1 without harm here.
        return share * float(rate_at(at, split, frequency, reduction=reduction))

    likely = rate_ratio(jumps, exposures, level=0.6827)
    predicted = []
    for at, reduction in asked.at:
        low, high = sorted(rates(g, at, reduction) for g in (ratio.low, ratio.high))
        inner = sorted(rates(g, at, reduction) for g in (likely.low, likely.high))
        rate = CountEstimate(rates(ratio.value, at, reduction), low, high, ratio.level)
        time, soonest, latest = (
            float(time_to_coefficient(r, region.donors, scale=settings.scale)) for r in (rate.value, high, low)
        )
        spans = CountEstimate(time, soonest, latest, ratio.level)
        predicted.append(Predicted(at, rate, (inner[0], inner[1]), spans))
    split = split_barrier(ratio.value, temperatures=temperatures, barrier=height, reduction=asked.reduction)
    return Prospect(ratio, float(split.dE), float(split.dS), tuple(predicted))


ANALYSIS = Analysis("interface", read_interface, _sums, _interface, _grid, depends_on=_depends_on)
