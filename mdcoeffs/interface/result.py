"""An interface analysis: in numbers and words, as dataset (``interface.nc``) and two CSV tables, and as a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, __version__
from cellsim.drawing.figstyle import (
    COLOURS,
    DASHES,
    GREY,
    MARKERS,
    TWO_COLUMNS,
    drawing,
    label,
    legend_above,
    points,
    wrap,
)
from cellsim.files.writing import Rows, plain
from mdcoeffs.analysis import columns
from mdcoeffs.frames.snapshot import ANGSTROM
from mdcoeffs.interface.exchange import Exchange
from mdcoeffs.interface.rates import CountEstimate, Verdict, duration, rate_in
from mdcoeffs.interface.settings import InterfaceSettings
from mdcoeffs.statistics.blocks import Averaged

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Counted:
    """The crossings that rates are taken from, and how long they could have happened.

    Parameters
    ----------
    entered, left : int
        Crossings in and out [1].
    outside, inside : float
        Time of all ions that could enter, and of all that could leave, added up [s].
    """

    entered: int
    left: int
    outside: float
    inside: float


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
    counted : Counted
        What the rates are taken from.
    verdict : Verdict
        What the crossings say.
    exchange : Exchange, optional
        Exchange current and resistance of one interface; None without a charge, or away from equilibrium.
    """

    name: str
    series: tuple[Array, ...]
    population: Averaged
    entered: tuple[int, int]
    left: tuple[int, int]
    donors: float
    time: float
    counted: Counted
    verdict: Verdict
    exchange: Exchange | None = None

    @property
    def entry(self) -> CountEstimate:
        """Rate of one ion outside [1/s]; not a number where none was there."""
        return rate_in(self.counted.entered, self.counted.outside)

    @property
    def exit(self) -> CountEstimate:
        """Rate of one ion inside [1/s]."""
        return rate_in(self.counted.left, self.counted.inside)

    def summary(self) -> dict[str, Any]:
        """For ``summary.json``."""
        verdict = self.verdict
        return {
            "population_or_excess": _numbers(self.population),
            "entered": dict(zip(("lower", "upper"), self.entered, strict=True)),
            "left": dict(zip(("lower", "upper"), self.left, strict=True)),
            "donors": self.donors,
            "time": self.time,
            "counted": asdict(self.counted),
            "entry_rate": self.entry.numbers(),
            "exit_rate": self.exit.numbers(),
            "EC": verdict.coefficient,
            "state": verdict.state,
            "time_to_equilibrate": verdict.needed,
            "verdict": verdict.sentence,
            "exchange": None if self.exchange is None else self.exchange.numbers(),
        }


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
    transmission : CountEstimate, optional
        Entry rate of the region over `rate`; the interval is that of counting.
    slope : Averaged, optional
        dF/dz over k_B between top and well, where a flank is given [K/m].
    found : bool
        Whether the vertices of well and top lie in the ranges they were fitted in.
    """

    name: str
    profile: Averaged
    numbers: Averaged
    frequency: float
    rate: float
    rate_factor: float
    transmission: CountEstimate | None = None
    slope: Averaged | None = None
    found: bool = True

    def summary(self) -> dict[str, Any]:
        """For ``summary.json``."""
        names = ("barrier_K", "k", "z_well", "z_top")
        return {name: _numbers(self.numbers[k]) for k, name in enumerate(names)} | {
            "found": self.found,
            "frequency": self.frequency,
            "tst_rate": self.rate,
            "tst_rate_standard_error_factor": self.rate_factor,
            "transmission": None if self.transmission is None else self.transmission.numbers(),
            "slope_K_per_m": None if self.slope is None else _numbers(self.slope),
        }


@dataclass(frozen=True)
class Predicted:
    """A rate at another temperature.

    Parameters
    ----------
    T : float
        Temperature [K].
    rate : CountEstimate
        Of one ion; 95 % by the counts behind gamma [1/s].
    likely : tuple of float
        The same at 68 % [1/s].
    needed : CountEstimate
        Run in which EC is expected to reach one half [s].
    """

    T: float
    rate: CountEstimate
    likely: tuple[float, float]
    needed: CountEstimate

    def summary(self) -> dict[str, Any]:
        """For ``summary.json``."""
        rate, needed = self.rate.numbers(), self.needed.numbers()
        return {"temperature": self.T, "rate": rate, "rate_68": self.likely, "time_to_equilibrate": needed}


@dataclass(frozen=True)
class Prospect:
    """What a second temperature says about rates at others.

    Parameters
    ----------
    ratio : CountEstimate
        gamma: rate at the second temperature over that of this run [1].
    dE, dS : float, optional
        Energy [K] and entropy [1] of the barrier over k_B at that gamma.
    predicted : tuple of Predicted
        Rates at other temperatures.
    """

    ratio: CountEstimate
    dE: float | None = None
    dS: float | None = None
    predicted: tuple[Predicted, ...] = ()


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
    prospect : Prospect, optional
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
    prospect: Prospect | None = None
    notes: tuple[str, ...] = ()
    frames: tuple[int, ...] = ()

    @property
    def z(self) -> Array:
        """Middles of the bins of the densities [m]."""
        return np.asarray(0.5 * (self.edges[1:] + self.edges[:-1]))

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds: SI numbers with standard errors or 95 % intervals, and the verdicts."""
        variances = {}
        for name, variance in self.variance.items():
            layers = {"lags": self.lags, "layers": self.settings.layers}
            variances[name] = layers | {"value": variance.value, "standard_error": variance.error}
        numbers: dict[str, Any] = {
            "title": self.title,
            "temperature": self.T,
            "frames": self.frames,
            "regions": {region.name: region.summary() for region in self.regions},
            "barriers": {
                barrier.name: barrier.summary() | {"region": asked.region, "well_range": asked.well}
                for barrier, asked in zip(self.barriers, self.settings.barriers, strict=True)
            },
            "displacement_variance": variances,
            "notes": self.notes,
            "mdcoeffs": __version__,
        }
        if self.charge is not None:
            numbers["charge_sign_changes"] = self.changes
            numbers["net_charge_per_area"] = self.charge.value[-1]
        if self.correlation is not None:
            slope, pearson = (_numbers(self.correlation[k]) for k in (0, 1))
            numbers["correlation"] = {"of": self.settings.correlation, "slope": slope, "pearson": pearson}
        if self.prospect is not None:
            p = self.prospect
            at = [predicted.summary() for predicted in p.predicted]
            numbers["prediction"] = {"gamma": p.ratio.numbers(), "dE_K": p.dE, "dS": p.dS, "at": at}
        ready: dict[str, Any] = plain(numbers)
        return ready

    def lines(self) -> list[str]:
        """The result in words, for the terminal: verdicts first."""
        lines = [self.title, f"  {self.T:g} K, {sum(self.frames)} frames in {len(self.frames)} replica(s)"]
        for region, settings in zip(self.regions, self.settings.regions, strict=True):
            lines.append(f"  {region.verdict.sentence}")
            what, entry = "excess" if settings.stoichiometric else "population", region.entry
            lines.append(
                f"    {what} {_pm(region.population)}; one ion enters at {entry.value:.3g} ({entry.low:.2g} to "
                f"{entry.high:.2g}) /s"
            )
            lines += [] if region.exchange is None else _exchange_lines(region.exchange)
        for barrier in self.barriers:
            height, curvature, well, top = (barrier.numbers[k] for k in range(4))
            lines.append(
                f"  barrier {barrier.name}: {_pm(height)} K from z = {well.value / ANGSTROM:.2f} to "
                f"{top.value / ANGSTROM:.2f} angstrom, k = {_pm(curvature)} J/m^2, nu = {barrier.frequency:.3g} /s, "
                f"TST rate {barrier.rate:.3g} /s (times or over {barrier.rate_factor:.2g})"
            )
            if barrier.slope is not None:
                value, error = barrier.slope.value * ANGSTROM, barrier.slope.error * ANGSTROM
                steep = replace(barrier.slope, value=value, error=error)
                lines.append(f"    slope of its flank {_pm(steep)} K/angstrom")
            if barrier.transmission is not None:
                t = barrier.transmission
                lines.append(f"    transmission {t.value:.2g} ({t.low:.2g} to {t.high:.2g}, by the counts)")
        if self.prospect is not None:
            g = self.prospect.ratio
            lines.append(f"  gamma = {g.value:.3g} ({g.low:.2g} to {g.high:.2g})")
            for predicted in self.prospect.predicted:
                r, t = predicted.rate, predicted.needed
                lines.append(
                    f"  at {predicted.T:g} K: {r.value:.2g} ({r.low:.1g} to {r.high:.1g}) /s for one ion; to "
                    f"equilibrate there takes about {duration(t.value)} ({duration(t.low)} to {duration(t.high)})"
                )
        if self.correlation is not None and self.settings.correlation is not None:
            first, second = self.settings.correlation
            slope, pearson = (_pm(self.correlation[k]) for k in (0, 1))
            lines.append(f"  {second} follows {first} with slope {slope}, r = {pearson}")
        if self.charge is not None:
            places = ", ".join(f"{z / ANGSTROM:.1f}" for z in self.changes)
            lines.append(
                f"  integrated charge changes its sign {len(self.changes)} times beyond 2 standard errors"
                + (f", at z = {places} angstrom" if places else "")
            )
        return lines + [f"  note: {note}" for note in self.notes]

    def dataset(self) -> xr.Dataset:
        """All of it with units.

        Dimensions ``z``, ``profile``, ``charge_z``, ``region``, ``replica``, ``sample``, ``lag``, ``layer``, ``axis``;
        every mean has a partner ``..._error`` with its standard error.
        """
        import xarray as xr

        variables: dict[str, tuple[tuple[str, ...], Any, dict[str, str]]] = {}
        coordinates: dict[str, Any] = {"z": ("z", self.z, {"units": "m"}), "profile": list(self.profiles)}

        def put(name: str, dims: tuple[str, ...], mean: Averaged, units: str, long_name: str) -> None:
            of_error = f"standard error of {long_name}"
            variables[name] = (dims, mean.value, {"units": units, "long_name": long_name})
            variables[f"{name}_error"] = (dims, mean.error, {"units": units, "long_name": of_error})

        put("density", ("profile", "z"), self.density, "1/m^3", "number density")
        if self.charge is not None:
            coordinates["charge_z"] = ("charge_z", self.charge_edges[1:], {"units": "m"})
            put("E_eff", ("charge_z",), self.charge, "C/m^2", "charge per area from the lower end of the box")
        for barrier in self.barriers:
            put(f"F_{barrier.name}", ("z",), barrier.profile, "K", f"free energy over k_B, {barrier.name}")
        if self.regions:
            coordinates["region"] = [region.name for region in self.regions]
            most = max(len(times) for times in self.times)
            series = np.full((len(self.regions), len(self.times), most), np.nan)
            times = np.full((len(self.times), most), np.nan)
            for r, sampled in enumerate(self.times):
                times[r, : len(sampled)] = sampled
                for k, region in enumerate(self.regions):
                    series[k, r, : len(sampled)] = region.series[r]
            of_population = {"units": "1", "long_name": "number of ions in the region"}
            variables["population"] = (("region", "replica", "sample"), series, of_population)
            variables["time"] = (("replica", "sample"), times, {"units": "s"})
        if self.variance:
            edges = np.array(self.settings.layers)
            coordinates["lag"] = ("lag", list(self.lags), {"units": "s"})
            coordinates["axis"] = list("xyz")
            coordinates["layer"] = ("layer", 0.5 * (edges[1:] + edges[:-1]), {"units": "m"})
            for name, variance in self.variance.items():
                long_name = f"displacement variance of {name} by layer of origin"
                put(f"variance_{name}", ("lag", "layer", "axis"), variance, "m^2", long_name)
        summary = json.dumps(self.numbers())
        attributes = {"title": self.title, "T": self.T, "summary": summary, "mdcoeffs": __version__}
        return xr.Dataset(variables, coordinates, attributes)

    def tables(self) -> dict[str, Rows]:
        """Densities and free energies along z, and populations over time."""
        profiles: dict[str, Any] = {"z_angstrom": self.z / ANGSTROM}
        for k, name in enumerate(self.profiles):
            profiles[f"{name}_per_nm3"] = self.density.value[k] * 1e-27
            profiles[f"{name}_standard_error_per_nm3"] = self.density.error[k] * 1e-27
        for barrier in self.barriers:
            profiles[f"F_{barrier.name}_K"] = barrier.profile.value
            profiles[f"F_{barrier.name}_standard_error_K"] = barrier.profile.error
        populations = [["replica", "time_ns", *(region.name for region in self.regions)]]
        for k, times in enumerate(self.times):
            for time, *numbers in zip(times * 1e9, *(region.series[k] for region in self.regions), strict=True):
                populations.append([str(k), f"{time:.8g}", *(f"{n:g}" for n in numbers)])
        return {"profiles.csv": columns(profiles, ".8g"), "populations.csv": populations}

    def draw(self, path: Path) -> Path:
        """All that was asked for on one page."""
        panels: list[Panel] = [_density]
        if self.barriers:
            panels.append(_free_energy)
        if self.regions:
            panels += [_populations, _coefficients]
        if self.charge is not None:
            panels.append(_charge)
        if self.variance:
            panels.append(_variance)
        note = f"{self.T:g} K, {sum(self.frames)} frames; bands and bars: one standard error from blocks."
        note = "\n".join([note, *(wrap(region.verdict.sentence, TWO_COLUMNS) for region in self.regions)])
        rows = -(-len(panels) // 2)
        with drawing(path, rows, 2, title=self.title, note=note, width=TWO_COLUMNS, height=2.3) as (_, axes):
            for axis, panel in zip(axes, panels, strict=False):
                panel(axis, self)
            for axis in axes[len(panels) :]:
                axis.set_visible(False)
        return path


Panel = Callable[["Axes", InterfaceResult], None]


def _exchange_lines(x: Exchange) -> list[str]:
    i_0, R = x.current, x.resistance
    faces = "one interface" if x.faces == 1 else f"{x.faces} interfaces"
    if not x.crossings:
        return [f"    exchange current of one interface below {i_0.high:.2g} A/m^2: R above {R.low:.3g} ohm m^2"]
    return [
        f"    {x.crossings} crossings of {faces}: i_0 = {i_0.value:.3g} ({i_0.low:.3g} to {i_0.high:.3g}) A/m^2, "
        f"R = {R.value:.3g} ({R.low:.3g} to {R.high:.3g}) ohm m^2 each",
        f"    for an electrode of a cell case: {x.line}",
    ]


def _pm(mean: Averaged) -> str:
    value, error = float(mean.value), float(mean.error)
    if not math.isfinite(error):
        return f"{value:.4g} (error not known: too few blocks)"
    if not error > 0:
        return f"{value:.4g} +- 0"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} +- {error:.{digits}f}"


