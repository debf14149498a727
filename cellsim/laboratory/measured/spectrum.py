"""R_b, R_int, and D and Ne from the last arc of a recorded spectrum; the interfaces are one or two depressed arcs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls

from cellsim.base import Array, InputError
from cellsim.laboratory.measured import figures
from cellsim.laboratory.measured.quantity import DRAWS, Assumption, Finding, Measured, Typed
from cellsim.model.small_signals import PEAK

Spectrum = NDArray[np.complex128]
REFERENCE = "Sørensen & Jacobsen, Electrochim. Acta 27 (1982) 1671, doi:10.1016/0013-4686(82)80095-5"
FEWEST = 12
"""Points of a spectrum."""
DEPRESSED = (0.5, 1.05)
"""Exponents that an interface's arc may have; 1 is a capacitance, and a little more lets the draws of one stand on both
sides: cut at 1, they put R_b too low by a standard error [1]."""
STARTS = 6
"""Searches for the best circuit of a kind: the likeliest of the grid of time constants."""
GAIN = 10.0
"""By which the criterion of Schwarz must fall for one more element to be taken; 10 is odds of 150 to 1."""
APART = 0.1
"""Frequency of the diffusion arc over that of the interfaces' slowest, up to which they are told apart [1]."""
FOREIGN = 0.2
"""Misfit of what is no spectrum of such a cell, relative to |Z| [1]."""
OPEN = 0.5
"""Relative standard error of R_d above which the arc counts as not recorded [1]."""


@dataclass(frozen=True)
class Circuit:
    """R_b + sum of R_k/(1 + (i w t_k)^a_k) + R_d tanh(q)/q, q = sqrt(i w tau), by its elements.

    Parameters
    ----------
    arcs : int
        Of the interfaces.
    diffusion : bool
        Whether the last arc is there.
    """

    arcs: int
    diffusion: bool

    @property
    def size(self) -> int:
        """Parameters: ln R_b, then ln R_d and ln tau where there is diffusion, then ln R_k, ln t_k, a_k of each arc."""
        return 1 + 2 * self.diffusion + 3 * self.arcs

    def places(self, k: int) -> int:
        """Where the parameters of arc `k` begin."""
        return 1 + 2 * self.diffusion + 3 * k

    def impedance(self, p: Array, omega: Array) -> Spectrum:
        """The impedance of parameters, shape (..., size), at frequencies, shape (n,): shape (..., n)."""
        p = np.clip(p, -80.0, 80.0)[..., None]
        Z = np.exp(p[..., 0, :]) + 0j * omega
        if self.diffusion:
            q = np.sqrt(1j * omega * np.exp(p[..., 2, :]))
            Z = Z + np.exp(p[..., 1, :]) * np.tanh(q) / q
        for k in range(self.arcs):
            j = self.places(k)
            phase = np.exp(0.5j * np.pi * p[..., j + 2, :]) * np.exp(
                p[..., j + 2, :] * (np.log(omega) + p[..., j + 1, :])
            )
            Z = Z + np.exp(p[..., j, :]) / (1 + phase)
        return np.asarray(Z)

    def starts(self, omega: Array, Z: Spectrum) -> list[Array]:
        """Where searches begin: the best non-negative resistances over a grid of time constants."""
        weight = 1 / np.abs(Z)
        times = 1 / np.geomspace(omega[0], omega[-1], 9)[::-1]  # rising
        slow = np.geomspace(0.3 / omega[-1], 30 / omega[0], 12) if self.diffusion else np.array([0.0])

        def column(values: Spectrum) -> Array:
            return np.concatenate([(values * weight).real, (values * weight).imag])

        q = np.sqrt(1j * np.outer(np.maximum(slow, 1e-300), omega))
        tails = [column(values) for values in np.tanh(q) / q]
        arcs = [column(1 / (1 + (1j * omega * time) ** 0.9)) for time in times]
        flat, points = column(np.ones_like(Z)), column(Z)
        places = [(j,) for j in range(9)] if self.arcs == 1 else [(j, k) for k in range(9) for j in range(k - 1)]
        found: list[tuple[float, Array]] = []
        for tau, tail in zip(slow, tails, strict=True):
            for some in places:
                if self.diffusion and tau < times[some[-1]]:
                    continue
                parts = [flat, *([tail] if self.diffusion else []), *(arcs[j] for j in some)]
                R, miss = nnls(np.stack(parts, axis=1), points)
                R = np.log(np.maximum(R, 1e-3 * np.abs(Z).max()))
                p = [R[0], *([R[1], np.log(tau)] if self.diffusion else [])]
                for height, j in zip(R[1 + self.diffusion :], some, strict=True):
                    p += [height, np.log(times[j]), 0.9]
                found.append((float(miss), np.array(p)))
        found.sort(key=lambda one: one[0])
        return [p for _, p in found[:STARTS]]


