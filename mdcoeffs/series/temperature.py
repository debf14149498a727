"""Laws of temperature: Arrhenius and Vogel-Fulcher-Tammann, fitted to values with intervals.

Both are straight lines in the logarithm,

    ln X = ln A - E/(R T)                     (Arrhenius)
    ln X = ln A - B/(T - T_0)                 (Vogel-Fulcher-Tammann)

with a sign of + in place of - for times, so that E and B are positive where motion becomes faster with temperature. The
weights are those of the logarithms: sigma is the width of the logarithm of a 95 % interval over 2 x 1.96, which a
skewed interval of a positive quantity suits better than its own width. Intervals of the parameters come from these
sigma alone, by the normal distribution (Arrhenius) or by the profile of chi^2 (VFT, whose T_0 has no symmetric error).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from cellsim.base import Array, InputError, R
from mdcoeffs.series.quantities import Z95, Found

FEWEST = {"arrhenius": 3, "vft": 4}
"""Law -> how many temperatures it needs: one more than it has parameters."""
LAWS = tuple(FEWEST)
MISFIT = 0.01
"""p-value below which a law is said not to describe the values."""
_POINTS = 2001


@dataclass(frozen=True, eq=False)
class Fit:
    """A law of temperature for one quantity.

    Parameters
    ----------
    law : str
        One of `LAWS`.
    quantity : str
        Name of the quantity.
    unit : str
        Of the quantity.
    parameters : mapping
        Name -> (value, low, high): ``A`` in the unit of the quantity, and ``E`` [J/mol], or ``B`` [K] and ``T_0`` [K].
    T : array (states,)
        Temperatures that were fitted, increasing [K].
    chi2 : float
        Sum of squared residuals over sigma [1].
    freedom : int
        Number of states less that of parameters.
    left_out : tuple of str
        Why values of some states were not used.
    curve : callable
        T (points,) [K] -> value, low, high (points,) each, in the unit of the quantity.
    """

    law: str
    quantity: str
    unit: str
    parameters: Mapping[str, tuple[float, float, float]]
    T: Array
    chi2: float
    freedom: int
    left_out: tuple[str, ...]
    curve: Callable[[Array], tuple[Array, Array, Array]]

    @property
    def p(self) -> float:
        """Probability of a chi^2 at least as large, were the law true [1]."""
        return float(stats.chi2.sf(self.chi2, self.freedom))

    @property
    def holds(self) -> bool:
        """Whether the law describes the values within their intervals."""
        return self.p >= MISFIT

    def numbers(self) -> dict[str, Any]:
        """In plain values."""
        parameters = {
            name: {"value": v, "interval": [low, high], "unit": unit_of_parameter(self, name)}
            for name, (v, low, high) in self.parameters.items()
        }
        head = {"law": self.law, "quantity": self.quantity, "parameters": parameters, "T": self.T.tolist()}
        verdict = {"chi2": self.chi2, "freedom": self.freedom, "p": self.p, "holds": self.holds}
        return head | verdict | {"left_out": list(self.left_out)}


def unit_of_parameter(fit: Fit, name: str) -> str:
    """Unit of a parameter of a law.

    Parameters
    ----------
    fit : Fit
        The law.
    name : str
        ``"A"``, ``"E"``, ``"B"`` or ``"T_0"``.

    Returns
    -------
    str
    """
    return {"A": fit.unit, "E": "J/mol", "B": "K", "T_0": "K"}[name]


def fit_law(law: str, T: ArrayLike, found: Sequence[Found], *, sign: int = 1) -> Fit:
    """Fit a law of temperature.

    Parameters
    ----------
    law : str
        One of `LAWS`.
    T : array (states,)
        Temperatures [K].
    found : sequence of Found
        The quantity at each of them, with intervals.
    sign : int
        1 for what grows with temperature, -1 for times.

    Returns
    -------
    Fit

    Raises
    ------
    InputError
        Too few temperatures with a positive value and interval.
    """
    if law not in FEWEST:
        raise InputError(f"law = {law!r} is unknown; allowed are {', '.join(LAWS)}")
    used, left_out = [], []
    for temperature, each in sorted(zip(np.asarray(T, dtype=float).tolist(), found, strict=True), key=lambda p: p[0]):
        if not each.bounded or each.high <= each.low:
            left_out.append(f"{temperature:g} K: no interval")
        elif each.low <= 0:
            left_out.append(f"{temperature:g} K: the interval reaches zero, which has no logarithm")
        else:
            used.append((temperature, each))
    name = found[0].name if found else "the quantity"
    if len({temperature for temperature, _ in used}) < FEWEST[law]:
        why = f" ({'; '.join(left_out)})" if left_out else ""
        raise InputError(
            f"{name}: the law {law!r} needs at least {FEWEST[law]} temperatures with a positive interval, and there "
            f"are {len({temperature for temperature, _ in used})}{why}; use more states"
        )
    temperatures = np.array([temperature for temperature, _ in used])
    y = sign * np.log([each.value for _, each in used])
    sigma = np.array([math.log(each.high / each.low) for _, each in used]) / (2 * Z95)
    fitted = _arrhenius(temperatures, y, sigma) if law == "arrhenius" else _vft(temperatures, y, sigma)
    parameters, chi2, band = fitted
    ends = sorted(math.exp(sign * end) for end in parameters["A"][1:])
    parameters = {"A": (math.exp(sign * parameters["A"][0]), ends[0], ends[1])} | {
        key: value for key, value in parameters.items() if key != "A"
    }

    def curve(at: Array) -> tuple[Array, Array, Array]:
        middle, low, high = (np.exp(sign * line) for line in band(np.asarray(at, dtype=float)))
        return middle, np.minimum(low, high), np.maximum(low, high)

    freedom = len(used) - FEWEST[law] + 1
    return Fit(law, name, used[0][1].unit, parameters, temperatures, chi2, freedom, tuple(left_out), curve)


Line = Callable[[Array], tuple[Array, Array, Array]]
Parameters = dict[str, tuple[float, float, float]]


def _straight(x: Array, y: Array, sigma: Array) -> tuple[Array, Array, Array]:
    """Weighted least squares of y = a - b x: (a, b), covariance, chi^2; for a stack of abscissas (..., states)."""
    w = 1 / sigma**2
    total = w.sum()
    centre = x @ w / total
    moved = x - centre[..., None]
    spread = moved**2 @ w
    b = -(moved * y) @ w / spread
    a = y @ w / total + b * centre
    chi2 = (y - a[..., None] + b[..., None] * x) ** 2 @ w
    var_a, cov = 1 / total + centre**2 / spread, centre / spread
    C = np.stack([np.stack([var_a, cov], axis=-1), np.stack([cov, 1 / spread], axis=-1)], axis=-2)
    return np.stack([a, b], axis=-1), C, chi2


def _arrhenius(T: Array, y: Array, sigma: Array) -> tuple[Parameters, float, Line]:
    best, C, chi2 = _straight(1 / (R * T), y, sigma)
    half = Z95 * np.sqrt(np.diag(C))
    parameters = {key: (float(v), float(v - d), float(v + d)) for key, v, d in zip(("A", "E"), best, half, strict=True)}

    def band(at: Array) -> tuple[Array, Array, Array]:
        g = np.stack([np.ones_like(at), -1 / (R * at)], axis=-1)
        line, width = g @ best, Z95 * np.sqrt(np.einsum("ti,ij,tj->t", g, C, g))
        return line, line - width, line + width

    return parameters, float(chi2), band


def _vft(T: Array, y: Array, sigma: Array) -> tuple[Parameters, float, Line]:
    """For every T_0 the rest is a straight line, so that chi^2 is known exactly along each of them.

    A parameter's interval is where chi^2 rises by no more than 1.96^2 above its least value; T_0 lies between 0 K,
    where the law is Arrhenius', and the lowest temperature.
    """
    # dense towards the lowest temperature, where the curve changes most with T_0
    T_0 = T[0] * (1 - np.geomspace(1e-3, 1.0, _POINTS))[::-1]
    best, C, chi2 = _straight(1 / (T - T_0[:, None]), y, sigma)
    k = int(np.argmin(chi2))
    inside = np.flatnonzero(chi2 <= chi2[k] + Z95**2)
    room = np.sqrt(np.maximum(chi2[k] + Z95**2 - chi2[inside], 0.0))
    low, high = inside[0], inside[-1]
    parameters: Parameters = {}
    for name, i in (("A", 0), ("B", 1)):
        half = room * np.sqrt(C[inside, i, i])
        parameters[name] = (
            float(best[k, i]),
            float(np.min(best[inside, i] - half)),
            float(np.max(best[inside, i] + half)),
        )
    parameters["T_0"] = (float(T_0[k]), float(T_0[low]), float(T_0[high]))

    def band(at: Array) -> tuple[Array, Array, Array]:
        g = np.stack([np.ones((inside.size, at.size)), -1 / (at - T_0[inside, None])], axis=-1)
        lines = np.einsum("kti,ki->kt", g, best[inside])
        half = room[:, None] * np.sqrt(np.einsum("kti,kij,ktj->kt", g, C[inside], g))
        middle = best[k, 0] - best[k, 1] / (at - T_0[k])
        return middle, (lines - half).min(axis=0), (lines + half).max(axis=0)

    return parameters, float(chi2[k]), band


def compare_laws(arrhenius: Fit, vft: Fit) -> float:
    """Probability of a gain in chi^2 at least as large by the bent law, were the straight one true.

    Parameters
    ----------
    arrhenius, vft : Fit
        Of the same values.

    Returns
    -------
    float
        p-value [1]; half that of chi^2 of one degree of freedom, since T_0 = 0 lies at the edge of its range. Small
        values say that ln X against 1/T is bent.
    """
    gain = max(arrhenius.chi2 - vft.chi2, 0.0)
    return 0.5 * float(stats.chi2.sf(gain, 1)) if gain > 0 else 1.0
