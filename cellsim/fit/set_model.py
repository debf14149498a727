"""A transport set with numbers left open, and the form each property takes: constant, polynomial, spline, scaled set.

Whatever the form, it is a block of a transport set's file with numbers in it that the fit moves: a fitted set is
a set like any other, is written as TOML, and is read by the same reader (cellsim.electrolyte.properties).
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import tomli_w

from cellsim.base import Array, InputError, factor_to_si, to_si
from cellsim.electrolyte.properties import DEFAULT_UNITS, PROPERTIES, SI_UNITS, read_property
from cellsim.electrolyte.set_file import SetFile
from cellsim.electrolyte.transport import TransportSet
from cellsim.files.schema import Table
from cellsim.fit.parameters import Parameter

UNITS = {"kappa": "S/m", "D": "m^2/s", "t_plus": "", "chi": ""}
POSITIVE = ("kappa", "D", "chi")
"""Positive by thermodynamics; t+0 may have either sign."""
FORMS = ("constant", "polynomial", "spline", "scaled")
FITTED = "fitted"
Block = dict[str, Any]


@dataclass(frozen=True)
class PropertyForm:
    """A property as a fit sees it.

    Parameters
    ----------
    name : str
        ``"kappa"``, ``"D"``, ``"t_plus"`` or ``"chi"``.
    parameters : tuple of Parameter
        Their `path` names the number of the block each stands for.
    block : callable
        Values by parameter name -> the block of a set's file.
    words : str
        For reports: ``"monotone spline through 4 knots in r"``.
    """

    name: str
    parameters: tuple[Parameter, ...]
    block: Callable[[Mapping[str, float]], Block]
    words: str


def constant_form(name: str, start: float, *, extra: Mapping[str, Any] | None = None) -> PropertyForm:
    """One value at all concentrations.

    Parameters
    ----------
    name : str
        The property.
    start : float
        First guess [SI].
    extra : mapping, optional
        Further keys of the block: ``frame``, ``basis``, ``gives``.

    Returns
    -------
    PropertyForm
    """
    parameter = Parameter(name, start, UNITS[name], name in POSITIVE, path=f"{name}.value")

    def block(values: Mapping[str, float]) -> Block:
        value = values[name]
        stated = f"{value!r} {UNITS[name]}" if UNITS[name] else value
        return {"value": stated, "source": FITTED, **(extra or {})}

    return PropertyForm(name, (parameter,), block, "constant")


def polynomial_form(
    name: str,
    start: float,
    degree: int,
    *,
    variable: str,
    centre: float,
    extra: Mapping[str, Any] | None = None,
) -> PropertyForm:
    """A polynomial in s = x/centre - 1, x one of c, m, r; of the logarithm where the property is positive.

    Positive: value = k0 exp(a1 s + a2 s^2 ...); t+0 = k0 + a1 s + a2 s^2 ...

    Parameters
    ----------
    name : str
        The property.
    start : float
        First guess of k0, the value at the centre [SI].
    degree : int
        1 to 4.
    variable : {"c", "m", "r"}
        x.
    centre : float
        Where s = 0 [SI]; best the concentration of the cell.
    extra : mapping, optional
        Further keys of the block.

    Returns
    -------
    PropertyForm

    Raises
    ------
    InputError
        A degree outside 1-4.
    """
    if not 1 <= degree <= 4:
        raise InputError(f"{name}: a polynomial of degree {degree} is not offered; 1 to 4, or a spline")
    positive = name in POSITIVE
    x_0 = centre / factor_to_si(DEFAULT_UNITS[variable], SI_UNITS[variable])
    s = f"({variable}/x0-1)"
    series = " + ".join(f"a{k}*{s}" + (f"**{k}" if k > 1 else "") for k in range(1, degree + 1))
    expression = f"k0*exp({series})" if positive else f"k0 + {series}"
    unit = {"unit": UNITS[name]} if UNITS[name] else {}
    parameters = (
        Parameter(f"{name}.k0", start, UNITS[name], positive, path=f"{name}.constants.k0"),
        *(Parameter(f"{name}.a{k}", 0.0, path=f"{name}.constants.a{k}") for k in range(1, degree + 1)),
    )

    def block(values: Mapping[str, float]) -> Block:
        constants = {"x0": x_0} | {p.path.rsplit(".", 1)[1]: values[p.name] for p in parameters}
        return {"expression": expression, "constants": constants, **unit, "source": FITTED, **(extra or {})}

    what = "logarithm: " if positive else ""
    return PropertyForm(name, parameters, block, f"{what}polynomial of degree {degree} in {variable}")


def spline_form(
    name: str,
    starts: Sequence[float],
    knots: Sequence[float],
    *,
    variable: str,
    covers: tuple[float, float],
    extra: Mapping[str, Any] | None = None,
) -> PropertyForm:
    """A monotone (PCHIP) spline through values at knots, no overshoot between them; held beyond the outer knots.

    Parameters
    ----------
    name : str
        The property.
    starts : sequence of float
        First guesses at the knots [SI].
    knots : sequence of float
        Increasing concentrations in `variable` [SI].
    variable : {"c", "m", "r"}
        The knots' variable.
    covers : tuple of float
        The set's range in `variable` [SI]; the outer values are held to its ends.
    extra : mapping, optional
        Further keys of the block.

    Returns
    -------
    PropertyForm

    Raises
    ------
    InputError
        Fewer than two knots, knots that do not increase or lie outside the range.
    """
    x = np.asarray(knots, dtype=float)
    low, high = covers
    if x.size < 2 or np.any(np.diff(x) <= 0) or x[0] < low * (1 - 1e-9) or x[-1] > high * (1 + 1e-9):
        raise InputError(
            f"{name}: knots must be two or more, increasing, inside {low:.6g} to {high:.6g} {SI_UNITS[variable]}"
            f" ({variable})"
        )
    factor = factor_to_si(DEFAULT_UNITS[variable], SI_UNITS[variable])
    outer = [end for end, missing in ((low, x[0] > low * (1 + 1e-9)), (high, x[-1] < high * (1 - 1e-9))) if missing]
    before = int(x[0] > low * (1 + 1e-9))
    places = np.sort(np.concatenate([x, outer])) / factor
    positive = name in POSITIVE
    parameters = tuple(
        Parameter(
            f"{name}({variable}={value / factor:.4g}{' ' + DEFAULT_UNITS[variable] if factor != 1 else ''})", float(y),
            UNITS[name], positive, path=f"{name}.y[{k + before}]",
        )
        for k, (value, y) in enumerate(zip(x, starts, strict=True))
    )  # fmt: skip
    unit = {"unit": UNITS[name]} if UNITS[name] else {}

    def block(values: Mapping[str, float]) -> Block:
        y = [values[p.name] for p in parameters]
        if x[0] > low * (1 + 1e-9):
            y = [y[0], *y]
        if x[-1] < high * (1 - 1e-9):
            y = [*y, y[-1]]
        return {"variable": variable, "x": places.tolist(), "y": y, **unit, "source": FITTED, **(extra or {})}

    return PropertyForm(name, parameters, block, f"monotone spline through {x.size} knots in {variable}")


def scaled_form(name: str, base: Mapping[str, Any], *, of: str) -> PropertyForm:
    """A named set's property times a factor; for t+0 the factor scales 1 - t+0.

    Parameters
    ----------
    name : str
        The property.
    base : mapping
        Its block in that set's file.
    of : str
        The set's name.

    Returns
    -------
    PropertyForm
    """
    parameter = Parameter(f"{name} factor", 1.0, "", True, path=f"{name}.factor")

    def block(values: Mapping[str, float]) -> Block:
        return scaled_block(name, base, values[parameter.name]) | {"source": f"{of}, scaled by the fit"}

    words = f"(1 - t_plus) of {of}, scaled" if name == "t_plus" else f"{name} of {of}, scaled"
    return PropertyForm(name, (parameter,), block, words)


def scaled_block(name: str, base: Mapping[str, Any], factor: float) -> Block:
    """A block with its property multiplied by `factor`; 1 - t+ for a transference number."""
    made: Block = copy.deepcopy(dict(base))
    off = 1.0 if name == "t_plus" else 0.0
    if "y" in made:
        made["y"] = [off + factor * (float(y) - off) for y in made["y"]]
    elif "expression" in made:
        inner = made["expression"]
        made["expression"] = f"1 - {factor!r}*(1 - ({inner}))" if off else f"{factor!r}*({inner})"
    elif isinstance(made["value"], str):
        made["value"] = f"{factor * to_si(made['value'], UNITS[name])!r} {UNITS[name]}"
    else:
        made["value"] = off + factor * (float(made["value"]) - off)
    return made


def numbers_form(name: str, base: Mapping[str, Any], paths: Sequence[str]) -> PropertyForm:
    """The numbers of a property's block that a set's own covariance speaks of.

    Parameters
    ----------
    name : str
        The property.
    base : mapping
        Its block.
    paths : sequence of str
        Numbers of the file, ``"kappa.y[0]"``.

    Returns
    -------
    PropertyForm
    """
    parameters = tuple(_number(name, base, path) for path in paths)

    def block(values: Mapping[str, float]) -> Block:
        made: Block = copy.deepcopy(dict(base))
        for p in parameters:
            _put(made, p.path, values[p.name], p.unit)
        return made

    return PropertyForm(name, parameters, block, "the numbers of its own covariance")


def _number(name: str, base: Mapping[str, Any], path: str) -> Parameter:
    value = _get(base, path)
    unit = ""
    if isinstance(value, str):
        number, _, unit = value.strip().partition(" ")
        value = float(number)
    elif "y[" in path:
        unit = str(base.get("unit", ""))
    plain = float(value)
    positive = name in POSITIVE and ("y[" in path or path.endswith(".value")) and plain > 0
    return Parameter(path, plain, unit, positive, typical=max(abs(plain), 1.0 if name == "t_plus" else 1e-300),
                     path=path)  # fmt: skip


def _steps(path: str) -> list[str | int]:
    return [int(x) if x.isdigit() else x for x in re.findall(r"[^.\[\]]+", path)[1:]]


def _get(block: Mapping[str, Any], path: str) -> Any:
    value: Any = block
    for step in _steps(path):
        value = value[step]
    return value


def _put(block: Block, path: str, value: float, unit: str) -> None:
    *way, last = _steps(path)
    place: Any = block
    for step in way:
        place = place[step]
    place[last] = f"{value!r} {unit}" if isinstance(place[last], str) else value


_SI = {"kappa": "S/m", "D": "m^2/s", "t_plus": "", "chi": ""}
_EXTRA = {"kappa": (), "D": (), "t_plus": ("frame",), "chi": ("basis", "gives")}


@dataclass(frozen=True)
class SetModel:
    """A set whose properties are, in part, to be found.

    Parameters
    ----------
    base : SetFile
        What is not fitted stays as it is there.
    forms : tuple of PropertyForm
        The properties that are fitted.
    solvent_motion : {"volume", "none"}
        As in the case.
    """

    base: SetFile
    forms: tuple[PropertyForm, ...] = ()
    solvent_motion: str = "volume"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Of all forms."""
        return tuple(p for form in self.forms for p in form.parameters)

    def at(self, values: Mapping[str, float], T: float) -> TransportSet:
        """The set at parameter values and temperature `T` [K], clamped to its range.

        Raises
        ------
        InputError
            Values at which a property is not finite, or not positive where it must be.
        """
        properties, kinds = dict(self.base.properties), self._kinds()
        for form in self.forms:
            table = Table(form.block(values), self.base.file, form.name)
            properties[form.name] = read_property(table, PROPERTIES[form.name])
        bound = replace(self.base, properties=properties, **kinds).bind(T)
        return bound.with_motion(cast(Any, self.solvent_motion)).with_extrapolation("clamp")

    def _kinds(self) -> dict[str, Any]:
        """Frame of t+ and basis of chi, where a form states them."""
        stated: dict[str, Any] = {}
        for form in self.forms:
            block = form.block({p.name: p.start for p in form.parameters})
            if form.name == "t_plus":
                stated["t_plus_frame"] = block.get("frame", "solvent")
            if form.name == "chi":
                stated["chi_basis"] = block.get("basis", "molal")
                stated["chi_is_product"] = block.get("gives", "chi") != "chi"
        return stated

    def document(
        self, values: Mapping[str, float], *, name: str, title: str, note: str, source: str,
        span: tuple[float, float] | None = None, covariance: tuple[Sequence[str], Array] | None = None,
    ) -> str:  # fmt: skip
        """The set at parameter values as the text of a TOML file.

        Parameters
        ----------
        values : mapping
            By parameter name, SI.
        name, title, note : str
            Of the set.
        source : str
            What stands as source of the fitted properties.
        span : tuple of float, optional
            Range in which it holds [mol/m^3]; default the base's.
        covariance : tuple, optional
            Paths of numbers in the file and their covariance, shape (k, k).

        Returns
        -------
        str
        """
        data = tomllib.loads(self.base.text)
        data |= {"name": name, "title": title, "status": "model", "note": note}
        data.pop("covariance", None)
        if span is not None:
            temperatures = {key: data["range"][key] for key in ("T_min", "T_max") if key in data["range"]}
            ends = {key: f"{c:.9g} mol/m^3" for key, c in zip(("min", "max"), span, strict=True)}
            data["range"] = {"variable": "c", **ends, **temperatures}
        for form in self.forms:
            block = form.block(values)
            data[form.name] = block | {"source": f"{source} ({form.words})"}
        if covariance is not None and len(covariance[0]):
            paths, matrix = covariance
            data["covariance"] = {"parameters": list(paths), "matrix": matrix.tolist(), "source": source}
        return tomli_w.dumps(data)


