"""An activity analysis on disk and on paper: ``activity.csv``, ``summary.json``, the figure, a few lines of text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, __version__
from cellsim.drawing.figstyle import COLOURS, GREY, TWO_COLUMNS, drawing, label
from mdcoeffs.activity.fluctuations import Activity
from mdcoeffs.onsager.report import LEVEL, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def activity_summary(result: Activity) -> dict[str, Any]:
    """What ``summary.json`` holds.

    Parameters
    ----------
    result : Activity
        The result.

    Returns
    -------
    dict
        Ready for JSON; SI.
    """
    low, high = result.interval(LEVEL)
    names = ("G_ss", "G_s0", "G_00")
    G = result.pairs.integrals
    found: dict[str, Any] = {
        "title": result.title, "c": result.c, "T": result.T, "chi": result.chi, "standard_error": result.error,
        "interval": [low, high], "basis": "molal", "route": result.route,
        "routes": {name: {"chi": chi, "standard_error": error} for name, (chi, error) in result.routes.items()},
        "share_of_waves": result.share,
        "difference": {"value": result.difference[0], "standard_error": result.difference[1]},
        "phi_0": {"value": result.phi_0[0], "standard_error": result.phi_0[1]},
        "screening_length": {"value": result.screening_length[0], "standard_error": result.screening_length[1]},
        "integrals": {
            name: {"value": float(G.value[k]), "standard_error": float(G.error[k])} for k, name in enumerate(names)
        },
        "numbers": list(result.numbers), "volume": result.volume, "frames": list(result.frames),
        "notes": list(result.notes), "mdcoeffs": __version__, "level": LEVEL,
    }  # fmt: skip
    ready: dict[str, Any] = plain(found)
    return ready


def write_activity(result: Activity, folder: Path) -> None:
    """Write ``summary.json``, ``waves.csv`` and ``pairs.csv`` into a folder that exists."""
    text = json.dumps(activity_summary(result), indent=2) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8")
    w, p = result.waves, result.pairs
    _table(folder / "waves.csv", "k_per_nm,Y,Y_error,independent,chi_of_k_fitted",
           [w.k * 1e-9, w.Y.value, w.Y.error, w.limit.independent, w.limit.curve])  # fmt: skip
    _table(folder / "pairs.csv", "L_nm,Y,Y_error", [p.reach * 1e9, p.running.value, p.running.error])


def _table(path: Path, head: str, columns: list[Array]) -> None:
    np.savetxt(path, np.stack(columns, axis=1), delimiter=",", header=head, comments="", fmt="%.6g")


def activity_lines(result: Activity) -> list[str]:
    """What the command prints.

    Parameters
    ----------
    result : Activity
        The result.

    Returns
    -------
    list of str
    """
    low, high = result.interval(LEVEL)
    w, p = result.routes["waves"], result.routes["pairs"]
    lines = [
        f"{result.title}: {result.c / 1000:.4g} mol/L, {sum(result.frames)} frames, {result.numbers[0]} ions",
        f"  chi        {result.chi:.3g} +- {result.error:.2g}, 95 % interval {low:.3g} to {high:.3g} ({result.route})",
        f"  waves      {w[0]:.3g} +- {w[1]:.2g}",
        f"  pairs      {p[0]:.3g} +- {p[1]:.2g}",
        f"  difference {result.difference[0]:+.2g} +- {result.difference[1]:.2g}",
        f"  phi_0      {result.phi_0[0]:.4g} +- {result.phi_0[1]:.2g} from the same fluctuations",
    ]
    if np.isfinite(result.screening_length[0]):
        length, error = (one * 1e9 for one in result.screening_length)
        lines.append(f"  screening  {length:.3g} +- {error:.2g} nm")
    return lines + [f"  note       {note}" for note in result.notes]


def activity_figure(result: Activity, path: str | Path) -> None:
    """Both routes: 1/Y against k^2 with its limit, and 1/Y against the reach of the integrals.

    Parameters
    ----------
    result : Activity
        The result.
    path : str or Path
        PNG, PDF or SVG.
    """
    note = f"{sum(result.frames)} frames of {result.numbers[0]} ions; bars and bands: one standard error. " + "; ".join(
        result.notes
    )
    with drawing(path, 1, 2, title=f"{result.title}, {result.c / 1000:.3g} mol/L", note=note, width=TWO_COLUMNS,
                 height=2.4) as (_, axes):  # fmt: skip
        _waves(axes[0], result)
        _pairs(axes[1], result)
        for one in axes:
            one.axhspan(result.chi - result.error, result.chi + result.error, color=COLOURS[2], alpha=0.25, linewidth=0)
            one.axhline(result.chi, color=COLOURS[2], label=r"$\chi$" + f", {result.route}")
            one.legend()
        low = min(axes[0].get_ylim()[0], axes[1].get_ylim()[0])
        high = max(axes[0].get_ylim()[1], axes[1].get_ylim()[1])
        for one in axes:
            one.set_ylim(low, high)


def _waves(axes: Axes, result: Activity) -> None:
    w = result.waves
    x = (w.k * 1e-9) ** 2
    axes.errorbar(x, 1 / w.Y.value, w.Y.error / w.Y.value**2, fmt="o", color=COLOURS[0], markersize=3,
                  label="waves of the box")  # fmt: skip
    axes.plot(x, w.limit.curve, color=GREY, label="models, averaged")
    chi, error = result.routes["waves"]
    axes.errorbar([0], [chi], [error], fmt="s", color=COLOURS[1], markersize=4, label=r"limit $k \to 0$")
    axes.set_xlabel(label("$k^2$", "nm$^{-2}$"))
    axes.set_ylabel(label("$1/Y$", ""))


def _pairs(axes: Axes, result: Activity) -> None:
    p = result.pairs
    reach, chi = p.reach * 1e9, 1 / p.running.value
    band = p.running.error / p.running.value**2
    axes.plot(reach, chi, color=COLOURS[0], label="pairs within $L$")
    axes.fill_between(reach, chi - band, chi + band, color=COLOURS[0], alpha=0.25, linewidth=0)
    axes.axvspan(reach[p.plateau][0], reach[-1], color=GREY, alpha=0.15, linewidth=0, label="averaged")
    axes.set_xlabel(label("$L$", "nm"))
    axes.set_ylabel(label("$1/Y$", ""))
