"""An interface at several temperatures: free energies laid over one another, barriers, counts, one dE and one dS.

Read from what ``mdcoeffs interface`` left in each state; the mathematics is `mdcoeffs.interface.temperatures`.

References
----------
Kozdra, Hölzer, Brandell & Heuer, Phys. Chem. Chem. Phys. 27, 24918 (2025), doi:10.1039/d5cp01988e, Sec. 3.3, Fig. 9.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, InputError
from cellsim.drawing.figstyle import (
    COLOURS,
    GREY,
    TWO_COLUMNS,
    drawing,
    label,
    legend_above,
    points,
    shades,
)
from cellsim.files.reading import read_json, read_netcdf
from cellsim.files.writing import Rows
from mdcoeffs.frames.snapshot import ANGSTROM
from mdcoeffs.interface.rates import CountEstimate, mean_barrier, rate_in
from mdcoeffs.interface.temperatures import Joint, State, joint_barrier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AT_REST = ("equilibrated",)
"""Verdicts on a region with which its barrier counts: elsewhere F(z) over a barrier is that of the start in part."""
NEARLY = ("exchanging", "wandering")
"""Verdicts with which it counts where it is equilibrated nowhere: the error of the barrier is then a lower bound."""
Profile = tuple[Array, Array, Array]
"""z [m], free energy over k_B and its standard error [K]."""
_POINTS = 121
_HEAD = ("panel", "what", "T (K)", "at", "value", "low", "high", "unit")


@dataclass(frozen=True, eq=False)
class Aligned:
    """The free energy of one state along z, and how it is laid over that of the warmest one.

    Parameters
    ----------
    barrier : str
        Name of the barrier whose profile it is.
    T : float
        Temperature [K].
    z : array (bins,)
        Places as simulated, from a little behind the top outwards [m].
    F, error : array (bins,)
        Free energy over k_B and its standard error [K].
    shift, shift_error : float
        By how much z must be moved for the wells to meet, with standard error [m].
    lift : float
        By how much F must be raised for the bottoms of the wells to meet [K].
    slope, slope_error : float
        dF/dz of its flank [K/m]; NaN where no flank is given.
    misfit : float
        Root mean square of what is left between the two profiles over well and flank, moved and raised [K].
    """

    barrier: str
    T: float
    z: Array
    F: Array
    error: Array
    shift: float
    shift_error: float
    lift: float
    slope: float
    slope_error: float
    misfit: float


@dataclass(frozen=True, eq=False)
class Interfaces:
    """One region at several temperatures.

    Parameters
    ----------
    region : str
        Its name.
    joint : Joint
        Energy and entropy of the barrier to it.
    counts : tuple of (int, int, float)
        Entries, exits and the coefficient EC of each state of `joint`; all crossings of the settled run.
    frequency : float
        Of the wells, geometric mean over states and barriers [1/s]; NaN where none is known.
    aligned : tuple of Aligned
        By barrier and temperature.
    slope, slope_error : float
        Size of dF/dz of the flanks, mean over barriers and states [K/m]; NaN without flanks.
    predict : tuple of float
        Temperatures that are asked about [K].
    notes : tuple of str
        What its user must know.
    """

    region: str
    joint: Joint
    counts: tuple[tuple[int, int, float], ...]
    frequency: float
    aligned: tuple[Aligned, ...]
    slope: float
    slope_error: float
    predict: tuple[float, ...]
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its figure."""
        return f"barrier_{self.region}"

    def numbers(self) -> dict[str, Any]:
        """For ``summary.json``."""
        transmission = self.joint.transmission(self.frequency)
        return {
            "region": self.region,
            "T": [state.T for state in self.joint.states],
            "entered": [state.entered for state in self.joint.states],
            "exposure": [state.exposure for state in self.joint.states],
            "reduction_K": [state.reduction for state in self.joint.states],
            **self.joint.numbers(),
            "transmission": None if transmission is None else transmission.numbers(),
            "slope_K_per_m": {"value": self.slope, "standard_error": self.slope_error},
            "aligned": [
                {"barrier": a.barrier, "T": a.T, "shift": a.shift, "shift_standard_error": a.shift_error}
                | {"lift_K": a.lift, "misfit_K": a.misfit}
                for a in self.aligned
            ],
            "predicted": [{"T": T, "rate": _at(self.joint, T).numbers()} for T in self.predict],
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """In words."""
        joint, dE, dS = self.joint, self.joint.dE, self.joint.dS
        entered = ", ".join(f"{state.entered} at {state.T:g} K" for state in joint.states)
        text = [f"{self.region}: entries counted {entered}: dE = {_spread(dE)} K"]
        if dS is not None:
            transmission = joint.transmission(self.frequency)
            share = "" if transmission is None else f", transmission {_spread(transmission)}"
            text[0] += f", dS = {_spread(dS)} k_B{share}"
        if joint.straight is not None:
            dE, dS = joint.straight
            text.append(f"  barriers alone: dE = {_spread(dE)} K, dS = {_spread(dS)} k_B")
        if math.isfinite(self.slope):
            text.append(
                f"  slope of the flanks {self.slope * ANGSTROM:.4g} +- {self.slope_error * ANGSTROM:.2g} K/angstrom"
            )
        for T in self.predict:
            text.append(f"  at {T:g} K: one ion enters at {_spread(_at(joint, T))} /s")
        return text + [f"  note: {note}" for note in self.notes]


def interfaces_of(
    folders: Mapping[float, Path], predict: tuple[float, ...] = ()
) -> tuple[tuple[Interfaces, ...], tuple[str, ...]]:
    """Every region with a barrier that at least two temperatures have.

    Parameters
    ----------
    folders : mapping
        Temperature [K] -> folder that ``mdcoeffs interface`` wrote.
    predict : tuple of float
        Temperatures at which rates are asked for [K].

    Returns
    -------
    found : tuple of Interfaces
    refused : tuple of str
        Why the barriers of other regions have no joint energy.
    """
    read = {T: read_json(folder / "summary.json", what="the summary of an interface") for T, folder in folders.items()}
    every = [b for data in read.values() for b in data.get("barriers", {}).values()]
    found, refused = [], []
    for region in dict.fromkeys(b["region"] for b in every if b.get("region")):
        here = {T: data for T, data in read.items() if _barriers(data, region) and region in data["regions"]}
        if len(here) < 2:
            continue
        try:
            profiles = {T: _profiles(folders[T], _barriers(data, region)) for T, data in here.items()}
            found.append(join_states(region, here, profiles, predict))
        except InputError as error:
            refused.append(f"{region}: {error}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {error}"
            refused.append(f"{region}: a result of mdcoeffs interface is damaged or incomplete ({what}); make it again")
    return tuple(found), tuple(refused)


def _profiles(folder: Path, names: Iterable[str]) -> dict[str, Profile]:
    data = read_netcdf(folder / "interface.nc", what="the profiles of an interface")
    return {name: (data["z"].values, data[f"F_{name}"].values, data[f"F_{name}_error"].values) for name in names}


def _barriers(data: Mapping[str, Any], region: str) -> dict[str, Any]:
    return {name: barrier for name, barrier in data.get("barriers", {}).items() if barrier.get("region") == region}


def join_states(
    region: str,
    read: Mapping[float, Any],
    profiles: Mapping[float, Mapping[str, Profile]],
    predict: tuple[float, ...] = (),
) -> Interfaces:
    """Lay the profiles of one region over one another and join its counts and barriers.

    Parameters
    ----------
    region : str
        Its name.
    read : mapping
        Temperature [K] -> the ``regions`` and ``barriers`` of a summary of ``mdcoeffs interface``.
    profiles : mapping
        Temperature -> barrier -> z [m], F and its standard error over k_B [K].
    predict : tuple of float
        Temperatures at which rates are asked for [K].

    Returns
    -------
    Interfaces

    Raises
    ------
    InputError
        As :func:`mdcoeffs.interface.temperatures.joint_barrier`.
    """
    notes, aligned = [], []
    rest = {T for T, data in read.items() if data["regions"][region]["state"] in AT_REST}
    if not rest:
        rest = {T for T, data in read.items() if data["regions"][region]["state"] in NEARLY}
        if rest:
            notes.append("the region is equilibrated at no temperature: errors of barriers and of dS are lower bounds")
    away = ", ".join(f"{T:g} K" for T in read if T not in rest)
    if away:
        notes.append(f"at {away} the region is not equilibrated: its crossings count there, its barrier does not")
    vague = [T for T in rest if not all(barrier["found"] for barrier in _barriers(read[T], region).values())]
    if vague:
        where = ", ".join(f"{T:g} K" for T in sorted(vague))
        notes.append(f"at {where} too few ions were on the top of a barrier to find it: only the crossings count there")
    reference = max(rest) if rest else max(read)
    for name in dict.fromkeys(name for data in read.values() for name in _barriers(data, region)):
        with_it = {T: data["barriers"][name] for T, data in read.items() if name in data["barriers"]}
        if reference in with_it:
            own = {T: profiles[T][name] for T in with_it}
            aligned += [_align(name, T, with_it, own, reference) for T in sorted(with_it)]
    slopes = [(abs(a.slope), a.slope_error) for a in aligned if math.isfinite(a.slope)]
    slope, slope_error = _weighted(slopes)
    if not math.isfinite(slope):
        notes.append(
            "no barrier has a flank, so that shifts of the wells do not lower it (interface.barriers.NAME.flank)"
        )
    states = [_state(region, T, data, aligned, T in rest) for T, data in sorted(read.items())]
    joint = joint_barrier(states)
    below, above = joint.bounded
    if not (below and above):
        notes.append(
            f"all entries at the {'highest' if below else 'lowest'} temperature: dE is bounded on one side only"
        )
    if joint.p_counts < 0.01:
        notes.append(f"one dE does not fit the counts (p = {joint.p_counts:.2g}): its interval means nothing")
    frequencies = [b["frequency"] for T in rest for b in _barriers(read[T], region).values() if b.get("frequency")]
    counts = tuple(
        (sum(r["entered"].values()), sum(r["left"].values()), float(r["EC"]))
        for r in (read[state.T]["regions"][region] for state in joint.states)
    )
    return Interfaces(
        region=region,
        joint=joint,
        counts=counts,
        frequency=float(np.exp(np.mean(np.log(frequencies)))) if frequencies else math.nan,
        aligned=tuple(aligned),
        slope=slope,
        slope_error=slope_error,
        predict=predict,
        notes=tuple(notes),
    )


def _number(entry: Mapping[str, Any] | None) -> tuple[float, float]:
    """Value and standard error; NaN for what is null in the file."""
    values = [math.nan, math.nan] if entry is None else [entry["value"], entry["standard_error"]]
    return tuple(math.nan if v is None else float(v) for v in values)  # type: ignore[return-value]


def _align(
    name: str,
    T: float,
    barriers: Mapping[float, Any],
    profiles: Mapping[float, Profile],
    reference: float,
) -> Aligned:
    z, F, error = profiles[T]
    (at, at_error), (to, to_error) = (_number(barriers[each]["z_well"]) for each in (T, reference))
    slope, slope_error = _number(barriers[T].get("slope_K_per_m"))
    shift, shift_error = (0.0, 0.0) if reference == T else (to - at, math.hypot(at_error, to_error))
    z_0, F_0, _ = profiles[reference]
    low, high = barriers[reference]["well_range"]
    top, _ = _number(barriers[reference]["z_top"])
    there = np.interp(z_0, z + shift, F)
    well = (z_0 >= low) & (z_0 <= high) & np.isfinite(there) & np.isfinite(F_0)
    behind = (z - top) * np.sign(to - top) > -0.25 * abs(to - top)  # the other faces have shifts of their own
    lift = misfit = math.nan
    if well.any():
        weight = np.exp(-(F_0[well] - F_0[well].min()) / reference)
        lift = float(weight @ (F_0[well] - there[well]) / weight.sum())
        # from the inner quarter of the flank to the far end of the well
        near, far = sorted((top + 0.25 * (to - top), high if to > top else low))
        over = (z_0 >= near) & (z_0 <= far) & np.isfinite(there) & np.isfinite(F_0)
        misfit = float(np.sqrt(np.mean((there[over] + lift - F_0[over]) ** 2))) if over.any() else math.nan
    shown = (z[behind], F[behind], error[behind])
    return Aligned(name, T, *shown, shift, shift_error, lift, slope, slope_error, misfit)


def _weighted(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Mean with standard error, weighted by the errors."""
    known = [(value, error) for value, error in pairs if math.isfinite(error) and error > 0]
    if not known:
        return math.nan, math.nan
    w = np.array([1 / error**2 for _, error in known])
    return float(w @ [value for value, _ in known] / w.sum()), float(1 / np.sqrt(w.sum()))


def _state(region: str, T: float, data: Mapping[str, Any], aligned: Sequence[Aligned], at_rest: bool) -> State:
    """The faces of a region as one: their barriers as a Boltzmann mean, their reductions likewise."""
    counted = data["regions"][region]["counted"]
    own = _barriers(data, region)
    heights = [_number(barrier["barrier_K"]) for barrier in own.values()]
    blocks = min((float(barrier["barrier_K"]["blocks"]) for barrier in own.values()), default=1.0)
    dF = spread = math.nan
    share = np.full(len(heights), 1 / len(heights))
    known = all(barrier["found"] for barrier in own.values())
    if at_rest and known and all(math.isfinite(value) and math.isfinite(error) for value, error in heights):
        values, errors = np.array(heights).T
        dF = mean_barrier(values, T)
        share = np.exp(-(values - values.min()) / T)
        share /= share.sum()
        spread = float(np.hypot.reduce(share * errors))
    reduction = error = 0.0
    for part, name in zip(share, own, strict=True):
        one = next((a for a in aligned if a.barrier == name and a.T == T), None)
        slope, slope_error = _weighted([(a.slope, a.slope_error) for a in aligned if a.barrier == name])
        if one is not None and math.isfinite(slope) and math.isfinite(one.shift):
            reduction -= part * slope * one.shift
            error = math.hypot(error, part * math.hypot(slope * one.shift_error, slope_error * one.shift))
    return State(
        T,
        entered=int(counted["entered"]),
        exposure=float(counted["outside"]),
        barrier=dF,
        barrier_error=spread,
        blocks=blocks,
        reduction=reduction,
        reduction_error=error if math.isfinite(error) else 0.0,
    )


def _at(joint: Joint, T: float) -> CountEstimate:
    middle, low, high = (float(v) for v in joint.rate(T))
    return CountEstimate(middle, low, high)


def _spread(found: CountEstimate) -> str:
    return f"{found.value:.4g} ({found.low:.4g} to {found.high:.4g})"


# ---- the figure and its numbers -------------------------------------------------------------------------------------


def _temperatures(found: Interfaces) -> Array:
    """From the coldest to the warmest that was simulated or asked for, evenly in 1/T."""
    T = [state.T for state in found.joint.states] + list(found.predict)
    return np.asarray(1 / np.linspace(1 / min(T), 1 / max(T), _POINTS))


def rows_of(found: Interfaces) -> Rows:
    """The numbers behind the figure.

    Parameters
    ----------
    found : Interfaces
        One region.

    Returns
    -------
    list of list of str
        The head first.
    """
    rows = [list(_HEAD)]

    def put(panel: str, what: str, T: float, at: float, values: Sequence[float], unit: str) -> None:
        cells = [f"{v:.8g}" if math.isfinite(v) else "" for v in (at, *values)]
        rows.append([panel, what, f"{T:g}", *cells, unit])

    for a in found.aligned:
        for z, F, error in zip(a.z + a.shift, a.F + a.lift, a.error, strict=True):
            put("free energy", a.barrier, a.T, float(z), (F, F - error, F + error), "K")
    for state, (entered, left, EC) in zip(found.joint.states, found.counts, strict=True):
        ends = (state.barrier, state.barrier - 1.96 * state.barrier_error, state.barrier + 1.96 * state.barrier_error)
        put("barrier", "found", state.T, state.T, ends, "K")
        for what, value in (("entries", entered), ("exits", left), ("EC", EC)):
            put("counts", what, state.T, state.T, (value, math.nan, math.nan), "1")
        rate = _counted_rate(state)
        put("rate", "counted", state.T, state.T, (rate.value, rate.low, rate.high), "1/s")
    T = _temperatures(found)
    joint, barrier = found.joint.rate(T), found.joint.barrier(T)
    for k, at in enumerate(T):
        put("rate", "joint", at, at, [float(line[k]) for line in joint], "1/s")
        if barrier is not None:
            put("barrier", "joint", at, at, [float(line[k]) for line in barrier], "K")
    return rows


def _counted_rate(state: State) -> CountEstimate:
    return rate_in(state.entered, state.exposure)


def draw_interfaces(found: Interfaces, path: str | Path, title: str) -> Path:
    """Free energies laid over one another, barriers and counts over T, and the rate over 1/T with the joint fit.

    Parameters
    ----------
    found : Interfaces
        One region.
    path : str or Path
        PNG to write.
    title : str
        Of the series.

    Returns
    -------
    Path
    """
    dE = found.joint.dE
    note = (
        "F(z) is moved so that its wells meet those of the warmest run at equilibrium. Bars and bands: 95 %. Joint fit "
        f"of all counts: dE = {_spread(dE)} K."
    )
    if not all(state.entered for state in found.joint.states):
        note += " Open triangles: no ion entered, upper end only."
    with drawing(path, 2, 2, title=f"{title}: barrier to {found.region}", note=note, width=TWO_COLUMNS, height=2.4) as (
        _,
        axes,
    ):
        _draw_profiles(axes[0], found)
        _draw_barriers(axes[1], found)
        _draw_counts(axes[2], found)
        _draw_rates(axes[3], found)
    return Path(path)


def _draw_profiles(axes: Axes, found: Interfaces) -> None:
    temperatures = sorted({a.T for a in found.aligned})
    colours = dict(zip(temperatures, shades(len(temperatures)), strict=True))
    for k, a in enumerate(found.aligned):
        first = a.barrier == found.aligned[0].barrier
        name = f"{a.T:g} K" if first else None
        axes.plot((a.z + a.shift) / ANGSTROM, a.F + a.lift, color=colours[a.T], linewidth=0.9, label=name, zorder=k)
    axes.set_xlabel(label("$z$, moved", "Å"))
    axes.set_ylabel(label("$F/k_B$", "K", "free energy"))
    legend_above(axes)


def _draw_barriers(axes: Axes, found: Interfaces) -> None:
    states = [state for state in found.joint.states if state.has_barrier]
    T = _temperatures(found)
    band = found.joint.barrier(T)
    if band is not None:
        axes.fill_between(T, band[1], band[2], color=COLOURS[0], alpha=0.2, linewidth=0)
        axes.plot(T, band[0], color=COLOURS[0], linewidth=1.0, label=r"$\Delta E - r - T\Delta S$, joint")
    at, y = [state.T for state in states], [state.barrier for state in states]
    points(axes, at, y, [1.96 * state.barrier_error for state in states], color="black", label="found")
    axes.set_xlabel(label("$T$", "K"))
    axes.set_ylabel(label(r"$\Delta F/k_B$", "K", "barrier"))
    legend_above(axes, columns=2)


def _draw_counts(axes: Axes, found: Interfaces) -> None:
    T = [state.T for state in found.joint.states]
    for k, (name, values) in enumerate((("in", [c[0] for c in found.counts]), ("out", [c[1] for c in found.counts]))):
        width = 0.2 * min(np.diff(T))
        axes.bar(np.array(T) + (k - 0.5) * width, values, width=width, color=COLOURS[(0, 5)[k]], label=name)
    above: dict[str, Any] = {"xytext": (0, 2), "textcoords": "offset points", "ha": "center", "va": "bottom"}
    for at, (entered, left, EC) in zip(T, found.counts, strict=True):
        axes.annotate(f"EC {EC:.2f}", (at, max(entered, left)), **above)
    axes.set_xticks(T)
    axes.set_ylim(0, 1.2 * max(1, *(max(c[:2]) for c in found.counts)))
    axes.set_xlabel(label("$T$", "K"))
    axes.set_ylabel("crossings counted")
    legend_above(axes, columns=2)


def _draw_rates(axes: Axes, found: Interfaces) -> None:
    T = _temperatures(found)
    middle, low, high = found.joint.rate(T)
    axes.fill_between(1e3 / T, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(1e3 / T, middle, color=COLOURS[0], linewidth=1.0, label="joint fit")
    for state in found.joint.states:
        rate, x = _counted_rate(state), 1e3 / state.T
        if state.entered:
            points(
                axes, [x], [rate.value], [[rate.value - rate.low], [rate.high - rate.value]], markerfacecolor="black"
            )
        else:
            points(axes, [x], [rate.high], marker="v")
    for T_asked in found.predict:
        axes.axvline(1e3 / T_asked, color=GREY, linestyle=":", linewidth=0.7)
    axes.set_yscale("log")
    axes.set_xlabel(label("$1000/T$", "K$^{-1}$"))
    axes.set_ylabel(label(r"$\Gamma$", "1/s", "entries of one ion"))
    legend_above(axes)