def _numbers(mean: Averaged) -> dict[str, Any]:
    return mean.numbers() | {"settled": bool(mean.settled)}


# ---- the figure -----------------------------------------------------------------------------------------------------


def _band(axes: Axes, x: Any, y: Any, error: Any, **look: Any) -> None:
    error = np.nan_to_num(error, nan=0.0)
    axes.fill_between(x, y - error, y + error, color=look["color"], alpha=0.25, linewidth=0)
    axes.plot(x, y, **look)


def _density(axes: Axes, result: InterfaceResult) -> None:
    z = result.z / ANGSTROM
    for k, name in enumerate(result.profiles):
        look: dict[str, Any] = {"color": COLOURS[k % 7], "linestyle": DASHES[k % 7], "linewidth": 0.9, "label": name}
        _band(axes, z, result.density.value[k] * 1e-27, result.density.error[k] * 1e-27, **look)
    top = axes.get_ylim()[1]
    for k, region in enumerate(result.settings.regions):
        thick: dict[str, Any] = {
            "color": COLOURS[result.profiles.index(region.points) % 7],
            "linewidth": 3,
            "alpha": 0.6,
        }
        for edges in region.edges:
            height = [top * (1.03 + 0.05 * k)] * 2
            axes.plot(np.array(edges) / ANGSTROM, height, solid_capstyle="butt", **thick)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(label("$z$", "Å"))
    axes.set_ylabel(label(r"$\rho$", "nm⁻³", "density"))
    legend_above(axes)


