"""A transport set with numbers left open: values in, a bound set or a set's file out."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import tomli_w
from numpy.typing import NDArray

from cellsim.errors import InputError
from cellsim.fit.parameters import Parameter
from cellsim.fit.properties import PropertyForm, numbers_form
from cellsim.schema import Table
from cellsim.set_file import SetFile
from cellsim.set_property import read_property
from cellsim.transport import TransportSet

Array = NDArray[np.float64]
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
            names = ("t_plus",) if form.name == "chi" else ()
            properties[form.name] = read_property(table, _SI[form.name], extra=_EXTRA[form.name], names=names)
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