@dataclass(frozen=True)
class CircuitFit:
    """A circuit fitted to a spectrum, and draws of its parameters.

    Parameters
    ----------
    circuit : Circuit
        Its elements.
    best : ndarray, shape (size,)
        Parameters that fit best.
    draws : ndarray, shape (draws, size)
        Of what the points leave open.
    misfit : float
        Root mean square of either part of the residuals, relative to |Z| [1].
    criterion : float
        Of Schwarz.
    correlation : float
        Correlation of one residual with the next along the frequencies [1].
    """

    circuit: Circuit
    best: Array
    draws: Array
    misfit: float
    criterion: float
    correlation: float

    def resistance(self, name: str) -> Array:
        """Draws of ``R_b``, ``R_d`` or ``R_int``, all arcs together, shape (draws,)."""
        if name == "R_int":
            return np.asarray(sum(np.exp(self.draws[:, self.circuit.places(k)]) for k in range(self.circuit.arcs)))
        return np.asarray(np.exp(self.draws[:, 0 if name == "R_b" else 1]))


def fit_spectrum(omega: Array, Z: Spectrum, *, seed: int = 0, draws: int = DRAWS) -> CircuitFit:
    """The circuit that a spectrum asks for, each point weighted by its modulus.

    One arc or two, each with the diffusion arc or without: the one that the criterion of Schwarz prefers. Two are
    tried where one leaves a pattern in the residuals.

    Parameters
    ----------
    omega : ndarray, shape (n,)
        Angular frequencies, rising [rad/s].
    Z : ndarray, shape (n,)
        Complex, [ohm] or [ohm m^2].
    seed : int
        Of the random numbers.
    draws : int
        How many.

    Returns
    -------
    CircuitFit
    """
    fits = [_fit(Circuit(1, diffusion), omega, Z) for diffusion in (True, False)]
    # a second arc is looked for where one leaves a pattern: with it the search takes four times as long
    if min(fits, key=lambda fit: fit.criterion).correlation > 1 / np.sqrt(2 * omega.size):
        fits += [_fit(Circuit(2, diffusion), omega, Z) for diffusion in (True, False)]
    # an arc or a tail more must pay for itself, and of a second arc and a tail that fit alike the tail is the likelier
    best = min(fits, key=lambda fit: fit.criterion + GAIN * (1.5 * fit.circuit.arcs + fit.circuit.diffusion))
    return replace(best, draws=_draws(best, omega, Z, np.random.default_rng((seed, 31)), draws))


def _misses(circuit: Circuit, p: Array, omega: Array, Z: Spectrum) -> Array:
    relative = (circuit.impedance(p, omega) - Z) / np.abs(Z)
    return np.concatenate([relative.real, relative.imag], axis=-1)


def _slopes(circuit: Circuit, p: Array, omega: Array, Z: Spectrum) -> Array:
    """Of the misses along each parameter, shape (2 n, size)."""
    step = 1e-5 * np.eye(circuit.size)
    return np.asarray((_misses(circuit, p + step, omega, Z) - _misses(circuit, p - step, omega, Z)).T / 2e-5)


