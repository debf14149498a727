"""The four experiments of Balsara and Newman: impedance, restricted diffusion, steady current, concentration cell.

`misuse` does the same with one thing done wrong at a time: what t+0 it then gives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cellsim.base import F, RangeError
from cellsim.laboratory import figures
from cellsim.laboratory.bench import Bench
from cellsim.laboratory.concentration_cell import concentration_cell
from cellsim.laboratory.current_fraction import current_fraction
from cellsim.laboratory.impedance import impedance
from cellsim.laboratory.reading import Check, Reading, Record
from cellsim.laboratory.restricted_diffusion import restricted_diffusion
from cellsim.model.steady import depleting_voltage, steady_state

REFERENCE = "Balsara & Newman, J. Electrochem. Soc. 162 (2015) A2720, doi:10.1149/2.0651514jes"


def solve_chain(
    kappa: float, D: float, rho_plus: float, slope: float, c: float, *, K: float, charge: float
) -> tuple[float, float]:
    """t+0 and chi from what four experiments give, for any valence.

    With dU/dln m = K (1 - t+0) chi, the Newman number is Ne = kappa (1 - t+0) dU/dln m/(z+ nu+ F D c), so that::

        1 - t+0 = z+ nu+ F D c (1/rho+ - 1)/(kappa dU/dln m),   chi = dU/dln m/(K (1 - t+0))

    Parameters
    ----------
    kappa : float
        Conductivity, from impedance [S/m].
    D : float
        Salt diffusion coefficient, from restricted diffusion [m^2/s].
    rho_plus : float
        Current fraction, from the steady current [1].
    slope : float
        dU/dln m, from concentration cells [V].
    c : float
        Salt concentration [mol/m^3].
    K : float
        nu R T/(F z+ nu+) [V].
    charge : float
        z+ nu+ F [C/mol].

    Returns
    -------
    t_plus, chi : float
        Solvent frame; molal basis [1].

    References
    ----------
    Balsara & Newman 2015, doi:10.1149/2.0651514jes, Eqs. for 1:1 salts; here for any valence.
    """
    t_minus = charge * D * c * (1 / rho_plus - 1) / (kappa * slope)
    return 1 - t_minus, slope / (K * t_minus)


def chain(bench: Bench, *, voltage: float = 0.01) -> Record:
    """Do the four experiments as they should be done and put them together.

    Parameters
    ----------
    bench : Bench
        The electrolyte and the cell.
    voltage : float
        Of the small signals [V].

    Returns
    -------
    Record
        As :func:`assemble`.
    """
    spectrum = impedance(bench, voltage=voltage)
    return assemble(
        bench,
        spectrum,
        restricted_diffusion(bench, voltage=voltage),
        steady_current(bench, spectrum, voltage=voltage),
        concentration_cell(bench),
    )


def steady_current(bench: Bench, spectrum: Record, **how: Any) -> Record:
    """The steady current, with the resistances that a spectrum of the same cell has given.

    Parameters
    ----------
    bench : Bench
        The cell.
    spectrum : Record
        Of :func:`~cellsim.laboratory.impedance.impedance`.
    **how
        Voltage and durations, as :func:`~cellsim.laboratory.current_fraction.current_fraction` takes them.

    Returns
    -------
    Record
    """
    R = spectrum.conditions
    R_i = R["R_i"] if bench.resistance else 0.0
    return current_fraction(bench, R_high=R["R_high"], R_high_error=R["R_high_error"], R_i=R_i, **how)


def assemble(
    bench: Bench,
    spectrum: Record,
    diffusion: Record,
    steady: Record,
    potential: Record,
    *,
    corrected: bool = True,
    area_ratio: float = 1.0,
    thickness_ratio: float = 1.0,
) -> Record:
    """Put four experiments together.

    kappa and rho+ enter 1 - t+0 only as R_d = V/i_ss - (R_b + R_i), so with noise their common error is counted once.

    Parameters
    ----------
    bench : Bench
        The electrolyte and the cell.
    spectrum, diffusion, steady, potential : Record
        Impedance, restricted diffusion, steady current, concentration cells.
    corrected : bool
        Whether the interfaces' share of the steady current is taken out.
    area_ratio, thickness_ratio : float
        Area and thickness that the analysis believes in, over the true ones [1].

    Returns
    -------
    Record
        kappa, D, rho+, dU/dln m, and t+0 and chi from them.
    """
    transport, layer, c = bench.transport, bench.layer, bench.c
    K, charge = float(transport.thermal_voltage), transport.z_plus * transport.nu_plus * F
    kappa, D, slope = spectrum["kappa"], diffusion["D"], potential["dU/dlnm"]
    rho = steady.readings[0 if corrected else 1]
    area = Check("error of the area", abs(area_ratio - 1), 0.01)
    length = Check("error of the thickness", abs(thickness_ratio - 1), 0.01)
    kappa = replace(
        kappa,
        inferred=kappa.inferred * thickness_ratio / area_ratio,
        method="impedance",
        checks=(*kappa.checks, area, length),
    )
    D = replace(D, inferred=D.inferred * thickness_ratio**2, method="restricted diffusion", checks=(*D.checks, length))
    t_plus, chi = solve_chain(kappa.inferred, D.inferred, rho.inferred, slope.inferred, c, K=K, charge=charge)
    s = steady.conditions
    R_d = s["voltage"] / s["i_ss"] - s["R_high"]
    R_d_error = np.hypot(s["voltage"] / s["i_ss"] ** 2 * s["i_ss_error"], s["R_high_error"])
    variance = (D.error / D.inferred) ** 2 + (R_d_error / R_d) ** 2
    slope_error = slope.error / slope.inferred
    checks = tuple(dict.fromkeys((*kappa.checks, *D.checks, *rho.checks, *slope.checks)))
    readings = (
        kappa,
        D,
        replace(rho, method="steady current"),
        replace(slope, method="concentration cells"),
        Reading(
            "t_plus",
            "1",
            layer.t_plus,
            t_plus,
            abs(1 - t_plus) * float(np.sqrt(variance + slope_error**2)),
            "all four",
            checks,
        ),
        Reading(
            "chi", "1", layer.chi, chi, abs(chi) * float(np.sqrt(variance + 4 * slope_error**2)), "all four", checks
        ),
    )
    return Record(
        bench,
        "chain",
        "The chain of Balsara and Newman",
        "what its four experiments assume",
        REFERENCE,
        readings,
        {},
        {"voltage": s["voltage"], "R_d": R_d},
        panels=(figures.differences,),
    )


def misuses(bench: Bench, *, voltage: float = 0.01, large: float = 0.2) -> tuple[tuple[str, Record], ...]:
    """The four experiments as they should be, and with one fault each.

    Parameters
    ----------
    bench : Bench
        The electrolyte and the cell.
    voltage : float
        Of the small signals [V].
    large : float
        A voltage that is not small; at most half of the one that empties a face, and halved while its steady state
        leaves the range of the set [V].

    Returns
    -------
    tuple of (str, Record)
        What is done wrong, and the chain that follows; the first one is right.
    """
    spectrum = impedance(bench, voltage=voltage)
    diffusion = restricted_diffusion(bench, voltage=voltage)
    steady = steady_current(bench, spectrum, voltage=voltage)
    potential = concentration_cell(bench)
    large = _within_range(bench, min(large, 0.5 * depleting_voltage(bench.cell, bench.transport, bench.c)))
    first = 0.01 * bench.diffusion_time
    # a bias beyond the end of the line leaves nothing to read
    offset = min(2e-4, 0.04 * voltage * bench.layer.diffusion_resistance / bench.total_resistance)

    def with_steady(record: Record, **how: bool) -> Record:
        return assemble(bench, spectrum, diffusion, record, potential, **how)

    def with_diffusion(record: Record) -> Record:
        return assemble(bench, spectrum, record, steady, potential)

    def measured(**how: float) -> Record:
        return assemble(bench, spectrum, diffusion, steady, potential, **how)  # type: ignore[arg-type]

    return (
        ("nothing wrong", measured()),
        (f"{large:.2g} V held instead of {voltage:.2g} V", with_steady(steady_current(bench, spectrum, voltage=large))),
        ("interfaces not subtracted", with_steady(steady, corrected=False)),
        ("current read after 0.05 L²/D", with_steady(steady_current(bench, spectrum, voltage=voltage, duration=0.05))),
        (
            f"first current read at {first:.0f} s",
            with_steady(steady_current(bench, spectrum, voltage=voltage, first=first)),
        ),
        (
            "ln U read at once after a short pulse",
            with_diffusion(restricted_diffusion(bench, voltage=voltage, pulse=0.02, window=(1.0, 0.4))),
        ),
        (
            f"open-circuit bias of {1e3 * offset:.2g} mV",
            with_diffusion(restricted_diffusion(bench, voltage=voltage, offset=offset)),
        ),
        (
            "straight line through U over a factor of 9",
            assemble(bench, spectrum, diffusion, steady, concentration_cell(bench, span=3.0, order=1)),
        ),
        ("area 5 % too large", measured(area_ratio=1.05)),
        ("thickness 5 % too large", measured(thickness_ratio=1.05)),
    )


def _within_range(bench: Bench, voltage: float) -> float:
    """The voltage, halved until both faces stay inside the range of the set."""
    for _ in range(20):
        try:
            steady_state(bench.cell, bench.transport, bench.c, voltage=voltage)
            break
        except RangeError:
            voltage *= 0.5
    return float(voltage)


def misuse(bench: Bench, *, voltage: float = 0.01) -> Record:
    """:func:`misuses` as one record: t+0 of each.

    Parameters
    ----------
    bench : Bench
        The electrolyte and the cell.
    voltage : float
        Of the small signals [V].

    Returns
    -------
    Record
    """
    records = misuses(bench, voltage=voltage)
    readings = tuple(replace(record["t_plus"], method=what) for what, record in records)
    return Record(
        bench,
        "misuse",
        "The chain with one fault at a time",
        "what the chain assumes; in each row except the first one thing is done wrong",
        REFERENCE,
        readings,
        {"chi": np.array([record["chi"].difference for _, record in records])},
        {"voltage": voltage},
        panels=(figures.faults,),
        tall=True,
    )
