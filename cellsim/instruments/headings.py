"""Headings of the columns of tables: a name and a unit, as instruments, programs and TOML files write them.

A column is named in one way, in the header of a table and in a TOML file: by its heading with the unit in it,
``"t (h)"``. Where a heading carries no unit, a TOML file states it: ``{ column = "t", unit = "h" }``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cellsim.base import InputError, factor_to_si, is_unit
from cellsim.files.schema import Table

NO_UNIT = ("", "1", "counts", "photons")
"""What stands for a pure number in a heading."""


@dataclass(frozen=True)
class Column:
    """A column of a table and the unit its numbers are in.

    Parameters
    ----------
    heading : str
        As it stands in the first row of the table, or its name without the unit.
    unit : str
        ``""`` where none is stated.
    """

    heading: str
    unit: str = ""

    @classmethod
    def parse(cls, heading: str) -> Column:
        """A column whose heading carries its unit.

        Examples
        --------
        >>> [Column.parse(h).unit for h in ("<I>/mA", "t (h)", "j [mA/cm^2]", "<Ewe/V>", "cycle number", "j/mA cm-2")]
        ['mA', 'h', 'mA/cm^2', 'V', '', 'mA cm^-2']
        """
        return cls(heading, _split(heading)[1])

    @property
    def name(self) -> str:
        """The heading without its unit.

        Examples
        --------
        >>> [Column.parse(heading).name for heading in ("<I>/mA", "t (h)", "j [mA/cm^2]", "cycle number")]
        ['<I>', 't', 'j', 'cycle number']
        """
        return _split(self.heading)[0]

    def fits(self, si_units: Sequence[str]) -> bool:
        """Whether the column carries a unit of one of these dimensions."""
        try:
            return bool(self.factor(si_units, field=self.heading))
        except InputError:
            return False

    def factor(self, si_units: Sequence[str], *, field: str) -> tuple[float, str]:
        """The factor to the first of `si_units` that the unit has the dimension of, and that SI unit.

        Raises
        ------
        InputError
            If it has none of these dimensions.

        Examples
        --------
        >>> Column.parse("I (mA)").factor(["A/m^2", "A"], field="I")
        (0.001, 'A')
        """
        if "" in si_units and self.unit in NO_UNIT:
            return 1.0, ""
        first: InputError | None = None
        for si_unit in si_units:
            try:
                return factor_to_si(self.unit, si_unit, field=field), si_unit
            except InputError as error:
                first = first or error
        raise first or InputError(f"{field} = {self.unit!r} is not understood")


def _split(heading: str) -> tuple[str, str]:
    """Name and unit: the unit in brackets at the end, or after a stroke as EC-Lab has it."""
    brackets = re.fullmatch(r"(.*?)\s*[(\[]([^()\[\]]*)[)\]]\s*", heading)
    name, unit = brackets.groups() if brackets else heading.strip().partition("/")[::2]
    unit = unit.strip().rstrip(">").replace("µ", "u").replace("μ", "u")
    unit = re.sub(r"\b([kM]?)Ohm\b", r"\1ohm", unit)  # as EC-Lab and others write it
    return name.strip(), re.sub(r"(?<=[A-Za-z])-(?=\d)", "^-", unit)


def agreed_unit(heading: str, unit: str, *, field: str) -> str:
    """The unit that a file states for a column, which must be that of the column's heading where the heading has one.

    Parameters
    ----------
    heading : str
        As it stands in the table.
    unit : str
        What the file beside it says.
    field : str
        Where it says so, for the message.

    Returns
    -------
    str
        `unit`.

    Raises
    ------
    InputError
        If the two say different things; a heading in brackets that is no unit, such as "I (raw)", says nothing.
    """
    headed = Column.parse(heading).unit
    try:
        same = headed in ("", unit) or abs(factor_to_si(headed, unit) - 1) < 1e-12
    except InputError:
        same = not is_unit(headed)
    if not same:
        raise InputError(
            f'{field} = "{unit}", but the heading "{heading}" of the table says {headed}; '
            f'state "{headed}", or correct the heading'
        )
    return unit


def read_column(table: Table, key: str) -> Column:
    """A column that a TOML file names, ``"t (h)"`` or ``{ column = "t", unit = "h" }``.

    Parameters
    ----------
    table : Table
        Where it is named.
    key : str
        Under which key.

    Returns
    -------
    Column

    Raises
    ------
    InputError
        Neither of the two, no unit, or another one than that of the heading.
    """
    if isinstance(table.data.get(key), dict):
        entry = table.table(key)
        entry.only("column", "unit")
        heading = entry.string("column")
        return Column(heading, agreed_unit(heading, entry.string("unit"), field=entry.where("unit")))
    if key not in table:
        raise table.error(key, 'is missing; name the column, as in "t (h)"')
    column = Column.parse(table.string(key))
    if not column.unit:
        raise table.error(key, 'names no unit; write the column as "t (h)", or as { column = "t", unit = "h" }')
    return column
