"""Apparent conductivity and transference numbers against the lag: how displacements become diffusive, with a band.

Over a lag of n steps the posterior of the spectrum gives the correlation of displacements::

    <dR_i dR_j>(n) = 2 int_0^(1/2) S_ij(f) (sin(pi f n)/sin(pi f))^2 df = n S_ij(0) + 2 int g_ij(f) sin^2(pi f n) df

with g = (S - S(0))/sin^2(pi f), which is smooth; between the frequencies of the spectrum it is taken as linear, and its
product with the sine is then integrated exactly. Where n is large, kappa and t are those of Omega.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array
from cellsim.electrolyte.relations import conductivity
from mdcoeffs.onsager.judgement import SpectrumFit


@dataclass(frozen=True, eq=False)
class Running:
    """Apparent coefficients of displacements over a lag.

    Parameters
    ----------
    lag : array (lags,)
        [s]
    kappa : array (draws, lags)
        Posterior draws of F^2 sum z_i z_j <dR_i dR_j>/(2 k_B T V N_A^2 t) [S/m].
    t : array (draws, lags, n)
        Of z_i sum_j z_j <dR_i dR_j> over the sum of all, for each species [1].
    """

    lag: Array
    kappa: Array
    t: Array


def mobility_over(fit: SpectrumFit, dt: float, steps: ArrayLike) -> Array:
    """<dR_i dR_j> over a lag, as the matrix that free diffusion would need for it.

    Parameters
    ----------
    fit : SpectrumFit
        With draws of the spectrum.
    dt : float
        Time between frames [s].
    steps : array of int (lags,)
        Lags in steps.

    Returns
    -------
    array (draws, lags, n, n)
        Omega at long lags [mol^2/(J m s)].
    """
    n = np.asarray(steps, dtype=float)
    f = np.concatenate([[0.0], fit.frequency * dt, [0.5]])
    S = fit.draws
    low = S[:, :1]  # the plateau: the lowest frequency is some thousandth of the first relaxation
    g = (S - low) / np.sin(np.pi * fit.frequency * dt)[:, None, None] ** 2
    g = np.concatenate([g[:, 1:2], g[:, 1:2], g[:, 1:], g[:, -1:]], axis=1)
    # int g sin^2(pi f n) df = (int g df - int g cos(2 pi n f) df)/2 for a g that is linear in pieces
    w = 2 * np.pi * n
    width = np.diff(f)
    total = np.einsum("k,dkij->dij", width, (g[:, 1:] + g[:, :-1]) / 2)
    slope = np.diff(g, axis=1) / np.where(width > 0, width, 1.0)[:, None, None]
    end = np.sin(w * f[-1]) / w
    begin = np.sin(w * f[0]) / w
    turn = (np.cos(np.outer(w, f[1:])) - np.cos(np.outer(w, f[:-1]))) / w[:, None] ** 2
    cosine = g[:, -1][:, None] * end[:, None, None] - g[:, 0][:, None] * begin[:, None, None]
    cosine = cosine + np.einsum("lk,dkij->dlij", turn, slope)
    return np.asarray(low + (total[:, None] - cosine) / n[:, None, None])


def running(fit: SpectrumFit, dt: float, steps: ArrayLike, z: ArrayLike, rows: Array | None = None) -> Running:
    """Apparent conductivity and transference numbers at some lags.

    Parameters
    ----------
    fit : SpectrumFit
        With draws of the spectrum.
    dt : float
        Time between frames [s].
    steps : array of int (lags,)
        Lags in steps, at least 1.
    z : array (n,)
        Charge numbers.
    rows : array (n, m), optional
        What makes the n species of the m that the spectrum is of; the same when left out.

    Returns
    -------
    Running
    """
    M, charge = mobility_over(fit, dt, steps), np.asarray(z, dtype=float)
    if rows is not None:
        M = rows @ M @ rows.T
    flow = np.einsum("dlij,j->dli", M, charge)
    share = charge * flow / np.einsum("i,dli->dl", charge, flow)[..., None]
    return Running(np.asarray(steps) * dt, conductivity(M, charge), np.asarray(share))
