"""A mobility analysis on disk and in words: ``mobility.nc``, ``table.csv``, ``summary.json``, lines of text."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from cellsim import __version__
from mdcoeffs.lagged import Estimate
from mdcoeffs.mobility import Exponent
from mdcoeffs.mobility_result import MobilityResult, Mover
from mdcoeffs.rotation import Relaxation

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
