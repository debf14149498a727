"""Very-low-frequency impedance at several distances: the anion-blocking transference number, alpha and beta."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cellsim.constants import F
from cellsim.equations import thermal_voltage
from cellsim.laboratory.bench import Bench
from cellsim.laboratory.impedance import impedance, step_impedance
from cellsim.laboratory.reading import Check, Reading, Record, swing_checks
from cellsim.onsager import OnsagerMatrix

Array = NDArray[np.float64]

REFERENCE = "Wohde, Balabajew & Roling, J. Electrochem. Soc. 163 (2016) A714, doi:10.1149/2.0811605jes"


def onsager_of(
    kappa: float, t_plus: float, rho_plus: float, *, z: tuple[int, int], nu: tuple[int, int], c: float, T: float
) -> OnsagerMatrix:
    """The Onsager matrix, solvent frame, that has this conductivity, transference number and current fraction.

    Omega_+- = (t+0 - rho+)(1 - t+0) kappa/(F^2 z+ z- (1 - rho+)); the diagonal then follows from kappa and t+0.

    Parameters
    ----------
    kappa : float
        Conductivity [S/m].
    t_plus, rho_plus : float
        Transference number, solvent frame, and current fraction below 1 [1].
    z, nu : tuple of int
        Charges and stoichiometric numbers, cation first.
    c : float
        Salt concentration [mol/m^3].
    T : float
        Temperature [K].

    Returns
    -------
    OnsagerMatrix

    References
    ----------
    Inverse of Eqs. 6, 7 and 14 of Shao & Zhang 2023, doi:10.1063/5.0155301.
    """
    S, t_minus = kappa / F**2, 1 - t_plus
    cross = (t_plus - rho_plus) * t_minus * S / (z[0] * z[1] * (1 - rho_plus))
    plus = (t_plus * S / z[0] - z[1] * cross) / z[0]
    minus = (t_minus * S / z[1] - z[0] * cross) / z[1]
    return OnsagerMatrix(np.array([[plus, cross], [cross, minus]]), z, nu, c, T, "solvent")


def low_frequency_impedance(
    bench: Bench, *, lowest: float = 0.02, factors: Sequence[float] = (0.5, 1.0, 2.0), voltage: float = 0.01
) -> Record:
    """Z(w -> 0) and Z(w -> infinity) of cells of several thicknesses; both grow with L, the interfaces do not.

    rho+ = slope of R_high against L over slope of R_low. For a z:z salt, with D from the same spectrum and the
    thermodynamic factor known from elsewhere, t+0 follows, and with it Wohde and Roling's alpha and beta.

    Parameters
    ----------
    bench : Bench
        The middle cell.
    lowest : float
        Lowest frequency, as w L^2/(4 D) of each cell [1].
    factors : sequence of float
        Thicknesses in units of the bench's [1].
    voltage : float
        Voltage that the current reaches at zero frequency [V].

    Returns
    -------
    Record
    """
    transport, layer = bench.transport, bench.layer
    noise = bench.noise.impedance
    draws = bench.noise.draw(6, 2 * len(factors)).reshape(2, -1)
    thickness, low, high = [], [], []
    small: tuple[Check, ...] = ()
    for k, factor in enumerate(factors):
        cell = bench.changed(thickness=factor * bench.thickness)
        omega = np.array([lowest, 1e9]) * 4 / cell.diffusion_time
        Z, solution = step_impedance(cell, omega, voltage)
        thickness.append(cell.thickness)
        low.append(Z[0].real * (1 + noise * draws[0, k]))
        high.append(Z[1].real * (1 + noise * draws[1, k]))
        if factor == 1.0 or not small:
            small = swing_checks(transport, bench.c, solution)
    lines = [_line(np.array(thickness), np.array(y), noise) for y in (high, low)]
    (s_high, e_high), (s_low, e_low) = (line[:2] for line in lines)
    rho = s_high / s_low
    error = abs(rho) * float(np.hypot(e_high / s_high, e_low / s_low))
    at_one = int(np.argmin(np.abs(np.array(factors) - 1)))
    bare = Check("interfacial per bulk resistance, not taken out", layer.resistance / layer.bulk_resistance, 0.01)
    reached = Check("lowest frequency, w L^2/(4 D)", lowest, 0.25)
    checks = (*small, reached)
    readings = [
        Reading("rho_plus", "1", bench.rho_plus, rho, error, "slopes against the distance", checks),
        Reading(
            "rho_plus",
            "1",
            bench.rho_plus,
            high[at_one] / low[at_one],
            rho * noise * np.sqrt(2),
            "one cell, R_high/R_low",
            (*checks, bare),
        ),
    ]
    salt = {
        "z": (transport.z_plus, transport.z_minus),
        "nu": (transport.nu_plus, transport.nu_minus),
        "c": bench.c,
        "T": transport.T,
    }
    if transport.z_plus == -transport.z_minus and rho < 1:
        D = impedance(bench, voltage=voltage, lowest=min(lowest, 0.05))["D"]
        scale = (
            thermal_voltage(transport) * layer.chi / (transport.z_plus * transport.nu_plus * F * D.inferred * bench.c)
        )
        t_plus = 1 - float(np.sqrt((1 / rho - 1) / (scale / s_high)))
        relative = 0.5 * float(np.hypot(np.hypot(e_low, e_high) / (s_low - s_high), D.error / D.inferred))
        found = onsager_of(1 / s_high, t_plus, rho, **salt).wohde_roling()  # type: ignore[arg-type]
        true = onsager_of(layer.kappa, layer.t_plus, bench.rho_plus, **salt).wohde_roling()  # type: ignore[arg-type]
        sign = Check("t+0 above 1, which a square cannot tell", max(layer.t_plus - 1, 0.0), 0.0)
        checks = (*checks, sign)
        readings += [
            Reading(
                "t_plus", "1", layer.t_plus, t_plus, (1 - t_plus) * relative, "rho+, D of the arc, chi known", checks
            ),
            Reading("beta", "1", true.beta, found.beta, relative / (1 - t_plus), "t+0/(1 - t+0)", checks),
            Reading(
                "alpha", "1", true.alpha, found.alpha, float("nan") if noise else 0.0, "from rho+ and beta", checks
            ),
        ]
    return Record(
        "low_frequency_impedance",
        "Very-low-frequency impedance",
        "the frequency is low enough, and the interfaces are the same at every distance",
        REFERENCE,
        tuple(readings),
        {
            "thickness": np.array(thickness),
            "R_low": np.array(low),
            "R_high": np.array(high),
            "line_high": np.array(lines[0][2]),
            "line_low": np.array(lines[1][2]),
        },
        {"lowest": lowest, "voltage": voltage},
    )


def _line(x: Array, y: Array, noise: float) -> tuple[float, float, Array]:
    """Slope of a line weighted by 1/y, its error for relative noise, and (intercept, slope)."""
    columns = np.stack([1 / y, x / y], axis=1)
    found = np.linalg.lstsq(columns, np.ones_like(y), rcond=None)[0]
    covariance = np.linalg.inv(columns.T @ columns) * noise**2
    return float(found[1]), float(np.sqrt(covariance[1, 1])), np.asarray(found)