def _fit(circuit: Circuit, omega: Array, Z: Spectrum) -> CircuitFit:
    low, high = np.full(circuit.size, -80.0), np.full(circuit.size, 80.0)
    for k in range(circuit.arcs):
        low[circuit.places(k) + 2], high[circuit.places(k) + 2] = DEPRESSED[0], DEPRESSED[1] + 1e-9
    trials = []
    for start in circuit.starts(omega, Z):
        start = np.clip(start, low + 1e-6, high - 1e-6)
        trials.append(
            least_squares(
                lambda p: _misses(circuit, p, omega, Z),
                start,
                jac=lambda p: _slopes(circuit, p, omega, Z),
                bounds=(low, high),
                max_nfev=150,
            )
        )
        lowest = min(float(one.cost) for one in trials)
        if sum(one.cost < lowest * (1 + 1e-3) for one in trials) >= 3:  # three searches that agree
            break
    solution = min(trials, key=lambda one: float(one.cost))
    n = 2 * omega.size
    squares = max(2 * float(solution.cost), 1e-24)
    e = solution.fun.reshape(2, -1)
    correlation = float(np.sum(e[:, 1:] * e[:, :-1]) / max(np.sum(e**2), 1e-300))
    criterion = n * np.log(squares / n) + circuit.size * np.log(n)
    misfit = float(np.sqrt(squares / (n - circuit.size)))
    return CircuitFit(circuit, solution.x, solution.x[None], misfit, float(criterion), correlation)


def _draws(fit: CircuitFit, omega: Array, Z: Spectrum, random: np.random.Generator, size: int) -> Array:
    """Draws by importance from a wide t distribution about the best fit, which is moved to where the weight lies."""
    circuit, best = fit.circuit, fit.best
    n = 2 * omega.size
    rho = fit.correlation if fit.correlation > 2 / np.sqrt(n) else 0.0
    freedom = max((n - circuit.size) * (1 - rho) / (1 + rho), 4.0)  # correlated residuals are fewer than they seem
    J = _slopes(circuit, best, omega, Z)
    squares = float(np.sum(_misses(circuit, best, omega, Z) ** 2)) + 1e-24
    covariance = np.linalg.pinv(J.T @ J, rcond=1e-12) * squares / freedom
    limit = 2.5 * np.eye(circuit.size)  # a parameter that nothing holds is not searched beyond e^5 of the best fit
    covariance = np.linalg.inv(np.linalg.inv(covariance + 1e-18 * np.eye(circuit.size)) + np.linalg.inv(limit**2))
    middle, wide = best, 6.0
    for many in (size, size, 2 * size, 4 * size):
        root = np.linalg.cholesky(covariance + 1e-14 * np.eye(circuit.size) * np.trace(covariance))
        z = random.standard_normal((many, circuit.size))
        scale = np.sqrt(wide / random.chisquare(wide, many))
        trial = middle + 1.15 * scale[:, None] * (z @ root.T)
        distance = np.sum((z * scale[:, None]) ** 2, axis=1)
        proposal = -0.5 * (wide + circuit.size) * np.log1p(distance / wide)
        misses = np.sum(_misses(circuit, trial, omega, Z) ** 2, axis=1)
        log_weight = -0.5 * (freedom + circuit.size) * np.log(misses / squares) - proposal
        for k in range(circuit.arcs):
            a = trial[:, circuit.places(k) + 2]
            log_weight[(a < DEPRESSED[0]) | (a > DEPRESSED[1])] = -np.inf
        if not np.any(np.isfinite(log_weight)):
            return np.tile(best, (size, 1))
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        middle = weight @ trial
        covariance = (trial - middle).T @ ((trial - middle) * weight[:, None])
    chosen = random.choice(trial.shape[0], size=size, p=weight)
    return np.asarray(trial[chosen])


