"""Concentration cells: the slope dU/dln m at one composition, by polynomials whose order the readings choose."""

from __future__ import annotations

import numpy as np

from cellsim.base import Array, InputError
from cellsim.laboratory.measured import figures
from cellsim.laboratory.measured.quantity import DRAWS, Assumption, Finding, Measured

REFERENCE = "Ma, Doyle, Fuller, Doeff, De Jonghe & Newman, J. Electrochem. Soc. 142 (1995) 1859, doi:10.1149/1.2044206"
ORDERS = (1, 2, 3, 4)
"""Of the polynomials, averaged by the criterion of Schwarz."""
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
    fits = []
    for order in ORDERS:
        if n - order - 1 < 2 or np.unique(x).size <= order + 1:
            break
        columns = np.vander(x, order + 1, increasing=True) * weight[:, None]
        Q, root = np.linalg.qr(columns)
        b = np.linalg.solve(root, Q.T @ (U * weight))
        squares = max(float(np.sum((U * weight - columns @ b) ** 2)), 1e-24)
        # of few points the corrected criterion of Akaike has the better odds; both punish an order that buys nothing
        criterion = n * np.log(squares / n) + (order + 2) * np.log(n)
        fits.append((order, b, root, squares, criterion))
    lowest = min(fit[4] for fit in fits)
    odds = np.array([np.exp(-0.5 * (fit[4] - lowest)) for fit in fits])
    odds /= odds.sum()
    random = np.random.default_rng((seed, 41))
    which = random.choice(len(fits), size=DRAWS, p=odds)
    slope, zero = np.empty(DRAWS), np.empty(DRAWS)
    for k, (order, b, root, squares, _) in enumerate(fits):
        here = np.flatnonzero(which == k)
        scale = np.sqrt(squares / random.chisquare(n - order - 1, here.size))
        draws = b + (np.linalg.solve(root, random.standard_normal((order + 1, here.size))) * scale).T
        slope[here], zero[here] = draws[:, 1], draws[:, 0]
    order, b, _, squares, _ = fits[int(np.argmax(odds))]
    noise = float(np.sqrt(squares / (n - order - 1)))
    chosen = ", ".join(f"{100 * p:.0f} % order {fit[0]}" for p, fit in zip(odds, fits, strict=True) if p > 0.005)
    offset = float(np.median(zero)), float(np.std(zero))
    measured = [Measured.of(f"dU/dln{against}", "V", slope, f"slope of polynomials, {chosen}")]
    if thermal_voltage is not None and against == "m":
        measured.append(Measured.of("(1-t_plus)chi", "1", slope / thermal_voltage, "slope over ν R T/(F z₊ ν₊)"))
    line = np.linspace(x.min(), x.max(), 100)
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
                f"the curve is smooth: cells miss a polynomial of order {order} by {1e3 * noise:.2g} mV, "
                f"{100 * noise / np.ptp(U):.2g} % of the span",
                bool(noise < 0.05 * np.ptp(U)),
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
            "curve_x": line,
            "curve_U": np.vander(line, order + 1, increasing=True) @ b,
            "slope": np.array(np.median(slope)),
            "zero": np.array(np.median(zero)),
        },
        {"against": against, "order": order, "noise": noise, "odds": odds.tolist()},
        (figures.potentials,),
    )
