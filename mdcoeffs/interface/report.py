"""An interface result on disk (``interface.nc``, ``summary.json``, two CSV tables), in words, and as figures."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import __version__
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
from mdcoeffs.interface.analysis import InterfaceResult, RegionResult
from mdcoeffs.interface.rates import Estimate, duration
from mdcoeffs.statistics.blocks import Averaged

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ANGSTROM = 1e-10


def summary_of(result: InterfaceResult) -> dict[str, Any]:
    """What ``summary.json`` holds: SI numbers with standard errors or 95 % intervals, and the verdicts.

    Parameters
    ----------
    result : InterfaceResult
        As :func:`mdcoeffs.interface.analysis.interface_from_file` gives it.

    Returns
    -------
    dict
        Ready for JSON; NaN and infinity become null.
    """
    found: dict[str, Any] = {
        "title": result.title,
        "temperature": result.T,
        "frames": list(result.frames),
        "regions": {one.name: _region(one) for one in result.regions},
        "barriers": {
            one.name: {
                "barrier_K": _averaged(one.numbers[0]),
                "k": _averaged(one.numbers[1]),
                "z_well": _averaged(one.numbers[2]),
                "z_top": _averaged(one.numbers[3]),
                "frequency": one.frequency,
                "tst_rate": one.rate,
                "tst_rate_standard_error_factor": one.rate_factor,
                "transmission": None if one.transmission is None else _estimate(one.transmission),
            }
            for one in result.barriers
        },
        "displacement_variance": {
            name: {
                "lags": list(result.lags),
                "layers": list(result.settings.layers or ()),
                "value": one.value.tolist(),
                "standard_error": one.error.tolist(),
            }
            for name, one in result.variance.items()
        },
        "notes": list(result.notes),
        "mdcoeffs": __version__,
    }
    if result.charge is not None:
        found["charge_sign_changes"] = result.changes.tolist()
        found["net_charge_per_area"] = float(result.charge.value[-1])
    if result.correlation is not None:
        names = result.settings.correlations[-1]
        found["correlation"] = {
            "of": list(names),
            "slope": _averaged(result.correlation[0]),
            "pearson": _averaged(result.correlation[1]),
        }
    if result.ratio is not None:
        found["prediction"] = {
            "gamma": _estimate(result.ratio),
            "dE_K": None if result.split is None else result.split[0],
            "dS": None if result.split is None else result.split[1],
            "at": [
                {
                    "temperature": one.T,
                    "rate": _estimate(one.rate),
                    "rate_68": list(one.likely),
                    "time_to_equilibrate": _estimate(one.needed),
                }
                for one in result.predicted
            ],
        }
    plain: dict[str, Any] = _plain(found)
    return plain


def write_results(result: InterfaceResult, folder: Path) -> None:
    """Write ``interface.nc``, ``summary.json``, ``profiles.csv`` and ``populations.csv``.

    Parameters
    ----------
    result : InterfaceResult
        The result.
    folder : Path
        Where to; must exist.
    """
    partial = folder / "interface.nc.partial"
    to_dataset(result).to_netcdf(partial, engine="h5netcdf")
    partial.replace(folder / "interface.nc")
    (folder / "summary.json").write_text(json.dumps(summary_of(result), indent=2) + "\n", encoding="utf-8")
    with (folder / "profiles.csv").open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        head = ["z_angstrom"]
        columns = [result.z / ANGSTROM]
        for k, name in enumerate(result.profiles):
            head += [f"{name}_per_nm3", f"{name}_standard_error_per_nm3"]
            columns += [result.density.value[k] * 1e-27, result.density.error[k] * 1e-27]
        for one in result.barriers:
            head += [f"F_{one.name}_K", f"F_{one.name}_standard_error_K"]
            columns += [one.profile.value, one.profile.error]
        out.writerow(head)
        out.writerows([f"{v:.8g}" for v in row] for row in zip(*columns, strict=True))
    with (folder / "populations.csv").open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        out.writerow(["replica", "time_ns", *(one.name for one in result.regions)])
        for k, times in enumerate(result.times):
            for row in zip(times * 1e9, *(one.series[k] for one in result.regions), strict=True):
                out.writerow([k, f"{row[0]:.8g}", *(f"{n:g}" for n in row[1:])])


def to_dataset(result: InterfaceResult) -> Any:
    """All of a result as an xarray Dataset with units.

    Parameters
    ----------
    result : InterfaceResult
        The result.

    Returns
    -------
    xarray.Dataset
        Dimensions ``z``, ``profile``, ``charge_z``, ``barrier``, ``region``, ``replica``, ``sample``, ``lag``,
        ``layer``, ``axis``; every mean has a partner ``..._error`` with its standard error.
    """
    import xarray as xr

    variables: dict[str, tuple[tuple[str, ...], Any, dict[str, str]]] = {}
    coordinates: dict[str, Any] = {"z": ("z", result.z, {"units": "m"}), "profile": list(result.profiles)}

    def put(name: str, dims: tuple[str, ...], one: Averaged, units: str, long_name: str) -> None:
        variables[name] = (dims, one.value, {"units": units, "long_name": long_name})
        variables[f"{name}_error"] = (dims, one.error, {"units": units, "long_name": f"standard error of {long_name}"})

    put("density", ("profile", "z"), result.density, "1/m^3", "number density")
    if result.charge is not None:
        coordinates["charge_z"] = ("charge_z", result.charge_edges[1:], {"units": "m"})
        put("E_eff", ("charge_z",), result.charge, "C/m^2", "charge per area from the lower end of the box")
    for one in result.barriers:
        put(f"F_{one.name}", ("z",), one.profile, "K", f"free energy over k_B, {one.name}")
    if result.regions:
        coordinates["region"] = [one.name for one in result.regions]
        most = max(len(times) for times in result.times)
        series = np.full((len(result.regions), len(result.times), most), np.nan)
        times = np.full((len(result.times), most), np.nan)
        for r, here in enumerate(result.times):
            times[r, : len(here)] = here
            for k, region in enumerate(result.regions):
                series[k, r, : len(here)] = region.series[r]
        variables["population"] = (("region", "replica", "sample"), series,
                                   {"units": "1", "long_name": "number of ions in the region"})  # fmt: skip
        variables["time"] = (("replica", "sample"), times, {"units": "s"})
    if result.variance:
        coordinates["lag"] = ("lag", list(result.lags), {"units": "s"})
        coordinates["axis"] = list("xyz")
        edges = np.array(result.settings.layers)
        coordinates["layer"] = ("layer", 0.5 * (edges[1:] + edges[:-1]), {"units": "m"})
        for name, part in result.variance.items():
            put(f"variance_{name}", ("lag", "layer", "axis"), part, "m^2",
                f"displacement variance of {name} by layer of origin")  # fmt: skip
    attributes = {
        "title": result.title, "T": result.T, "summary": json.dumps(summary_of(result)), "mdcoeffs": __version__,
    }  # fmt: skip
    return xr.Dataset(variables, coordinates, attributes)


def lines_of(result: InterfaceResult) -> list[str]:
    """The result in words, for the terminal: verdicts first.

    Parameters
    ----------
    result : InterfaceResult
        The result.

    Returns
    -------
    list of str
    """
    lines = [result.title, f"  {result.T:g} K, {sum(result.frames)} frames in {len(result.frames)} replica(s)"]
    for one in result.regions:
        lines.append(f"  {one.verdict.sentence}")
        lines.append(
            f"    {'excess' if _stoichiometric(result, one) else 'population'} {_pm(one.population)}; one ion enters "
            f"at {one.entry.value:.3g} ({one.entry.low:.2g} to {one.entry.high:.2g}) /s"
        )
    for barrier in result.barriers:
        height = barrier.numbers[0]
        lines.append(
            f"  barrier {barrier.name}: {_pm(height)} K from z = {barrier.numbers.value[2] / ANGSTROM:.2f} to "
            f"{barrier.numbers.value[3] / ANGSTROM:.2f} angstrom, k = {_pm(barrier.numbers[1])} J/m^2, "
            f"nu = {barrier.frequency:.3g} /s, TST rate {barrier.rate:.3g} /s (times or over {barrier.rate_factor:.2g})"
        )
        if barrier.transmission is not None:
            t = barrier.transmission
            lines.append(f"    transmission {t.value:.2g} ({t.low:.2g} to {t.high:.2g}, by the counts)")
    if result.ratio is not None:
        lines.append(f"  gamma = {result.ratio.value:.3g} ({result.ratio.low:.2g} to {result.ratio.high:.2g})")
    for predicted in result.predicted:
        r, t = predicted.rate, predicted.needed
        lines.append(
            f"  at {predicted.T:g} K: {r.value:.2g} ({r.low:.1g} to {r.high:.1g}) /s for one ion; to equilibrate there "
            f"takes about {duration(t.value)} ({duration(t.low)} to {duration(t.high)})"
        )
    if result.correlation is not None:
        first, second = result.settings.correlations[-1]
        lines.append(
            f"  {second} follows {first} with slope {_pm(result.correlation[0])}, r = {_pm(result.correlation[1])}"
        )
    if result.charge is not None:
        places = ", ".join(f"{z / ANGSTROM:.1f}" for z in result.changes)
        lines.append(
            f"  integrated charge changes its sign {len(result.changes)} times beyond 2 standard errors"
            + (f", at z = {places} angstrom" if places else "")
        )
    lines += [f"  note: {note}" for note in result.notes]
    return lines


def _stoichiometric(result: InterfaceResult, one: RegionResult) -> float:
    return next(region.stoichiometric for region in result.settings.regions if region.name == one.name)


def _pm(one: Averaged) -> str:
    value, error = float(one.value), float(one.error)
    if not math.isfinite(error):
        return f"{value:.4g} (error not known: too few blocks)"
    if not error > 0:
        return f"{value:.4g} +- 0"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} +- {error:.{digits}f}"


def _region(one: RegionResult) -> dict[str, Any]:
    return {
        "population_or_excess": _averaged(one.population),
        "entered": {"lower": one.entered[0], "upper": one.entered[1]},
        "left": {"lower": one.left[0], "upper": one.left[1]},
        "donors": one.donors,
        "time": one.time,
        "entry_rate": _estimate(one.entry),
        "exit_rate": _estimate(one.exit),
        "EC": one.verdict.coefficient,
        "state": one.verdict.state,
        "time_to_equilibrate": one.verdict.needed,
        "verdict": one.verdict.sentence,
    }


def _averaged(one: Averaged) -> dict[str, Any]:
    return {
        "value": float(one.value),
        "standard_error": float(one.error),
        "interval": [float(v) for v in one.interval()],
        "blocks": float(one.blocks),
        "settled": bool(one.settled),
    }


def _estimate(one: Estimate) -> dict[str, Any]:
    return {"value": one.value, "interval": [one.low, one.high], "level": one.level}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


ANGSTROM = 1e-10
Panel = Callable[["Axes", InterfaceResult], None]


def interface_figure(result: InterfaceResult, path: str | Path) -> None:
    """Draw all that was asked for on one page.

    Parameters
    ----------
    result : InterfaceResult
        What was found.
    path : str or Path
        PNG, PDF or SVG.
    """
    panels: list[Panel] = [_density]
    if result.barriers:
        panels.append(_free_energy)
    if result.regions:
        panels += [_populations, _coefficients]
    if result.charge is not None:
        panels.append(_charge)
    if result.variance:
        panels.append(_variance)
    rows = -(-len(panels) // 2)
    note = f"{result.T:g} K, {sum(result.frames)} frames; bands and bars: one standard error from blocks."
    if result.regions:
        note += "\n" + "\n".join(wrap(one.verdict.sentence, TWO_COLUMNS) for one in result.regions)
    with drawing(path, rows, 2, title=result.title, note=note, width=TWO_COLUMNS, height=2.3) as (_, axes):
        for axis, panel in zip(axes, panels, strict=False):
            panel(axis, result)
        for axis in axes[len(panels) :]:
            axis.set_visible(False)


def _band(axes: Axes, x: Any, y: Any, error: Any, **look: Any) -> None:
    error = np.nan_to_num(error, nan=0.0)
    axes.fill_between(x, y - error, y + error, color=look["color"], alpha=0.25, linewidth=0)
    axes.plot(x, y, **look)


def _density(axes: Axes, result: InterfaceResult) -> None:
    z = result.z / ANGSTROM
    for k, name in enumerate(result.profiles):
        _band(axes, z, result.density.value[k] * 1e-27, result.density.error[k] * 1e-27, color=COLOURS[k % 7],
              linestyle=DASHES[k % 7], linewidth=0.9, label=name)  # fmt: skip
    top = axes.get_ylim()[1]
    for k, region in enumerate(result.settings.regions):
        colour = COLOURS[result.profiles.index(region.points) % 7]
        for low, high in region.edges:
            axes.plot([low / ANGSTROM, high / ANGSTROM], [top * (1.03 + 0.05 * k)] * 2, color=colour, linewidth=3,
                      alpha=0.6, solid_capstyle="butt")  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.set_xlabel(label("$z$", "Å"))
    axes.set_ylabel(label(r"$\rho$", "nm⁻³", "density"))
    legend_above(axes)


def _free_energy(axes: Axes, result: InterfaceResult) -> None:
    z = result.z / ANGSTROM
    drawn: set[str] = set()
    for k, one in enumerate(result.barriers):
        settings = result.settings.barriers[k]
        colour = COLOURS[k % 7]
        key = f"{settings.points} {settings.zero}"
        if key not in drawn:
            seen = np.isfinite(one.profile.value)
            _band(axes, z[seen], one.profile.value[seen], one.profile.error[seen], color=GREY, linewidth=0.9)
            drawn.add(key)
        height, _, well, top = one.numbers.value
        inside = (result.z >= settings.well[0]) & (result.z <= settings.well[1]) & np.isfinite(one.profile.value)
        if inside.any():
            floor = float(one.profile.value[inside].min())
            axes.plot([well / ANGSTROM, top / ANGSTROM], [floor, floor + height], color=colour, marker=MARKERS[k % 7],
                      markersize=3, linestyle=DASHES[k % 7], label=f"{one.name}: {height:.0f} K")  # fmt: skip
    axes.set_xlabel(label("$z$", "Å"))
    axes.set_ylabel(label("$F/k_B$", "K", "free energy"))
    legend_above(axes, columns=2)


def _populations(axes: Axes, result: InterfaceResult) -> None:
    for k, one in enumerate(result.regions):
        base = result.settings.regions[k].stoichiometric
        name = one.name + (" (excess)" if base else "")
        for r, times in enumerate(result.times):
            axes.plot(times * 1e9, one.series[r] - base, color=COLOURS[k % 7], linestyle=DASHES[r % 7], linewidth=0.8,
                      label=name if r == 0 else None)  # fmt: skip
    if result.settings.settled > 0:
        axes.axvline(result.settings.settled * 1e9, color=GREY, linestyle=":")
    axes.set_xlabel(label("$t$", "ns", "time"))
    axes.set_ylabel("population")
    legend_above(axes, columns=3)


def _coefficients(axes: Axes, result: InterfaceResult) -> None:
    x = np.arange(len(result.regions))
    counts = np.array([[sum(one.entered), sum(one.left)] for one in result.regions])
    axes.bar(x, [one.verdict.coefficient for one in result.regions], width=0.5, color=COLOURS[5])
    for k, (entered, left) in enumerate(counts):
        axes.annotate(
            f"{entered} in\n{left} out",
            (k, result.regions[k].verdict.coefficient),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
        )
    axes.axhline(0.5, color=GREY, linestyle=":", linewidth=0.9)
    axes.set_xticks(x, [one.name for one in result.regions])
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
    number = 0
    for name, one in result.variance.items():
        for axis in range(3):
            value, error = one.value[0, :, axis] / ANGSTROM**2, one.error[0, :, axis] / ANGSTROM**2
            axes.errorbar(middle, value, xerr=half, yerr=np.nan_to_num(error), color=COLOURS[number % 7],
                          marker=MARKERS[axis], markersize=3, linestyle="none", elinewidth=0.7,
                          label=f"{name} {'xyz'[axis]}")  # fmt: skip
            number += 1
    axes.set_yscale("log")
    axes.set_xlabel(label("$z$", "Å", "layer of origin"))
    axes.set_ylabel(label(r"Var$(\Delta r)$", "Å²"))
    axes.set_title(f"after {result.lags[0] * 1e12:g} ps", loc="right")
    axes.legend(ncols=2)
