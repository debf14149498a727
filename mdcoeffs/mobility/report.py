"""A mobility analysis on disk (``mobility.nc``, ``table.csv``, ``summary.json``), in words, and as a figure.

The figure shows displacements and angles as in Siegel 2021, Fig. 2, and the cage as in Fig. 4.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import __version__
from cellsim.drawing.figstyle import COLOURS, DASHES, GREY, MARKERS, TWO_COLUMNS, drawing, label
from mdcoeffs.mobility.analysis import MobilityResult, Mover
from mdcoeffs.mobility.paddlewheel import Response
from mdcoeffs.mobility.rotation import Relaxation
from mdcoeffs.mobility.translation import Exponent
from mdcoeffs.statistics.lagged import Estimate, Lagged

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHELL = 0.9
"""M from here on is a shell, below it a cage: the paper names 1 for liquids, 0.5 for polymers, 0 for solids."""
COLUMNS = ("System", "Entity", "Solvation structure", "Mobility order parameter", "Conductivity (S/cm)")


def structure(mover: Mover) -> str:
    """Whether an entity makes a shell that goes with the ion or a cage that stays.

    Parameters
    ----------
    mover : Mover
        Not the cation.

    Returns
    -------
    str
        ``"shell"``, ``"cage"``, or ``"undecided"`` where the 95 % interval of M holds `SHELL`.
    """
    if mover.M is None or not math.isfinite(mover.M.error):
        return "undecided"
    low, high = mover.M.interval()
    return "shell" if low >= SHELL else "cage" if high < SHELL else "undecided"


def table(result: MobilityResult) -> list[tuple[str, ...]]:
    """Rows like those of Siegel 2021, Table 1: one for every entity beside the cation.

    Parameters
    ----------
    result : MobilityResult
        The result.

    Returns
    -------
    list of tuple
        Under `COLUMNS`.
    """
    system = f"{result.title}, {result.temperature:g} K"
    kappa = "" if result.conductivity is None else f"{result.conductivity / 100:.2g}"
    rows: list[tuple[str, ...]] = [
        (system, m.name, structure(m), f"M = {_short(m.M)}", kappa) for m in result.movers if m.M is not None
    ]  # fmt: skip
    rows += [(system, t.name, "", f"M_theta = {_short(t.M)}", kappa) for t in result.turners]
    return rows


def summary(result: MobilityResult) -> dict[str, Any]:
    """The numbers that are reported, in plain types and SI units.

    Parameters
    ----------
    result : MobilityResult
        The result.

    Returns
    -------
    dict
        Ready for JSON; NaN and infinity become null.
    """
    found: dict[str, Any] = {
        "title": result.title, "temperature": result.temperature, "cation": result.cation,
        "window": list(result.window), "frames": list(result.frames), "frame_interval": result.interval,
        "translation": {
            m.name: {
                "what": m.what, "count": m.count, **_law(m.law), "D": _entry(m.D),
                **({} if m.M is None else {"M": _entry(m.M), "structure": structure(m)}),
            }
            for m in result.movers
        },
        "rotation": {
            t.name: {
                "axes": t.count, **_law(t.law), "M_theta": _entry(t.M), "step": t.step,
                "tau_1": _tau(t.relaxations[0]), "tau_2": _tau(t.relaxations[1]),
            }
            for t in result.turners
        },
        "bjerrum_length": result.bjerrum, "conductivity": result.conductivity,
        "notes": list(result.notes), "mdcoeffs": __version__,
    }  # fmt: skip
    if result.jumps is not None:
        found["paddlewheel"] = {"jumps": result.jumps}
    if result.response is not None:
        r = result.response
        found["paddlewheel"] |= {
            "jumps_counted": r.events, "coupled": r.coupled, "chance": r.chance, "peak_excess": _entry(r.peak),
            "peak_delay": float(r.delay[int(np.argmax(r.excess))]), "lead": _entry(r.lead), "baseline": r.baseline,
        }  # fmt: skip
    if result.friction is not None:
        f = result.friction
        found["friction"] = {
            "A": f.A,
            "r_star": f.r_star,
            "covariance": f.covariance.tolist(),
            "scatter": f.scatter,
            "points": f.points,
        }
    plain: dict[str, Any] = _plain(found)
    return plain


def to_dataset(result: MobilityResult) -> Any:
    """All curves as an xarray Dataset with units.

    Parameters
    ----------
    result : MobilityResult
        The result.

    Returns
    -------
    xarray.Dataset
        Dimensions ``lag``, ``entity``, ``rotor``, ``order``, ``delay``; every curve with its ``_error``.
    """
    import xarray as xr

    movers, turners = result.movers, result.turners
    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {
        "lag": ("lag", movers[0].msd.lag, {"units": "s"}), "entity": [m.name for m in movers],
    }  # fmt: skip

    def put(name: str, dims: tuple[str, ...], values: Any, unit: str, long_name: str) -> None:
        variables[name] = (dims, np.array(values), {"units": unit, "long_name": long_name})

    put("msd", ("entity", "lag"), [m.msd.mean for m in movers], "m^2", "mean-squared displacement")
    put("msd_error", ("entity", "lag"), [m.msd.standard_error() for m in movers], "m^2", "its standard error")
    if turners:
        coordinates |= {"rotor": [t.name for t in turners], "order": [1, 2]}
        put("msad", ("rotor", "lag"), [t.msad.mean for t in turners], "rad^2", "mean-squared unwrapped angle")
        put("msad_error", ("rotor", "lag"), [t.msad.standard_error() for t in turners], "rad^2", "its standard error")
        put("correlation", ("rotor", "order", "lag"), [[c.mean for c in t.correlations] for t in turners], "1",
            "orientational autocorrelation")  # fmt: skip
        put("correlation_error", ("rotor", "order", "lag"),
            [[c.standard_error() for c in t.correlations] for t in turners], "1", "its standard error")  # fmt: skip
    if result.response is not None:
        coordinates["delay"] = ("delay", result.response.delay, {"units": "s"})
        put(
            "excess", ("delay",), result.response.excess, "rad", "reorientation of the cage after a jump, above average"
        )
        put("excess_error", ("delay",), result.response.error, "rad", "its standard error")
    attributes = {"title": result.title, "summary": json.dumps(summary(result)), "mdcoeffs": __version__}
    return xr.Dataset(variables, coordinates, attributes)


def write_results(result: MobilityResult, folder: Path) -> None:
    """Write ``mobility.nc``, ``table.csv`` and ``summary.json``, each whole or not at all.

    Parameters
    ----------
    result : MobilityResult
        The result.
    folder : Path
        Where to; must exist.
    """
    path = folder / "mobility.nc"
    partial = path.with_name(path.name + ".partial")
    to_dataset(result).to_netcdf(partial, engine="h5netcdf")
    partial.replace(path)
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([COLUMNS, *table(result)])
    (folder / "summary.json").write_text(json.dumps(summary(result), indent=2) + "\n", encoding="utf-8")


def lines_of(result: MobilityResult) -> list[str]:
    """What the command prints: exponents, order parameters, relaxation times, doubts.

    Parameters
    ----------
    result : MobilityResult
        The result.

    Returns
    -------
    list of str
    """
    low, high = result.window
    lines = [f"{result.title}: {result.temperature:g} K, window {low:.3g} to {high:.3g} s"]
    for m in result.movers:
        text = f"  {m.name:<10} alpha {_short(m.law.alpha)}"
        if m.M is not None:
            text += f", M {_short(m.M)}: {structure(m)}"
        lines.append(text)
    for t in result.turners:
        text = f"  {t.name:<10} alpha_theta {_short(t.law.alpha)}, M_theta {_short(t.M)}"
        for fit in t.relaxations:
            if math.isfinite(fit.tau):
                text += f", tau_{fit.order} {fit.tau:.3g} +- {fit.error:.2g} s"
        lines.append(text)
    if result.response is not None:
        r = result.response
        text = f"  paddlewheel: {r.events} jumps, cage turns {np.degrees(r.peak.value):.2g} degrees above average"
        if r.coupled:
            text += f", {_short(r.lead, 1e12)} ps after the jump; by chance {r.chance:.2g}"
        else:
            text = f"  paddlewheel: {r.events} jumps, no response of the cage beyond chance ({r.chance:.2g})"
        lines.append(text)
    if result.bjerrum is not None:
        lines.append(f"  Bjerrum length {result.bjerrum * 1e9:.3g} nm")
    if result.friction is not None:
        f = result.friction
        error = np.sqrt(np.diag(f.covariance))
        lines.append(
            f"  kappa = A r exp(-r/r*): A {f.A:.3g} +- {error[0]:.2g} S/m, r* {f.r_star:.3g} +- {error[1]:.2g}"
        )
    return lines + [f"  note     {note}" for note in result.notes]


def _short(one: Estimate | None, scale: float = 1.0) -> str:
    if one is None or not math.isfinite(one.value):
        return "unknown"
    if not math.isfinite(one.error):
        return f"{scale * one.value:.3g} (no error)"
    digits = 2 if one.error == 0 else max(0, 1 - math.floor(math.log10(scale * one.error)))
    return f"{scale * one.value:.{digits}f} +- {scale * one.error:.{digits}f}"


def _entry(one: Estimate) -> dict[str, Any]:
    return {"value": one.value, "standard_error": one.error, "interval": list(one.interval())}


def _law(law: Exponent) -> dict[str, Any]:
    return {"alpha": _entry(law.alpha), "prefactor": law.prefactor}


def _tau(fit: Relaxation) -> dict[str, Any]:
    if not math.isfinite(fit.tau):
        return {"value": None, "longest_lag": fit.longest}
    return {"value": fit.tau, "standard_error": fit.error, "interval": list(fit.interval()), "misfit": fit.misfit}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def mobility_figure(result: MobilityResult, path: str | Path) -> None:
    """Draw mean squares with their power laws, autocorrelations, and the response of the cage.

    Parameters
    ----------
    result : MobilityResult
        The result.
    path : str or Path
        PNG, PDF or SVG.
    """
    factor, unit = _time_unit(float(result.movers[0].msd.lag[-1]))
    panels = 1 + 2 * bool(result.turners) + (result.response is not None) + (result.friction is not None)
    columns = 1 if panels == 1 else 2
    rows = -(-panels // columns)
    note = f"{result.temperature:g} K; window in grey, dashed: fitted power laws; bands, bars: one standard error"
    if result.notes:
        note += ". " + "; ".join(result.notes)
    with drawing(path, rows, columns, title=result.title, note=note, width=TWO_COLUMNS if columns == 2 else 4.5,
                 height=2.5) as (_, axes):  # fmt: skip
        for spare in axes[panels:]:
            spare.remove()
        free = iter(axes)
        _laws(
            next(free), [(m.name, m.msd, m.law.alpha, m.law.prefactor) for m in result.movers], result.window, factor,
            unit, 1e20, label(r"$\langle\Delta r_i^2\rangle$", "Å²"), r"\alpha",
        )  # fmt: skip
        if result.turners:
            _laws(
                next(free), [(t.name, t.msad, t.law.alpha, t.law.prefactor) for t in result.turners], result.window,
                factor, unit, 1.0, label(r"$\langle\Delta\theta_i^2\rangle$", "rad²"), r"\alpha_\theta",
            )  # fmt: skip
            _decay(next(free), result, factor, unit)
        if result.response is not None:
            _cage(next(free), result.response)
        if result.friction is not None:
            _conductivity(next(free), result)


def _laws(
    axes: Axes, curves: list[tuple[str, Lagged, Estimate, float]], window: tuple[float, float], factor: float,
    unit: str, scale: float, text: str, symbol: str,
) -> None:  # fmt: skip
    for k, (name, msd, alpha, prefactor) in enumerate(curves):
        t, y, error = msd.lag * factor, msd.mean * scale, msd.standard_error() * scale
        shown = rf"{name}: ${symbol} = {alpha.value:.2f}$"
        colour = COLOURS[k % len(COLOURS)]
        axes.plot(t, y, color=colour, linestyle="", marker=MARKERS[k % len(MARKERS)], markersize=2.5, label=shown)
        axes.fill_between(t, np.maximum(y - error, 1e-3 * y), y + error, color=colour, alpha=0.2, linewidth=0)
        line = np.array(window)
        axes.plot(line * factor, prefactor * line**alpha.value * scale, color=colour, linestyle="--", linewidth=1.0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axvspan(window[0] * factor, window[1] * factor, color=GREY, alpha=0.15, linewidth=0, zorder=0)
    axes.set_xlabel(label("$t$", unit))
    axes.set_ylabel(text)
    axes.legend()


def _decay(axes: Axes, result: MobilityResult, factor: float, unit: str) -> None:
    for k, turner in enumerate(result.turners):
        colour = COLOURS[k % len(COLOURS)]
        for order, (C, fit) in enumerate(zip(turner.correlations, turner.relaxations, strict=True), start=1):
            t, y, error = C.lag * factor, C.mean, C.standard_error()
            axes.errorbar(t, y, error, color=colour, marker=MARKERS[order - 1], markersize=2.5, linestyle="",
                          elinewidth=0.6, markerfacecolor=colour if order == 1 else "none",
                          label=f"{turner.name}: $C_{order}$")  # fmt: skip
            if np.isfinite(fit.tau):
                x = np.geomspace(C.lag[0], fit.longest, 100)
                axes.plot(x * factor, np.exp(-x / fit.tau), color=colour, linestyle=DASHES[order])
    axes.set_xscale("log")
    axes.set_xlabel(label("$t$", unit))
    axes.set_ylabel(r"orientational autocorrelation $C_l$")
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    axes.legend()


def _cage(axes: Axes, found: Response) -> None:
    factor, unit = _time_unit(float(found.delay[-1]))
    t, y, error = found.delay * factor, np.degrees(found.excess), np.degrees(found.error)
    axes.fill_between(t, y - error, y + error, color=COLOURS[0], alpha=0.25, linewidth=0)
    axes.plot(t, y, color=COLOURS[0])
    axes.axvline(0.0, color=GREY, linestyle=":", linewidth=0.9)
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    axes.set_xlabel(label("time after the jump", unit))
    axes.set_ylabel(label("turn of the cage above average", "°"))
    told = "told from chance" if found.coupled else "not told from chance"
    axes.set_title(f"{found.events} jumps; {told} (p = {found.chance:.2g})", loc="right")


def _conductivity(axes: Axes, result: MobilityResult) -> None:
    fit, data = result.friction, result.friction_data
    assert fit is not None and data is not None
    r = np.array(data.r)
    error = None if data.error is None else 10 * np.array(data.error)
    axes.errorbar(r, 10 * np.array(data.kappa), error, color=COLOURS[6], marker="o", markerfacecolor="none",
                  linestyle="", label="data")  # fmt: skip
    x = np.linspace(0, 1.05 * r.max(), 200)
    axes.plot(x, 10 * fit.kappa(x), color=COLOURS[0], label=rf"$A\,r\,e^{{-r/r^*}}$, $r^* = {fit.r_star:.3g}$")
    axes.set_xlabel("$r$")
    axes.set_ylabel(label(r"$\kappa$", "mS/cm"))
    axes.set_ylim(bottom=0)
    axes.legend()


def _time_unit(longest: float) -> tuple[float, str]:
    units = ((1e15, "fs"), (1e12, "ps"), (1e9, "ns"), (1e6, "µs"))
    return next(((f, u) for f, u in units if longest * f < 2e3), units[-1])
