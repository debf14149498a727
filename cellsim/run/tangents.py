"""Tangents of a run: how current, voltage, concentrations and velocities change with a parameter, as functions of time.

Every parameter adds a run of which that parameter is changed by a millionth and which takes the time steps of the run
itself (:func:`cellsim.solvers.compiled.solve_beside`). Since nothing in it is decided anew, the difference of the two
is smooth down to rounding, and divided by the change it is the derivative of the solution that was found: internal
numerical differentiation. Differences of whole runs need changes of some per cent, for each run has an error of its
own, and two runs for each parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from cellsim.base import Array, InputError
from cellsim.cell.geometry import Cell, InitialProfile, average_of
from cellsim.cell.kinetics import Resistance
from cellsim.cell.protocol import Protocol
from cellsim.electrolyte.mixture_set import MixtureSet
from cellsim.electrolyte.transport import TransportSet
from cellsim.run.simulation import NUDGE, Call, simulate_beside, wanted_times
from cellsim.solvers.march import Options
from cellsim.solvers.solution import VARIABLES, Solution

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Tangents:
    """A run and its derivatives.

    Attributes
    ----------
    solution : Solution
        The run.
    parameters : tuple of str
        Their names.
    changes : tuple of float
        By how much each was changed, in the unit of :data:`PARAMETERS`.
    beside : tuple of Solution
        The runs with one parameter changed each.
    """

    solution: Solution
    parameters: tuple[str, ...]
    changes: tuple[float, ...]
    beside: tuple[Solution, ...]

    def of(self, variable: str, parameter: str) -> Array:
        """The derivative of a variable of the Solution with respect to a parameter.

        At fixed time and, where the variable has places, at a fixed part of the thickness. Not a number in the rows
        that a stop condition puts into the result and whose time depends on the parameter; see :meth:`moments`.

        Parameters
        ----------
        variable : str
            ``"i"``, ``"V"``, ``"c"``, ``"v_minus"`` ...
        parameter : str
            One of :attr:`parameters`.

        Returns
        -------
        ndarray
            Of the variable's shape, in its unit over that of the parameter.

        Raises
        ------
        InputError
            A name that is not known.
        """
        if variable not in VARIABLES or variable == "step":
            known = ", ".join(name for name in VARIABLES if name != "step")
            raise InputError(f"variable = {variable!r} is none of a run's numbers; there are {known}")
        k = self._place(parameter)
        moved = np.asarray((self.beside[k][variable] - self.solution[variable]) / self.changes[k])
        moves = self.beside[k]["time"] != self.solution["time"]
        if moves.any():
            moved[(slice(None),) * VARIABLES[variable][0].index("time") + (moves,)] = np.nan
        return moved

    def moments(self, parameter: str) -> Array:
        """The derivative of the time at which each protocol step ends, shape (steps,) [s over the parameter's unit].

        Zero where a step lasts its duration and all before it did.
        """
        k = self._place(parameter)
        ends = zip(self.beside[k].log, self.solution.log, strict=True)
        return np.array([(float(a["t_end"]) - float(b["t_end"])) / self.changes[k] for a, b in ends])

    def _place(self, parameter: str) -> int:
        if parameter not in self.parameters:
            raise InputError(f"parameter = {parameter!r} was not asked for; there are {', '.join(self.parameters)}")
        return self.parameters.index(parameter)

    @cached_property
    def dataset(self) -> xr.Dataset:
        """Derivatives of i, V, c, c_face and the velocities with the parameters as first dimension, and `t_end`."""
        import xarray as xr

        names = ("i", "V", "c", "c_face", *self.solution.velocities)
        rows: dict[str, Any] = {
            f"d_{name}": (
                ("parameter", *VARIABLES[name][0]),
                np.array([self.of(name, p) for p in self.parameters]),
                {"units": f"({VARIABLES[name][1]})/(unit of the parameter)"},
            )
            for name in names
        }
        rows["d_t_end"] = (("parameter", "step_number"), np.array([self.moments(p) for p in self.parameters]))
        units = [PARAMETERS[p][0] for p in self.parameters]
        coordinates = {"parameter": list(self.parameters), "unit": ("parameter", units)}
        own = self.solution.dataset.coords
        return xr.Dataset(rows, coords=coordinates | {name: own[name] for name in ("time", "x", "face", "frame")})


def tangents(
    cell: Cell,
    transport: TransportSet,
    protocol: Protocol,
    *,
    c0: float | InitialProfile,
    parameters: Sequence[str],
    times: ArrayLike | None = None,
    options: Options | None = None,
) -> Tangents:
    """Run a protocol by the compiled solver, with derivatives of all that is found.

    Parameters
    ----------
    cell, transport, protocol, c0, times, options
        As :func:`cellsim.simulate`. The run is made at a tenth of the tolerance, so that its derivatives are as exact
        as a run without them.
    parameters : sequence of str
        Of :data:`PARAMETERS`. ``"kappa"``, ``"D"`` and ``"chi"`` are relative changes at all concentrations, so that
        the derivative is the one by ln kappa; ``"t_plus"`` is a change of t+0 by the same number everywhere, at the
        same kappa, D and chi; ``"thickness"``, ``"c0"``, ``"R_positive"``, ``"R_negative"``, ``"porosity"`` and
        ``"macmullin"`` are those of the cell, in SI units.

    Returns
    -------
    Tangents

    Raises
    ------
    InputError
        A parameter that is not known, or what the compiled solver does not carry: n components, double layers.
    ConvergenceError
        A run that does not get to an end.

    References
    ----------
    Internal numerical differentiation: Bock 1981, doi:10.1007/978-3-642-68220-9_8.
    """
    names = (parameters,) if isinstance(parameters, str) else tuple(parameters)
    if not names:
        raise InputError(f"parameters: name at least one of {', '.join(PARAMETERS)}")
    for name in names:
        if name not in PARAMETERS:
            raise InputError(f"parameters: {name!r} is none of {', '.join(PARAMETERS)}")
    if isinstance(transport, MixtureSet):
        raise InputError(
            f"tangents: {transport.name} has {len(transport.species)} species, which the compiled solver does not "
            "carry; use cellsim.sensitivities, which takes differences of whole runs"
        )
    own = Call(cell, transport, protocol, c0, wanted_times(protocol, times), options or Options())
    changes = tuple(NUDGE * PARAMETERS[name][1](own) for name in names)
    others = [PARAMETERS[name][2](own, by) for name, by in zip(names, changes, strict=True)]
    solution, *beside = simulate_beside(own, others, precise=True)
    return Tangents(solution, names, changes, tuple(beside))


def _scaled(source: str) -> Callable[[Call, float], Call]:
    """A relative change of a property as its source states it."""

    def moved(call: Call, by: float) -> Call:
        own = getattr(call.transport, source)
        return _with_set(call, **{source: lambda c, m, r: (1 + by) * own(c, m, r)})

    return moved


def _with_set(call: Call, **fields: Any) -> Call:
    return replace(call, transport=replace(call.transport, **fields))


def _t_plus(call: Call, by: float) -> Call:
    """t+0 changed by the same number everywhere; chi stays, also of a set that states (1 - t+0) chi."""
    clamped = call.transport.with_extrapolation("clamp")
    if not np.all(np.isfinite(clamped.chi(np.geomspace(*clamped.c_range, 65)))):
        raise InputError(
            f"parameters: t_plus of {clamped.name} cannot change at fixed chi, which is infinite where t_plus = 1"
        )
    return _with_set(
        call,
        t_plus_source=lambda c, m, r: clamped.t_plus(c) + by,
        t_plus_frame="solvent",
        chi_source=lambda c, m, r: clamped.chi(c),
        chi_basis="molal",
        chi_is_product=False,
    )


def _thickness(call: Call, by: float) -> Call:
    thickness, c0 = call.cell.thickness + by, call.c0
    c0 = c0.scaled(average_of(c0), thickness) if isinstance(c0, InitialProfile) else c0
    return replace(call, cell=replace(call.cell, thickness=thickness), c0=c0)


def _c0(call: Call, by: float) -> Call:
    c0, average = call.c0, average_of(call.c0) + by
    return replace(call, c0=c0.scaled(average, call.cell.thickness) if isinstance(c0, InitialProfile) else average)


def _resistance(side: str) -> Callable[[Call, float], Call]:
    def moved(call: Call, by: float) -> Call:
        electrode = getattr(call.cell, side)
        resistance = Resistance(electrode.resistance.value + by, electrode.resistance.time)
        return replace(call, cell=replace(call.cell, **{side: replace(electrode, resistance=resistance)}))

    return moved


def _separator(name: str) -> Callable[[Call, float], Call]:
    def moved(call: Call, by: float) -> Call:
        separator = call.cell.separator
        changed = replace(separator, **{name: getattr(separator, name) + by})
        return replace(call, cell=replace(call.cell, separator=changed))

    return moved


def _bulk_resistance(call: Call) -> float:
    kappa = float(call.transport.with_extrapolation("clamp").kappa(average_of(call.c0)))
    return call.cell.thickness * call.cell.separator.macmullin / kappa


def _inwards(call: Call) -> float:
    """The average concentration, negative where a higher one would leave the range of the set."""
    c = average_of(call.c0)
    return c if call.transport.contains((1 + 2 * NUDGE) * c) else -c


def _one(call: Call) -> float:
    return 1.0


PARAMETERS: dict[str, tuple[str, Callable[[Call], float], Callable[[Call, float], Call]]] = {
    "kappa": ("1", _one, _scaled("kappa_source")),
    "D": ("1", _one, _scaled("D_source")),
    "t_plus": ("1", _one, _t_plus),
    "chi": ("1", _one, _scaled("chi_source")),
    "thickness": ("m", lambda call: call.cell.thickness, _thickness),
    "c0": ("mol/m^3", _inwards, _c0),
    "R_positive": ("ohm m^2", _bulk_resistance, _resistance("positive")),
    "R_negative": ("ohm m^2", _bulk_resistance, _resistance("negative")),
    "porosity": ("1", lambda call: -1.0, _separator("porosity")),
    "macmullin": ("1", _one, _separator("macmullin")),
}
"""Name -> unit of the parameter, the scale of its changes, and a run with it changed."""
