"""Units at the door, the only module that imports pint, and physical constants.

Everything inside cellsim and mdcoeffs is a float in SI units. Strings with units enter through :func:`to_si`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cellsim.base.errors import InputError, shown

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

COMMON: Mapping[str, tuple[str, float]] = {
    "m": ("m", 1.0),
    "cm": ("m", 0.01),
    "mm": ("m", 0.001),
    "um": ("m", 1e-6),
    "µm": ("m", 1e-6),
    "nm": ("m", 1e-9),
    "angstrom": ("m", 1e-10),
    "s": ("s", 1.0),
    "min": ("s", 60.0),
    "h": ("s", 3600.0),
    "ns": ("s", 1e-9),
    "ps": ("s", 1e-12),
    "fs": ("s", 1e-15),
    "K": ("K", 1.0),
    "V": ("V", 1.0),
    "mV": ("V", 0.001),
    "A": ("A", 1.0),
    "mA": ("A", 0.001),
    "A/m**2": ("A/m^2", 1.0),
    "mA/cm**2": ("A/m^2", 10.0),
    "m**2": ("m^2", 1.0),
    "cm**2": ("m^2", 0.0001),
    "m**3": ("m^3", 1.0),
    "ohm*m**2": ("ohm m^2", 1.0),
    "ohm*cm**2": ("ohm m^2", 0.0001),
    "m**2/s": ("m^2/s", 1.0),
    "cm**2/s": ("m^2/s", 0.0001),
    "S/m": ("S/m", 1.0),
    "S/cm": ("S/m", 100.0),
    "mS/cm": ("S/m", 0.1),
    "mol/m**3": ("mol/m^3", 1.0),
    "mol/L": ("mol/m^3", 999.9999999999999),
    "mol/kg": ("mol/kg", 1.0),
    "m**3/mol": ("m^3/mol", 1.0),
    "cm**3/mol": ("m^3/mol", 1.0000000000000002e-06),
    "kg/mol": ("kg/mol", 1.0),
    "g/mol": ("kg/mol", 0.001),
    "MB": ("byte", 1e6),
    "GB": ("byte", 1e9),
}
"""Units that most cases and sets are written in -> SI unit and factor, as pint gives it, to the last bit (a test asks
it again): they are read without pint, which takes longer to load than most runs take."""
CELSIUS = 273.15
"""0 degC [K]."""


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
        raise InputError(f"{field} = {shown(value)} is not a finite number")
    return number


def _convert(value: str | float, unit: str, field: str) -> float:
    example = f'{field} needs a unit, for example "1 {unit}"' if unit else f"{field} is a bare number"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"{field} = {shown(value)} is not a quantity; {example}")
    if not isinstance(value, str):
        if unit:
            raise InputError(f"{field} = {shown(value)} has no unit; {example}")
        try:
            return float(value)
        except OverflowError:
            raise InputError(f"{field} = {shown(value)} is not a finite number") from None
    if "," in value:
        raise InputError(
            f"{field} = {shown(value)} has a comma; write the decimal point, and no mark between thousands"
        )
    begin = _NUMBER.match(value.strip())
    parsed = None if begin is None else _unit(value.strip()[begin.end() :])
    if begin is None or parsed is None:
        raise InputError(f"{field} = {shown(value)} cannot be read as a number with a unit; {example}")
    number = float(begin[0].replace(" ", ""))
    power, name = parsed
    if not math.isfinite(number):
        return number
    return _in_unit(number * power, name, unit, lambda: f"{field} = {shown(value)}", example)


def _in_unit(number: float, name: str, unit: str, what: Callable[[], str], example: str) -> float:
    """`number` of the unit called `name`, in `unit`."""
    si_unit, factor = COMMON.get(name, ("", 0.0))
    if factor and si_unit == unit:
        return tidy(number * factor)
    if name == "degC" and unit == "K":
        return tidy(number + CELSIUS)
    import pint

    given = _parsed(name)
    try:
        return tidy(float(registry().Quantity(number, given).to(unit or "dimensionless").magnitude))
    except OverflowError:
        return math.inf
    except (pint.PintError, ZeroDivisionError) as error:
        unit_name = f"{given:~}" or "no unit"
        hint = ' ("C" is coulomb; write "degC")' if unit_name == "C" and unit == "K" else ""
        raise InputError(f"{what()} is in {unit_name}, which is not {_kind(unit)}; {example}{hint}") from error


# A quantity is a number and a unit, and a unit is names with small whole exponents, *, / and brackets. The grammar is
# checked here and pint only converts: its own parser evaluates arithmetic ("9**9**9 m" never ends), takes "1 200 m"
# for 200 m, and reads "1 degC/min" as 274.15 K/min.
LONGEST = 100
"""Characters of a unit; no unit in use comes near."""
_NUMBER = re.compile(
    r"[+-]? ?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\d.])|[+-]?(?:inf|nan)\b", re.ASCII | re.IGNORECASE
)
_POWER_OF_TEN = re.compile(r"\s*[*·×]?\s*(?:10(?:\*\*|\^)|1e)([+-]?\d{1,2})(?=[\s*/·]|$)", re.ASCII)
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[^\W\d]\w*|%|°[CF])(?P<power>(?:\s*(?:\*\*|\^)\s*(?:\([+-]?\d\)|[+-]?\d)|(?<=[^\W\d])-\d)(?![\w.]))?"
    r"|(?P<one>1)(?=\s*/)|(?P<operator>[*·/])|(?P<open>\()|(?P<close>\)(?P<all>\s*(?:\*\*|\^)\s*[+-]?\d(?![\w.]))?))"
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")


@lru_cache(maxsize=1024)
def _unit(text: str) -> tuple[float, str] | None:
    """The power of ten before a unit and the unit, as pint is to read it; None where the text is no unit."""
    if len(text) > LONGEST:
        return None
    text = re.sub(r"[⁺⁻]?[⁰¹²³⁴-⁹]+", lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    power = _POWER_OF_TEN.match(text)
    plain = _arranged(text if power is None else text[power.end() :], started=power is not None)
    if plain is None or (plain not in COMMON and plain != "degC" and _parsed(plain) is None):
        return None
    return float(f"1e{power[1]}") if power else 1.0, plain


@lru_cache(maxsize=1024)
def _parsed(name: str) -> pint.Unit | None:
    """The unit called `name` as pint has it; None where it has none."""
    import pint

    try:
        return registry().parse_units(name)
    except (pint.PintError, ValueError, TypeError, AttributeError, SyntaxError, AssertionError):
        return None


def _arranged(text: str, *, started: bool) -> str | None:
    """A unit as pint is to read it, every sign of multiplication written; None where the text is no unit.

    `started` says that something stands before it, so that it may begin with an operator.
    """
    out: list[str] = []
    after_operand, depth, place = started, 0, 0
    text = text.strip()
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            return None
        place = token.end()
        operator = "/" if token["name"] == "per" else token["operator"]
        if operator:
            # "/nm" is a unit, and so is the "*m" of "3*m"; an operator after an operator is not
            if not after_operand and out:
                return None
            out.append(("1/" if operator == "/" else "") if not out else operator.replace("·", "*"))
            after_operand = False
            continue
        if token["close"]:
            if not after_operand or not depth:
                return None
            depth -= 1
            out.append(")" + (token["all"] or "").replace(" ", ""))
            continue
        if after_operand and out:
            out.append("*")
        if token["open"]:
            depth += 1
            out.append("(")
            after_operand = False
            continue
        exponent = re.sub(r"[^\d-]", "", token["power"] or "")
        name = {"°C": "degC", "°F": "degF", "%": "percent"}.get(token["name"], token["name"]) or "1"
        out.append(f"{name}**{exponent}" if exponent else name)
        after_operand = True
    return None if depth or (out and not after_operand) else "".join(out)


def tidy(number: float) -> float:
    """A number to 15 digits: without the last bits' conversion noise, so that ``"3 mm"`` is 0.003 to the digit."""
    return float(f"{number:.15g}")


def _kind(unit: str) -> str:
    """What a unit measures, with its article."""
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
    name = names.get(unit, f"quantity in {unit}")
    return f"{'an' if name[0] == 'a' else 'a'} {name}"


def is_unit(text: str) -> bool:
    """Whether a text is a unit, of whatever dimension."""
    return text.strip() == "1" or _unit(text.strip()) is not None


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
    if unit.strip() in ("", "1") and not si_unit.strip():
        return 1.0
    parsed = _unit(unit.strip())
    if parsed is None:
        raise InputError(f'{field} = {shown(unit)} is not a unit; write one such as "{si_unit}"')
    power, name = parsed
    if name not in COMMON and f"{_parsed(name)}" in {"degree_Celsius", "degree_Fahrenheit"}:
        raise InputError(f"{field} = {shown(unit)} has an offset and cannot be a factor; use K")
    example = f'{field} needs a unit, for example "1 {si_unit}"'
    factor = _in_unit(power, name, si_unit, lambda: f"{field} = {shown(f'1 {unit}')}", example)
    if not (math.isfinite(factor) and factor > 0):
        raise InputError(f"{field} = {shown(unit)} is not a finite number of {si_unit}")
    return factor
