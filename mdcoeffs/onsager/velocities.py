"""The current of the charge from velocities beside that from displacements: an independent route to kappa.

Einstein's route reads positions, Green and Kubo's velocities. Integrated over time the velocities of a run are its
displacements, so that at low frequency both currents must agree amplitude by amplitude, without statistical error: what
differs there is a wrong unit or time between frames, positions unwrapped wrongly, or frames so far apart that what the
ions do between them is lost. At higher frequency only velocities tell the spectrum of the conductivity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import fft

from cellsim.base import N_A, Array, F, k_B
from mdcoeffs.onsager.displacements import CollectiveDisplacements
from mdcoeffs.onsager.spectrum import assembled, current_spectrum
from mdcoeffs.statistics.correlate import running_integral

LOW = 0.03
"""Share of the frequencies, from the lowest on, at which both routes are compared [1]."""
FEWEST = 12
"""Frequencies that are compared at least."""
APART = 0.05
"""Difference of the two conductivities that is remarked [1]."""


@dataclass(frozen=True, eq=False)
class VelocityCheck:
    """The conductivity by velocities, beside that by displacements.

    Parameters
    ----------
    ratio : float
        Power of the current of the charge at low frequencies, from velocities over from displacements; 1 where both
        are right [1].
    highest : float
        Highest frequency of that comparison [1/s].
    frequency : array (bins,)
        Of the spectrum [1/s].
    kappa : array (bins,)
        Conductivity at a frequency, from velocities [S/m].
    dof : array (bins,)
        Amplitudes averaged: the relative standard error is sqrt(2/dof).
    lag : array (lags,)
        [s]
    integral : array (lags,)
        Green-Kubo integral of the current of the charge up to a lag [S/m].
    """

    ratio: float
    highest: float
    frequency: Array
    kappa: Array
    dof: Array
    lag: Array
    integral: Array

    @property
    def note(self) -> str:
        """One sentence: what was compared and what follows."""
        same = (
            f"velocities: below {self.highest:.3g} 1/s the current of the charge has {self.ratio:.4g} times the power "
            "that displacements give it"
        )
        if abs(self.ratio - 1) <= APART:
            return same + ", so that both routes agree"
        return same + (
            ": frames are too far apart for velocities, or their unit, the time between frames or the unwrapping is "
            "wrong; the coefficients are those of the displacements"
        )

    def numbers(self) -> dict[str, Any]:
        """Entries of ``summary.json``."""
        return {"velocities": {"over_displacements": self.ratio, "below_frequency": self.highest}}

    def variables(self) -> tuple[dict[str, tuple[Any, ...]], dict[str, tuple[Any, ...]]]:
        """Variables and coordinates of ``onsager.nc``."""
        S = {"units": "S/m"}
        about = "conductivity at a frequency, from velocities"
        variables = {
            "velocity_spectrum": (("velocity_frequency",), self.kappa, S | {"long_name": about}),
            "velocity_amplitudes": (("velocity_frequency",), self.dof, {"units": "1", "long_name": "averaged in each"}),
            "green_kubo": (("velocity_lag",), self.integral, S | {"long_name": "Green-Kubo integral up to a lag"}),
        }
        coordinates = {
            "velocity_frequency": ("velocity_frequency", self.frequency, {"units": "1/s"}),
            "velocity_lag": ("velocity_lag", self.lag, {"units": "s"}),
        }
        return variables, coordinates


def compare_velocities(runs: Sequence[CollectiveDisplacements], velocities: Sequence[Array]) -> VelocityCheck:
    """The current of the charge by both routes.

    Parameters
    ----------
    runs : sequence of CollectiveDisplacements
        Replicas; the current of a neutral liquid is the same in every frame.
    velocities : sequence of array (frames, species, 3)
        Of the same frames, summed over each species [m/s].

    Returns
    -------
    VelocityCheck

    References
    ----------
    Green 1954, doi:10.1063/1.1740082; Kubo 1957, doi:10.1143/JPSJ.12.570: the integral of the autocorrelation of the
    current.
    """
    first, z = runs[0], np.array(runs[0].z)
    axes = list(first.axes)
    charge = [np.einsum("i,fix->xf", z, v[:, :, axes]) for v in velocities]
    integrated = []
    for run, v in zip(runs, velocities, strict=True):
        R = np.zeros_like(v)
        R[1:] = run.dt * np.cumsum((v[1:] + v[:-1]) / 2, axis=0)
        integrated.append(replace(run, R=R, frame="lab"))
    every = range(len(z))
    power = [
        np.einsum("i,kij,j->k", z, current_spectrum(each, species=every).W, z) for each in (integrated, list(runs))
    ]
    plain = current_spectrum(runs, species=every)
    frequency = np.arcsin(0.5 * plain.s) / (math.pi * plain.dt)
    low = np.flatnonzero(frequency <= max(LOW * 0.5 / plain.dt, frequency[min(FEWEST, frequency.size) - 1]))
    parts = []
    for run, J in zip(runs, charge, strict=True):
        n = J.shape[1]
        k = np.arange(1, n + 1)
        s = 2.0 * np.sin(np.pi * k / (2 * (n + 1)))
        W = np.sum(fft.dst(J, type=1, axis=1, norm="ortho") ** 2, axis=0) * run.dt / 2 * _scale(run)
        parts.append((s, W[:, None, None], np.full(n, float(len(axes)))))
    own = assembled(parts, dt=first.dt, steps=tuple(J.shape[1] for J in charge))
    longest = max(1, min(J.shape[1] for J in charge) // 4)
    lag, integral = running_integral(charge, first.dt, longest)
    return VelocityCheck(
        ratio=float(power[0][low].sum() / power[1][low].sum()),
        highest=float(frequency[low[-1]]),
        frequency=np.arcsin(0.5 * own.s) / (math.pi * own.dt),
        kappa=own.W[:, 0, 0] / own.dof,
        dof=own.dof,
        lag=lag,
        integral=_scale(first) * integral,
    )


def _scale(run: CollectiveDisplacements) -> float:
    """From <J J> t of the summed velocities times charges, to the conductivity [S s/m^3]."""
    return F**2 / (k_B * run.temperature * run.volume * N_A**2)
