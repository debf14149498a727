"""Panels of the laboratory's figures: what the instrument records, what the analysis draws, the truth beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellsim.drawing import figstyle
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.properties import PRODUCT, PROPERTIES
from cellsim.model.small_signals import PEAK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cellsim.laboratory.bench import AnyBench, Bench, MixtureBench
    from cellsim.laboratory.reading import Reading, Record

BLUE, RED, GREEN = figstyle.COLOURS[:3]
SYMBOLS = {
    **{name: kind.symbol for name, kind in PROPERTIES.items()},
    "rho_plus": "$\\rho_+$",
    "t_plus_V": "$t_+^V$",
    "dU/dlnm": "$dU/d\\ln m$",
    "(1-t_plus)chi": PRODUCT,
    "R_int": "$R_{int}$",
    "alpha": "$\\alpha$",
    "beta": "$\\beta$",
}


def _ohm(values: np.ndarray) -> np.ndarray:
    return np.asarray(values) * 1e4


def nyquist(axes: Axes, bench: AnyBench, record: Record) -> None:
    """The spectrum in the complex plane, with the fitted circuit."""
    a = record.arrays
    figstyle.points(axes, _ohm(a["Z_real"]), -_ohm(a["Z_imag"]), label="recorded")
    axes.plot(_ohm(a["fit_real"]), -_ohm(a["fit_imag"]), color=BLUE, label="equivalent circuit")
    layer = bench.layer
    marks = np.cumsum([layer.bulk_resistance, layer.resistance, layer.diffusion_resistance])
    for mark, text in zip(marks, ("$R_b$", "$+R_{int}$", "$+R_d$"), strict=True):
        axes.plot(_ohm(mark), 0, "|", color=RED, markersize=9, markeredgewidth=1.3, clip_on=False, zorder=4)
        axes.annotate(
            text, (float(_ohm(mark)), 0), xytext=(2, -5), textcoords="offset points", color=RED, ha="center", va="top"
        )
    axes.plot([], [], "|", color=RED, markersize=7, label="true")
    axes.set_xlabel("Re $Z$ (Ω cm²)")
    axes.set_ylabel("$-$Im $Z$ (Ω cm²)")
    axes.set_xlim(0, 1.05 * float(_ohm(marks[-1])), auto=True)  # the aspect may widen them
    top = -float(_ohm(a["Z_imag"]).min())
    axes.set_ylim(-0.25 * top, 1.1 * top, auto=True)
    axes.set_aspect("equal", adjustable="datalim", anchor="SW")  # a semicircle must look like one
    figstyle.legend_above(axes, columns=3)


def bode(axes: Axes, bench: AnyBench, record: Record) -> None:
    """The real and the imaginary part against frequency."""
    a = record.arrays
    f = a["omega"] / (2 * np.pi)
    figstyle.points(axes, f, -_ohm(a["Z_imag"]))
    axes.plot(f, -_ohm(a["fit_imag"]), color=BLUE)
    axes.set_xscale("log")
    peak = PEAK * 4 / bench.diffusion_time / (2 * np.pi)
    axes.axvline(peak, color=RED, linestyle="--", linewidth=0.9)
    axes.annotate(
        "$\\omega = 10.16\\, D/L^2$",
        (peak, 1),
        xycoords=("data", "axes fraction"),
        xytext=(3, -2),
        textcoords="offset points",
        color=RED,
        va="top",
    )
    axes.set_ylim(0, 1.3 * float(-_ohm(a["Z_imag"]).min()))
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("$-$Im $Z$ (Ω cm²)")


def decay(axes: Axes, bench: AnyBench, record: Record) -> None:
    """The open-circuit voltage after the current, and the line through its logarithm."""
    a = record.arrays
    t, scale = (a["time"] / 3600, "h") if a["time"][-1] > 7200 else (a["time"] / 60, "min")
    every = slice(None, None, 8)
    figstyle.points(axes, t[every], 1e3 * np.abs(a["U"][every]), label="recorded")
    axes.plot(t, 1e3 * np.abs(a["line"]), color=BLUE, label="one exponential")
    low, high = sorted(1e3 * np.abs(a["window"]))
    axes.axhspan(low, high, color=figstyle.GREY, alpha=0.15, linewidth=0, label="read here")
    axes.set_yscale("log")
    gone = np.abs(a["U"]) < 5e-3 * abs(a["U"][0])
    last = t[np.argmax(gone)] if gone.any() else t[-1]
    axes.set_xlim(0, 1.05 * last)
    axes.set_ylim(1e3 * abs(a["U"][0]) * 3e-3, 1e3 * abs(a["U"][0]) * 1.5)
    axes.set_xlabel(f"time since the current stopped ({scale})")
    axes.set_ylabel("open-circuit voltage (mV)")
    _found(axes, record["D"])
    axes.legend(loc="upper right")


def current(axes: Axes, bench: AnyBench, record: Record) -> None:
    """The current under a held voltage, with the fractions read from it."""
    a = record.arrays
    t = a["time"] / bench.diffusion_time
    shown = t > 1e-6
    axes.plot(t[shown], a["i"][shown], color=BLUE, label="recorded")
    axes.set_xscale("log")
    axes.set_ylim(0, 1.15 * float(a["i_0"]))
    figstyle.reference(axes, float(a["i_0"]), "$i_0$, Ohm's law")
    figstyle.reference(axes, float(a["i_ss"]), "$i_{ss}$")
    axes.set_xlabel("$t\\,D/L^2$")
    axes.set_ylabel(figstyle.label("$i$", "A m$^{-2}$"))
    first, bare = record.readings
    text = f"$\\rho_+$ true {first.true:.3f}\ncorrected {first.inferred:.3f}\nbare $i_{{ss}}/i_0$ {bare.inferred:.3f}"
    axes.annotate(text, (0.03, 0.06), xycoords="axes fraction", va="bottom", linespacing=1.3)


def potential(axes: Axes, bench: Bench, record: Record) -> None:
    """U against the molality, with the true slope."""
    a = record.arrays
    noise = bench.noise.voltage
    figstyle.points(axes, a["m"], 1e3 * a["U"], 1e3 * noise if noise else None, label="recorded")
    axes.plot(a["curve_m"], 1e3 * a["curve_U"], color=BLUE, label=f"polynomial of order {record.conditions['order']}")
    m = float(bench.transport.m(bench.c))
    x = np.array([a["curve_m"][0], a["curve_m"][-1]])
    axes.plot(x, 1e3 * bench.slope * np.log(x / m), color=RED, linestyle="--", label="true slope at $c$")
    axes.set_xscale("log")
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.2g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(figstyle.label("$m$", "mol/kg", "molality"))
    axes.set_ylabel(figstyle.label("$U$", "mV"))
    axes.legend(loc="upper left")


def fading(axes: Axes, bench: Bench, record: Record) -> None:
    """How the voltage of a concentration cell fades as the salt mixes."""
    a = record.arrays
    axes.plot(a["late_time"], 1e3 * a["late_U"], color=BLUE)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.2e3 * float(a["late_U"][0]))
    axes.axvspan(a["late_time"][0], float(a["late_limit"]), color=figstyle.GREY, alpha=0.15, linewidth=0)
    axes.annotate("time to read", (0.03, 0.1), xycoords="axes fraction")
    axes.set_xlabel("$t\\,D/L^2$, $L$ the length of the tube")
    axes.set_ylabel("$U$ of the last cell (mV)")


def velocities(axes: Axes, bench: AnyBench, record: Record) -> None:
    """Velocities of ions and solvent over the cell."""
    a = record.arrays
    names = bench.transport.species if isinstance(bench.transport, MixtureSet) else ("cation", "anion", "solvent")
    for k in range(len(names)):
        colour = figstyle.COLOURS[k % len(figstyle.COLOURS)]
        axes.bar(k - 0.19, 1e6 * a["v"][k], 0.36, color=colour)
        axes.bar(k + 0.19, 1e6 * a["v_solvent"][k], 0.36, facecolor="white", edgecolor=colour, hatch="////")
        if bench.noise.velocity:
            axes.errorbar(k - 0.19, 1e6 * a["v"][k], 1e6 * a["error"][k], color="black", linewidth=0.8)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xticks(range(len(names)), names)
    axes.bar(0, 0, color=figstyle.GREY, label="in the lab")
    axes.bar(0, 0, facecolor="white", edgecolor=figstyle.GREY, hatch="////", label="less the solvent's")
    figstyle.legend_above(axes)
    axes.set_ylabel("velocity (µm s$^{-1}$)")


def frames(axes: Axes, bench: Bench, record: Record) -> None:
    """Transference numbers by frame."""
    solvent, lab, volume = record.readings
    rows = (
        (solvent.true, "true $t_+^0$", RED),
        (solvent.inferred, "less the solvent's", BLUE),
        (lab.inferred, "as in the lab", BLUE),
        (volume.true, "true $t_+^V$", RED),
    )
    for k, (value, _, colour) in enumerate(rows):
        axes.plot(value, -k, "D" if colour == RED else "o", color=colour, markersize=5)
        axes.annotate(f"{value:.3f}", (value, -k), xytext=(0, 4), textcoords="offset points", ha="center")
    axes.set_yticks([-k for k in range(4)], [row[1] for row in rows])
    axes.set_ylim(-3.6, 0.7)
    axes.margins(x=0.25)
    axes.set_xlabel("transference number")


def distances(axes: Axes, bench: AnyBench, record: Record) -> None:
    """Low-frequency resistances against the distance of the electrodes."""
    a = record.arrays
    x = np.linspace(0, 1.05 * a["thickness"].max(), 2)
    for key, line, colour, name in (
        ("R_low", "line_low", BLUE, "$\\omega \\to 0$"),
        ("R_high", "line_high", RED, "$\\omega \\to \\infty$"),
    ):
        figstyle.points(axes, 1e3 * a["thickness"], _ohm(a[key]))
        axes.plot(1e3 * x, _ohm(a[line][0] + a[line][1] * x), color=colour, label=name)
    axes.set_xlim(0, None)
    axes.set_ylim(0, None)
    axes.set_xlabel(figstyle.label("$L$", "mm", "distance"))
    axes.set_ylabel("Re $Z$ (Ω cm²)")
    axes.legend(loc="upper left")
    reading = record["rho_plus"]
    axes.annotate(
        f"$\\rho_+$ true {reading.true:.3f}\nslopes {reading.inferred:.3f}\none cell {record.readings[1].inferred:.3f}",
        (0.97, 0.04),
        xycoords="axes fraction",
        ha="right",
        va="bottom",
        linespacing=1.3,
    )


def compartments(axes: Axes, bench: Bench, record: Record) -> None:
    """The salt profile with the walls of the compartments."""
    a = record.arrays
    axes.plot(1e3 * a["x"], a["c"] / 1e3, color=BLUE)
    axes.axhline(bench.c / 1e3, color=figstyle.GREY, linestyle=":", linewidth=0.9)
    for wall in a["walls"][1:-1]:
        axes.axvline(1e3 * wall, color="black", linewidth=0.8)
    for k, name in enumerate(("anode", "middle", "cathode")):
        axes.annotate(name, ((k + 0.5) / 3, 1.02), xycoords="axes fraction", ha="center")
    axes.set_xlim(0, 1e3 * bench.thickness)
    axes.set_xlabel(figstyle.label("$x$", "mm"))
    axes.set_ylabel(figstyle.label("$c$", "mol/L"))


def carried(axes: Axes, bench: Bench, record: Record) -> None:
    """Transference numbers by compartment."""
    a = record.arrays
    x = np.arange(3)
    axes.bar(x - 0.19, 1e3 * a["salt"], 0.36, color=BLUE, label="in the volume")
    axes.bar(x + 0.19, 1e3 * a["excess"], 0.36, color=RED, hatch="////", edgecolor="white", label="per mass of solvent")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xticks(x, ["anode", "middle", "cathode"])
    axes.set_ylabel("salt gained (mmol m$^{-2}$)")
    figstyle.legend_above(axes)


def compartments_of_species(axes: Axes, bench: MixtureBench, record: Record) -> None:
    """How the amount of each component per reference solvent changed, with the walls of the compartments."""
    a = record.arrays
    for k, (name, change) in enumerate(zip(bench.transport.components, a["change"], strict=True)):
        axes.plot(1e3 * a["x"], 100 * change, label=name, linestyle=figstyle.DASHES[k % len(figstyle.DASHES)])
    for wall in a["walls"][1:-1]:
        axes.axvline(1e3 * wall, color="black", linewidth=0.8)
    axes.set_xlim(0, 1e3 * bench.thickness)
    axes.set_xlabel(figstyle.label("$x$", "mm"))
    axes.set_ylabel(f"change per {bench.transport.solvent} (%)")
    figstyle.legend_above(axes, columns=4)


def carried_of_species(axes: Axes, bench: MixtureBench, record: Record) -> None:
    """Moles of each component carried per faraday: the right and the wrong reading, and the truth."""
    names, x = bench.transport.components, np.arange(len(bench.transport.components))
    right, wrong = record.readings[::2], record.readings[1::2]
    axes.bar(x - 0.19, [r.inferred for r in right], 0.36, color=BLUE, label=f"relative to {bench.transport.solvent}")
    other = [r.inferred for r in wrong]
    axes.bar(x + 0.19, other, 0.36, color=GREEN, hatch="////", edgecolor="white", label=wrong[0].method)
    axes.hlines([r.true for r in right], x - 0.42, x + 0.42, color=RED, linewidth=1.3, label="true")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xticks(x, names)
    axes.set_ylabel("moles carried per faraday")
    figstyle.legend_above(axes, columns=2)


def differences(axes: Axes, bench: Bench, record: Record) -> None:
    """What the chain infers less the truth."""
    for k, reading in enumerate(record.readings):
        value, error = (
            100 * reading.difference,
            100 * (reading.error if reading.quantity in ("t_plus", "rho_plus") else reading.error / abs(reading.true)),
        )
        figstyle.points(axes, [value], [-k], color=BLUE if reading.holds else RED)
        axes.errorbar(value, -k, xerr=error, color=BLUE if reading.holds else RED, linewidth=0.9)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.axvspan(-2, 2, color=figstyle.GREY, alpha=0.15, linewidth=0)
    axes.set_xlim(*(m * max(2.6, 110 * max(abs(r.difference) for r in record.readings)) for m in (-1, 1)))
    axes.set_yticks([-k for k in range(len(record.readings))], [SYMBOLS[r.quantity] for r in record.readings])
    axes.set_xlabel("inferred less true (%; 0.01 of $t_+^0$, $\\rho_+$)")


def faults(axes: Axes, bench: Bench, record: Record) -> None:
    """t+0 with one thing done wrong at a time."""
    true = record.readings[0].true
    values = np.array([r.inferred for r in record.readings])
    for k, reading in enumerate(record.readings):
        axes.plot([true, reading.inferred], [-k, -k], color=figstyle.GREY, linewidth=0.8, zorder=1)
        axes.plot(reading.inferred, -k, "o", color=BLUE if k == 0 else RED, markersize=5)
        side = 1 if reading.inferred >= true else -1
        axes.annotate(
            f"{reading.inferred:.2f}",
            (reading.inferred, -k),
            xytext=(5 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
        )
    axes.axvline(true, color="black", linewidth=0.8)
    axes.set_yticks([-k for k in range(len(values))], [r.method for r in record.readings])
    axes.margins(x=0.15)
    axes.set_xlabel(f"$t_+^0$ inferred; the line is the true {true:.3g}")


def _found(axes: Axes, reading: Reading) -> None:
    """True and inferred value, in the lower left corner."""
    error = f" ± {reading.error:.1g}" if reading.error > 0 else ""
    text = f"{SYMBOLS[reading.quantity]} true {reading.true:.4g}\nread {reading.inferred:.4g}{error}"
    unit = {"m^2/s": " m²/s", "1": ""}.get(reading.unit, f" {reading.unit}")
    axes.annotate(text + unit, (0.03, 0.04), xycoords="axes fraction", va="bottom", linespacing=1.3)
