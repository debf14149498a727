"""Concentration cell: U between two concentrations at open circuit; its slope gives the product (1 - t+0) chi."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cellsim.base import Array, InputError
from cellsim.laboratory import figures
from cellsim.laboratory.bench import Bench
from cellsim.laboratory.reading import Check, Reading, Record
from cellsim.model.closed_forms import Layer, relaxation_from_step

REFERENCE = "Ma, Doyle, Fuller, Doeff, De Jonghe & Newman, J. Electrochem. Soc. 142 (1995) 1859, doi:10.1149/1.2044206"
TAIL = 0.01
"""How long the two halves may diffuse into one another before U is read, in L^2/D."""


def slope_at(x: Array, U: Array, order: int, noise: float = 0.0) -> tuple[float, float, Array]:
    """Slope at x = 0 of a polynomial through readings, its standard error, and the coefficients.

    Parameters
    ----------
    x : ndarray, shape (n,)
        ln of the molality over the one wanted [1].
    U : ndarray, shape (n,)
        Readings [V].
    order : int
        Of the polynomial.
    noise : float
        Standard deviation of U [V].

    Returns
    -------
    slope, error : float
        [V]
    coefficients : ndarray, shape (order + 1,)
        Constant first [V].
    """
    columns = np.vander(x, order + 1, increasing=True)
    coefficients = np.linalg.lstsq(columns, U, rcond=None)[0]
    covariance = np.linalg.inv(columns.T @ columns) * noise**2
    return float(coefficients[1]), float(np.sqrt(covariance[1, 1])), np.asarray(coefficients)


def concentration_cell(
    bench: Bench, *, count: int = 9, span: float = 1.3, order: int = 3, wait: float = 1e-4
) -> Record:
    """Cells of two halves, one always at the concentration wanted, read at open circuit.

    At open circuit the model's voltage is K [W(c(0)) - W(c(L))] whatever the profile between the electrodes; the
    halves are taken to meet in the middle of a tube ten times as long as the bench's cell, and the concentrations at
    its ends follow the closed form of two halves that diffuse into one another (constant D).

    Parameters
    ----------
    bench : Bench
        The electrolyte.
    count : int
        Concentrations.
    span : float
        Highest over the wanted, and wanted over the lowest, within the range of the set [1].
    order : int
        Of the polynomial drawn through U against ln m.
    wait : float
        When U is read, in L^2/D of the tube [1].

    Returns
    -------
    Record
    """
    if not (count > order >= 1 and span > 1):
        raise InputError(
            f"concentration cell: count = {count} must exceed order = {order}, and span = {span:.3g} exceed 1"
        )
    transport, c = bench.transport, bench.c
    low, high = transport.c_range
    c_other = np.geomspace(max(c / span, low * (1 + 1e-9)), min(c * span, high * (1 - 1e-9)), count)
    length = 10 * bench.thickness
    ends = np.array([[0.0], [length]])
    scale = length**2 / bench.layer.D
    at_ends = np.array(
        [
            [relaxation_from_step(_tube(bench, length), other, c, 0.5 * length, x, wait * scale)[0] for x in ends]
            for other in c_other
        ]
    )
    U = transport.concentration_voltage(at_ends[:, 0], at_ends[:, 1])
    U = U + bench.noise.voltage * bench.noise.draw(4, count)
    still = transport.solvent_motion == "none"  # the dilute-salt limit, in which dln m is dln c
    x = np.log(c_other / c if still else transport.m(c_other) / transport.m(np.array(c)))
    slope, error, coefficients = slope_at(x, U, order, bench.noise.voltage)
    missed = float(np.max(np.abs(np.vander(x, order + 1, increasing=True) @ coefficients - U)))
    excess = max(missed - 3 * bench.noise.voltage, 0.0) / max(abs(U).max(), 1e-12)
    K = float(transport.thermal_voltage)
    turn = np.abs(transport.one_minus_t_plus_chi(c_other[[0, -1]]) / transport.one_minus_t_plus_chi(c) - 1)
    order_check = Check(
        "change of (1 - t+0) chi over the span, beyond a polynomial's reach"
        if order == 1
        else "misfit of the polynomial, as a part of the largest U",
        float(turn.max()) if order == 1 else excess,
        0.02 if order == 1 else 0.002,
    )
    checks = (
        order_check,
        Check("time before U was read, in L^2/D of the tube", wait, TAIL),
        Check("noise per slope", error / abs(slope), 0.05),
    )
    curve = np.linspace(x[0], x[-1], 60)
    late = np.geomspace(1e-3, 1.0, 60)
    fading = np.array(
        [relaxation_from_step(_tube(bench, length), c_other[-1], c, 0.5 * length, e, late * scale)[:, 0] for e in ends]
    )
    return Record(
        bench,
        "concentration_cell",
        "Concentration cell",
        "the electrodes see the concentrations put in; the curve is smooth",
        REFERENCE,
        (
            Reading("dU/dlnm", "V", bench.slope, slope, error, "slope of U against ln m", checks),
            Reading(
                "(1-t_plus)chi", "1", bench.slope / K, slope / K, error / K, "slope over nu R T/(F z+ nu+)", checks
            ),
        ),
        {
            "m": transport.m(c_other),
            "U": U,
            "curve_m": transport.m(np.array(c)) * np.exp(curve),
            "curve_U": np.vander(curve, order + 1, increasing=True) @ coefficients,
            "late_time": late,
            "late_limit": np.array(TAIL),
            "late_U": transport.concentration_voltage(fading[0], fading[1]),
        },
        {"count": count, "span": span, "order": order, "wait": wait * scale, "tube": length},
        panels=(figures.potential, figures.fading),
    )


def _tube(bench: Bench, length: float) -> Layer:
    """The electrolyte in a longer tube."""
    return replace(bench.layer, thickness=length)
