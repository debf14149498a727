"""Units at the door, the only module that imports pint, and physical constants.

Everything inside cellsim and mdcoeffs is a float in SI units. Strings with units enter through :func:`to_si`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

from cellsim.base.errors import InputError

if TYPE_CHECKING:
    import pint


# Exact since the SI of 2019 (BIPM, The International System of Units, 9th ed.).
N_A = 6.02214076e23
"""Avogadro constant [1/mol]."""
k_B = 1.380649e-23
"""Boltzmann constant [J/K]."""
e = 1.602176634e-19
"""Elementary charge [C]."""
F = N_A * e
"""Faraday constant [C/mol]."""
R = N_A * k_B
"""Gas constant [J/(mol K)]."""
V_LITHIUM = 13.0e-6
"""Molar volume of lithium metal [m^3/mol]."""


@lru_cache(maxsize=1)
def registry() -> pint.UnitRegistry[Any]:
    """The application's unit registry; offset temperatures are understood, ``"25 degC"`` is 298.15 K."""
    import pint

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)


def to_si(value: str | float, unit: str, *, field: str = "value") -> float:
    """Convert a string with unit to a float in SI.

    Parameters
    ----------
    value : str or float
        ``"3 mm"``; a bare number is accepted only where `unit` is ``""`` (dimensionless).
    unit : str
        The SI unit wanted, e.g. ``"m"``; it fixes the dimension.
    field : str
        Name used in the error message.

    Returns
    -------
    float
        The value in `unit`.

    Raises
    ------
    InputError
        Missing or unknown unit, wrong dimension, or a number that is not finite.

    Examples
    --------
    >>> to_si("3 mm", "m")
    0.003
    >>> to_si("25 degC", "K")
    298.15
    """
    number = _convert(value, unit, field)
    if not math.isfinite(number):
        raise InputError(f"{field} = {value!r} is not a finite number")
    return number


def _convert(value: str | float, unit: str, field: str) -> float:
    import pint

    example = f'{field} needs a unit, for example "1 {unit}"' if unit else f"{field} is a bare number"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"{field} = {value!r} is not a quantity; {example}")
    if not isinstance(value, str):
        if unit:
            raise InputError(f"{field} = {value!r} has no unit; {example}")
        return float(value)
    text = value.strip()
    if "," in text:
        raise InputError(f"{field} = {value!r} has a comma; write the decimal point, and no mark between thousands")
    try:
        quantity: Any = registry().Quantity(text)
    except (pint.PintError, ValueError, TypeError, AttributeError, SyntaxError, AssertionError, TokenError) as error:
        raise InputError(f"{field} = {value!r} cannot be read as a number with a unit; {example}") from error
    if not isinstance(quantity.magnitude, int | float):
        raise InputError(f"{field} = {value!r} cannot be read as a number with a unit; {example}")
    try:
        return tidy(float(quantity.to(unit or "dimensionless").magnitude))
    except pint.PintError as error:
        unit_name = f"{quantity.units:~}" or "no unit"
        hint = ' ("C" is coulomb; write "degC")' if unit_name == "C" and unit == "K" else ""
        raise InputError(
            f"{field} = {value!r} is in {unit_name}, which is not a {_kind(unit)}; {example}{hint}"
        ) from error


def tidy(number: float) -> float:
    """A number to 15 digits: without the last bits' conversion noise, so that ``"3 mm"`` is 0.003 to the digit."""
    return float(f"{number:.15g}")


def _kind(unit: str) -> str:
    names = {
        "m": "length",
        "m^2": "area",
        "s": "time",
        "K": "temperature",
        "V": "voltage",
        "A/m^2": "current density",
        "A": "current",
        "mol/m^3": "concentration",
        "mol/kg": "molality",
        "ohm m^2": "area-specific resistance",
        "m^2/s": "diffusion coefficient",
        "S/m": "conductivity",
        "m^3/mol": "molar volume",
        "kg/mol": "molar mass",
        "": "pure number",
    }
    return names.get(unit, f"quantity in {unit}")


def is_unit(text: str) -> bool:
    """Whether a text is a unit, of whatever dimension."""
    import pint

    try:
        registry().Unit(text)
    except (pint.PintError, ValueError, TypeError, AttributeError, SyntaxError, AssertionError, TokenError):
        return False
    return True


def factor_to_si(unit: str, si_unit: str, *, field: str = "unit") -> float:
    """The factor that turns a number in `unit` into `si_unit`: ``factor_to_si("mS/cm", "S/m")`` is 0.1.

    Parameters
    ----------
    unit : str
        A unit without a number in front, e.g. ``"mol/L"``.
    si_unit : str
        The SI unit of the same dimension.
    field : str
        Name used in the error message.

    Returns
    -------
    float
        The factor.

    Raises
    ------
    InputError
        Unknown unit or wrong dimension, or a temperature scale with an offset.
    """
    if not unit.strip() and not si_unit.strip():
        return 1.0
    if unit.strip() in {"degC", "degF"}:
        raise InputError(f"{field} = {unit!r} has an offset and cannot be a factor; use K")
    return to_si(f"1 {unit}", si_unit, field=field)
