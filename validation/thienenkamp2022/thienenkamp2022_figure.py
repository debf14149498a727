"""The figure: profiles at five times, residuals, apparent resistance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from thienenkamp2022_cell import signal_size, the_case, without_shared
from thienenkamp2022_checks import Voltage

from cellsim.drawing import figstyle
from cellsim.fit.checks import Whiteness
from cellsim.fit.estimate import Estimate


def draw(path: Path, found: Estimate, look: Whiteness, voltage: Voltage) -> None:
    """Write it."""
    o = found.problem.observations[0]
    shape = look.residual.shape
    time = o.time.reshape(shape)[:, 0] / 3600
    assert o.position is not None
    z = o.position.reshape(shape)[0] * 1e3
    unit = found.values["gain"] * the_case().c0
    measured = (without_shared(found) - found.values["background"]) / unit
    fitted = signal_size(found)[1] / unit
    note = (
        "Left: points, raw signal over gain and c0, background and the pattern that stays in all profiles taken off, "
        "each profile shifted down by 0.15; lines, the fit under its point spread. Middle: residuals over their noise. "
        "Right: (measured - electrolyte voltage)/current with its 95 % band."
    )
    with figstyle.drawing(
        path, 1, 3, title="Thienenkamp 2022: PEO-LiTFSI at 40 °C, fit to the raw MRI profiles", note=note,
        width=figstyle.TWO_COLUMNS, height=2.6,
    ) as (figure, axes):  # fmt: skip
        profile, residual, resistance = axes
        rows = np.linspace(0, shape[0] - 1, 5).astype(int)
        for k, (row, colour) in enumerate(zip(rows, figstyle.shades(5), strict=True)):
            down = 0.15 * k
            figstyle.points(profile, z, measured[row] - down, color=colour, label=f"{time[row]:.1f} h")
            profile.plot(z, fitted[row] - down, color=colour)
        profile.set(xlabel="position on the scanner, $z$ (mm)", ylabel="signal / (gain $c_0$), shifted")
        profile.legend(loc="lower center")
        limit = 4.0
        image = residual.pcolormesh(z, time, look.residual, cmap="RdBu_r", vmin=-limit, vmax=limit, rasterized=True)
        residual.set(xlabel="position on the scanner, $z$ (mm)", ylabel="time $t$ (h)")
        figure.colorbar(image, ax=residual, label="residual / noise", pad=0.02)
        r = voltage.resistance
        resistance.fill_between(r.time / 3600, r.low / 1e3, r.high / 1e3, color=figstyle.COLOURS[1], alpha=0.3, lw=0)
        resistance.plot(r.time / 3600, r.value / 1e3, color=figstyle.COLOURS[1])
        resistance.set(xlabel="time $t$ (h)", ylabel="apparent resistance $R$ (kΩ)", yscale="log", ylim=(0.1, None))
