"""A transport set with numbers left open, and the form each property takes: constant, polynomial, spline, scaled set.

Whatever the form, it is a block of a transport set's file with numbers in it that the fit moves: a fitted set is
a set like any other, and is written as TOML. During a fit no text is written or read. The block is read once, and the
numbers of the law that it states (:class:`.Law`) are moved directly.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import tomli_w

from cellsim.base import Array, InputError, factor_to_si, to_si
from cellsim.base.units import tidy
from cellsim.electrolyte.properties import (
    DEFAULT_UNITS,
    PROPERTIES,
    SI_UNITS,
    Constant,
    Curve,
    Formula,
    Law,
    PropertyBlock,
    read_property,
)
from cellsim.electrolyte.set_covariance import ParameterCovariance
from cellsim.electrolyte.set_file import SetFile
from cellsim.electrolyte.transport import TransportSet
from cellsim.electrolyte.volumes import ConstantVolumes
from cellsim.files.schema import Table
from cellsim.fit.parameters import JointPrior, Parameter

VOLUMES = ("volumes.V_e", "volumes.V_0")
FORMS = ("constant", "polynomial", "spline", "scaled")
FITTED = "fitted"
FACTOR = "factor_of_the_fit"
"""Constant by which an expression is scaled."""
BLOCKS = 32
"""How many of the last trial properties are remembered."""
Block = dict[str, Any]
Number = TypeVar("Number", float, Array)
Key = TypeVar("Key")
Made = TypeVar("Made")


def recalled(memory: dict[Key, Made], key: Key, most: int, make: Callable[[], Made]) -> Made:
    """What was made for `key`, or made now; the oldest of more than `most` is forgotten."""
    if key not in memory:
        while len(memory) >= most:
            memory.pop(next(iter(memory)))
        memory[key] = make()
    return memory[key]


@dataclass(frozen=True)
class PropertyForm:
    """A property as a fit sees it.

    Parameters
    ----------
    name : str
        ``"kappa"``, ``"D"``, ``"t_plus"`` or ``"chi"``.
    parameters : tuple of Parameter
        Their `path` names the number of the block each stands for. Without them the property is that of the template.
    template : dict
        The block of a set's file at the first guess.
    words : str
        For reports: ``"monotone spline through 4 knots in r"``.
    follows : mapping
        Points of a curve that take the value of another one: place -> place.
    scaled : bool
        Whether the one parameter is a factor of the whole property, of 1 - t+0 for a transference number.
    """

    name: str
    parameters: tuple[Parameter, ...]
    template: Block
    words: str
    follows: Mapping[int, int] = field(default_factory=dict)
    scaled: bool = False

    def block(self, values: Mapping[str, float]) -> Block:
        """The block of a set's file at parameter values by name."""
        if self.scaled:
            return scaled_block(self.name, self.template, self._factor(values))
        block = copy.deepcopy(self.template)
        for p in self.parameters:
            put_number(block, p.path, values[p.name], p.unit)
        for place, other in self.follows.items():
            block["y"][place] = block["y"][other]
        return block

    def law(self, values: Mapping[str, float]) -> Law:
        """What :meth:`block` states, by numbers alone.

        Raises
        ------
        InputError
            A number that is not finite, or not positive where a curve needs its logarithm.
        """
        if not all(np.isfinite(values[p.name]) for p in self.parameters):
            raise InputError(f"{self.name}: a number of it is not finite")
        law = self._law
        if isinstance(law, Constant):
            value = _scaled(self.name, law.value, self._factor(values)) if self.scaled else law.value
            for p in () if self.scaled else self.parameters:
                value = values[p.name] * self._to_si
            # A quantity with a unit is read from a file to 15 digits. With the same here, the set that is written is
            # the set that was fitted to the last bit; the error of a parameter that data hardly hold tells the two
            # apart in its seventh digit.
            return Constant(tidy(value) if PROPERTIES[self.name].unit else value)
        if isinstance(law, Curve):
            y = _scaled(self.name, law.y, self._factor(values)) if self.scaled else law.y.copy()
            for p in () if self.scaled else self.parameters:
                y[_steps(p.path)[-1]] = values[p.name]
            for place, other in self.follows.items():
                y[place] = y[other]
            if law.log and np.any(y <= 0):
                raise InputError(f"{self.name}: a point of its logarithmic curve is not positive")
            return replace(law, y=y)
        assert isinstance(law, Formula)
        if self.scaled:
            moved = {FACTOR: self._factor(values)}
        else:
            moved = {str(_steps(p.path)[-1]): values[p.name] for p in self.parameters}
        return replace(law, expression=replace(law.expression, constants={**law.expression.constants, **moved}))

    def _factor(self, values: Mapping[str, float]) -> float:
        return values[self.parameters[0].name] if self.parameters else 1.0

    @cached_property
    def _law(self) -> Law:
        """The law of the template, in which an expression to be scaled has its factor as a constant."""
        block = dict(self.template)
        if self.scaled and "expression" in block:
            block["expression"] = _scaled_text(self.name, block["expression"], FACTOR)
            block["constants"] = {**block.get("constants", {}), FACTOR: 1.0}
        return read_property(Table(block, Path("the fit"), self.name), PROPERTIES[self.name]).law

    @cached_property
    def _to_si(self) -> float:
        """From the unit of a constant's parameter, as its block has it, to SI."""
        return factor_to_si(self.parameters[0].unit, PROPERTIES[self.name].unit)


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
    kind = PROPERTIES[name]
    parameter = Parameter(name, start, kind.unit, kind.positive, path=f"{name}.value")
    value = f"{start!r} {kind.unit}" if kind.unit else start
    return PropertyForm(name, (parameter,), {"value": value, "source": FITTED, **(extra or {})}, "constant")


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
    kind = PROPERTIES[name]
    s = f"({variable}/x0-1)"
    series = " + ".join(f"a{k}*{s}" + (f"**{k}" if k > 1 else "") for k in range(1, degree + 1))
    parameters = (
        Parameter(f"{name}.k0", start, kind.unit, kind.positive, path=f"{name}.constants.k0"),
        *(Parameter(f"{name}.a{k}", 0.0, path=f"{name}.constants.a{k}") for k in range(1, degree + 1)),
    )
    template = {
        "expression": f"k0*exp({series})" if kind.positive else f"k0 + {series}",
        "constants": {"x0": centre / factor_to_si(DEFAULT_UNITS[variable], SI_UNITS[variable])}
        | {p.path.rsplit(".", 1)[1]: p.start for p in parameters},
        **_stated_unit(name),
        "source": FITTED,
        **(extra or {}),
    }
    what = "logarithm: " if kind.positive else ""
    return PropertyForm(name, parameters, template, f"{what}polynomial of degree {degree} in {variable}")


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
    kind = PROPERTIES[name]
    factor = factor_to_si(DEFAULT_UNITS[variable], SI_UNITS[variable])
    unit = f" {DEFAULT_UNITS[variable]}" if factor != 1 else ""
    # a curve must reach over the whole range of its set: the outer values are held to the ends of it
    first, last = bool(x[0] > low * (1 + 1e-9)), bool(x[-1] < high * (1 - 1e-9))
    places = np.concatenate([[low] if first else [], x, [high] if last else []])
    y = [float(starts[0])] * first + [float(v) for v in starts] + [float(starts[-1])] * last
    follows = ({0: 1} if first else {}) | ({len(y) - 1: len(y) - 2} if last else {})
    parameters = tuple(
        Parameter(
            f"{name}({variable}={knot / factor:.4g}{unit})",
            float(start),
            kind.unit,
            kind.positive,
            path=f"{name}.y[{k + first}]",
        )
        for k, (knot, start) in enumerate(zip(x, starts, strict=True))
    )
    template = {
        "variable": variable,
        "x": (places / factor).tolist(),
        "y": y,
        **_stated_unit(name),
        "source": FITTED,
        **(extra or {}),
    }
    words = f"monotone spline through {x.size} knots in {variable}"
    return PropertyForm(name, parameters, template, words, follows)


