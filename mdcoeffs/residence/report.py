"""A residence analysis on disk and on paper: ``residence.nc``, ``summary.json``, the figure, a few lines of text."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import __version__
from cellsim.drawing.figstyle import COLOURS, DASHES, GREY, MARKERS, TWO_COLUMNS, drawing, label
from mdcoeffs.onsager.report import LEVEL, plain
from mdcoeffs.residence.analysis import Residence
from mdcoeffs.residence.lifetimes import Survival

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIT = ("a", "tau_0", "beta")
MEANING = {
    "continuous": "present in every frame from the origin on",
    "tolerant": "absences up to the tolerance bridged",
    "intermittent": "present at the origin and at the lag, whatever happened between",
}


def residence_summary(result: Residence) -> dict[str, Any]:
    """What ``summary.json`` holds.

    Parameters
    ----------
    result : Residence
        The result.

    Returns
    -------
    dict
        Ready for JSON; SI.
    """
    curves: dict[str, Any] = {}
    for (name, mode), one in result.curves.items():
        curves.setdefault(name, {})[mode] = _entry(one)
    found: dict[str, Any] = {
        "title": result.title, "cutoffs": dict(result.cutoffs), "tolerance": result.settings.tolerance,
        "frame_interval": result.dt, "frames": list(result.frames), "curves": curves, "absent": list(result.absent),
        "modes": {mode: MEANING[mode] for _, mode in result.curves}, "notes": list(result.notes),
        "mdcoeffs": __version__, "level": LEVEL,
    }  # fmt: skip
    ready: dict[str, Any] = plain(found)
    return ready


def _entry(one: Survival) -> dict[str, Any]:
    if one.fit is None or one.mean is None:
        return {"mean_time": None}
    fit = {name: {"value": float(one.fit.value[k]), "standard_error": float(one.fit.error[k])}
           for k, name in enumerate(FIT)}  # fmt: skip
    return {
        "mean_time": {"value": float(one.fit.value[3]), "interval": list(one.mean_interval(LEVEL)),
                      "extrapolated": bool(one.floor > 1 / math.e)},
        "fit": fit, "window": list(one.window),
    }  # fmt: skip


def write_residence(result: Residence, folder: Path) -> None:
    """Write ``residence.nc`` and ``summary.json`` into a folder that exists."""
    import xarray as xr

    names = list(dict.fromkeys(name for name, _ in result.curves))
    modes = list(dict.fromkeys(mode for _, mode in result.curves))
    lag = max((one.lag for one in result.curves.values()), key=len, default=np.zeros(1))
    C = np.full((len(names), len(modes), lag.size), np.nan)
    error = C.copy()
    for (name, mode), one in result.curves.items():
        where = names.index(name), modes.index(mode), slice(one.lag.size)
        C[where], error[where] = one.C.value, one.C.error
    data = xr.Dataset(
        {"C": (("bond", "mode", "lag"), C, {"units": "1"}),
         "C_error": (("bond", "mode", "lag"), error, {"units": "1"})},
        {"bond": names, "mode": modes, "lag": ("lag", lag, {"units": "s"})},
        {"title": result.title, "mdcoeffs": __version__, "summary": json.dumps(residence_summary(result))},
    )  # fmt: skip
    partial = folder / "residence.nc.partial"
    data.to_netcdf(partial, engine="h5netcdf")
    partial.replace(folder / "residence.nc")
    text = json.dumps(residence_summary(result), indent=2) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8")


def residence_lines(result: Residence) -> list[str]:
    """What the command prints.

    Parameters
    ----------
    result : Residence
        The result.

    Returns
    -------
    list of str
    """
    factor, unit = _unit(result)
    lines = [f"{result.title}: residence, {sum(result.frames)} frames {result.dt * factor:.3g} {unit} apart"]
    for (name, mode), one in result.curves.items():
        text = f"  {name:<18} {mode:<13} "
        if one.fit is None:
            lines.append(text + "no fit")
            continue
        low, high = one.mean_interval(LEVEL)
        lines.append(
            text + f"{one.fit.value[3] * factor:.4g} {unit} (95 %: {low * factor:.4g} to {high * factor:.4g}), "
            f"beta {one.fit.value[2]:.2f}"
        )
    lines += [f"  {name:<18} exists in no frame" for name in result.absent]
    return lines + [f"  note       {note}" for note in result.notes]


def _unit(result: Residence) -> tuple[float, str]:
    longest = result.dt * max(result.frames)
    return next(((f, u) for f, u in ((1e15, "fs"), (1e12, "ps"), (1e9, "ns")) if longest * f < 5e4), (1e6, "µs"))


def residence_figure(result: Residence, path: str | Path) -> None:
    """Autocorrelations of sites and of linkers with their fits, and mean times.

    Parameters
    ----------
    result : Residence
        The result.
    path : str or Path
        PNG, PDF or SVG.
    """
    factor, unit = _unit(result)
    note = (
        f"{sum(result.frames)} frames. Points: continuous correlations (present in every frame), bars 95 %; lines: "
        f"a exp(-(t/tau)^beta). " + "; ".join(result.notes)
    )
    names = list(dict.fromkeys(name for name, _ in result.curves))
    sites = [name for name in names if "-site(" in name]
    ions = [f"{result.settings.shells.cation}-{name}" for name in result.settings.shells.anions]
    links = [name for name in names if name in ions or name.startswith("anion-")]
    with drawing(path, 1, 3, title=result.title, note=note, width=TWO_COLUMNS, height=2.6) as (_, axes):
        _curves(axes[0], result, sites, factor, unit)
        _times(axes[1], result, names, factor, unit)
        _curves(axes[2], result, links, factor, unit)


def _curves(axes: Axes, result: Residence, names: list[str], factor: float, unit: str) -> None:
    last = 1.0
    for k, name in enumerate(names):
        one = result.curves[name, "continuous"]
        colour = COLOURS[k % len(COLOURS)]
        shown = (one.lag > 0) & (one.C.value > 1e-3)
        low, high = one.C.interval(LEVEL)
        axes.errorbar(one.lag[shown] * factor, one.C.value[shown],
                      yerr=np.nan_to_num([(one.C.value - low)[shown], (high - one.C.value)[shown]]), color=colour,
                      linestyle="none", marker=MARKERS[k % len(MARKERS)], markersize=2.5, elinewidth=0.7,
                      label=name)  # fmt: skip
        if one.fit is not None:
            t = np.geomspace(one.window[0], one.window[1], 200)
            axes.plot(t * factor, one.curve(t), color=colour, linestyle=DASHES[k % len(DASHES)], linewidth=0.9)
        last = max(last, float(one.lag[shown][-1]) * factor if shown.any() else 1.0)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.05)
    axes.set_xlabel(label("$t$", unit, "lag"))
    axes.set_ylabel(label("$C$", ""))
    if names:
        axes.legend(loc="lower left", fontsize="x-small")


def _times(axes: Axes, result: Residence, names: list[str], factor: float, unit: str) -> None:
    modes = list(dict.fromkeys(mode for _, mode in result.curves))
    for m, mode in enumerate(modes):
        for k, name in enumerate(names):
            one = result.curves[name, mode]
            if one.fit is None:
                continue
            low, high = (v * factor for v in one.mean_interval(LEVEL))
            value = one.fit.value[3] * factor
            hollow = one.floor > 1 / math.e
            error = [[max(value - low, 0.0)], [max(high - value, 0.0)]] if np.isfinite(high) else None
            axes.errorbar([k + 0.2 * (m - 0.5 * (len(modes) - 1))], [value], yerr=error, color=COLOURS[m],
                          marker=MARKERS[m], markersize=4, markerfacecolor="white" if hollow else COLOURS[m],
                          linestyle="none", elinewidth=1, capsize=2, ecolor=GREY,
                          label=mode if k == 0 else None)  # fmt: skip
    axes.set_yscale("log")
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize="x-small")
    axes.set_ylabel(label(r"$\tau$", unit, "mean time"))
    axes.legend(fontsize="x-small", title="hollow: extrapolated", title_fontsize="x-small")
