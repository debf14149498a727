"""Panels of the figures of what was measured: the record as points, the fit as a line, what was left out in grey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellsim.base import Array
from cellsim.drawing import figstyle
from cellsim.laboratory import figures as lab_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cellsim.laboratory.measured.quantity import Finding

BLUE, RED, GREEN = figstyle.COLOURS[:3]
SYMBOLS = lab_figures.SYMBOLS
SHOWN = 250
"""Recorded points drawn at most."""


def _clock(longest: float) -> tuple[float, str]:
    """Factor from seconds, and the unit, for an axis up to `longest` [s]."""
    return (1 / 3600, "h") if longest > 7200 else (1 / 60, "min") if longest > 300 else (1.0, "s")


def _thinned(size: int) -> slice:
    return slice(None, None, max(1, size // SHOWN))


def _current_unit(per_area: bool, top: float) -> tuple[float, str]:
    """Factor from SI, and the unit, for a current up to `top`."""
    if per_area:
        return 1.0, "A m$^{-2}$"
    units = ((1.0, "A"), (1e3, "mA"), (1e6, "µA"), (1e9, "nA"))
    return next((f, u) for f, u in units if top * f > 0.5 or u == "nA")


def relaxation(axes: Axes, finding: Finding) -> None:
    """The voltage at open circuit with the fitted course."""
    a = finding.arrays
    scale, unit = _clock(float(a["time"][-1]))
    some = _thinned(a["time"].size)
    figstyle.points(axes, scale * a["time"][some], 1e3 * a["U"][some], color=figstyle.GREY, label="recorded")
    window = scale * a["fit_time"][0], scale * a["fit_time"][-1]
    axes.axvspan(*window, color=figstyle.GREY, alpha=0.12, linewidth=0, label="window")
    axes.plot(scale * a["fit_time"], 1e3 * a["fit_U"], color=BLUE, label="fit", zorder=4)
    axes.axhline(1e3 * float(a["baseline"]), color=RED, linestyle="--", linewidth=0.9, label="baseline")
    axes.set_xlabel(f"time since the current stopped ({unit})")
    axes.set_ylabel(figstyle.label("$U$", "mV"))
    axes.legend(loc="best")


def relaxation_residuals(axes: Axes, finding: Finding) -> None:
    """Averages less the fit."""
    a = finding.arrays
    scale, unit = _clock(float(a["time"][-1]))
    _residuals(axes, scale * a["fit_time"], 1e6 * (a["average_U"] - a["fit_U"]))
    axes.set_xlabel(f"time since the current stopped ({unit})")
    axes.set_ylabel("averages less fit (µV)")


def _residuals(axes: Axes, x: Array, y: Array) -> None:
    figstyle.points(axes, x, y)
    axes.axhline(0, color=BLUE, linewidth=0.9)
    span = 1.3 * max(float(np.abs(y).max()), 1e-12)
    axes.set_ylim(-span, span)


def fraction(axes: Axes, finding: Finding) -> None:
    """The current under a held voltage with what was fitted at both ends."""
    a = finding.arrays
    later = a["time"] > 0
    factor, unit = _current_unit(finding.conditions["per_area"], float(np.abs(a["i"]).max()))
    t, i = a["time"][later], factor * a["i"][later]
    some = np.unique(np.searchsorted(t, np.geomspace(t[0], t[-1], SHOWN)).clip(max=t.size - 1))
    figstyle.points(axes, t[some], i[some], color=figstyle.GREY, label="recorded")
    order = np.argsort(a["fit_time"])
    time, fit = a["fit_time"][order], factor * a["fit_i"][order]
    early = finding.conditions["early_window"]
    parts = [time >= finding.conditions["late_window"][0]]
    parts += [time <= early[1]] if early is not None else []
    for part, label in zip(parts, ("fits", None), strict=False):
        axes.plot(time[part], fit[part], color=BLUE, label=label, zorder=4)
    axes.set_xscale("log")
    low, high = sorted((0.0, 1.18 * factor * float(a["i_0"])))
    axes.set_ylim(low, high)
    figstyle.reference(axes, factor * float(a["i_0"]), "$i_0$", above=True)
    figstyle.reference(axes, factor * float(a["i_ss"]), "$i_{ss}$")
    axes.set_xlabel("time since the step (s)")
    axes.set_ylabel(figstyle.label("$i$", unit))
    axes.legend(loc="best")


def fraction_residuals(axes: Axes, finding: Finding) -> None:
    """Averages of the late window less the fit, relative to the steady current."""
    a = finding.arrays
    scale, unit = _clock(float(a["time"][-1]))
    _residuals(axes, scale * a["late_time"], 100 * a["late_residual"] / abs(float(a["i_ss"])))
    axes.set_xlabel(f"time since the step ({unit})")
    axes.set_ylabel("averages less fit (% of $i_{ss}$)")


def nyquist(axes: Axes, finding: Finding) -> None:
    """The spectrum in the complex plane, with the fitted circuit."""
    a = finding.arrays
    scale, unit = (1e4, "Ω cm²") if finding.conditions["per_area"] else (1.0, "Ω")
    figstyle.points(axes, scale * a["Z_real"], -scale * a["Z_imag"], label="recorded")
    axes.plot(scale * a["fit_real"], -scale * a["fit_imag"], color=BLUE, label="circuit")
    marks = [finding["R_b"].value, finding["R_int"].value]
    names = ["$R_b$", "$+R_{int}$"]
    if any(one.quantity == "R_d" for one in finding.measured):
        marks.append(finding["R_d"].value)
        names.append("$+R_d$")
    for mark, name in zip(scale * np.cumsum(marks), names, strict=True):
        axes.plot(mark, 0, "|", color=RED, markersize=9, markeredgewidth=1.3, clip_on=False, zorder=4)
        axes.annotate(name, (mark, 0), xytext=(2, -5), textcoords="offset points", color=RED, ha="center", va="top")
    top = float(-scale * a["Z_imag"].min())
    axes.set_ylim(-0.28 * top, 1.1 * top, auto=True)  # the aspect may widen them
    axes.set_xlim(0, 1.06 * max(float(scale * np.sum(marks)), float(scale * a["Z_real"].max())), auto=True)
    axes.set_aspect("equal", adjustable="datalim", anchor="SW")  # a semicircle must look like one
    axes.set_xlabel(f"Re $Z$ ({unit})")
    axes.set_ylabel(f"$-$Im $Z$ ({unit})")
    figstyle.legend_above(axes)


def bode(axes: Axes, finding: Finding) -> None:
    """Residuals against the frequency."""
    a = finding.arrays
    f = a["omega"] / (2 * np.pi)
    figstyle.points(axes, f, 100 * a["residual_real"], color=BLUE, label="real part")
    figstyle.points(axes, f, 100 * a["residual_imag"], color=RED, marker="s", label="imaginary part")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xscale("log")
    span = 150 * max(float(np.abs(a["residual_real"]).max()), float(np.abs(a["residual_imag"]).max()), 1e-12)
    axes.set_ylim(-span, 1.2 * span)
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("points less circuit (% of $|Z|$)")
    axes.legend(loc="upper right")


def potentials(axes: Axes, finding: Finding) -> None:
    """U against the logarithm of the composition, with the slope that is wanted."""
    a = finding.arrays
    figstyle.points(axes, np.exp(a["x"]), 1e3 * a["U"], 1e3 * finding.conditions["noise"], label="recorded")
    axes.plot(np.exp(a["curve_x"]), 1e3 * a["curve_U"], color=BLUE, label="smooth curve")
    near = np.array([-0.35, 0.35]) * np.ptp(a["x"])
    axes.plot(
        np.exp(near), 1e3 * (float(a["zero"]) + float(a["slope"]) * near), color=RED, linestyle="--", label="slope"
    )
    axes.set_xscale("log")
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.2, 1.5, 2, 3, 5, 7, 8.5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.2g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    symbol = finding.conditions["against"]
    axes.set_xlabel(f"${symbol}$ over the one wanted")
    axes.set_ylabel(figstyle.label("$U$", "mV"))
    axes.legend(loc="upper left")


def limiting(axes: Axes, finding: Finding) -> None:
    """The current against the voltage, with the fitted approach to the plateau."""
    a = finding.arrays
    factor, unit = _current_unit(finding.conditions["per_area"], float(np.abs(a["i"]).max()))
    some = _thinned(a["V"].size)
    figstyle.points(axes, a["V"][some], factor * a["i"][some], color=figstyle.GREY, label="recorded")
    axes.plot(a["fit_V"], factor * a["fit_i"], color=BLUE, label="fit", zorder=4)
    i_L = factor * float(a["i_L"])
    axes.set_ylim(*sorted((0.0, 1.2 * i_L)))
    figstyle.reference(axes, i_L, "$i_L$", above=True)
    axes.set_xlabel(figstyle.label("$V$", "V"))
    axes.set_ylabel(figstyle.label("$i$", unit))
    axes.legend(loc="lower right")


def limiting_residuals(axes: Axes, finding: Finding) -> None:
    """Averages less the fit, relative to the plateau."""
    a = finding.arrays
    _residuals(axes, a["fit_V"], 100 * (a["average_i"] - a["fit_i"]) / abs(float(a["i_L"])))
    axes.set_xlabel(figstyle.label("$V$", "V"))
    axes.set_ylabel("averages less fit (% of $i_L$)")


def chain(axes: Axes, finding: Finding) -> None:
    """The numbers of a chain with their intervals, relative to the value."""
    shown = [one for one in finding.measured if one.value]
    for k, one in enumerate(shown):
        low, high = (100 * (end / one.value - 1) for end in one.interval)
        absolute = one.quantity in ("t_plus", "rho_plus")
        if absolute:
            low, high = (100 * (end - one.value) for end in one.interval)
        axes.plot(sorted((low, high)), [-k, -k], color=BLUE, linewidth=1.6)
        axes.plot(0, -k, "o", color=BLUE, markersize=4)
    axes.axvline(0, color=figstyle.GREY, linewidth=0.6, zorder=0)
    axes.set_yticks(
        [-k for k in range(len(shown))],
        [f"{SYMBOLS[one.quantity]} = {one.written()[0]}{one.written()[3]}" for one in shown],
    )
    axes.set_ylim(0.6 - len(shown), 0.4)
    axes.set_xlabel("95 % interval less the value (%; 0.01 of $t_+^0$, $\\rho_+$)")


def correlations(axes: Axes, finding: Finding) -> None:
    """How the four properties of the set err together."""
    names, matrix = ("kappa", "D", "t_plus", "chi"), finding.arrays["correlation"]
    axes.imshow(matrix, cmap="RdBu", vmin=-1, vmax=1)
    for j in range(4):
        for k in range(4):
            colour = "white" if abs(matrix[j, k]) > 0.6 else "black"
            axes.annotate(f"{matrix[j, k]:.2f}", (k, j), ha="center", va="center", color=colour)
    axes.set_xticks(range(4), [SYMBOLS[name] for name in names])
    axes.set_yticks(range(4), [SYMBOLS[name] for name in names])
    axes.set_title("correlation of the errors")
