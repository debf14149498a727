"""The result of a run: every quantity of docs/schema.md section 3, with unit, frame and provenance."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cellsim.base import Array, InputError, shown
from cellsim.drawing import figstyle
from cellsim.drawing.page import Carded
from cellsim.electrolyte.mixture_set import species_sum
from cellsim.files.folder import text_hash
from cellsim.files.reading import numbers, read_netcdf
from cellsim.files.writing import Variables, write_variables

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FRAMES = ("interface", "lab", "solvent")
STATUSES = ("done", "stopped", "depleted", "out_of_range", "not_converged", "interrupted")

# name: (dims, unit, long name)
VARIABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "step": (("time",), "1", "index of the protocol step"),
    "i": (("time",), "A/m^2", "current density, positive electrode to negative"),
    "V": (("time",), "V", "cell voltage, positive minus negative"),
    "V_ohmic": (("time",), "V", "ohmic part of the voltage, i times the integral of dx/kappa"),
    "V_concentration": (("time",), "V", "concentration potential between the interfaces"),
    "V_positive": (("time",), "V", "loss at the positive interface"),
    "V_negative": (("time",), "V", "loss at the negative interface"),
    "c": (("time", "x"), "mol/m^3", "salt concentration, cell average"),
    "m": (("time", "x"), "mol/kg", "molality of the salt"),
    "r": (("time", "x"), "1", "salt per solvent molecule or repeat unit"),
    "phi": (("time", "x"), "V", "potential of a reference electrode of M against the negative electrode"),
    "c_face": (("time", "face"), "mol/m^3", "salt concentration at the faces"),
    "t_plus": (("time", "x"), "1", "cation transference number, solvent frame"),
    "kappa": (("time", "x"), "S/m", "conductivity of the electrolyte"),
    "D": (("time", "x"), "m^2/s", "salt diffusion coefficient"),
    "chi": (("time", "x"), "1", "thermodynamic factor, molal basis"),
    "Ne": (("time", "x"), "1", "Newman number"),
    "N_plus": (("time", "face"), "mol/(m^2 s)", "cation flux, interface frame"),
    "N_minus": (("time", "face"), "mol/(m^2 s)", "anion flux, interface frame"),
    "N_0": (("time", "face"), "mol/(m^2 s)", "solvent flux, interface frame"),
    "v_plus": (("frame", "time", "face"), "m/s", "cation velocity"),
    "v_minus": (("frame", "time", "face"), "m/s", "anion velocity"),
    "v_0": (("frame", "time", "face"), "m/s", "solvent velocity"),
    "v_interface": (("time",), "m/s", "velocity of the positive interface in the lab frame"),
    "interface_shift": (("time",), "m", "displacement of the positive interface in the lab frame"),
    "position": (("time", "x"), "m", "cell centres, from the positive interface"),
    "position_face": (("time", "face"), "m", "faces, from the positive interface"),
    "thickness": (("time",), "m", "thickness of the electrolyte"),
    "salt_inventory": (("time",), "mol/m^2", "salt per electrode area"),
}
VELOCITIES = ("v_0", "v_minus", "v_plus")
"""Of a binary salt: the solvent, the anion, the cation."""
ALWAYS_FINITE = (
    "step",
    "i",
    "c",
    "c_face",
    "position",
    "position_face",
    "interface_shift",
    "salt_inventory",
    "v_minus",
)
"""Variables that every kept state has; others, such as chi where the salt is used up, may be no number."""


RECORD = ("Conventions", "summary", "keywords", "source", "history", "date_created", "references", "id")
"""Attributes of a file that :attr:`Solution.record` makes."""


def dois(text: str) -> tuple[str, ...]:
    """The DOIs in a text, as links, each once, in the order in which they stand there."""
    found = re.findall(r"10\.\d{4,9}/[^\s\"',;]+", text)
    return tuple(dict.fromkeys(f"https://doi.org/{doi.rstrip('.):')}" for doi in found))


@dataclass(frozen=True)
class SolverRun:
    """What every solver hands over; :func:`cellsim.simulate` adds the provenance and makes a :class:`Solution` of it.

    Attributes
    ----------
    arrays, coordinates, status, message, log
        As in :class:`Solution`.
    extremes : ndarray, shape (t, 2)
        Lowest and highest concentration of every kept state [mol/m^3].
    attributes : mapping
        What this solver has to say of itself: its number of time steps, what it knows of its error.
    """

    arrays: Mapping[str, Array]
    coordinates: Mapping[str, Array]
    status: str
    message: str
    log: tuple[Mapping[str, Any], ...]
    extremes: Array
    attributes: Mapping[str, Any]


@dataclass(frozen=True, repr=False)
class Solution(Carded):
    """What a run found, whether it reached its end or not.

    Parameters
    ----------
    arrays : mapping
        The variables of docs/schema.md section 3, by name, SI.
    coordinates : mapping
        ``time``, ``x``, ``face`` [s, m, m].
    status : str
        One of :data:`STATUSES`.
    message : str
        What happened, when, where and what to try.
    attributes : mapping
        Provenance: solver and options, versions, inputs, the case and the set verbatim.
    log : tuple of dict
        One per protocol step: index, drive, t_start, t_end, ended_by.
    """

    arrays: Mapping[str, Array]
    coordinates: Mapping[str, Array]
    status: str
    message: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    log: tuple[Mapping[str, Any], ...] = ()

    variables: ClassVar[Mapping[str, tuple[tuple[str, ...], str, str]]] = VARIABLES
    always_finite: ClassVar[tuple[str, ...]] = ALWAYS_FINITE

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Names along the dimensions that have names."""
        return {"frame": FRAMES}

    def dimensions(self, name: str) -> tuple[str, ...]:
        """Of a variable, by name.

        Raises
        ------
        InputError
            Unknown name.
        """
        if name not in self.variables:
            raise InputError(f"{name!r} is not a variable of a result; see docs/schema.md section 3")
        return self.variables[name][0]

    def __getitem__(self, name: str) -> Array:
        """A variable or coordinate as a plain array [SI]."""
        return self.arrays[name] if name in self.arrays else self.coordinates[name]

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        """What ran, and how it ended."""
        time, i, V = self["time"], self["i"], self["V"]
        c = self["c"] if self["c"].ndim == 2 else np.sum(self["c"][:-1], axis=0)
        words = "salt" if self["c"].ndim == 2 else "all ions"
        rows = [
            ("status", self.status + (f": {self.message}" if self.message else "")),
            ("time", f"0 to {time[-1]:.6g} s, {time.size} states kept, {len(self.log) or 1} steps"),
            ("current density i", f"{i[0]:.4g} A/m^2 at first, {i[-1]:.4g} A/m^2 at last"),
            ("voltage V", f"{V[0]:.4g} V at first, {V[-1]:.4g} V at last"),
            (f"concentration of {words}", f"{c[-1].min() / 1e3:.4g} to {c[-1].max() / 1e3:.4g} mol/L at last"),
        ]
        names = [("electrolyte", "transport"), ("solver", "solver")]
        rows += [(word, str(self.attributes[key])) for word, key in names if key in self.attributes]
        return "Solution", [*rows, ("variables", ", ".join(name for name in self.variables if name in self.arrays))]

    def plot(self) -> Figure:
        """Draw current, voltage and concentration profiles; ``cellsim plot`` draws all figures of a run.

        Returns
        -------
        Figure
            Of matplotlib; a notebook shows it.
        """
        time, hours = self["time"], self["time"][-1] > 36000
        scale, unit = (3600.0, "h") if hours else (60.0, "min") if time[-1] > 300 else (1.0, "s")
        title = str(self.attributes.get("transport", ""))
        with figstyle.panels(1, 3, title=title, width=figstyle.TWO_COLUMNS) as (figure, axes):
            for panel, name, unit_of in zip(axes, ("i", "V"), (figstyle.CURRENT, "V"), strict=False):
                panel.plot(time / scale, self[name])
                panel.set_xlabel(figstyle.label("$t$", unit, "time"))
                panel.set_ylabel(figstyle.label(f"${name}$", unit_of))
            # The first moment of a current and of a held voltage is a jump that would set the scale of all the rest.
            axes[0].set_ylim(*_limits(self["i"], time))
            axes[1].set_ylim(*_limits(self["V"], time))
            self._plot_profiles(axes[2], scale, unit)
            axes[2].set_xlabel(figstyle.label("$x$", "mm", "position"))
            axes[2].set_ylabel(figstyle.label("$c$", figstyle.CONCENTRATION))
        return figure

    def spread_states(self, count: int = 5) -> NDArray[np.intp]:
        """States between which the concentration changes by about the same amount: few late, many early.

        Parameters
        ----------
        count : int
            How many are wanted; the first and the last are among them.

        Returns
        -------
        ndarray, shape (k,)
            Places along the time axis, k <= `count` [1].
        """
        c = np.moveaxis(self["c"], self.dimensions("c").index("time"), 0).reshape(self["time"].size, -1)
        # In a straight line from state to state the change may come back, as in a rest: its length is what counts.
        length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(c, axis=0)).max(axis=1))])
        inner = np.searchsorted(length, np.linspace(0, 1, count)[1:-1] * length[-1])
        return np.unique(np.concatenate([[0], inner, [c.shape[0] - 1]]).clip(0, c.shape[0] - 1))

    def _plot_profiles(self, axes: Axes, scale: float, unit: str) -> None:
        """Five profiles, evenly spread in the change of concentration rather than in time."""
        c, time = self["c"], self["time"]
        shown = self.spread_states()
        for k, colour in zip(shown, figstyle.shades(len(shown)), strict=True):
            axes.plot(1e3 * self["position"][k], c[k] / 1e3, color=colour, label=f"{time[k] / scale:.3g}")
        figstyle.legend_above(axes, f"$t$ ({unit})", 3)

    @property
    def succeeded(self) -> bool:
        """Whether the protocol ran to its end or to a stop condition."""
        return self.status in ("done", "stopped")

    @property
    def salt_drift(self) -> float:
        """Largest relative change of the salt inventory over the run [1]."""
        inventory = self.arrays["salt_inventory"]
        return float(np.max(np.abs(inventory / inventory[0] - 1)))

    @property
    def record(self) -> dict[str, str]:
        """What the conventions CF 1.11 and ACDD 1.3 ask of a file that is archived and cited, beside its units.

        The identifier is the checksum of the case and its inputs; the references are the DOIs in the transport set.
        """
        own = {name: str(value) for name, value in self.attributes.items()}
        try:
            version = json.loads(own.get("versions", "{}")).get("cellsim", "")
        except (ValueError, AttributeError):  # of a file that somebody edited: it is still a result
            version = ""
        made = f"cellsim {version}".strip()
        begun, set_name = own.get("created", ""), own.get("transport", "")
        return {
            "Conventions": "CF-1.11, ACDD-1.3",
            "summary": "Polarisation of Li | electrolyte | Li by concentrated-solution theory; transport set "
            f"{set_name} ({own.get('transport_status', '')})",
            "keywords": "lithium electrolyte, concentrated-solution theory, polarization, transference number",
            "source": f"{made}, solver {own.get('solver', '')}",
            "history": f"{begun} {made}: {self.status}",
            "date_created": begun,
            "references": ", ".join(dois(own.get("transport_toml", ""))),
            "id": text_hash(own.get("case_toml", "") + own.get("inputs", "")),
        }

    @cached_property
    def dataset(self) -> xr.Dataset:
        """All of it as an xarray Dataset with units and long names."""
        import xarray as xr

        return xr.Dataset(*self._contents())

    def _contents(self) -> tuple[Variables, Variables, dict[str, Any]]:
        """Variables, coordinates and attributes."""
        variables: Variables = {
            name: (dims, self.arrays[name], {"units": unit, "long_name": text})
            for name, (dims, unit, text) in self.variables.items()
            if name in self.arrays
        }
        words = {"frame": "frame of reference", "species": "species", "component": "neutral component"}
        coordinates: Variables = {
            "time": (("time",), self.coordinates["time"], {"units": "s", "long_name": "time"}),
            "x": (("x",), self.coordinates["x"], {"units": "m", "long_name": "distance from the positive electrode"}),
            "face": (("face",), self.coordinates["face"], {"units": "m", "long_name": "faces between cells"}),
            **{name: ((name,), list(values), {"long_name": words[name]}) for name, values in self.labels.items()},
        }
        attributes = (
            self.record
            | dict(self.attributes)
            | {
                "status": self.status,
                "status_message": self.message,
                "steps": json.dumps([dict(entry) for entry in self.log]),
            }
        )
        return variables, coordinates, attributes

    def to_netcdf(self, path: str | Path) -> None:
        """Write NetCDF4 with units and provenance."""
        write_variables(path, *self._contents())

    @classmethod
    def from_netcdf(cls, path: str | Path) -> Solution:
        """Read what :meth:`to_netcdf` wrote.

        Raises
        ------
        InputError
            If the file is missing or is not a cellsim result.
        """
        data = read_netcdf(path, what="the solution.nc of a run")
        attributes = {str(name): value for name, value in data.attrs.items()}
        for name, value in attributes.items():
            if np.ndim(value):
                raise InputError(f"{path}: {name} must be one text or number, it is {shown(value)}")
        status, message = (str(attributes.pop(name, "")) for name in ("status", "status_message"))
        if status not in STATUSES:
            raise InputError(f"{path}: not a result of cellsim run: its status is {shown(status)}")
        for name in RECORD:
            attributes.pop(name, None)  # they follow from the others
        kind = MixtureSolution if "species" in attributes else Solution
        lengths = {name: len(values) for name, values in kind({}, {}, status, message, attributes).labels.items()}
        found: dict[str, Any] = {str(name): data[name].values for name in data.variables}
        coordinates = {
            name: numbers(found, name, (name,), where=str(path), lengths=lengths) for name in ("time", "x", "face")
        }
        if not lengths["time"] or np.any(np.diff(coordinates["time"]) < 0):
            raise InputError(f"{path}: its times must be there and must not run backwards")
        arrays = {
            name: numbers(found, name, dims, where=str(path), lengths=lengths, finite=name in kind.always_finite)
            for name, (dims, _, _) in kind.variables.items()
        }
        return kind(arrays, coordinates, status, message, attributes, _steps(attributes.pop("steps", "[]"), path))

    @property
    def velocities(self) -> tuple[str, ...]:
        """Names of the velocities, that of the solvent of the solvent frame first."""
        return VELOCITIES

    def at_faces(self, name: str) -> str:
        """The variable that has at the faces what `name` has in the cells."""
        return "c_face" if name == "c" else name

    def at(
        self, name: str, positions: Array, *, frame: str = "lab", origin_shift: float = 0.0, motion: float = 1.0
    ) -> Array:
        """A velocity or concentration against time at fixed positions.

        Parameters
        ----------
        name : str
            ``"v_minus"``, ``"v_plus"``, ``"v_0"``, ``"c"`` or ``"N_..."``; of n components ``"c_EC"``, ``"v_EC"``.
        positions : ndarray, shape (p,)
            Distances from the positive interface at t = 0 [m]; in the lab frame fixed in the lab, so that the
            interface moves away from them: x = position - interface_shift.
        frame : {"interface", "lab", "solvent"}
            Frame of the velocity; positions are fixed in the lab for "lab", else at the interface.
        origin_shift : float
            Added to the positions [m].
        motion : float
            Velocity of the interfaces in the lab frame over that of the run, which is that of dense metal [1].

        Returns
        -------
        ndarray, shape (time, p)
            SI; NaN where a position lies outside the electrolyte.
        """
        if frame not in FRAMES:
            raise InputError(f"frame = {frame!r} must be one of {', '.join(FRAMES)}")
        source = self.at_faces(name)
        dims, values = self.dimensions(source), self[source]
        if dims[0] == "frame":
            values = values[FRAMES.index(frame)]
        shift = motion * self.arrays["interface_shift"] if frame == "lab" else np.zeros(values.shape[0])
        wanted = np.asarray(positions, dtype=float) + origin_shift
        grid = self.arrays["position_face"]
        found = interpolated(wanted - shift[:, None], grid, values)
        if dims[0] == "frame" and frame == "lab" and motion != 1.0:
            found += (motion - 1.0) * self.arrays["v_interface"][:, None]
        return found