def _free_energy(axes: Axes, result: InterfaceResult) -> None:
    z = result.z / ANGSTROM
    drawn = set()
    for k, (barrier, settings) in enumerate(zip(result.barriers, result.settings.barriers, strict=True)):
        F, seen = barrier.profile, np.isfinite(barrier.profile.value)
        key = settings.points, settings.zero
        if key not in drawn:  # barriers of one profile share its curve
            _band(axes, z[seen], F.value[seen], F.error[seen], color=GREY, linewidth=0.9)
            drawn.add(key)
        height, _, well, top = barrier.numbers.value
        inside = (result.z >= settings.well[0]) & (result.z <= settings.well[1]) & seen
        if inside.any():
            floor, text = float(F.value[inside].min()), f"{barrier.name}: {height:.0f} K"
            look: dict[str, Any] = {"color": COLOURS[k % 7], "marker": MARKERS[k % 7], "linestyle": DASHES[k % 7]}
            ends = np.array([well, top]) / ANGSTROM
            axes.plot(ends, [floor, floor + height], markersize=3, label=text, **look)
    axes.set_xlabel(label("$z$", "Å"))
    axes.set_ylabel(label("$F/k_B$", "K", "free energy"))
    legend_above(axes, columns=2)


def _populations(axes: Axes, result: InterfaceResult) -> None:
    for k, (region, settings) in enumerate(zip(result.regions, result.settings.regions, strict=True)):
        name = region.name + (" (excess)" if settings.stoichiometric else "")
        for r, times in enumerate(result.times):
            look: dict[str, Any] = {
                "color": COLOURS[k % 7],
                "linestyle": DASHES[r % 7],
                "label": name if r == 0 else None,
            }
            axes.plot(times * 1e9, region.series[r] - settings.stoichiometric, linewidth=0.8, **look)
    if result.settings.settled > 0:
        axes.axvline(result.settings.settled * 1e9, color=GREY, linestyle=":")
    axes.set_xlabel(label("$t$", "ns", "time"))
    axes.set_ylabel("population")
    legend_above(axes, columns=3)


