"""Concentration cells: the slope dU/dln m at one composition, with as much curvature as the readings ask for.

U is a line plus terms x^k/k! for k from 2 to 8, x = ln m less that wanted, whose coefficients are normal with the
standard deviation |slope| b^(k - 1): b is by how much the slope changes over a factor e. Of b and of the noise nothing
is known beforehand but their range, and every pair counts by its restricted likelihood.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import factorial

from cellsim.base import Array, InputError
from cellsim.laboratory.measured import figures
from cellsim.laboratory.measured.quantity import DRAWS, Assumption, Finding, Measured

REFERENCE = "Ma, Doyle, Fuller, Doeff, De Jonghe & Newman, J. Electrochem. Soc. 142 (1995) 1859, doi:10.1149/1.2044206"
CURVATURES = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Values of b that count [1]; with the shipped sets it is 0.1 to 10."""
TERMS = np.arange(2, 9)
"""Powers beyond the line."""
NOISES = 40
"""Sizes of the noise that count, from 1e-5 of the span of U to all of it."""
FEWEST = 5
"""Cells."""


def potentials(
    x: Array,
    U: Array,
    *,
    errors: Array | None = None,
    against: str = "m",
    thermal_voltage: float | None = None,
    files: tuple[str, ...] = (),
    seed: int = 0,
) -> Finding:
    """The slope of U against ln m where both halves of the cell are alike.

    Parameters
    ----------
    x : ndarray, shape (n,)
        ln of the composition of the second half-cell over the one wanted [1].
    U : ndarray, shape (n,)
        Voltage at open circuit [V]; its sign is turned where it falls with x.
    errors : ndarray, shape (n,), optional
        Standard errors relative to one another; their common size is estimated [V].
    against : {"m", "c"}
        What `x` is the logarithm of.
    thermal_voltage : float, optional
        nu R T/(F z+ nu+), for (1 - t+0) chi [V].
    files : tuple of str
        Where they were read, for what is printed.
    seed : int
        Of the random numbers that make the interval.

    Returns
    -------
    Finding
        ``dU/dlnm`` [V], and ``(1-t_plus)chi`` where the thermal voltage is known.

    Raises
    ------
    InputError
        Too few cells, or a composition wanted that lies beyond them.

    References
    ----------
    Ma et al. 1995, doi:10.1149/1.2044206.
    """
    n = x.size
    if n < FEWEST:
        raise InputError(f"concentration-cell: {n} cells; at least {FEWEST} are needed for a slope and its error")
    if not x.min() < 0 < x.max():
        raise InputError(
            "concentration-cell: the composition wanted lies outside those of the cells, "
            f"{np.exp(x.min()):.3g} to {np.exp(x.max()):.3g} times it; name one between them"
        )
    weight = np.ones(n) if errors is None else np.mean(errors) / errors
    turned = -1.0 if float(np.polyfit(x, U, 1)[0]) < 0 else 1.0
    U = turned * U
    span, steep = float(np.ptp(U)), abs(float(np.polyfit(x, U, 1)[0]))
    H = np.stack([np.ones(n), x], axis=1)
    terms = x[:, None] ** TERMS / factorial(TERMS)
    fits = []
    for b in CURVATURES:
        sizes = (steep * b ** (TERMS - 1.0)) ** 2
        for noise in span * np.geomspace(1e-5, 1.0, NOISES):
            V = np.diag((noise / weight) ** 2) + (terms * sizes) @ terms.T
            factor = np.linalg.cholesky(V)
            y, X = (solve_triangular(factor, z, lower=True) for z in (U, H))
            information = X.T @ X
            line = np.linalg.solve(information, X.T @ y)
            rest = y - X @ line
            score = (
                -np.sum(np.log(np.diag(factor))) - 0.5 * np.linalg.slogdet(information)[1] - 0.5 * float(rest @ rest)
            )
            curved = sizes * (terms.T @ solve_triangular(factor.T, rest, lower=False))
            fits.append((score, line, np.linalg.inv(information), curved, noise, b))
    scores = np.array([fit[0] for fit in fits])
    odds = np.exp(scores - scores.max())
    odds /= odds.sum()
    random = np.random.default_rng((seed, 41))
    which = random.choice(len(fits), size=DRAWS, p=odds)
    roots = np.linalg.cholesky(np.array([fit[2] for fit in fits]))
    drawn = np.array([fit[1] for fit in fits])[which]
    drawn = drawn + np.einsum("dij,dj->di", roots[which], random.standard_normal((DRAWS, 2)))
    zero, slope = drawn.T
    _, line, _, curved, noise, _ = fits[int(np.argmax(odds))]
    bent = float(np.sum(odds * np.array([fit[5] for fit in fits])))
    offset = float(np.median(zero)), float(np.std(zero))
    measured = [Measured.of(f"dU/dln{against}", "V", slope, "slope of a curve as smooth as the cells")]
    if thermal_voltage is not None and against == "m":
        measured.append(Measured.of("(1-t_plus)chi", "1", slope / thermal_voltage, "slope over ν R T/(F z₊ ν₊)"))
    at = np.linspace(x.min(), x.max(), 100)
    curve = line[0] + line[1] * at + (at[:, None] ** TERMS / factorial(TERMS)) @ curved
    return Finding(
        "concentration-cell",
        "Concentration cells",
        files,
        tuple(measured),
        (
            Assumption(
                f"two equal halves read zero: {1e3 * offset[0]:.2g} ± {1e3 * offset[1]:.1g} mV",
                bool(abs(offset[0]) < 3 * max(offset[1], 1e-12)),
                "the electrodes have a bias; read the cell of two equal halves and subtract it",
            ),
            Assumption(
                f"the curve is smooth: cells miss it by {1e3 * noise:.2g} mV, {100 * noise / span:.2g} % of the span, "
                f"and its slope changes {bent:.1g} times over a factor of e",
                bool(noise < 0.05 * span),
                "look for cells that leak or were read too late",
            ),
            Assumption(
                f"cells stand on both sides of the composition wanted, {np.sum(x < 0)} below and {np.sum(x > 0)} above",
                bool(min(np.sum(x < 0), np.sum(x > 0)) >= 2),
                "add cells on the other side",
            ),
        ),
        ("the sign of U is turned, so that it rises with the concentration",) if turned < 0 else (),
        REFERENCE,
        {
            "x": x,
            "U": U,
            "curve_x": at,
            "curve_U": curve,
            "slope": np.array(np.median(slope)),
            "zero": np.array(np.median(zero)),
        },
        {"against": against, "noise": noise, "curvature": bent},
        (figures.potentials,),
    )