MIXTURE_VARIABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
    **{name: VARIABLES[name] for name in ("step", "i", "V", "V_ohmic", "V_positive", "V_negative")},
    "V_component": (("component", "time"), "V", "part of the voltage that each component adds along the profile"),
    "c": (("species", "time", "x"), "mol/m^3", "concentration, cell average"),
    "c_face": (("species", "time", "face"), "mol/m^3", "concentration at the faces"),
    "r": (("component", "time", "x"), "1", "moles per mole of the reference solvent"),
    "kappa": VARIABLES["kappa"],
    "tau": (("component", "time", "x"), "1", "moles carried per faraday at uniform composition, solvent frame"),
    "N": (("species", "time", "face"), "mol/(m^2 s)", "flux, interface frame"),
    "v": (("frame", "species", "time", "face"), "m/s", "velocity"),
    **{name: VARIABLES[name] for name in ("v_interface", "interface_shift", "position", "position_face", "thickness")},
    "inventory": (("species", "time"), "mol/m^2", "amount per electrode area"),
}
"""Variables of a result of n components; the reference solvent of its frame is the last species."""


def interpolated(places: Array, grid: Array, values: Array) -> Array:
    """Profiles of many states between the points of their grids, on straight lines.

    Parameters
    ----------
    places : ndarray, shape (t, p)
        Where, a row for each state.
    grid, values : ndarray, shape (t, n)
        Increasing points, and the profile there.

    Returns
    -------
    ndarray, shape (t, p)
        NaN outside the grid.
    """
    if grid.strides[0]:  # every state has a grid of its own
        rows = zip(places, grid, values, strict=True)
        return np.array([np.interp(*row, left=np.nan, right=np.nan) for row in rows])
    x = grid[0]
    after = np.minimum(np.maximum(np.searchsorted(x, places), 1), x.size - 1)
    state = np.arange(len(values))[:, None]
    weight = (places - x[after - 1]) / (x[after] - x[after - 1])
    found = (1 - weight) * values[state, after - 1] + weight * values[state, after]
    found[(places < x[0]) | (places > x[-1])] = np.nan
    return found


