"""A set of n components with numbers left open: those that a fit names, or that its own covariance speaks of.

A number is named by its place in the set's file: ``"Omega.matrix[0][1]"``, ``"components.tau.EC"``,
``"constants.l_salt"``. An entry beside the diagonal of a symmetric matrix stands for both places.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli_w

from cellsim.base import Array, InputError
from cellsim.electrolyte.mixture_file import SYMMETRIC, mirror_of, parse_mixture
from cellsim.electrolyte.mixture_set import Electrolyte, MixtureSet
from cellsim.electrolyte.set_covariance import number_of
from cellsim.electrolyte.set_file import file_of
from cellsim.files.schema import Table, parse_toml
from cellsim.fit.parameters import JointPrior, Parameter
from cellsim.fit.set_model import SetModel, covariance_block, joint_prior, own_numbers, put_number

_UNITS = {"Omega": "unit", "stefan_maxwell": "unit", "components.L": "L_unit", "components.kappa": "kappa_unit"}
EXAMPLES = '"Omega.matrix[0][1]", "components.kappa", "stefan_maxwell.pairs[0][2]" or "constants.NAME"'


@dataclass(frozen=True)
class MixtureModel:
    """A set of n components some of whose numbers are to be found; the counterpart of :class:`.SetModel`.

    Parameters
    ----------
    base : MixtureSet
        From a file; what is not moved stays as it is there.
    parameters : tuple of Parameter
        Their `path` names a number of that file.

    Raises
    ------
    InputError
        A path that names no number, or one number twice.
    """

    base: MixtureSet
    parameters: tuple[Parameter, ...] = ()

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for p in self.parameters:
            for place in _places(p.path):
                if place in seen:
                    raise InputError(
                        f"{self.base.name}: {p.path} and {seen[place]} are one number of a symmetric matrix; name one"
                    )
                seen[place] = p.path
                if number_of(self._data, place) is None:
                    raise InputError(f"{self.base.name}: {place} is no number of this set, such as {EXAMPLES}")

    @cached_property
    def _data(self) -> dict[str, Any]:
        data = dict(parse_toml(self.base.text, self.base.name).data)
        data.pop("covariance", None)
        return data

    def moved(self, values: Mapping[str, float]) -> dict[str, Any]:
        """The set's file with the parameters at `values`, by name."""
        data = copy.deepcopy(self._data)
        for p in self.parameters:
            for place in _places(p.path):
                put_number(data[place.split(".")[0]], place, values[p.name], p.unit)
        return data

    def at(self, values: Mapping[str, float], T: float) -> MixtureSet:
        """The set at parameter values and temperature `T` [K], held at the ends of its range.

        Raises
        ------
        InputError
            Values at which Omega or G is not positive definite.
        """
        top = Table(self.moved(values), Path(self.base.name), "", self.base.text)
        return parse_mixture(top, T).with_extrapolation("clamp")

    def document(
        self,
        values: Mapping[str, float],
        *,
        name: str,
        title: str,
        note: str,
        source: str,
        covariance: tuple[Sequence[str], Array] | None = None,
        draws: str | None = None,
    ) -> str:
        """The set at parameter values as the text of a TOML file; parameters as of :meth:`.SetModel.document`."""
        data = self.moved(values) | {"name": name, "title": title, "status": "model", "note": note}
        return tomli_w.dumps(data | covariance_block(covariance, source, draws))


def _places(path: str) -> tuple[str, ...]:
    """Where the file states a number: an entry beside a diagonal stands twice."""
    mirror = mirror_of(path)
    return (path,) if mirror is None else (path, mirror)


def mixture_number(base: MixtureSet, path: str) -> Parameter:
    """A number of a set's file as a parameter that starts from its value there.

    Parameters
    ----------
    base : MixtureSet
        From a file.
    path : str
        The number.

    Returns
    -------
    Parameter
        Positive by nature (the diagonals of Omega and L, kappa) in its logarithm; an entry beside a diagonal relative
        to the geometric mean of the two on it, any other relative to its own size.

    Raises
    ------
    InputError
        No number of that name.
    """
    data = parse_toml(base.text, base.name).data
    value = number_of(data, path)
    if value is None:
        raise InputError(f"{base.name}: {path} is no number of this set, such as {EXAMPLES}")
    size, positive = abs(value) or 1.0, path == "components.kappa"
    match = SYMMETRIC.fullmatch(path)
    if match is not None:
        matrix, row, column = match.groups()
        ends = [number_of(data, f"{matrix}[{k}][{k}]") for k in (row, column)]
        positive = row == column and matrix != "G.matrix"
        size = math.prod(abs(end or 0.0) for end in ends) ** 0.5 or size
    unit = next((str(data[start.split(".")[0]][key]) for start, key in _UNITS.items() if path.startswith(start)), "")
    return Parameter(path, value, unit, positive and value > 0, typical=size, path=path)


def own_mixture(base: MixtureSet) -> tuple[MixtureModel, JointPrior]:
    """A set of n components as a model of the numbers that its own [covariance] names, and how these vary together.

    Raises
    ------
    InputError
        A set without a covariance, or with one of numbers that cannot be moved.
    """
    stated = base.covariance
    if stated is None:
        raise InputError(f"{base.name}: has no [covariance], so the uncertainty of its numbers is not known")
    model = MixtureModel(base, tuple(mixture_number(base, path) for path in stated.parameters))
    return model, joint_prior(model.parameters, stated)


def own_model(transport: Electrolyte) -> tuple[SetModel | MixtureModel, JointPrior]:
    """As :func:`own_mixture`, of a set of whatever kind."""
    if isinstance(transport, MixtureSet):
        return own_mixture(transport)
    return own_numbers(file_of(transport), transport.solvent_motion)
