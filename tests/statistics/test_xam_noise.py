"""XAM with photon noise: unbiased, errors as stated, and as good as the photons allow. Seeds fixed beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from cellsim import TransportSet
from cellsim.instruments.attenuation import Attenuation, Line
from cellsim.instruments.xam import IntensityMap, concentration, counted, cramer_rao

PEO = TransportSet.constant(
    kappa=0.15, D=1e-11, t_plus=0.2, V_e=134.9e-6, V_0=39.99e-6, T=363.15, M_e=0.28708, M_0=0.04405
)
C_0 = PEO.c_of(r=0.1)
ONE = Attenuation((Line(1.18e-15, 1.0, 1.1304586, 0.0383708),))
TWO = Attenuation((Line(1.18e-15, 0.99, 1.1304586, 0.0383708), Line(3.53e-15, 0.01, 0.0473, 0.0018)))
PATH, DRAWS = 1e-3, 4000
C = np.linspace(0.3 * C_0, 1.7 * C_0, 15)


def expected(light: Attenuation, photons: float, scans: int) -> IntensityMap:
    """`scans` before, one after, at 15 concentrations side by side."""
    before = np.exp(-light.optical_depth(PEO, np.full(C.size, C_0), PATH))
    after = np.exp(-light.optical_depth(PEO, C, PATH))
    time = np.append(np.arange(1.0 - scans, 1.0), 1.0)
    return IntensityMap(time, np.arange(C.size) * 1e-4, photons * np.vstack([np.tile(before, (scans, 1)), after]))


@pytest.mark.parametrize(
    ("light", "photons", "scans", "monitor", "seed"),
    [
        (ONE, 1e3, 1, None, 71),
        pytest.param(ONE, 1e5, 1, None, 72, marks=pytest.mark.slow),
        pytest.param(ONE, 1e5, 8, None, 73, marks=pytest.mark.slow),
        pytest.param(ONE, 1e5, 4, 1e5, 74, marks=pytest.mark.slow),
        (TWO, 1e4, 2, None, 75),
    ],
)
def test_unbiased_calibrated_and_at_the_photon_limit(
    light: Attenuation, photons: float, scans: int, monitor: float | None, seed: int
) -> None:
    mean = expected(light, photons, scans)
    bound = cramer_rao(mean, C[None, :], PEO, light, PATH, monitor=monitor)[0]
    generator = np.random.default_rng(seed)
    found = [concentration(counted(mean, generator, monitor=monitor), PEO, light, PATH, C_0) for _ in range(DRAWS)]
    c = np.array([m.c[0] for m in found])
    error = np.array([m.error[0] for m in found if m.error is not None])
    rms = np.sqrt(np.mean((c - C) ** 2, axis=0))
    assert np.all(rms / bound < 1.1)  # measured: 0.976-1.037; one number of 4000 draws is good to 0.011
    bias = np.mean(c - C, axis=0) / bound
    assert np.all(np.abs(bias) < 4 / np.sqrt(DRAWS))  # 4 sigma for each of 75; measured: 2.2 at most
    inside = np.mean(np.abs(c - C) < 1.959964 * error, axis=0)
    assert np.all(np.abs(inside - 0.95) < 4.5 * np.sqrt(0.05 * 0.95 / DRAWS))
