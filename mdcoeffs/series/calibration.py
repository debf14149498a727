"""Calibration of a force field: which value of its parameter gives the measured transport coefficients.

Simulations at several values x_k of one parameter, such as a scaling of the charges, give an Onsager matrix each, with
posterior samples. Between the states the matrix is interpolated in coordinates that have no bounds,

    y = (ln Omega_++, ln Omega_--, artanh(Omega_+-/sqrt(Omega_++ Omega_--))),

as a polynomial in x whose linear part is free and whose higher Legendre coefficients are normal with standard deviation
tau g^(d-2), d = 2, 3, ...; tau and g are summed over a grid, weighted by their evidence. The error of y(x) is therefore
that of the runs and that of the interpolation. Measured values (kappa, rho_+, D of the salt, t_+^0, or any quantity of
a series) are compared as ln, shares as arcsin of the root, where both errors are close to normal:

    chi^2(x) = (m - q(x))^T [S_q(x) + S_m]^-1 (m - q(x)),     p(x | m) ~ exp(-chi^2/2) / sqrt(det[S_q(x) + S_m]),

with a flat prior between the first and the last state. Nothing is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chi2 as chi2_distribution

from cellsim.base import Array, InputError, Ints
from cellsim.electrolyte.onsager import OnsagerMatrix
from cellsim.electrolyte.relations import conductivity, current_fraction, salt_diffusion, transference
from mdcoeffs.onsager.result import read_onsager
from mdcoeffs.series.interpolation import DRAWS, coordinates, interpolate, matrices_of
from mdcoeffs.series.quantities import PANELS, Z95, Found, Panel, panel_of
from mdcoeffs.series.recipe import Measured, read_measured
from mdcoeffs.series.run import Series

LEVEL = 0.95
FEWEST_STATES = 3
DOUBT = 0.01
"""Probability of a misfit at least as large below which it is said [1]."""
GRID = 401
"""Values of the parameter at which everything is evaluated."""
SALT = {"D_salt": Panel("", "$D$ of the salt", "m^2/s", 1)}
"""Of a table of measured values, beside the quantities of a series: it needs the thermodynamic factor."""
FROM_MATRIX = ("kappa", "rho_plus", "t_plus_solvent", "D_salt")
"""Quantities that follow from the interpolated matrix; others are interpolated on their own."""
BOUND_TO_IT = (
    "Omega_solvent",
    "Omega_barycentric",
    "parts",
    "share",
    "ionicity",
    "stefan_maxwell",
    "friction",
)
"""Panels whose quantities are the matrix again, in part or whole: beside it they would count twice."""
SHARES = ("rho_plus", "t_app", "bound", "free")
"""Quantities between 0 and 1, compared as the arcsine of their root."""
_SAME_T, _SAME_C = 0.5, 0.02


@dataclass(frozen=True, eq=False)
class Family:
    """Simulations that differ in one parameter of the force field.

    Parameters
    ----------
    name : str
        Of the parameter.
    unit : str
        Of the parameter; "" for a pure number.
    at : array (states,)
        Its values, increasing [unit].
    matrices : tuple of OnsagerMatrix
        Solvent frame, with posterior samples.
    others : mapping
        Name -> its value in each state, for quantities that do not follow from the matrix.
    """

    name: str
    unit: str
    at: Array
    matrices: tuple[OnsagerMatrix, ...]
    others: Mapping[str, tuple[Found, ...]]

    def __post_init__(self) -> None:
        if len(self.at) < FEWEST_STATES:
            raise InputError(
                f"{len(self.at)} states with an Onsager matrix are too few to calibrate {self.name}; simulate at "
                f"{FEWEST_STATES} values at least"
            )
        if not np.all(np.diff(self.at) > 0):
            raise InputError(f"two states have the same {self.name}; give their runs as replicas of one state")
        first = self.matrices[0]
        for x, m in zip(self.at, self.matrices, strict=True):
            if m.samples is None:
                raise InputError(
                    f"the matrix at {self.name} = {x:g} has no posterior samples; analyse its trajectories with "
                    "mdcoeffs onsager"
                )
            if m.z != first.z or abs(m.T - first.T) > _SAME_T or abs(m.c / first.c - 1) > _SAME_C:
                raise InputError(
                    f"the state at {self.name} = {x:g} has c = {m.c:.5g} mol/m^3 and T = {m.T:g} K, the first one "
                    f"{first.c:.5g} mol/m^3 and {first.T:g} K; states of a calibration differ in {self.name} only"
                )


@dataclass(frozen=True)
class Held:
    """What one measured quantity says of the parameter.

    Parameters
    ----------
    pull : float
        Computed less measured at the most likely value, in standard errors of both together [1].
    alone : tuple of float
        Interval of the parameter from this quantity only.
    without : float
        How many times wider the interval is without it; NaN where it is the only one.
    """

    pull: float
    alone: tuple[float, float]
    without: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """Likelihood and posterior of a parameter of the force field.

    Parameters
    ----------
    family : Family
        The simulations.
    measured : tuple of Measured
        What was compared; a measured thermodynamic factor is used and not compared.
    at : array (n,)
        Values of the parameter.
    density : array (n,)
        Posterior density, its integral one [1/unit].
    chi2 : array (n,)
        Profile: chi^2 of the measured values at each value of the parameter [1].
    best : float
        Value of the smallest chi^2.
    interval : tuple of float
        Ends of the region of highest posterior density, 95 %.
    profile : tuple of tuple of float
        Stretches in which chi^2 is within 3.84 of its smallest value.
    predicted : mapping
        Quantity -> array (n, 3), median and ends of the 95 % interval of the simulated value [SI].
    held : mapping
        Quantity -> what it says on its own, and how much depends on it.
    p : float
        Probability of a chi^2 at least as large as the smallest; NaN with one quantity.
    notes : tuple of str
        What its user must know.
    """

    family: Family
    measured: tuple[Measured, ...]
    at: Array
    density: Array
    chi2: Array
    best: float
    interval: tuple[float, float]
    profile: tuple[tuple[float, float], ...]
    predicted: Mapping[str, Array]
    held: Mapping[str, Held]
    p: float
    notes: tuple[str, ...]

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the smallest chi^2."""
        return len(self.held) - 1

    @property
    def fits(self) -> bool:
        """Whether some value of the parameter agrees with all measured values."""
        return not self.p < DOUBT

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds; the parameter in its unit, all else in SI."""
        return {
            "parameter": self.family.name,
            "unit": self.family.unit,
            "states": self.family.at.tolist(),
            "best": self.best,
            "interval": list(self.interval),
            "level": LEVEL,
            "profile": [list(ends) for ends in self.profile],
            "chi2": float(self.chi2.min()),
            "freedom": self.freedom,
            "p": None if math.isnan(self.p) else self.p,
            "quantities": {
                name: {
                    "standard_errors_apart": each.pull,
                    "interval_alone": list(each.alone),
                    "times_wider_without": None if math.isnan(each.without) else each.without,
                }
                for name, each in self.held.items()
            },
            "measured": [
                {"quantity": m.quantity, "value": m.value, "error": m.error, "source": m.source} for m in self.measured
            ],
            "notes": list(self.notes),
        }


# ---- what is compared -----------------------------------------------------------------------------------------------


def family_of(series: Series) -> Family:
    """The simulations of a series, for :func:`calibrate`.

    Parameters
    ----------
    series : Series
        As :func:`mdcoeffs.series.run.run_series` gives it, with the analysis ``onsager`` in three states at least.

    Returns
    -------
    Family

    Raises
    ------
    InputError
        A series over concentration or temperature, too few states, states that differ in more than the parameter.
    """
    recipe = series.recipe
    if recipe.variable in ("c", "T", "m", "r"):
        raise InputError(
            f"{recipe.path}: series.variable = {recipe.variable!r} is a condition of the experiment; a calibration "
            'needs a parameter of the force field, such as "charge_scaling"'
        )
    states = [state for state in series.states if "onsager" in state.folders and math.isfinite(state.value)]
    matrices = tuple(read_onsager(state.folders["onsager"]).to_frame("solvent") for state in states)
    names = [name for name in series.quantities if all(name in s.found and s.found[name].bounded for s in states)]
    again = (*FROM_MATRIX, "t_plus_barycentric")
    free = [name for name in names if name not in again and panel_of(name) not in BOUND_TO_IT]
    others = {name: tuple(state.found[name] for state in states) for name in free}
    return Family(recipe.variable, recipe.unit, np.array([state.value for state in states]), matrices, others)


def read_targets(path: str | Path) -> tuple[Measured, ...]:
    """Read the measured values of a calibration.

    Parameters
    ----------
    path : str or Path
        Columns quantity, value, error (one standard error), and, if wanted, unit and source. Quantities are those of a
        series, ``D_salt``, and ``chi`` for it.

    Returns
    -------
    tuple of Measured

    Raises
    ------
    InputError
        An unreadable table, an unknown quantity, a missing error, a quantity named twice.
    """
    found = read_measured(path, "", "", extra=SALT)
    for each in found:
        if not each.error > 0:
            raise InputError(f"{path}: {each.quantity} has no error; a calibration weighs values by their errors")
        if sum(other.quantity == each.quantity for other in found) > 1:
            raise InputError(f"{path}: {each.quantity} stands there twice; give one value with its error")
    if not found:
        raise InputError(f"{path}: no measured value; give one row at least, such as kappa,0.12,0.005,S/m")
    return tuple(found)


def state_values(found: Calibration, name: str) -> Array:
    """A compared quantity in the simulated states.

    Parameters
    ----------
    found : Calibration
        The result.
    name : str
        One of the compared quantities.

    Returns
    -------
    array (states, 3)
        Median and ends of the 95 % interval [SI].
    """
    family, tails = found.family, [0.5, 0.5 - LEVEL / 2, 0.5 + LEVEL / 2]
    if name not in FROM_MATRIX:
        return np.array([[each.value, each.low, each.high] for each in family.others[name]])
    chi = next((m.value for m in found.measured if m.quantity == "chi"), None)
    rows = []
    for k, m in enumerate(family.matrices):
        factor = chi if chi is not None else family.others["chi"][k].value if name == "D_salt" else None
        of = {"t_plus_solvent": "t_plus", "D_salt": "diffusion"}.get(name, name)
        rows.append(np.quantile(m.draws(of, chi=factor), tails))
    return np.array(rows)


@dataclass(frozen=True)
class _Scale:
    """Coordinates in which values and errors are compared."""

    forward: Callable[[Any], Any]
    back: Callable[[Any], Any]
    slope: Callable[[float], float]


_LOG = _Scale(np.log, np.exp, lambda v: 1 / v)
# a logarithm of odds would be infinite where rho_+ = 1, which happens between two states as soon as t_+^0 passes 1
_SHARE = _Scale(
    lambda v: np.arcsin(np.sqrt(np.clip(v, 0.0, 1.0))),
    lambda y: np.sin(np.clip(y, 0.0, np.pi / 2)) ** 2,
    lambda v: 0.5 / math.sqrt(v * (1 - v)),
)
_PLAIN = _Scale(lambda v: v, lambda y: y, lambda v: 1.0)


def _scale(name: str, lowest: float) -> _Scale:
    if name in SHARES:
        return _SHARE
    unit = SALT[name].unit if name in SALT else PANELS[panel_of(name)].unit
    return _LOG if unit != "1" and lowest > 0 else _PLAIN


# ---- the likelihood -------------------------------------------------------------------------------------------------


def calibrate(family: Family, measured: Sequence[Measured], *, seed: int = 0) -> Calibration:
    """Profile likelihood and posterior of the parameter.

    Parameters
    ----------
    family : Family
        The simulations.
    measured : sequence of Measured
        What the experiment gave, each with its standard error.
    seed : int
        Of the draws of the interpolation.

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        Nothing to compare, a quantity that the states do not have, D without a thermodynamic factor, a value that is
        impossible for its quantity.
    """
    chi = next((m for m in measured if m.quantity == "chi"), None)
    compared = [m for m in measured if m.quantity != "chi"]
    if not compared:
        raise InputError("nothing to calibrate with: give measured values of kappa, rho_plus or D_salt, for example")
    extra = [m.quantity for m in compared if m.quantity not in FROM_MATRIX]
    if any(m.quantity == "D_salt" for m in compared) and chi is None:
        if "chi" not in family.others:
            raise InputError(
                "D_salt needs the thermodynamic factor: add a row chi with its error to the measured values, or the "
                "analysis activity to the series"
            )
        extra.append("chi")
    for name in extra:
        if name not in family.others:
            raise InputError(
                f"{name} cannot be calibrated with: it has no value with an interval in every state, or follows from "
                f"the others; there are {', '.join((*FROM_MATRIX[:3], *family.others))}"
            )
    scales = [_scale(m.quantity, _lowest(family, m)) for m in compared]
    _check_possible([*compared, *([] if chi is None else [chi])], [*scales, _PLAIN])
    y, noise = _of_states(family, extra, compared, scales)
    span = (float(family.at[0]), float(family.at[-1]))
    curves = interpolate(family.at, y, noise, span, seed=seed)
    at = np.linspace(*span, GRID)
    q = _predictions(family, curves(at), at, compared, extra, scales, chi)
    values = np.array([s.forward(m.value) for s, m in zip(scales, compared, strict=True)])
    errors = np.array([s.slope(m.value) * m.error for s, m in zip(scales, compared, strict=True)])
    if chi is not None:
        shared = [m.quantity == "D_salt" for m in compared]
        errors = np.hypot(errors, np.where(shared, chi.error / chi.value, 0.0))
    mean = q.mean(axis=0)
    total = np.einsum("mxi,mxj->xij", q - mean, q - mean) / (len(q) - 1) + np.diag(errors**2)
    everything = np.arange(len(compared), dtype=np.int64)
    chi2, density = _likelihood(at, values - mean, total, everything)
    k = int(np.argmin(chi2))
    interval = highest_density(at, density)
    held = {}
    for i, m in enumerate(compared):
        alone = highest_density(at, _likelihood(at, values - mean, total, everything[[i]])[1])
        without = math.nan
        if len(compared) > 1:
            ends = highest_density(at, _likelihood(at, values - mean, total, np.delete(everything, i))[1])
            without = (ends[1] - ends[0]) / (interval[1] - interval[0])
        pull = float((mean[k, i] - values[i]) / math.sqrt(total[k, i, i]))
        held[m.quantity] = Held(pull, alone, without)
    freedom = len(compared) - 1
    p = float(chi2_distribution.sf(chi2[k], freedom)) if freedom else math.nan
    tails = np.quantile(q, [0.5, 0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    predicted = {m.quantity: scales[i].back(tails[:, :, i]).T for i, m in enumerate(compared)}
    found = Calibration(
        family=family,
        measured=tuple(measured),
        at=at,
        density=density,
        chi2=chi2,
        best=float(at[k]),
        interval=interval,
        profile=_stretches(at, chi2 - chi2[k] <= chi2_distribution.ppf(LEVEL, 1)),
        predicted=predicted,
        held=held,
        p=p,
        notes=(),
    )
    unit = f" {family.unit}" if family.unit else ""
    return replace(found, notes=(*_doubts(found), *_unexpected(family.at, y, noise, family.name, unit)))


def _lowest(family: Family, m: Measured) -> float:
    """The lowest value that must have a logarithm."""
    found = family.others.get(m.quantity, ())
    return min([m.value, *(each.low for each in found)])


def _check_possible(compared: Sequence[Measured], scales: Sequence[_Scale]) -> None:
    for m, scale in zip(compared, scales, strict=False):
        if scale is _SHARE and not 0 < m.value < 1:
            raise InputError(f"measured {m.quantity} = {m.value:g} must lie between 0 and 1")
        if m.quantity in ("kappa", "D_salt", "chi") and not m.value > 0:
            raise InputError(f"measured {m.quantity} = {m.value:g} must be positive")


def _of_states(
    family: Family, extra: Sequence[str], compared: Sequence[Measured], scales: Sequence[_Scale]
) -> tuple[Array, Array]:
    """Coordinates (states, columns) and their covariances: the matrix first, then what does not follow from it."""
    count = len(family.at)
    y, noise = np.zeros((count, 3 + len(extra))), np.zeros((count, 3 + len(extra), 3 + len(extra)))
    for k, m in enumerate(family.matrices):
        assert m.samples is not None
        samples = coordinates(m.samples)
        y[k, :3], noise[k, :3, :3] = samples.mean(axis=0), np.cov(samples.T)
    of = {m.quantity: scale for m, scale in zip(compared, scales, strict=True)} | {"chi": _PLAIN}
    for j, name in enumerate(extra, 3):
        for k, each in enumerate(family.others[name]):
            ends = of[name].forward(np.array([each.low, each.high]))
            y[k, j], noise[k, j, j] = of[name].forward(each.value), ((ends[1] - ends[0]) / (2 * Z95)) ** 2
    if not np.all(np.isfinite(y)) or not np.all(np.isfinite(noise)):
        raise InputError(f"{', '.join(extra)}: an interval reaches an impossible value; the runs are too short for it")
    return y, noise


def _predictions(
    family: Family,
    y: Array,
    at: Array,
    compared: Sequence[Measured],
    extra: Sequence[str],
    scales: Sequence[_Scale],
    chi: Measured | None,
) -> Array:
    """The compared quantities of every curve (M, x, quantities), in their scales."""
    first = family.matrices[0]
    Omega = matrices_of(y[..., :3])
    columns = []
    for m, scale in zip(compared, scales, strict=True):
        if m.quantity == "kappa":
            q = scale.forward(conductivity(Omega, first.z))
        elif m.quantity == "rho_plus":
            q = scale.forward(current_fraction(Omega, first.z))
        elif m.quantity == "t_plus_solvent":
            q = transference(Omega, first.z)[..., 0]
        elif m.quantity == "D_salt":
            c = np.interp(at, family.at, [each.c for each in family.matrices])
            factor = chi.value if chi is not None else y[..., 3 + extra.index("chi")]
            one = np.asarray(salt_diffusion(Omega, first.nu, 1.0, first.T, 1.0))  # at c = 1, chi = 1
            q = scale.forward(one * np.maximum(factor, 1e-6) / c)
        else:
            q = y[..., 3 + extra.index(m.quantity)]
        columns.append(q)
    return np.stack(columns, axis=-1)


def _likelihood(at: Array, gap: Array, total: Array, chosen: Ints) -> tuple[Array, Array]:
    """chi^2 and normalised posterior density over the parameter, from some of the quantities."""
    g, S = gap[:, chosen], total[:, chosen[:, None], chosen]
    chi2 = np.einsum("xi,xi->x", g, np.linalg.solve(S, g[..., None])[..., 0])
    log = -0.5 * (chi2 + np.linalg.slogdet(S)[1])
    density = np.exp(log - log.max())
    return chi2, density / np.trapezoid(density, at)


def highest_density(at: Array, density: Array, level: float = LEVEL) -> tuple[float, float]:
    """Ends of the region of highest density that holds a probability; the outermost ones where it has gaps.

    Parameters
    ----------
    at : array (n,)
        Evenly spaced values.
    density : array (n,)
        Density at them.
    level : float
        Probability.

    Returns
    -------
    tuple of float
    """
    middle = 0.5 * (density[1:] + density[:-1]) * np.diff(at)
    order = np.argsort(middle)[::-1]
    held = np.cumsum(middle[order]) / middle.sum()
    inside = np.sort(order[: int(np.searchsorted(held, level)) + 1])
    return float(at[inside[0]]), float(at[inside[-1] + 1])


def degrees(freedom: int) -> str:
    """Degrees of freedom in words.

    Parameters
    ----------
    freedom : int
        How many.

    Returns
    -------
    str
    """
    return f"{freedom} degree{'' if freedom == 1 else 's'} of freedom"


def _stretches(at: Array, inside: Any) -> tuple[tuple[float, float], ...]:
    edges = np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8))
    return tuple(
        (float(at[a]), float(at[b - 1]))
        for a, b in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
    )


def _doubts(found: Calibration) -> list[str]:
    family = found.family
    unit = f" {family.unit}" if family.unit else ""
    first, last = float(family.at[0]), float(family.at[-1])
    said = []
    if not found.fits:
        worst = max(found.held, key=lambda name: abs(found.held[name].pull))
        said.append(
            f"no {family.name} between {first:g} and {last:g}{unit} fits all measured values: chi2 = "
            f"{found.chi2.min():.3g} with {degrees(found.freedom)}, p = {found.p:.1g}; farthest is {worst}, "
            f"{found.held[worst].pull:+.1f} standard errors. The interval means nothing then: more than this parameter "
            "is wrong, or an error is too small"
        )
    if math.isnan(found.p):
        said.append("one measured quantity cannot contradict a simulation with one free parameter: measure another one")
    low, high = found.interval
    ends = [f"{x:g}" for x, end in ((first, low), (last, high)) if x == end]
    if len(ends) == 2:
        said.append(f"the measured values do not hold {family.name}: its interval is the whole range of the states")
    elif ends:
        said.append(f"the interval ends at the last state, {family.name} = {ends[0]}{unit}: simulate beyond it")
    if len(found.profile) > 1:
        said.append(f"{len(found.profile)} separate stretches of {family.name} fit the measured values; see the figure")
    return said


def _unexpected(x: Array, y: Array, noise: Array, name: str, unit: str) -> list[str]:
    """States that the curve through the others misses."""
    said = []
    inner = range(1, len(x) - 1) if len(x) > FEWEST_STATES else range(0)
    for k in inner:
        rest = np.arange(len(x)) != k
        curves = interpolate(x[rest], y[rest], noise[rest], (float(x[0]), float(x[-1])), seed=k, count=DRAWS // 4)
        found = curves(x[k : k + 1])[:, 0]
        gap = y[k] - found.mean(axis=0)
        total = np.cov(found.T).reshape(len(gap), -1) + noise[k]
        p = float(chi2_distribution.sf(gap @ np.linalg.solve(total, gap), len(gap)))
        if p < DOUBT / len(inner):
            said.append(
                f"the state at {name} = {x[k]:g}{unit} does not lie on the curve through the others (p = {p:.1g}): add "
                "states beside it, or look at its runs"
            )
    return said