def _stated_unit(name: str) -> Block:
    unit = PROPERTIES[name].unit
    return {"unit": unit} if unit else {}


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
    template = dict(base) | {"source": f"{of}, scaled by the fit"}
    words = f"(1 - t_plus) of {of}, scaled" if name == "t_plus" else f"{name} of {of}, scaled"
    return PropertyForm(name, (parameter,), template, words, scaled=True)


def scaled_block(name: str, base: Mapping[str, Any], factor: float) -> Block:
    """A block with its property multiplied by `factor`; 1 - t+ for a transference number."""
    block: Block = copy.deepcopy(dict(base))
    if "y" in block:
        block["y"] = [_scaled(name, float(y), factor) for y in block["y"]]
    elif "expression" in block:
        block["expression"] = _scaled_text(name, block["expression"], repr(factor))
    elif isinstance(block["value"], str):
        unit = PROPERTIES[name].unit
        block["value"] = f"{factor * to_si(block['value'], unit)!r} {unit}"
    else:
        block["value"] = _scaled(name, float(block["value"]), factor)
    return block


def _scaled(name: str, value: Number, factor: float) -> Number:
    """A number, or numbers, of a property times a factor; of 1 - t+ for a transference number."""
    offset = 1.0 if name == "t_plus" else 0.0
    return offset + factor * (value - offset)


