"""Numbers with units: what is a quantity, what it is in SI, and that nothing else reaches the converter."""

import time

import numpy as np
import pytest

from cellsim.base import InputError, factor_to_si, is_unit, to_si
from cellsim.base.units import COMMON, registry, tidy

RIGHT = [
    ("3mm", "m", 3e-3),
    ("-3 mm", "m", -3e-3),
    ("+ .5 m", "m", 0.5),
    ("25 degC", "K", 298.15),
    ("25 °C", "K", 298.15),
    ("1 degC/min", "K/s", 1 / 60),  # a rate is a difference: 274.15 K/min would be the temperature's reading
    ("10 µm", "m", 1e-5),
    ("1 Å", "m", 1e-10),
    ("5 m²", "m^2", 5.0),
    ("1 s⁻¹", "1/s", 1.0),
    ("1 ohm·cm^2", "ohm m^2", 1e-4),
    ("1e-7cm**2/s", "m^2/s", 1e-11),
    ("50 %", "", 0.5),
    ("3 1/nm", "1/m", 3e9),
    ("3 /nm", "1/m", 3e9),
    ("2 m^(-1)", "1/m", 2.0),
    ("1 mol dm-3", "mol/m^3", 1000.0),
    ("1 mA cm-2", "A/m^2", 10.0),
    ("1 meter per second", "m/s", 1.0),
    ("2 mol/(L s)", "mol/(m^3 s)", 2000.0),
    ("2 mol/L s", "mol s/m^3", 2000.0),
    ("1 (mol/L)^2/s", "mol^2/(m^6 s)", 1e6),
    ("1 (m^2)/s", "m^2/s", 1.0),
    ("3 * 10^-10 m^2/s", "m^2/s", 3e-10),
    ("5eV", "J", 5 * 1.602176634e-19),
]

WRONG = [
    "9**9**9 m",
    "2**2**40 m",
    "100 um**9**9**9",
    "1 m^99999999999",
    "1 (m^9)^9^9^9^9",
    "(100 um",
    "100 um)",
    "100/0 m",
    "1 m/0",
    "(" * 2000 + "1 m" + ")" * 2000,
    "1 " + "(" * 40 + "m" + ")" * 39,
    "1 " + "m/" * 3000 + "m",
    "1 " + "x" * 5000,
    "1 200 m",  # a space between thousands, not 200 m
    "1_000 m",
    "1/3 h",
    "2 * 3 mm",
    "2 m 3",
    "2 m/",
    "2 m//s",
    "1 m ± 0.1 m",
    "0x10 m",
    "١ m",
    "1e m",
    "1.2.3 m",
    "m",
    "",
    " ",
    "-",
    "1 __import__('os')",
    "1 m\0",
    "1 lambda: 0",
    "1 m if 1 else 2",
    "1 m^0.5^9",
    "1 None",
    "nan m",
    "inf m",
    "1e999 m",
    "9" * 5001 + " m",
]


@pytest.mark.parametrize(("text", "unit", "value"), RIGHT)
def test_a_quantity_is_what_its_unit_says(text, unit, value):
    assert to_si(text, unit) == pytest.approx(value, rel=1e-14, abs=0)


@pytest.mark.parametrize("text", WRONG, ids=lambda text: repr(text[:20]))
def test_anything_else_is_one_short_sentence_at_once(text):
    begin = time.monotonic()
    with pytest.raises(InputError, match="thickness") as refused:
        to_si(text, "m", field="thickness")
    assert len(str(refused.value)) < 400
    assert time.monotonic() - begin < 5.0


@pytest.mark.parametrize("value", [10**5000, -(10**400), 16**9000, True, None, [1], {"a": "b" * 9000}], ids=range(7))
def test_numbers_that_no_float_holds_and_no_numbers(value):
    with pytest.raises(InputError) as refused:
        to_si(value, "", field="count")
    assert len(str(refused.value)) < 400


def test_units_as_factors():
    assert factor_to_si("1/nm", "1/m") == 1e9
    assert factor_to_si("10^-10 m^2/s", "m^2/s") == 1e-10
    assert factor_to_si("1e-3 mol/L", "mol/m^3") == 1.0
    assert factor_to_si("1", "") == 1.0
    for unit in ("9**9**9", "m" * 5000, "2 m", "m 2", "(m", "m/0", "degC", "°F"):
        with pytest.raises(InputError, match="position"):
            factor_to_si(unit, "K" if unit in ("degC", "°F") else "m", field="position")
    assert [is_unit(text) for text in ("mA", "1", "raw data", "9**9**9", "(m", "m/")] == [True, True, *[False] * 4]


@pytest.mark.parametrize("name", [*COMMON, "degC"])
def test_units_read_without_pint_are_what_pint_makes_of_them(name):
    unit, _ = COMMON.get(name, ("K", 0.0))
    for number in (0.0, 1.0, -3.7, 1e308, *np.random.default_rng(1).lognormal(0.0, 20.0, 50).tolist()):
        asked = float(registry().Quantity(number, registry().parse_units(name)).to(unit).magnitude)
        if np.isfinite(asked):
            assert to_si(f"{number!r} {name}", unit) == tidy(asked)
        else:
            with pytest.raises(InputError, match="finite"):
                to_si(f"{number!r} {name}", unit)
    with pytest.raises(InputError, match=r"is in .*, which is not"):
        to_si(f"1 {name}", "J")
