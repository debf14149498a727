"""Concentration against time and position with its uncertainty: what XAM and MRI give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cellsim.base import Array, InputError


@dataclass(frozen=True)
class ConcentrationMap:
    """Salt concentration c(x, t) with one standard error per point; NaN where there is none.

    Parameters
    ----------
    time : ndarray, shape (n,)
        From the start of the polarisation, increasing [s].
    position : ndarray, shape (k,)
        Distance from the positive interface at t = 0, fixed in the lab, increasing [m].
    c : ndarray, shape (n, k)
        Salt concentration [mol/m^3].
    error : ndarray, shape (n, k), optional
        Standard error of each point [mol/m^3].
    shared : ndarray, shape (k,), optional
        The part of `error` that all times have in common, from the reference taken before [mol/m^3].
    scale_error : float
        Relative error common to all changes of concentration, as from the path length [1]; not part of `error`.
    resolution : float
        Length over which neighbouring points are correlated [m]; 0: independent.
    label : str
        For figures.

    Raises
    ------
    InputError
        If shapes do not agree, or times or positions do not increase.
    """

    time: Array
    position: Array
    c: Array
    error: Array | None = None
    shared: Array | None = None
    scale_error: float = 0.0
    resolution: float = 0.0
    label: str = ""

    def __post_init__(self) -> None:
        shape = (self.time.size, self.position.size)
        for name in ("c", "error"):
            values = getattr(self, name)
            if values is not None and values.shape != shape:
                raise InputError(f"{self.label or 'concentration map'}: {name} has shape {values.shape}, not {shape}")
        if np.any(np.diff(self.time) <= 0) or np.any(np.diff(self.position) <= 0):
            raise InputError(f"{self.label or 'concentration map'}: times and positions must increase strictly")

    def salt(self) -> tuple[Array, Array]:
        """Salt per area over the positions that all times have, by the trapezoidal rule, and its standard error.

        Returns
        -------
        salt : ndarray, shape (n,)
            [mol/m^2]
        error : ndarray, shape (n,)
            [mol/m^2]; zero where the map carries no errors. Points closer than `resolution` count as one.
        """
        kept = np.all(np.isfinite(self.c), axis=0)
        if np.count_nonzero(kept) < 2:
            raise InputError(f"{self.label or 'concentration map'}: fewer than two positions hold a value at all times")
        x = self.position[kept]
        weight = np.zeros(x.size)
        weight[:-1] += 0.5 * np.diff(x)
        weight[1:] += 0.5 * np.diff(x)
        salt = self.c[:, kept] @ weight
        if self.error is None:
            return salt, np.zeros(salt.size)
        spread = np.sqrt(self.error[:, kept] ** 2 @ weight**2)
        together = max(1.0, self.resolution / float(np.median(np.diff(x))))
        return salt, spread * np.sqrt(together)
