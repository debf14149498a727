"""Impedance: kappa from the high-frequency intercept, R_int from the arc in the middle, Ne and D from the last arc.

At very low frequencies and several distances it gives the anion-blocking transference number, alpha and beta.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from cellsim.base import Array, F
from cellsim.cell.protocol import Protocol, Step, hold_current
from cellsim.electrolyte.onsager import OnsagerMatrix
from cellsim.laboratory import figures
from cellsim.laboratory.bench import AnyBench, Bench, one_mode
from cellsim.laboratory.reading import Check, Reading, Record
from cellsim.model.small_signals import PEAK, interface_impedance
from cellsim.solvers.solution import Solution

Spectrum = NDArray[np.complex128]

TOP = 1e7
"""Highest angular frequency of the instrument [rad/s], 1.6 MHz."""
MISFIT = 3e-3
"""A circuit that misses noise-free points by more is not theirs; a signal that is not quite small: 1.2e-3 [1]."""
OPEN = 0.01
"""What the misfit may leave open; it is not random, and the readings were off by up to three times that [1]."""
REFERENCE = "Sorensen & Jacobsen, Electrochim. Acta 27 (1982) 1671"


def step_impedance(bench: AnyBench, omega: ArrayLike, voltage: float) -> tuple[Spectrum, Solution]:
    """Impedance from the response to a small current step, Z = V(0)/i + integral of d(V/i)/dt exp(-i w t) dt.

    Every frequency from one simulated run; sinusoids give the same (:func:`sine_impedance`), one run each.

    Parameters
    ----------
    bench : Bench or MixtureBench
        The cell.
    omega : array_like, shape (n,)
        Angular frequencies [rad/s].
    voltage : float
        Voltage that the step reaches at the end [V].

    Returns
    -------
    Z : ndarray, shape (n,)
        Complex [ohm m^2].
    solution : Solution
        The run.
    """
    tau = bench.diffusion_time / 4
    i = voltage / bench.total_resistance
    t = np.concatenate([[0.0], np.geomspace(1e-9 * tau, 16 * tau, 1000)])
    solution = bench.run(Protocol((hold_current(i, float(t[-1])),)), t)
    return transform(solution["time"], solution["V"] / i, omega), solution


def transform(time: Array, response: Array, omega: ArrayLike) -> Spectrum:
    """Impedance from voltage per current after a step, taken as piecewise linear in time.

    Parameters
    ----------
    time : ndarray, shape (m,)
        Times since the step, from 0 until the response stands still [s].
    response : ndarray, shape (m,)
        Voltage over the height of the current step [ohm m^2].
    omega : array_like, shape (n,)
        Angular frequencies above zero [rad/s].

    Returns
    -------
    ndarray, shape (n,)
        Complex [ohm m^2].
    """
    w = np.asarray(omega, dtype=float)[:, None]
    turned = np.exp(-1j * w * time)
    slope = np.diff(response) / np.diff(time)
    return np.asarray(response[0] + ((turned[:, :-1] - turned[:, 1:]) * slope).sum(axis=1) / (1j * w[:, 0]))


def sine_impedance(bench: AnyBench, omega: float, voltage: float, *, periods: int = 3, points: int = 48) -> complex:
    """Impedance at one frequency from a simulated sinusoidal current, read over the last two periods.

    Parameters
    ----------
    bench : Bench or MixtureBench
        The cell.
    omega : float
        Angular frequency [rad/s].
    voltage : float
        Amplitude of the current times the resistance at zero frequency [V].
    periods, points : int
        Periods in all, and points of the piecewise linear current in each; 48 leave 2/48^2 = 1e-3 of the difference to
        the high-frequency impedance.

    Returns
    -------
    complex
        [ohm m^2]
    """
    i = voltage / bench.total_resistance
    t = np.arange(points * periods + 1) * 2 * np.pi / (omega * points)
    step = Step("current", i * np.cos(omega * t), float(t[-1]), time=np.asarray(t, dtype=float), label="sinusoid")
    solution = bench.run(Protocol((step,)), t)
    last = solution["time"] >= t[points * (periods - 2)] * (1 - 1e-9)
    t, V = solution["time"][last], solution["V"][last]
    columns = np.stack([np.cos(omega * t), -np.sin(omega * t), np.ones_like(t), t / t[-1]], axis=1)
    coefficients = np.linalg.lstsq(columns, V, rcond=None)[0]
    return complex(coefficients[0], coefficients[1]) / i


def circuit(parameters: Array, omega: Array) -> Spectrum:
    """R_b + R_i/(1 + (i w t)^a) + R_d tanh(q)/q, q = sqrt(i w tau): the textbook's equivalent circuit.

    Parameters
    ----------
    parameters : ndarray, shape (5,) or (6,)
        ln of R_b, R_i, R_d [ohm m^2], of the time constants t = R_i C and tau = L^2/(4 D) [s], and of the exponent a,
        which is 1 where it is left out [1].
    omega : ndarray, shape (n,)
        Angular frequencies [rad/s].

    Returns
    -------
    ndarray, shape (n,)
        Complex [ohm m^2].
    """
    # a trial far from any minimum walks off along a flat valley; it is to lose, not to overflow
    R_b, R_i, R_d, time, tau = np.exp(np.clip(parameters[:5], -100.0, 100.0))
    phase = float(np.exp(np.clip(parameters[5], -1.0, 0.3))) if len(parameters) > 5 else 1.0
    q = np.sqrt(1j * omega * tau)
    return np.asarray(R_b + interface_impedance(R_i, time, omega, phase) + R_d * np.tanh(q) / q)


def fit_circuit(omega: Array, Z: Spectrum, noise: float = 0.0, *, depressed: bool = False) -> tuple[Array, Array]:
    """The circuit that fits a spectrum best, each point weighted by its modulus.

    Parameters
    ----------
    omega : ndarray, shape (n,)
        Angular frequencies, rising [rad/s].
    Z : ndarray, shape (n,)
        Complex [ohm m^2].
    noise : float
        Relative standard deviation of each part of Z [1].
    depressed : bool
        Whether the exponent of the interfaces is fitted too.

    Returns
    -------
    parameters : ndarray, shape (5,) or (6,)
        As :func:`circuit` takes them.
    covariance : ndarray, shape (5, 5) or (6, 6)
        Of these logarithms [1]; zero without noise.
    """
    smooth = _smooth(-Z.imag)
    peaks = [k for k in range(1, omega.size - 1) if smooth[k - 1] < smooth[k] >= smooth[k + 1]]
    total, top = Z.real[0], Z.real[-1]
    tops = sorted(sorted(peaks, key=lambda k: -smooth[k])[:2])
    tops = tops if len(tops) == 2 else [tops[0] if tops else omega.size // 3, omega.size - 2]

    def miss(parameters: Array) -> Array:
        relative = (circuit(parameters, omega) - Z) / np.abs(Z)
        return np.concatenate([relative.real, relative.imag])

    # where one arc hides the other, a bump of the last digits is taken for a top: each way to share the middle is tried
    arcs = {(1 / omega[tops[1]], tops[0]), (1 / omega[tops[1]], omega.size // 8), (100 / omega[-1], tops[0])}
    arcs |= {(1 / omega[k], omega.size // 8) for k in tops}
    trials = []
    for arc, low in sorted(arcs):
        for middle in (0.03, 0.5, 0.97):
            parts = [top, middle * (total - top), (1 - middle) * (total - top)]
            start = np.log(
                [*np.maximum(parts, 1e-5 * abs(total)), arc, PEAK / omega[low], *([0.9] if depressed else [])]
            )
            trials.append(least_squares(miss, start, x_scale=1.0, xtol=1e-14, ftol=1e-14, gtol=1e-14))
    solution = min(trials, key=lambda trial: float(trial.cost))
    return np.asarray(solution.x), _per_scatter(solution.x, omega) * noise**2


def _per_scatter(parameters: Array, omega: Array) -> Array:
    """Covariance of the logarithms per variance of the relative parts of Z, by central differences."""
    modulus, step = np.abs(circuit(parameters, omega)), 1e-5
    columns = []
    for unit in step * np.eye(parameters.size):
        slope = (circuit(parameters + unit, omega) - circuit(parameters - unit, omega)) / (2 * step * modulus)
        columns.append(np.concatenate([slope.real, slope.imag]))
    return np.asarray(np.linalg.pinv(np.dot(columns, np.transpose(columns))))


def _smooth(y: Array) -> Array:
    """Running mean over five points, so that noise makes no peaks."""
    return np.convolve(np.pad(y, 2, mode="edge"), np.full(5, 0.2), mode="valid")


def impedance(
    bench: AnyBench, *, voltage: float = 0.01, capacitance: float | None = None, lowest: float = 0.05
) -> Record:
    """A spectrum of the symmetric cell, and what its intercepts and arcs say.

    The spectrum is that of a simulated cell without double layers, in which the share of the interfaces is replaced by
    R_i/(1 + (i w R_i C/2)^phase), as the instrument would see it. Where the bench has phase < 1 the exponent is fitted.

    Parameters
    ----------
    bench : Bench or MixtureBench
        The cell.
    voltage : float
        Voltage that the current reaches at zero frequency [V].
    capacitance : float
        Double layer of one electrode [F/m^2]; default that of the bench.
    lowest : float
        Lowest frequency, as w L^2/(4 D) [1].

    Returns
    -------
    Record
    """
    layer = bench.layer
    tau = bench.diffusion_time / 4
    omega = np.geomspace(lowest / tau, TOP, int(6 * np.log10(TOP * tau / lowest)))
    Z, solution = step_impedance(bench, omega, voltage)
    time = bench.resistance * (bench.capacitance if capacitance is None else capacitance)
    Z = Z - layer.resistance + interface_impedance(layer.resistance, time, omega, bench.phase)
    noise = bench.noise.impedance
    if noise:
        draws = bench.noise.draw(1, 2 * omega.size).reshape(2, -1)
        Z = Z + np.abs(Z) * noise * (draws[0] + 1j * draws[1])
    parameters, covariance = fit_circuit(omega, Z, noise, depressed=bench.phase < 1)
    relative = (circuit(parameters, omega) - Z) / np.abs(Z)
    misfit = float(np.sqrt(np.mean(np.abs(relative) ** 2) / 2))
    missed = Check("misfit of the circuit, relative to |Z|", misfit, max(1.5 * noise, MISFIT))
    # Points that scatter by that much leave this much of each logarithm open; what is noise has its error bar already.
    excess = max(misfit - 1.1 * noise, 0.0)
    spread = excess * np.sqrt(np.diag(_per_scatter(parameters, omega)))

    def judged(*which: int) -> tuple[Check, Check]:
        return missed, Check("what the misfit leaves open, relative", float(max(spread[list(which)])), OPEN)

    R_b, R_i, R_d, _, tau_fit = (float(x) for x in np.exp(parameters[:5]))
    errors = np.sqrt(np.diag(covariance))
    rho = R_b / (R_b + R_d)
    rho_error = rho * (1 - rho) * np.sqrt(max(covariance[0, 0] + covariance[2, 2] - 2 * covariance[0, 2], 0.0))
    D = bench.thickness**2 / (4 * tau_fit)
    small = bench.swing(solution)
    window = Check(
        "time constant of the interfaces, as a part of the shortest the instrument sees",
        30 / TOP / max(time, 1e-30),
        1.0,
    )
    low = Check("lowest frequency, as a part of the arc's", lowest / PEAK, 0.3)
    apart = Check("frequency of the diffusion arc as a part of the interfaces'", PEAK * time / tau, 0.03)
    separated = Check(
        "interfacial resistance per diffusion resistance", layer.resistance / layer.diffusion_resistance, 30.0
    )
    clear = Check("noise per height of the arc", noise * float(np.abs(Z[0])) / (0.417 * R_d), 0.01)
    by_eye, alone = _arc(omega, Z), one_mode(bench)
    readings = (
        Reading(
            "kappa",
            "S/m",
            layer.kappa,
            bench.thickness / R_b,
            bench.thickness / R_b * errors[0],
            "high-frequency intercept",
            (*judged(0), window) if bench.resistance else judged(0),
        ),
        Reading(
            "R_int",
            "ohm m^2",
            layer.resistance,
            R_i,
            R_i * errors[1],
            "arc in the middle, both interfaces",
            (*judged(1), window, apart),
        ),
        Reading(
            "rho_plus",
            "1",
            bench.rho_plus,
            rho,
            float(rho_error),
            "widths, R_b/(R_b + R_d)",
            (*judged(0, 2), *small, low, apart),
        ),
        Reading(
            "D", "m^2/s", layer.D, D, D * errors[4], "last arc, whole shape", (*alone, *judged(4), *small, low, apart)
        ),
        Reading(
            "D",
            "m^2/s",
            layer.D,
            by_eye * bench.thickness**2 / (4 * PEAK),
            0.0,
            f"top of the last arc, w = {4 * PEAK:.4g} D/L^2",
            (*alone, *small, low, apart, separated, clear),
        ),
    )
    return Record(
        bench,
        "impedance",
        "Impedance",
        "three arcs that do not overlap, signals small enough to be linear",
        REFERENCE,
        tuple(r for r in readings if r.true),
        {
            "omega": omega,
            "Z_real": Z.real,
            "Z_imag": Z.imag,
            "fit_real": circuit(parameters, omega).real,
            "fit_imag": circuit(parameters, omega).imag,
        },
        {
            "voltage": voltage,
            "capacitance": time / bench.resistance if bench.resistance else 0.0,
            "phase": bench.phase,
            "R_b": R_b,
            "R_i": R_i,
            "R_d": R_d,
            "R_high": R_b + R_i,
            "R_high_error": float(np.sqrt(max(_sum_variance(covariance, R_b, R_i), 0.0))),
        },
        panels=(figures.nyquist, figures.bode),
    )


def _sum_variance(covariance: Array, R_b: float, R_i: float) -> float:
    weights = np.array([R_b, R_i])
    return float(weights @ covariance[:2, :2] @ weights)


def _arc(omega: Array, Z: Spectrum) -> float:
    """Angular frequency at the top of the arc at the lowest frequencies, by a parabola through three points [rad/s]."""
    y = -Z.imag
    smooth = _smooth(y)
    k = next((k for k in range(1, omega.size - 1) if smooth[k - 1] < smooth[k] >= smooth[k + 1]), 1)
    k = int(np.clip(k - 1 + np.argmax(y[k - 1 : k + 2]), 1, omega.size - 2))
    a, b, c = y[k - 1], y[k], y[k + 1]
    bend = a - 2 * b + c
    shift = 0.5 * (a - c) / bend if bend else 0.0
    return float(omega[k] * (omega[k + 1] / omega[k]) ** np.clip(shift, -1, 1))


LOW_FREQUENCY_REFERENCE = "Wohde, Balabajew & Roling, J. Electrochem. Soc. 163 (2016) A714, doi:10.1149/2.0811605jes"


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
    bench: AnyBench, *, lowest: float = 0.02, factors: Sequence[float] = (0.5, 1.0, 2.0), voltage: float = 0.01
) -> Record:
    """Z(w -> 0) and Z(w -> infinity) of cells of several thicknesses; both grow with L, the interfaces do not.

    rho+ = slope of R_high against L over slope of R_low. For a z:z salt, with D from the same spectrum and the
    thermodynamic factor known from elsewhere, t+0 follows, and with it Wohde and Roling's alpha and beta.

    Parameters
    ----------
    bench : Bench or MixtureBench
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
    layer = bench.layer
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
            small = cell.swing(solution)
    lines = [_line(np.array(thickness), np.array(y), noise) for y in (high, low)]
    (s_high, e_high), (s_low, e_low) = (line[:2] for line in lines)
    rho = s_high / s_low
    error = abs(rho) * float(np.hypot(e_high / s_high, e_low / s_low))
    at_one = int(np.argmin(np.abs(np.array(factors) - 1)))
    bare = Check("interfacial per bulk resistance, not subtracted", layer.resistance / layer.bulk_resistance, 0.01)
    reached = Check("lowest frequency, w L^2/(4 D)", lowest, 0.25)
    straight = [
        np.max(np.abs(1 - (a + b * np.array(thickness)) / y))
        for (_, _, (a, b)), y in zip(lines, (high, low), strict=True)
    ]
    bent = Check("misfit of the straight lines, relative", float(max(straight)), max(3 * noise, 1e-3))
    checks = (*small, reached, bent)
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
    if isinstance(bench, Bench) and bench.transport.z_plus == -bench.transport.z_minus and rho < 1:
        transport, truth = bench.transport, bench.layer
        salt = {
            "z": (transport.z_plus, transport.z_minus),
            "nu": (transport.nu_plus, transport.nu_minus),
            "c": bench.c,
            "T": transport.T,
        }
        D = impedance(bench, voltage=voltage, lowest=min(lowest, 0.05))["D"]
        scale = (
            transport.thermal_voltage * truth.chi / (transport.z_plus * transport.nu_plus * F * D.inferred * bench.c)
        )
        t_plus = 1 - float(np.sqrt((1 / rho - 1) / (scale / s_high)))
        relative = 0.5 * float(np.hypot(np.hypot(e_low, e_high) / (s_low - s_high), D.error / D.inferred))
        inferred = onsager_of(1 / s_high, t_plus, rho, **salt).wohde_roling()  # type: ignore[arg-type]
        true = onsager_of(truth.kappa, truth.t_plus, bench.rho_plus, **salt).wohde_roling()  # type: ignore[arg-type]
        sign = Check("t+0 above 1, which a square cannot tell", max(truth.t_plus - 1, 0.0), 0.0)
        checks = (*checks, sign)
        readings += [
            Reading(
                "t_plus", "1", truth.t_plus, t_plus, (1 - t_plus) * relative, "rho+, D of the arc, chi known", checks
            ),
            Reading("beta", "1", true.beta, inferred.beta, relative / (1 - t_plus), "t+0/(1 - t+0)", checks),
            Reading(
                "alpha", "1", true.alpha, inferred.alpha, float("nan") if noise else 0.0, "from rho+ and beta", checks
            ),
        ]
    return Record(
        bench,
        "low_frequency_impedance",
        "Very-low-frequency impedance",
        "the frequency is low enough, and the interfaces are the same at every distance",
        LOW_FREQUENCY_REFERENCE,
        tuple(readings),
        {
            "thickness": np.array(thickness),
            "R_low": np.array(low),
            "R_high": np.array(high),
            "line_high": np.array(lines[0][2]),
            "line_low": np.array(lines[1][2]),
        },
        {"lowest": lowest, "voltage": voltage},
        panels=(figures.distances,),
    )


def _line(x: Array, y: Array, noise: float) -> tuple[float, float, Array]:
    """Slope of a line weighted by 1/y, its error for relative noise, and (intercept, slope)."""
    columns = np.stack([1 / y, x / y], axis=1)
    coefficients = np.linalg.lstsq(columns, np.ones_like(y), rcond=None)[0]
    covariance = np.linalg.inv(columns.T @ columns) * noise**2
    return float(coefficients[1]), float(np.sqrt(covariance[1, 1])), np.asarray(coefficients)
