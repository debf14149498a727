"""What a joint fit of heterodyne correlation functions found, in plain numbers and one plain sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellsim.observables.xpcs import heterodyne_g2

Array = NDArray[np.float64]

SIGNIFICANCE = 0.01
"""A velocity counts as seen when v = 0 would do as well less often than this, the search counted [1]."""
ANGSTROM = 1e-10


@dataclass(frozen=True)
class AtRest:
    """The fit against the same model with v = 0, which has one parameter less.

    Parameters
    ----------
    chi2 : float
        Of the best fit with v = 0 [1].
    ratio : float
        Likelihood-ratio statistic, chi^2(v = 0) - chi^2 [1].
    p_value : float
        Of `ratio` if v = 0: half a chi^2 with one degree of freedom, because v cannot be negative [1].
    p_global : float
        The same, allowing for the search where `v` lies beyond the first fringe: another model for every ring, and as
        many tries as there are fringes [1].
    delta_aic, delta_bic : float
        Criterion at v = 0 minus criterion with v: positive where motion is preferred [1].
    """

    chi2: float
    ratio: float
    p_value: float
    p_global: float
    delta_aic: float
    delta_bic: float


@dataclass(frozen=True)
class VelocityFit:
    """One speed for a whole series, with the nuisance parameters of every ring.

    g2 is even in v: `v` is |v| along the azimuth's axis, and nothing here knows its sign.

    Parameters
    ----------
    v, error : float
        Speed and its standard error (curvature of chi^2) [m/s]; at v = 0 the error is the upper end of `interval`.
    interval : tuple of float
        95 % likelihood-ratio interval of |v| [m/s]; its upper end is the upper limit where the speed is not resolved.
    resolved : bool
        Whether v = 0 is excluded (:data:`SIGNIFICANCE`).
    fringe : tuple of float
        The part of `interval` around `v`, all of it unless another fringe fits as well [m/s].
    chi2 : float
        At the minimum [1].
    points, parameters : int
        Data points and adjusted parameters.
    rest : AtRest
        Comparison with v = 0.
    q : ndarray, shape (n,)
        Scattering vectors of the curves [1/m].
    azimuth : ndarray, shape (n,)
        [rad]
    contrast, h, tau0, stretch, baseline : ndarray, shape (n,)
        Of every curve [1], [1], [s], [1], [1].
    contrast_error, h_error, tau0_error, stretch_error : ndarray, shape (n,)
        Standard errors [1], [1], [s], [1].
    ring : ndarray of int, shape (n,)
        Ring of every curve.
    inflation : float
        Ratio of the variance of v from the scatter between curves to that from the stated errors [1]; above 1 the
        errors are too small or correlated.
    used_inflation : float
        The factor put into `error` and `interval` [1].
    bias : float
        Expected bias of `v` over `error`, to first order; large where the shape of the rings is poorly known; NaN at
        v = 0 [1].
    spread : float
        Full width of the drift of v that the model allows for [m/s].
    scanned : tuple of float
        Highest velocity searched and the number of independent fringes up to it [m/s], [1].
    warnings : tuple of str
        One sentence each.
    """

    v: float
    error: float
    interval: tuple[float, float]
    resolved: bool
    fringe: tuple[float, float]
    chi2: float
    points: int
    parameters: int
    rest: AtRest
    q: Array
    azimuth: Array
    contrast: Array
    h: Array
    tau0: Array
    stretch: Array
    baseline: Array
    contrast_error: Array
    h_error: Array
    tau0_error: Array
    stretch_error: Array
    ring: NDArray[np.intp]
    inflation: float
    used_inflation: float
    bias: float
    spread: float
    scanned: tuple[float, float]
    warnings: tuple[str, ...] = ()

    @property
    def ambiguous(self) -> bool:
        """Whether another fringe fits as well."""
        return self.fringe != self.interval

    @property
    def upper_limit(self) -> float:
        """Upper end of the interval; holds the truth in at least 95 % also where v = 0 is not excluded [m/s]."""
        return self.interval[1]

    @property
    def reduced_chi2(self) -> float:
        """chi^2 per degree of freedom [1]."""
        return self.chi2 / max(1, self.points - self.parameters)

    @property
    def first_of_ring(self) -> NDArray[np.intp]:
        """One curve of every ring: `tau0` at these is tau0(q)."""
        return np.unique(self.ring, return_index=True)[1]

    def g2(self, tau: Array) -> Array:
        """The fitted curves at delays `tau` [s], shape (n, k) [1]."""
        fitted = heterodyne_g2(
            self.q, self.azimuth, tau, v=self.v, contrast=self.contrast, h=self.h, tau0=self.tau0,
            stretch=self.stretch, spread=self.spread,
        )  # fmt: skip
        return fitted + self.baseline[:, None]

    def describe(self) -> str:
        """The result in words."""
        low, high = (x / ANGSTROM for x in self.fringe)
        if not np.isfinite(self.interval[1]):
            text = "These curves do not limit the speed: no mixing of moving and static fields is seen."
        elif self.resolved:
            text = (
                f"|v| = {self.v / ANGSTROM:.4g} ± {self.error / ANGSTROM:.2g} Å/s (95 %: {low:.4g} to {high:.4g} Å/s)."
            )
        else:
            text = f"No motion is resolved: |v| < {high:.4g} Å/s (95 %)."
        if self.ambiguous:
            low, high = (x / ANGSTROM for x in self.interval)
            text += f" Other fringes, {low:.4g} to {high:.4g} Å/s in all, are not excluded."
        return " ".join((text, "g2 is even in v: the sign comes from the model.", *self.warnings))
