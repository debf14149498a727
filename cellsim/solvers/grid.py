"""Pieces of every cell-centred solver: the graded grid, the values at the walls, the current of a held voltage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cellsim.base import Array, ConvergenceError


def graded_faces(cells: int, length: float, stretch: float = 2.5) -> Array:
    """Faces of a symmetric grid, fine at both walls.

    x = (L/2) [1 + tanh(stretch (2s - 1))/tanh(stretch)], s = 0 ... 1: smooth, so that second order survives.

    Parameters
    ----------
    cells : int
        Number of cells.
    length : float
        [m]
    stretch : float
        0: uniform; 2.5: cells at the wall about 1/15 of the mean.

    Returns
    -------
    ndarray, shape (cells + 1,)
        [m]
    """
    s = np.linspace(-1.0, 1.0, cells + 1)
    shape = s if stretch == 0 else np.tanh(stretch * s) / np.tanh(stretch)
    faces = 0.5 * length * (1 + shape)
    faces[0], faces[-1] = 0.0, length
    return faces


@dataclass(frozen=True)
class WallFit:
    """Value at a wall from the two nearest cell averages and the slope there, third order.

    The parabola a + g s + b s^2 (s: distance from the wall) with the averages c_1, c_2 of the two cells and the wall
    slope g has a = base + weight g. The slope depends on a through the properties, which closes by iteration.

    Parameters
    ----------
    h_1, h_2 : float
        Widths of the two cells next to the wall [m].
    """

    h_1: float
    h_2: float

    def coefficients(self, c_1: float, c_2: float) -> tuple[float, float]:
        """(base [mol/m^3], weight [m]) of the wall value base + weight * slope."""
        h_1, h_2 = self.h_1, self.h_2
        spread = ((h_1 + h_2) ** 3 - h_1**3) / (3 * h_2) - h_1**2 / 3
        base = c_1 - h_1**2 / 3 * (c_2 - c_1) / spread
        weight = -h_1 / 2 + h_1**2 * (h_1 + h_2) / (6 * spread)
        return base, weight


def wall_values(
    widths: Array, c: Array, slope: Callable[[Array], Array], *, tolerance: float = 1e-13, iterations: int = 60
) -> Array:
    """Concentrations at both walls, rebuilt from the known flux.

    Parameters
    ----------
    widths : ndarray, shape (n,)
        Cell widths [m].
    c : ndarray, shape (n, ...)
        Cell averages [mol/m^3].
    slope : callable
        dc/dx at x = 0 and x = L [mol/m^4] as a function of the two wall values, shape (2, ...).
    tolerance, iterations : float, int
        Relative change at which the fixed point is reached, and how often it is tried.

    Returns
    -------
    ndarray, shape (2, ...)
        c(0) and c(L) [mol/m^3].
    """
    left = WallFit(widths[0], widths[1]).coefficients(c[0], c[1])
    right = WallFit(widths[-1], widths[-2]).coefficients(c[-1], c[-2])
    base = np.array([left[0], right[0]])
    weight = np.array([left[1], -right[1]]).reshape(2, *(1,) * (c.ndim - 1))
    scale = np.mean(np.abs(c), axis=0)
    wall, sizes = base + weight * slope(c[[0, -1]]), []
    for _ in range(iterations):
        previous = wall
        wall = base + weight * slope(previous)
        change = np.abs(wall - previous)
        if np.all(change <= tolerance * scale):
            break
        # Where D falls 1000-fold between a wall and its cell no parabola has the slope: the iteration wanders, and all
        # sixty rounds of it, at every trial current, were nine tenths of such a run.
        sizes.append(np.max(change))
        if len(sizes) > PATIENCE and sizes[-1] > 0.9 * sizes[-1 - PATIENCE]:
            break
    return wall


PATIENCE = 8
"""Rounds in which the change of a wall value must have become smaller by a tenth."""


def pair_means(c: Array) -> Array:
    """Means of neighbouring cells, shape (n - 1,): the value half-way between centres, where the two-point slope is
    centred. Properties taken there leave a quarter of the error that values interpolated to the faces leave.
    """
    return 0.5 * (c[1:] + c[:-1])


class MeanDiffusion:
    """D averaged over all concentrations between two neighbours, the integral of D dc over Delta c.

    Kirchhoff's transformation: what passes between two centres is exact in a steady profile however D varies between
    them, so that a front or a dip in D narrower than that is not stepped over. The integral is a cubic Hermite
    function of c on nodes that are halved until its slope is D.

    Parameters
    ----------
    D : callable
        Of concentrations [m^2/s], held beyond the range.
    c_range : tuple of float
        Where it varies [mol/m^3].
    """

    def __init__(self, D: Callable[[Array], Array], c_range: tuple[float, float]) -> None:
        from scipy.interpolate import CubicHermiteSpline

        nodes, weights = np.polynomial.legendre.leggauss(6)
        # even in c and in ln c, so that neither the dilute nor the concentrated end can hide a feature of 5 mol/m^3
        edges = np.union1d(np.geomspace(*c_range, 1025), np.linspace(*c_range, 1025))
        edges[0], edges[-1] = c_range
        for last in (*[False] * HALVINGS, True):
            at, half = D(edges), 0.5 * np.diff(edges)
            middle = edges[:-1] + half
            mean = 0.5 * (D(middle[:, None] + half[:, None] * nodes) @ weights)
            # the slope that the cubic has in the middle of an interval, and what it should be
            rough = np.abs(1.5 * mean - 0.25 * (at[1:] + at[:-1]) - D(middle)) > MEAN_ERROR * np.abs(mean)
            if last or not np.any(rough):
                break
            edges = np.union1d(edges, middle[rough])
        total = np.concatenate([[0.0], np.cumsum(2 * half * mean)])
        self._range, self._ends = c_range, (float(at[0]), float(at[-1]))
        self._integral = CubicHermiteSpline(edges, total, at)
        self._slope = self._integral.derivative()
        self._inverse = CubicHermiteSpline(total, edges, 1 / at)
        self._total = float(total[-1])

    def integral(self, c: Array) -> Array:
        """The integral of D dc from the lower end of the range to `c` [mol/(m s)]."""
        inside = np.clip(c, *self._range)
        beyond = c - inside
        return np.asarray(self._integral(inside) + beyond * np.where(beyond < 0, *self._ends))

    def inverse(self, integral: Array) -> Array:
        """The concentration at which the integral has a value [mol/m^3]."""
        inside = np.clip(integral, 0.0, self._total)
        beyond = integral - inside
        return np.asarray(self._inverse(inside) + beyond / np.where(beyond < 0, *self._ends))

    def walls(self, widths: Array, c: Array, slope: Callable[[Array], Array]) -> Array:
        """Concentrations at both walls, as :func:`wall_values` finds them, but with the parabola in the integral.

        Its slope at a wall is the current's alone, where that of c is the current's over D at the wall: next to a front
        in D the parabola in c is none, and the iteration for its slope runs away.

        Parameters
        ----------
        widths, c : ndarray, shape (n,)
            Cell widths [m] and averages [mol/m^3].
        slope : callable
            Slope of the integral at both walls [mol/(m^2 s)] as a function of c there, shape (2,).

        Returns
        -------
        ndarray, shape (2,)
            c(0) and c(L) [mol/m^3].
        """
        ends = [0, 1, -2, -1]
        found = wall_values(widths[ends], self.integral(c[ends]), lambda wall: slope(self.inverse(wall)))
        return self.inverse(found)

    def at(self, c: Array) -> Array:
        """D itself, as the integral has it [m^2/s]."""
        return np.asarray(self._slope(np.clip(c, *self._range)))

    def between(self, c: Array) -> Array:
        """The mean between neighbours, shape (..., n - 1) for `c` of shape (..., n) [m^2/s]."""
        change = np.diff(c, axis=-1)
        middle = 0.5 * (c[..., 1:] + c[..., :-1])
        # closer neighbours have D at their mean: a difference of integrals would be noise
        apart = np.abs(change) > 1e-4 * middle
        return np.where(apart, np.diff(self.integral(c), axis=-1) / np.where(apart, change, 1.0), self.at(middle))


MEAN_ERROR = 1e-6
"""Error of D, relative, that the table of its integral may have."""
HALVINGS = 14
"""How often an interval of that table is halved; a jump of D is smeared over less than a thousandth of a mol/m^3."""


def face_values(widths: Array, c: Array) -> Array:
    """Linear interpolation of cell values to the interior faces, shape (..., n - 1)."""
    near = widths[..., 1:] / (widths[..., :-1] + widths[..., 1:])
    return near * c[..., :-1] + (1 - near) * c[..., 1:]


def face_slopes(widths: Array, c: Array) -> Array:
    """Differences of cell values over centre distances at the interior faces, shape (n - 1,)."""
    return np.diff(c) / (0.5 * (widths[:-1] + widths[1:]))


def cell_resistances(widths: Array, c: Array, wall: Array, kappa: Callable[[Array], Array]) -> Array:
    """The integral of dx/kappa over every cell [ohm m^2], shape (..., n).

    Within a cell c is a straight line through its average. Where salt runs out, kappa changes severalfold in the last
    cell and its value at the average will not do: of a line, integral dx/kappa = (h/Delta c) integral (c/kappa) dln c,
    whose integrand hardly varies, so that two points of Gauss are.

    Parameters
    ----------
    widths, c : ndarray, shape (..., n)
        Cell widths [m] and averages [mol/m^3], of one state or of many.
    wall : ndarray, shape (..., 2)
        c at both walls [mol/m^3].
    kappa : callable
        Conductivity [S/m] of concentrations.
    """
    face = np.concatenate([wall[..., :1], face_values(widths, c), wall[..., 1:]], axis=-1)
    half = 0.5 * np.diff(face)
    # a line through the average of a curved profile may cross zero before the profile does: kept above half its ends
    floor = 0.5 * np.minimum(face[..., :-1], face[..., 1:])
    ends = np.maximum(np.stack([c - half, c + half]), np.maximum(floor, 1e-12 * np.abs(c)))
    middle, spread = np.log(ends).mean(axis=0), np.log(ends[1] / ends[0])
    change = ends[1] - ends[0]
    # dln c/dc across the cell, 1/c where the cell is uniform to rounding
    uniform = np.abs(spread) < 1e-4
    per_c = np.where(uniform, np.exp(-middle), spread / np.where(uniform, 1.0, change))
    at = np.exp(np.stack([middle - 0.5 * spread / np.sqrt(3), middle + 0.5 * spread / np.sqrt(3)]))
    return np.asarray(widths * per_c * (at / kappa(at)).mean(axis=0))


def find_current(
    miss: Callable[[float], float], guess: float, scale: float, voltage_scale: float, resistance: float | None = None
) -> tuple[float, float]:
    """Root of `miss`, by the secant method and, where that fails, by bracketing.

    Parameters
    ----------
    miss : callable
        Cell voltage less the voltage asked for [V] as a function of the current density [A/m^2]; rising.
    guess : float
        Where to begin [A/m^2].
    scale : float
        A current density of the size of the answer [A/m^2].
    voltage_scale : float
        A voltage of the size at hand; the root is accepted within 1e-9 of it [V].
    resistance : float, optional
        Slope of `miss`, as an earlier call found it: a good first step saves half of the evaluations [ohm m^2].

    Returns
    -------
    i : float
        Within 1e-10 of `scale` [A/m^2].
    resistance : float
        The slope there [ohm m^2].

    Raises
    ------
    ConvergenceError
        If no current gives the voltage: the profile has run dry, or a trial one is beyond reason.
    """
    accepted = 1e-9 * voltage_scale
    a, f_a = guess, miss(guess)
    if resistance is not None and abs(f_a) <= accepted and abs(f_a / resistance) <= 1e-10 * scale:
        return a, resistance
    b, slope = a + (1e-4 * scale if resistance is None else -f_a / resistance), resistance
    for _ in range(30):
        f_b = miss(b)
        if f_b == f_a or not np.isfinite(f_b):
            break
        slope = (f_b - f_a) / (b - a)
        # what the next step would still change
        if abs(f_b) <= accepted and abs(f_b / slope) <= 1e-10 * scale:
            return b, slope
        a, b, f_a = b, b - f_b / slope, f_b
    if abs(f_b) <= accepted and slope is not None:
        return b, slope
    return _bracketed(miss, guess, scale, accepted)


def _bracketed(miss: Callable[[float], float], guess: float, scale: float, accepted: float) -> tuple[float, float]:
    from scipy.optimize import brentq

    low, high = guess, guess
    for k in range(12):
        reach = scale * 4.0 ** (k - 6)
        low, high = guess - reach, guess + reach
        f_low, f_high = miss(low), miss(high)
        if not (np.isfinite(f_low) and np.isfinite(f_high)):
            break
        if f_low * f_high <= 0:
            root = float(brentq(lambda x: miss(x), low, high, xtol=1e-14 * scale, rtol=1e-13))
            if abs(miss(root)) <= 1e3 * accepted:
                return root, (f_high - f_low) / (high - low)
            break
    raise ConvergenceError(
        "no current gives the voltage asked for with this profile; where the salt runs out or a property changes "
        'steeply at a wall, take more cells or name = "sundials", which refines by itself'
    )