def own_numbers(base: SetFile, solvent_motion: str = "volume") -> tuple[SetModel, Array, Array]:
    """A set with a [covariance] block as a model of its own numbers.

    Parameters
    ----------
    base : SetFile
        With a covariance, as ``mdcoeffs to-set`` writes it.
    solvent_motion : str
        As in the case.

    Returns
    -------
    model : SetModel
        Its parameters are the numbers of the covariance.
    mean : ndarray, shape (k,)
        The file's values, in the fit's coordinates u.
    covariance : ndarray, shape (k, k)
        In u, directions of no uncertainty kept at a thousandth of the mean variance.

    Raises
    ------
    InputError
        No covariance, or one of numbers outside the four properties.
    """
    stated = base.covariance
    if stated is None:
        raise InputError(f"{base.file}: has no [covariance], so nothing says how uncertain its numbers are")
    data = tomllib.loads(base.text)
    forms = []
    for name in _SI:
        paths = [path for path in stated.parameters if path.split(".", 1)[0].split("[")[0] == name]
        if paths:
            forms.append(numbers_form(name, data[name], paths))
    model = SetModel(base, tuple(forms), solvent_motion)
    order = [p.path for p in model.parameters]
    for path in stated.parameters:
        if path not in order:
            raise InputError(f"{base.file}: covariance.parameters names {path}, which is not a transport property")
    places = [stated.parameters.index(path) for path in order]
    matrix = stated.matrix[np.ix_(places, places)]
    slope = np.array([1 / p.start if p.logarithmic else 1 / p.typical for p in model.parameters])
    scaled = matrix * np.outer(slope, slope)
    floor = 1e-6 * float(np.trace(scaled)) / len(order)
    mean = np.array([p.u(p.start) for p in model.parameters])
    return model, mean, scaled + floor * np.eye(len(order))
