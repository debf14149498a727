"""Hidden electrolytes for the tests of the laboratory: made up, strongly concentration-dependent."""

from __future__ import annotations

import numpy as np

from cellsim import TransportSet, load_set
from cellsim.laboratory import Bench, bench_of


def hidden(kind: str) -> TransportSet:
    """A made-up set: "2:1" like M X2, or "negative", 1:1 with t+0 from 0.1 to -0.9."""
    if kind == "2:1":
        return TransportSet.constant(
            kappa=1.0, D=1e-10, t_plus=0.3, V_e=9e-5, V_0=9e-5, T=310.0, z_plus=2, z_minus=-1, c_range=(20.0, 3000.0),
            name="hidden 2:1", kappa_source=lambda c, m, r: 2e-3 * c * np.exp(-c / 900),
            D_source=lambda c, m, r: 3e-10 * np.exp(-c / 2000), t_plus_source=lambda c, m, r: 0.35 - 2e-4 * c,
            chi_source=lambda c, m, r: 0.9 + 1.2e-3 * c,
        )  # fmt: skip
    return TransportSet.constant(
        kappa=1.0, D=1e-10, t_plus=0.3, V_e=1.3e-4, V_0=4e-5, T=363.15, c_range=(20.0, 4000.0), name="hidden negative",
        kappa_source=lambda c, m, r: 4e-4 * c * np.exp(-c / 1200),
        D_source=lambda c, m, r: 8e-12 * (1 + (c / 2000) ** 2),
        t_plus_source=lambda c, m, r: 0.1 - c / 3000, chi_source=lambda c, m, r: 1 + 0.8e-3 * c,
    )  # fmt: skip


def bench(name: str, c: float) -> Bench:
    """A bench with a shipped or a made-up set at c [mol/m^3]."""
    transport = hidden(name) if name in ("2:1", "negative") else load_set(name)
    return bench_of(transport, c)