def spectrum(
    omega: Array,
    Z: Spectrum,
    *,
    thickness: Typed | None = None,
    area: Typed | None = None,
    per_area: bool = False,
    files: tuple[str, ...] = (),
    seed: int = 0,
) -> Finding:
    """What the arcs of a symmetric cell's spectrum say: R_b, R_int, and rho+ and D where the last arc was recorded.

    Parameters
    ----------
    omega : ndarray, shape (n,)
        Angular frequencies [rad/s].
    Z : ndarray, shape (n,)
        Complex, [ohm], or [ohm m^2] with `per_area`.
    thickness : Typed, optional
        Distance of the electrodes, for D and, with the area, kappa [m].
    area : Typed, optional
        Of an electrode [m^2].
    per_area : bool
        Whether `Z` is area-specific.
    files : tuple of str
        Where it was read, for what is printed.
    seed : int
        Of the random numbers that make the interval.

    Returns
    -------
    Finding

    Raises
    ------
    InputError
        Too few points, or real parts that are not positive.

    References
    ----------
    Sørensen & Jacobsen 1982, doi:10.1016/0013-4686(82)80095-5.
    """
    omega, Z, left_out = usable(omega, Z)
    fit = fit_spectrum(omega, Z, seed=seed)
    if fit.misfit > FOREIGN:
        raise InputError(
            f"impedance: no circuit of a symmetric cell describes these points; the best one misses them by "
            f"{100 * fit.misfit:.2g} % of |Z|, so check that the columns are what their headings say"
        )
    circuit = fit.circuit
    unit = "ohm m^2" if per_area else "ohm"
    R_b, R_int = fit.resistance("R_b"), fit.resistance("R_int")
    L = None if thickness is None else thickness.draws()
    A = None if area is None else area.draws()
    measured = [
        Measured.of("R_b", unit, R_b, "high-frequency intercept"),
        Measured.of(
            "R_int", unit, R_int, "arc of the interfaces, both" if circuit.arcs == 1 else "two arcs of the interfaces"
        ),
    ]
    measured += _double_layers(fit, per_area)
    if L is not None and (per_area or A is not None):
        kappa = L / (R_b if per_area or A is None else R_b * A)
        measured.insert(0, Measured.of("kappa", "S/m", kappa, "L/R_b" if per_area else "L/(R_b A)"))
    n = omega.size
    white = abs(fit.correlation) < 3 / np.sqrt(2 * n)
    slowest = max(float(np.exp(fit.best[circuit.places(k) + 1])) for k in range(circuit.arcs))
    quickest = min(float(np.exp(fit.best[circuit.places(k) + 1])) for k in range(circuit.arcs))
    hertz = 2 * np.pi
    tests = [
        Assumption(
            f"{'one arc' if circuit.arcs == 1 else 'two arcs'} of the interfaces"
            f"{' and one of diffusion' if circuit.diffusion else ''} describe the points, which they miss by "
            f"{100 * fit.misfit:.2g} % of |Z|, without a pattern along the frequencies",
            white,
            "the interval allows for the pattern; look at the figure for an element that is missing",
        ),
        Assumption(
            f"the highest frequency, {omega[-1] / hertz:.3g} Hz, lies above the interfaces' first arc "
            f"(top at {1 / quickest / hertz:.3g} Hz)",
            omega[-1] * quickest > 3,
            "R_b is an extrapolation; measure up to higher frequencies",
        ),
    ]
    notes = [f"{left_out} points of inductive reactance were left out"] if left_out else []
    R_d_open = circuit.diffusion and float(np.std(fit.draws[:, 1])) > OPEN
    if circuit.diffusion and not R_d_open:
        R_d, tau = fit.resistance("R_d"), np.exp(fit.draws[:, 2])
        measured += [
            Measured.of("R_d", unit, R_d, "width of the last arc"),
            Measured.of("rho_plus", "1", R_b / (R_b + R_d), "R_b/(R_b + R_d)"),
            Measured.of("Ne", "1", R_d / R_b, "Newman number, R_d/R_b"),
            Measured.of("tau", "s", tau, "last arc, L²/(4 D)"),
        ]
        if L is not None:
            measured.append(Measured.of("D", "m^2/s", L**2 / (4 * tau), "last arc, L²/(4 τ)"))
        top = PEAK / float(np.median(tau))
        tests += [
            Assumption(
                f"the lowest frequency, {omega[0] / hertz:.3g} Hz, lies below the top of the last arc "
                f"({top / hertz:.3g} Hz)",
                omega[0] < 0.5 * top,
                "R_d is an extrapolation; measure down to lower frequencies",
            ),
            Assumption(
                f"the arcs of diffusion and of the interfaces do not overlap (tops {top / hertz:.3g} Hz and "
                f"{1 / slowest / hertz:.3g} Hz)",
                top * slowest < APART,
                "a thicker cell parts them",
            ),
        ]
    else:
        notes.append("no arc of diffusion is seen, so the spectrum gives neither D nor ρ₊; measure below 10 D/(2π L²)")
    if thickness is None:
        notes.append("without --thickness there is neither kappa nor D")
    elif not per_area and area is None:
        notes.append("without --area there is no kappa")
    dense = np.geomspace(omega[0], omega[-1], 300)
    line, points = circuit.impedance(fit.best, dense), circuit.impedance(fit.best, omega)
    return Finding(
        "impedance",
        "Impedance",
        files,
        tuple(measured),
        tuple(tests),
        tuple(notes),
        REFERENCE,
        {
            "omega": omega,
            "Z_real": Z.real,
            "Z_imag": Z.imag,
            "fit_omega": dense,
            "fit_real": line.real,
            "fit_imag": line.imag,
            "residual_real": ((Z - points) / np.abs(Z)).real,
            "residual_imag": ((Z - points) / np.abs(Z)).imag,
        },
        {
            "per_area": per_area,
            "arcs": circuit.arcs,
            "diffusion": circuit.diffusion,
            "misfit": fit.misfit,
            "correlation": fit.correlation,
        },
        (figures.nyquist, figures.bode),
    )