def _coefficients(axes: Axes, result: InterfaceResult) -> None:
    x, coefficients = np.arange(len(result.regions)), [region.verdict.coefficient for region in result.regions]
    axes.bar(x, coefficients, width=0.5, color=COLOURS[5])
    above: dict[str, Any] = {"xytext": (0, 2), "textcoords": "offset points", "ha": "center", "va": "bottom"}
    for k, region in enumerate(result.regions):
        axes.annotate(f"{sum(region.entered)} in\n{sum(region.left)} out", (k, coefficients[k]), **above)
    axes.axhline(0.5, color=GREY, linestyle=":", linewidth=0.9)
    axes.set_xticks(x, [region.name for region in result.regions])
    axes.set_xlim(-0.75, len(x) - 0.25)
    axes.set_ylim(0, 1.25)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("EC")


def _charge(axes: Axes, result: InterfaceResult) -> None:
    assert result.charge is not None
    z = result.charge_edges[1:] / ANGSTROM
    _band(axes, z, result.charge.value * 1e2, result.charge.error * 1e2, color=COLOURS[1], linewidth=0.9)
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    points(axes, result.changes / ANGSTROM, np.zeros(result.changes.size))
    axes.set_xlabel(label("$z$", "Å"))
    axes.set_ylabel(label(r"$E_\mathrm{eff}$", "µC/cm²"))
    axes.set_title(f"{result.changes.size} sign changes (circles)", loc="right")


def _variance(axes: Axes, result: InterfaceResult) -> None:
    assert result.settings.layers is not None
    edges = np.array(result.settings.layers) / ANGSTROM
    middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
    for k, (name, variance) in enumerate(result.variance.items()):
        for axis in range(3):
            value, error = variance.value[0, :, axis] / ANGSTROM**2, variance.error[0, :, axis] / ANGSTROM**2
            look: dict[str, Any] = {"color": COLOURS[(3 * k + axis) % 7], "marker": MARKERS[axis], "linestyle": "none"}
            bars: dict[str, Any] = {"xerr": half, "yerr": np.nan_to_num(error), "elinewidth": 0.7}
            axes.errorbar(middle, value, markersize=3, label=f"{name} {'xyz'[axis]}", **look, **bars)
    axes.set_yscale("log")
    axes.set_xlabel(label("$z$", "Å", "layer of origin"))
    axes.set_ylabel(label(r"Var$(\Delta r)$", "Å²"))
    axes.set_title(f"after {result.lags[0] * 1e12:g} ps", loc="right")
    axes.legend(ncols=2)