def _scaled_text(name: str, expression: str, factor: str) -> str:
    return f"1 - {factor}*(1 - ({expression}))" if name == "t_plus" else f"{factor}*({expression})"


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
    return PropertyForm(name, parameters, dict(base), "the numbers of its own covariance")


def _number(name: str, base: Mapping[str, Any], path: str) -> Parameter:
    value = _get(base, path)
    unit = ""
    if isinstance(value, str):
        number, _, unit = value.strip().partition(" ")
        value = float(number)
    elif "y[" in path:
        unit = str(base.get("unit", ""))
    plain = float(value)
    positive = (
        name in PROPERTIES and PROPERTIES[name].positive and ("y[" in path or path.endswith(".value")) and plain > 0
    )
    typical = max(abs(plain), 1.0 if name == "t_plus" else 1e-300)
    return Parameter(path, plain, unit, positive, typical=typical, path=path)


def _steps(path: str) -> list[Any]:
    """The way to a number inside its block: ``"kappa.y[3]"`` -> ``["y", 3]``."""
    return [int(x) if x.isdigit() else x for x in re.findall(r"[^.\[\]]+", path)[1:]]


def _get(block: Mapping[str, Any], path: str) -> Any:
    value: Any = block
    for step in _steps(path):
        value = value[step]
    return value


def put_number(block: Block, path: str, value: float, unit: str) -> None:
    """Write a number into a block of a set's file.

    Parameters
    ----------
    block : dict
        The block that `path` begins with; changed.
    path : str
        ``"D.value"``, ``"Omega.matrix[0][1]"``.
    value : float
        In the unit that stands there.
    unit : str
        Written after it where the file writes it as a text.
    """
    *way, last = _steps(path)
    place: Any = block
    for step in way:
        place = place[step]
    place[last] = f"{value!r} {unit}" if isinstance(place[last], str) else value


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
    volumes : tuple of Parameter
        Constant partial molar volumes that are not certain; their `path` is ``volumes.V_e`` or ``volumes.V_0``.
    """

    base: SetFile
    forms: tuple[PropertyForm, ...] = ()
    solvent_motion: str = "volume"
    volumes: tuple[Parameter, ...] = ()

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Of all forms."""
        return tuple(p for form in self.forms for p in form.parameters) + self.volumes

    def at(self, values: Mapping[str, float], T: float) -> TransportSet:
        """The set at parameter values and temperature `T` [K], clamped to its range.

        Raises
        ------
        InputError
            Values at which a property is not finite, or not positive where it must be.
        """
        properties = dict(self.base.properties)
        for form in self.forms:
            key = form.name, *(values[p.name] for p in form.parameters)
            properties[form.name] = recalled(self._blocks, key, BLOCKS, partial(self._block, form, values))
        base = self.base
        if self.volumes:
            moved = {p.path.removeprefix("volumes."): values[p.name] * self._volume_factor(p) for p in self.volumes}
            base = replace(base, volumes=replace(cast(ConstantVolumes, base.volumes), **moved))
        bound = replace(base, properties=properties, **self._conventions).bind(T)
        return bound.with_motion(cast(Any, self.solvent_motion)).with_extrapolation("clamp")

    def _block(self, form: PropertyForm, values: Mapping[str, float]) -> PropertyBlock:
        return replace(self.base.properties[form.name], law=form.law(values))

    @cached_property
    def _blocks(self) -> dict[tuple[object, ...], PropertyBlock]:
        """The last blocks: sets of which one property was moved share the others, and what is tabulated of them."""
        return {}

    @staticmethod
    def _volume_factor(p: Parameter) -> float:
        return factor_to_si(p.unit, "m^3/mol")

    @cached_property
    def _conventions(self) -> dict[str, Any]:
        """Frame of t+ and basis of chi, where a form states them."""
        templates = {form.name: form.template for form in self.forms}
        stated: dict[str, Any] = {}
        for name, template in templates.items():
            if template.get("gives") in ("rho_plus", "dU/dlnm", "thermodynamic"):
                raise InputError(
                    f"{name}: a fit moves D, t+0, chi or (1 - t+0) chi, not {template['gives']}; state one of them"
                )
        if "t_plus" in templates:
            stated["t_plus_frame"] = templates["t_plus"].get("frame", "solvent")
        if "chi" in templates:
            stated["chi_basis"] = templates["chi"].get("basis", "molal")
            stated["chi_is_product"] = templates["chi"].get("gives", "chi") != "chi"
        return stated

    def document(
        self,
        values: Mapping[str, float],
        *,
        name: str,
        title: str,
        note: str,
        source: str,
        span: tuple[float, float] | None = None,
        covariance: tuple[Sequence[str], Array] | None = None,
        draws: str | None = None,
    ) -> str:
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
        draws : str, optional
            Name of a file beside the set that holds draws of these numbers.

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
        return tomli_w.dumps(data | covariance_block(covariance, source, draws))


