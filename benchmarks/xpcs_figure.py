"""The figure of docs/xpcs.md: a synthetic series, its joint fit, the master curve and what the series can resolve.

    python benchmarks/xpcs_figure.py [FILE]

FILE defaults to build/xpcs.png. Nine rings, eighteen azimuths, v = 25 Å/s, a fixed seed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from cellsim.drawing import figstyle
from cellsim.instruments.xpcs.correlation import CorrelationSet, add_noise, geometry, heterodyne_g2, photon_error
from cellsim.instruments.xpcs.curves import fit_curves
from cellsim.instruments.xpcs.fit import fit_velocity
from cellsim.instruments.xpcs.window import master_curve, window_of

ANGSTROM = 1e-10


def series() -> CorrelationSet:
    """The synthetic series of the figure."""
    q, azimuth = geometry(np.linspace(0.0025, 0.0105, 9) * 1e10, np.deg2rad(np.arange(0, 360, 20.0)))
    tau = np.unique(np.round(np.geomspace(1, 300, 45)))
    tau0 = 80 * (0.006e10 / q) ** 1.5
    g2 = heterodyne_g2(q, azimuth, tau, v=25 * ANGSTROM, contrast=0.2, h=0.3, tau0=tau0, stretch=0.8)
    error = photon_error(g2, tau, frame_time=1.0, frames=1000, pixels=3000, counts=0.02)
    return add_noise(CorrelationSet(q, azimuth, tau, g2, error), 1)


def main(path: Path) -> None:
    """Fit and draw."""
    data = series()
    fit = fit_velocity(data)
    curves, master, window = fit_curves(data), master_curve(data, fit, largest_error=1.0), window_of(data, fit)
    note = (
        "Synthetic series, seed fixed: 18 azimuths x 9 q, noise from a photon count. Lines: one joint fit, "
        f"|v| = {fit.v / ANGSTROM:.2f} ± {fit.error / ANGSTROM:.2f} Å/s (true: 25). "
        "g2 gives |v|; the sign is the model's."
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with figstyle.drawing(path, 2, 2, note=note, width=figstyle.TWO_COLUMNS, height=2.4) as (_, axes):
        raw, line, collapsed, ratio = axes
        shown = np.flatnonzero((data.ring == 2) & (data.azimuth <= np.pi / 2 + 0.1))
        for k, (n, colour) in enumerate(zip(shown, figstyle.shades(shown.size), strict=True)):
            figstyle.points(raw, data.tau, data.g2[n] + 0.06 * k, data.error[n], color=colour)
            raw.plot(
                data.tau, fit.g2(data.tau)[n] + 0.06 * k, color=colour, label=f"{np.rad2deg(data.azimuth[n]):.0f}°"
            )
        raw.set(xscale="log", xlabel="delay $\\tau$ (s)", ylabel="$g_2$, each shifted by 0.06")
        figstyle.legend_above(raw, f"azimuth, $q$ = {data.ring_q[2] * ANGSTROM:.4f} Å$^{{-1}}$")
        along = data.q * np.abs(np.cos(data.azimuth)) * ANGSTROM
        seen = curves.seen
        figstyle.points(line, along[seen], curves.omega[seen], curves.omega_error[seen])
        line.plot([0, along.max()], [0, along.max() * fit.v / ANGSTROM], color=figstyle.COLOURS[0])
        line.set(xlabel="$q\\,|\\cos(\\mathrm{azimuth})|$ (Å$^{-1}$)", ylabel="frequency $\\omega$ (rad s$^{-1}$)")
        edges = np.linspace(0, 8 * np.pi / fit.v, 90)
        where, mean, error = master.binned(edges)
        figstyle.points(collapsed, where * ANGSTROM, mean, error)
        dense = np.linspace(0, edges[-1], 500)
        collapsed.plot(dense * ANGSTROM, np.cos(fit.v * dense), color=figstyle.COLOURS[0])
        collapsed.set(
            xlabel="$q\\,|\\cos(\\mathrm{azimuth})|\\,\\tau$ (s Å$^{-1}$)",
            ylabel="$\\cos\\omega\\tau$, envelope taken out",
            ylim=(-1.6, 1.6),
        )  # fmt: skip
        ratio.plot(window.v / ANGSTROM, window.ratio, color=figstyle.COLOURS[0])
        ratio.plot(window.v / ANGSTROM, window.needed, color=figstyle.GREY, linestyle=":", label="needed")
        ratio.axvspan(window.low / ANGSTROM, window.high / ANGSTROM, color="0.92", zorder=0)
        ratio.set(
            xscale="log", yscale="log", ylim=(1e-1, None), xlabel="$|v|$ (Å s$^{-1}$)",
            ylabel="likelihood ratio against\n$v$ = 0, expected",
        )  # fmt: skip
        ratio.legend()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/xpcs.png"))
