"""Raw MRI signal -> profiles.csv: salt concentration against position, for drawing over a prediction.

    python cases/thienenkamp2022/prepare_profiles.py

The steps, all linear in the signal:

1. Only the columns that belong to the polarisation, the first 46.
2. Background: the mean signal more than 0.4 mm outside the cell, taken off each profile.
3. Edges: where the first profile passes half of its plateau (the median between 1.4 and 2.2 mm), linear between pixels.
4. Scale: one factor for all profiles, such that the first one's mean over the kept pixels is c0.
5. Pixels closer than 0.08 mm to an edge are dropped: there the point spread mixes in what lies outside.
6. The positive electrode is the one near which the signal rises, the upper one: position = upper edge - z.

Nothing is smoothed, the total signal is left to vary (by up to 2 % from profile to profile), no coil sensitivity is
corrected.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HERE = Path(__file__).parent
C_0 = 1869.86
"""Salt concentration before the polarisation [mol/m^3]: r = 0.1 with V_e = 134.9, V_0 = 39.99 cm^3/mol."""
POLARISATION = 46
"""Number of profiles that belong to the polarisation."""
INTERVAL = 513.0
"""Time from one profile to the next [s]."""
OUTSIDE, BLUR = 0.4, 0.08
"""Distance from the edges beyond which there is background only, and within which the blur matters [mm]."""


def edges(z: Array, signal: Array, background: float) -> tuple[float, float]:
    """Where `signal` passes half its plateau, lower and upper edge, in the unit of `z`."""
    level = background + 0.5 * (np.median(signal[(z > 1.4) & (z < 2.2)]) - background)
    above = np.flatnonzero(signal > level)
    low, high = int(above[0]), int(above[-1])
    return (
        float(np.interp(level, signal[[low - 1, low]], z[[low - 1, low]])),
        float(np.interp(level, signal[[high + 1, high]], z[[high + 1, high]])),
    )


def prepare(raw: Array) -> tuple[Array, Array, float]:
    """The steps above.

    Parameters
    ----------
    raw : ndarray, shape (pixels, 1 + profiles)
        z [mm], then one column of signal per profile.

    Returns
    -------
    position : ndarray, shape (kept,)
        Distance from the positive electrode, increasing [mm].
    c : ndarray, shape (kept, 46)
        Salt concentration [mol/m^3].
    thickness : float
        Distance of the edges [mm].
    """
    z, signal = raw[:, 0], raw[:, 1 : 1 + POLARISATION]
    low, high = 1.2, 2.4
    for _ in range(3):  # where the background is read depends on the edges, weakly
        outside = (z < low - OUTSIDE) | (z > high + OUTSIDE)
        low, high = edges(z, signal[:, 0], float(np.mean(signal[outside, 0])))
    net = signal - np.mean(signal[outside], axis=0)
    kept = (z > low + BLUR) & (z < high - BLUR)
    c = net[kept] * (C_0 / np.mean(net[kept, 0]))
    return (high - z[kept])[::-1], c[::-1], high - low


def main() -> None:
    """Write profiles.csv."""
    position, c, thickness = prepare(np.loadtxt(HERE / "Li_Li_profiles_raw.csv", delimiter=",", skiprows=1))
    header = ["x_mm"] + [f"{k * INTERVAL:g}" for k in range(POLARISATION)]
    rows = [[f"{x:.4f}", *(f"{value:.1f}" for value in row)] for x, row in zip(position, c, strict=True)]
    lines = [
        "# Salt concentration in mol/m^3 from the raw MRI signal by prepare_profiles.py; CC0 1.0, see README.md.",
        f"# Thickness between the half-maximum edges of the first profile: {thickness:.3f} mm. Header: time in s.",
        *(",".join(row) for row in [header, *rows]),
    ]
    (HERE / "profiles.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