def _double_layers(fit: CircuitFit, per_area: bool) -> list[Measured]:
    """Capacitance and exponent of each arc: of one arc those of two equal electrodes, of two each of its own."""
    circuit, unit, found = fit.circuit, "F/m^2" if per_area else "F", []
    for k in range(circuit.arcs):
        j, name = circuit.places(k), "" if circuit.arcs == 1 else f"_{k + 1}"
        share = 2 if circuit.arcs == 1 else 1
        C = share * np.exp(fit.draws[:, j + 1] - fit.draws[:, j])
        told = "of each electrode, 2 t/R_int" if share == 2 else f"of arc {k + 1}, t/R"
        found.append(Measured.of(f"C{name}", unit, C, told))
        found.append(Measured.of(f"alpha{name}", "1", fit.draws[:, j + 2], "its exponent, 1 for a capacitance"))
    return found


def usable(omega: Array, Z: Spectrum) -> tuple[Array, Spectrum, int]:
    """A spectrum as the fit takes it.

    Parameters
    ----------
    omega : ndarray, shape (n,)
        Angular frequencies, in any order [rad/s].
    Z : ndarray, shape (n,)
        Complex, [ohm] or [ohm m^2].

    Returns
    -------
    omega, Z : ndarray, shape (m,)
        Frequencies rising, inductive points left out.
    left_out : int
        How many those were.

    Raises
    ------
    InputError
        Too few points, a real part that is not positive, imaginary parts of the wrong sign.
    """
    order = np.argsort(omega)
    omega, Z = omega[order], Z[order]
    if np.any(Z.real <= 0):
        k = int(np.argmax(Z.real <= 0))
        raise InputError(
            f"impedance: the real part at {omega[k] / (2 * np.pi):.4g} Hz is {Z.real[k]:.4g}, and that of a cell is "
            "positive; check the columns and their signs"
        )
    if np.mean(Z.imag > 0) > 0.5:
        raise InputError(
            "impedance: most imaginary parts are positive, as of a coil; a cell is capacitive, so the column probably "
            'holds -Im Z: name it so in its heading, as in "-Im(Z) (ohm)"'
        )
    inductive = Z.imag > 0
    kept = np.flatnonzero(~inductive)
    if kept.size < FEWEST:
        raise InputError(f"impedance: {kept.size} usable points; at least {FEWEST} are needed")
    return omega[kept], Z[kept], int(inductive.sum())