def _limits(values: Array, time: Array) -> tuple[float, float]:
    """Limits of an axis that leave out the first hundredth of the run, and never narrower than a thousandth."""
    later = values[time >= 0.01 * time[-1]]
    low, high = min(0.0, float(later.min())), max(0.0, float(later.max()))
    margin = 0.08 * (high - low) or 1.0
    return low - margin * (low < 0), high + margin


@dataclass(frozen=True, repr=False)
class MixtureSolution(Solution):
    """What a run of n components found; parameters as of :class:`Solution`.

    ``solution["c_EMC"]``, ``["v_EMC"]`` and so on are the rows of one species or component; a velocity is then
    (frame, time, face). A sum of species (:func:`.species_sum`) has a row too: ``["c_face_TFSI + 0.4 BOB"]`` is the sum
    of the concentrations, each times its weight w_k, and ``["v_4 EC + 8 EMC"]`` the mean of the velocities weighted by
    w_k c_k, as the centre of what is counted moves.
    """

    variables: ClassVar[Mapping[str, tuple[tuple[str, ...], str, str]]] = MIXTURE_VARIABLES
    always_finite: ClassVar[tuple[str, ...]] = tuple(MIXTURE_VARIABLES)

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """As :attr:`Solution.labels`: species, cation first and reference last, and components, those between."""
        species = tuple(str(self.attributes["species"]).split(","))
        return {"frame": FRAMES, "species": species, "component": species[1:-1]}

    @property
    def velocities(self) -> tuple[str, ...]:
        """As :attr:`Solution.velocities`."""
        return tuple(f"v_{name}" for name in reversed(self.labels["species"]))

    def _row(self, name: str) -> tuple[str, str, dict[str, float]] | None:
        """Variable, named dimension and weights along it of such a name as ``v_EMC`` or ``c_4 EC + 8 EMC``."""
        if name in self.variables or name in self.coordinates:
            return None
        for stem in sorted(self.variables, key=len, reverse=True):
            for along in ("species", "component"):
                if name.startswith(f"{stem}_") and along in self.variables[stem][0]:
                    with suppress(InputError):
                        return stem, along, species_sum(name[len(stem) + 1 :], self.labels[along])
        return None

    def dimensions(self, name: str) -> tuple[str, ...]:
        """As :meth:`Solution.dimensions`, of the rows of species and of sums too."""
        row = self._row(name)
        if row is None:
            return Solution.dimensions(self, name)
        return tuple(dim for dim in self.variables[row[0]][0] if dim != row[1])

    def __getitem__(self, name: str) -> Array:
        """A variable, a row of one or a coordinate as a plain array [SI]."""
        row = self._row(name)
        if row is None:
            return Solution.__getitem__(self, name)
        stem, along, weights = row
        places, w = [self.labels[along].index(each) for each in weights], np.array(list(weights.values()))
        rows = np.take(self.arrays[stem], places, axis=self.variables[stem][0].index(along))
        if stem != "v":
            return np.tensordot(w, rows, axes=1)
        if w.size == 1:
            return rows[:, 0]
        amount = w[:, None, None] * self.arrays["c_face"][places]
        return np.asarray(np.sum(amount * rows, axis=1) / amount.sum(axis=0))

    def at_faces(self, name: str) -> str:
        """As :meth:`Solution.at_faces`."""
        return f"c_face{name[1:]}" if name.startswith("c_") and not name.startswith("c_face") else name

    def _plot_profiles(self, axes: Axes, scale: float, unit: str) -> None:
        """Every species but the reference solvent: dotted at first, as a line at last."""
        for k, (name, colour) in enumerate(zip(self.labels["species"][:-1], figstyle.COLOURS, strict=False)):
            axes.plot(1e3 * self["position"][0], self["c"][k, 0] / 1e3, color=colour, linestyle=":")
            axes.plot(1e3 * self["position"][-1], self["c"][k, -1] / 1e3, color=colour, label=name)
        figstyle.legend_above(axes, f"at {self['time'][-1] / scale:.3g} {unit} (dotted: at first)", 3)

    @property
    def salt_drift(self) -> float:
        """Largest relative change of the amount of any species over the run [1]."""
        inventory = self.arrays["inventory"]
        return float(np.max(np.abs(inventory / inventory[:, :1] - 1)))


def _steps(text: object, path: str | Path) -> tuple[dict[str, Any], ...]:
    """The log of a result file, one entry per protocol step."""
    try:
        steps = json.loads(str(text))
        for entry in steps:
            if not (isinstance(entry["drive"], str) and isinstance(entry["ended_by"], str)):
                raise TypeError("drive and ended_by must be texts")
            index, start, end = (operator.index(entry["index"]), float(entry["t_start"]), float(entry["t_end"]))
            if index < 0 or not (math.isfinite(start) and math.isfinite(end)):
                raise ValueError("index and times must be numbers")
        return tuple(steps)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise InputError(f"{path}: its list of steps cannot be read ({error})") from error