def covariance_block(
    covariance: tuple[Sequence[str], Array] | None, source: str, draws: str | None
) -> dict[str, dict[str, Any]]:
    """The [covariance] of a set's file, parameters as of :meth:`SetModel.document`; empty where there is none."""
    if covariance is None or not len(covariance[0]):
        return {}
    block = {"parameters": list(covariance[0]), "matrix": covariance[1].tolist(), "source": source}
    return {"covariance": block if draws is None else block | {"draws": draws}}


def own_numbers(base: SetFile, solvent_motion: str = "volume") -> tuple[SetModel, JointPrior]:
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
    prior : JointPrior
        The file's values and covariance in the fit's coordinates u, directions of no uncertainty kept at a thousandth
        of the mean spread; and the draws, where there are any.

    Raises
    ------
    InputError
        No covariance, or one of numbers that are neither of the four properties nor constant volumes.
    """
    stated = base.covariance
    if stated is None:
        raise InputError(f"{base.file}: has no [covariance], so the uncertainty of its numbers is not known")
    data = tomllib.loads(base.text)
    forms = []
    for name in PROPERTIES:
        paths = [path for path in stated.parameters if path.split(".", 1)[0].split("[")[0] == name]
        if paths:
            forms.append(numbers_form(name, data[name], paths))
    held = isinstance(base.volumes, ConstantVolumes)
    sizes = [path for path in stated.parameters if path in VOLUMES and held]
    volumes = tuple(replace(_number("volumes", data["volumes"], path), logarithmic=True) for path in sizes)
    model = SetModel(base, tuple(forms), solvent_motion, volumes)
    order = [p.path for p in model.parameters]
    for path in stated.parameters:
        if path not in order:
            raise InputError(
                f"{base.file}: covariance.parameters names {path}, which is neither a number of a transport property "
                "nor volumes.V_e or volumes.V_0 of a set with constant volumes"
            )
    return model, joint_prior(model.parameters, stated)


def joint_prior(parameters: Sequence[Parameter], stated: ParameterCovariance) -> JointPrior:
    """The joint distribution that a set's file states of its numbers, in the coordinates u of a fit.

    Parameters
    ----------
    parameters : sequence of Parameter
        The numbers of the covariance, in any order; their `path` is the name there.
    stated : ParameterCovariance
        The covariance, and draws where there are any.

    Returns
    -------
    JointPrior
        Directions of no uncertainty are kept at a thousandth of the mean spread.
    """
    places = [stated.parameters.index(p.path) for p in parameters]
    matrix = stated.matrix[np.ix_(places, places)]
    slope = np.array([1 / p.start if p.logarithmic else 1 / p.typical for p in parameters])
    scaled = matrix * np.outer(slope, slope)
    floor = 1e-6 * float(np.trace(scaled)) / len(places)
    mean = np.array([p.u(p.start) for p in parameters])
    chosen = stated.draws
    if chosen is not None:
        chosen = chosen[:, places]
        positive = np.array([p.logarithmic for p in parameters])
        chosen = chosen[np.all((chosen > 0) | ~positive, axis=1)]
        chosen = np.array([[p.u(x) for p, x in zip(parameters, row, strict=True)] for row in chosen.tolist()])
    return JointPrior(mean, scaled + floor * np.eye(len(places)), chosen)
