"""Strict reading of TOML: every key is known, every value checked, every complaint one sentence.

A message names file, key, value and what is allowed. `Table` is a view of one TOML table that knows where it stands::

    case = read_toml("case.toml")
    case.only("title", "cell")                      # anything else: an error with a did-you-mean
    cell = case.table("cell")
    cell.only("thickness", "area")
    thickness = cell.quantity("thickness", "m", above=0)
    area = cell.quantity("area", "m^2", None, above=0)   # third argument: default where the key is absent
"""

from __future__ import annotations

import copy
import difflib
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, overload

from cellsim.base import InputError, RangeError, shown, to_si

D = TypeVar("D")


class _Required:
    """The default of keys that have none."""

    def __repr__(self) -> str:
        return "required"


REQUIRED: Final = _Required()
Listener = Callable[["Table", str, str, Mapping[str, Any]], None]
"""Called with a table, what is asked of it (``"only"``, ``"quantity"``, ...), the key and the rest of the question."""
_LISTENERS: list[Listener] = []
LARGEST = 10_000_000
"""Bytes of a TOML file; a transport set with covariance has ten thousand."""


def read_toml(path: str | Path) -> Table:
    """Read a TOML file.

    Parameters
    ----------
    path : str or Path
        The file; relative paths inside it are relative to its folder.

    Returns
    -------
    Table
        Its top table; ``.text`` is the file verbatim.

    Raises
    ------
    InputError
        If the file is missing, is not UTF-8 text or is not TOML.
    """
    from cellsim.files.reading import read_bytes  # which brings numpy, and `mdcoeffs --help` does without

    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    try:
        text = read_bytes(path, largest=LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8") from None
    return parse_toml(text, path)


def parse_toml(text: str, path: str | Path = "<text>") -> Table:
    """The same for TOML text already in memory; `path` stands in messages and anchors relative paths.

    Raises
    ------
    InputError
        If `text` is not TOML.
    """
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{path}: not valid TOML: lists or tables in one another, too deep to be read") from None
    except ValueError as error:  # beside its own kind the reader lets through what int() says of 4300 digits and more
        raise InputError(f"{path}: not valid TOML: {error}") from None
    _check_integers(data, path)
    return Table(data, Path(path), "", text)


def _check_integers(data: Mapping[str, Any], path: str | Path) -> None:
    """Refuse integers of more than 64 bits, as TOML does: no float or array holds them."""
    waiting: list[tuple[str, Any]] = [("", data)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{name}.{key}" if name else key, inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{name}[{k}]", inner) for k, inner in enumerate(value)]
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InputError(f"{path}: {name} = {shown(value)} must be a whole number of at most 19 digits")


_STEP = re.compile(r"\.?([^.\[\]\s=]+)|\[(\d+)\]")


def assignment(text: str) -> tuple[str, Any]:
    """A key and its value from ``key=value`` of a command line; a value that is no TOML is taken as a string.

    Raises
    ------
    InputError
        No "=", or nothing before it.

    Examples
    --------
    >>> assignment("cell.thickness = 1 mm"), assignment("step[0].value='0.1 V'"), assignment("solver.cells=80")
    (('cell.thickness', '1 mm'), ('step[0].value', '0.1 V'), ('solver.cells', 80))
    """
    key, sign, value = (part.strip() for part in text.partition("="))
    if not sign or not key or not value:
        raise InputError(f'{shown(text)} must be KEY=VALUE, such as cell.thickness="1 mm"')
    return key, toml_value(value)


def toml_value(text: str) -> Any:
    """What a text means as a TOML value, or the text itself: ``80`` -> 80, ``1 mm`` -> "1 mm"."""
    try:
        found = tomllib.loads(f"x = {text}")
    except (ValueError, RecursionError):
        return text
    return found["x"] if list(found) == ["x"] else text


def with_values(top: Table, values: Mapping[str, Any]) -> Table:
    """A file with some of its values changed.

    Parameters
    ----------
    top : Table
        The file.
    values : mapping
        Dotted key -> value as TOML has it: ``cell.thickness``, ``step[0].value``. Tables that are missing are made.

    Returns
    -------
    Table
        With the changed file as its text; the same Table where nothing changes.

    Raises
    ------
    InputError
        A key that is none, an entry of a list that does not exist, a value where a table stands.
    """
    if not values:
        return top
    import tomli_w

    data: dict[str, Any] = copy.deepcopy(dict(top.data))
    for key, value in values.items():
        steps = [name or int(place) for name, place in _STEP.findall(key)]
        if not steps or not isinstance(steps[0], str) or _STEP.sub("", key):
            raise InputError(f"{top.file}: {shown(key)} is no key; write one such as cell.thickness or step[0].value")
        holder: Any = data
        for here, following in zip(steps, [*steps[1:], None], strict=True):
            if isinstance(here, int):
                if not isinstance(holder, list) or here >= len(holder):
                    many = len(holder) if isinstance(holder, list) else 0
                    raise InputError(f"{top.file}: {key} names entry [{here}], but there are {many}, counted from [0]")
            elif isinstance(holder, list):
                raise InputError(f"{top.file}: {key} needs an entry, [0] to [{len(holder) - 1}], before {here}")
            elif not isinstance(holder, dict):
                raise InputError(f"{top.file}: {key} looks for {here} in {shown(holder)}, which is a value")
            if following is None:
                holder[here] = value
            else:
                holder = holder[here] if isinstance(here, int) else holder.setdefault(here, {})
    changes = "".join(f"# changed: {key} = {shown(value)}\n" for key, value in values.items())
    try:
        text = changes + tomli_w.dumps(data)
    except (TypeError, ValueError) as error:
        raise InputError(f"{top.file}: a changed value cannot be written as TOML ({error})") from None
    return Table(data, top.file, top.name, text)


def read_json_table(path: str | Path, *, what: str = "the file") -> Table:
    """Numbers that this project wrote as JSON, read with the same strictness.

    Parameters
    ----------
    path : str or Path
        The file.
    what : str
        What it should be, for the message.

    Returns
    -------
    Table
        A number that did not exist is null there, and absent here.

    Raises
    ------
    InputError
        It is not there, or no JSON object.
    """
    from cellsim.files.reading import read_json

    data = read_json(path, what=what)
    if not isinstance(data, dict):
        raise InputError(f"{path}: cannot be read as {what} (it is a {type(data).__name__})")
    return Table({key: value for key, value in data.items() if value is not None}, Path(path))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` everything that readers ask of tables inside: :mod:`cellsim.files.json_schema` learns from it."""
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """``'; did you mean "thickness"?'``, or the allowed words where none is close."""
    options = [str(option) for option in options]
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if not close:
        close = [option for option in options if option.lower() == word.lower()]
    if close:
        return f'; did you mean "{close[0]}"?'
    return f"; allowed: {', '.join(options)}" if options else ""


@dataclass(frozen=True)
class Table:
    """One table of a TOML file.

    Parameters
    ----------
    data : mapping
        Keys and values as read.
    file : Path
        The file it stands in, for messages and relative paths.
    name : str
        Dotted name, ``""`` for the top table.
    text : str
        The file verbatim (top table only).
    """

    data: Mapping[str, Any]
    file: Path
    name: str = ""
    text: str = ""

    # ---- what is there --------------------------------------------------------------------------------------------

    def __contains__(self, key: object) -> bool:
        return key in self.data

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def where(self, key: str = "") -> str:
        """``"case.toml: cell.thickness"``, the beginning of a message about `key`."""
        dotted = self._dotted(key)
        return f"{self.file}: {dotted}" if dotted else str(self.file)

    def _asked(self, what: str, key: str, **how: Any) -> None:
        for listener in _LISTENERS:
            listener(self, what, key, how)

    def _dotted(self, key: str) -> str:
        return ".".join(part for part in (self.name, key) if part)

    def error(self, key: str, complaint: str) -> InputError:
        """An error to raise: file, key, value (where there is one) and `complaint`, such as ``"must be positive"``."""
        value = self.data.get(key)
        stated = f" = {shown(value)}" if key in self.data and not isinstance(value, dict | list) else ""
        return InputError(f"{self.where(key)}{stated} {complaint}")

    @contextmanager
    def located(self) -> Iterator[None]:
        """Put the file's name before any :class:`InputError` raised inside that does not carry it yet."""
        try:
            yield
        except InputError as error:
            if str(error).startswith(str(self.file)):
                raise
            raise type(error)(f"{self.file}: {error}") from error
        except RangeError as error:
            raise RangeError(f"{self.file}: {error}", error.variable, error.value) from error

    def only(self, *allowed: str, chosen: bool = False) -> None:
        """Accept the keys `allowed`; `chosen`: they are names that the file itself chose, such as those of species.

        Raises
        ------
        InputError
            For the first other key, with a did-you-mean.
        """
        if not chosen:
            self._asked("only", "", keys=allowed)
        for key in self.data:
            if key not in allowed:
                home = f"[{self.name}]" if self.name else "this file"
                raise InputError(f"{self.where(key)} is not a key of {home}{did_you_mean(key, allowed)}")

    def exactly_one(self, *keys: str) -> str:
        """The one of `keys` that is given.

        Raises
        ------
        InputError
            If none is, or more than one.
        """
        self._asked("one_of", "", keys=keys)
        given = [key for key in keys if key in self.data]
        if len(given) == 1:
            return given[0]
        found = f"found {' and '.join(given)}" if given else "found none"
        if not given:
            near = [hint for key in self.data for hint in [did_you_mean(key, keys)] if "did you mean" in hint]
            found += near[0] if near else ""
        raise InputError(f"{self.where()} needs exactly one of {', '.join(keys)}; {found}")

    # ---- values ---------------------------------------------------------------------------------------------------

    def _get(self, key: str, default: Any, hint: str) -> tuple[bool, Any]:
        """Whether the key is given, and its value or the default."""
        if key in self.data:
            return True, self.data[key]
        if default is REQUIRED:
            raise InputError(f"{self.where(key)} is missing; {hint}")
        return False, default

    @overload
    def quantity(self, key: str, unit: str, *, above: float = ..., least: float = ..., most: float = ...) -> float: ...
    @overload
    def quantity(
        self, key: str, unit: str, default: D, *, above: float = ..., least: float = ..., most: float = ...
    ) -> float | D: ...
    def quantity(
        self,
        key: str,
        unit: str,
        default: Any = REQUIRED,
        *,
        above: float = -math.inf,
        least: float = -math.inf,
        most: float = math.inf,
    ) -> Any:
        """A string with unit -> float in `unit`; with ``unit=""`` a bare number.

        Parameters
        ----------
        key : str
            Which value.
        unit : str
            The SI unit; it fixes the dimension.
        default : object, optional
            Returned as it is where the key is absent; without one the key is required.
        above, least, most : float
            Bounds in `unit`: value > above, value >= least, value <= most.

        Returns
        -------
        float or the default

        Raises
        ------
        InputError
            Missing, wrong unit or dimension, not finite, out of bounds.
        """
        self._asked("quantity", key, unit=unit, default=default, above=above, least=least, most=most)
        return self._quantity(key, unit, default, above, least, most)

    def _quantity(self, key: str, unit: str, default: Any, above: float, least: float, most: float) -> Any:
        example = f'write it with a unit, for example "1 {unit}"' if unit else "write a bare number"
        given, value = self._get(key, default, example)
        if not given:
            return value
        with self.located():
            number = to_si(value, unit, field=self._dotted(key))
        self._bound(key, number, unit, above, least, most)
        return number

    def _bound(self, key: str, number: float, unit: str, above: float, least: float, most: float) -> None:
        unit = f" {unit}" if unit else ""
        if above >= number:
            raise self.error(key, "must be positive" if above == 0 else f"must be above {above:g}{unit}")
        if number < least:
            raise self.error(key, "must not be negative" if least == 0 else f"must be at least {least:g}{unit}")
        if number > most:
            raise self.error(key, f"must be at most {most:g}{unit}")

    @overload
    def number(self, key: str, *, above: float = ..., least: float = ..., most: float = ...) -> float: ...
    @overload
    def number(
        self, key: str, default: D, *, above: float = ..., least: float = ..., most: float = ...
    ) -> float | D: ...
    def number(self, key: str, default: Any = REQUIRED, **bounds: float) -> Any:
        """A bare number; as :meth:`quantity` with no unit, but a string is an error."""
        self._asked("number", key, default=default, **bounds)
        given, value = self._get(key, default, "write a bare number")
        if not given:
            return value
        if isinstance(value, str):
            raise self.error(key, "must be a bare number, without quotes")
        limits = {"above": -math.inf, "least": -math.inf, "most": math.inf} | bounds
        return self._quantity(key, "", REQUIRED, **limits)

    @overload
    def integer(self, key: str, *, least: int | None = ...) -> int: ...
    @overload
    def integer(self, key: str, default: D, *, least: int | None = ...) -> int | D: ...
    def integer(self, key: str, default: Any = REQUIRED, *, least: int | None = None) -> Any:
        """A whole number, not below `least`."""
        self._asked("integer", key, default=default, least=-math.inf if least is None else least)
        given, value = self._get(key, default, "write a whole number")
        if not given:
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(key, "must be a whole number")
        if least is not None and value < least:
            raise self.error(key, f"must be at least {least}")
        return value

    @overload
    def string(self, key: str) -> str: ...
    @overload
    def string(self, key: str, default: D) -> str | D: ...
    def string(self, key: str, default: Any = REQUIRED) -> Any:
        """A non-empty string."""
        self._asked("string", key, default=default)
        given, value = self._get(key, default, "write a string in quotes")
        if given and not (isinstance(value, str) and value.strip()):
            raise self.error(key, "must be a string in quotes")
        return value

    @overload
    def boolean(self, key: str) -> bool: ...
    @overload
    def boolean(self, key: str, default: D) -> bool | D: ...
    def boolean(self, key: str, default: Any = REQUIRED) -> Any:
        """``true`` or ``false``."""
        self._asked("boolean", key, default=default)
        given, value = self._get(key, default, "write true or false")
        if given and not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    @overload
    def choice(self, key: str, options: Sequence[str]) -> str: ...
    @overload
    def choice(self, key: str, options: Sequence[str], default: D) -> str | D: ...
    def choice(self, key: str, options: Sequence[str], default: Any = REQUIRED) -> Any:
        """One of the strings `options`."""
        self._asked("choice", key, default=default, options=tuple(options))
        listed = " | ".join(f'"{option}"' for option in options)
        given, value = self._get(key, default, f"choose {listed}")
        if given and value not in options:
            raise self.error(key, f"must be {listed}")
        return value

    def array(self, key: str, default: Any = REQUIRED) -> list[float]:
        """A list of finite bare numbers.

        Raises
        ------
        InputError
            Missing, not a list, or an entry that is not a finite number.
        """
        self._asked("array", key, default=default)
        given, value = self._get(key, default, "write a list of numbers")
        if not given:
            return list(value)
        if not isinstance(value, list) or not value:
            raise self.error(key, "must be a list of numbers")
        for k, entry in enumerate(value):
            if isinstance(entry, bool) or not isinstance(entry, int | float) or not math.isfinite(entry):
                raise InputError(f"{self.where(key)}[{k}] = {shown(entry)} must be a finite number")
        return [float(entry) for entry in value]

    def quantities(self, key: str, unit: str, default: Any = REQUIRED) -> list[float]:
        """A list of strings with unit -> floats in `unit`.

        Raises
        ------
        InputError
            Missing, not a list, or an entry of the wrong dimension.
        """
        self._asked("quantities", key, default=default, unit=unit)
        given, value = self._get(key, default, f'write a list such as ["1 {unit}", "2 {unit}"]')
        if not given:
            return list(value)
        if not isinstance(value, list):
            raise self.error(key, f'must be a list such as ["1 {unit}", "2 {unit}"]')
        with self.located():
            return [to_si(entry, unit, field=f"{self._dotted(key)}[{k}]") for k, entry in enumerate(value)]

    def strings(self, key: str, default: Any = REQUIRED) -> list[str]:
        """A list of strings."""
        self._asked("strings", key, default=default)
        given, value = self._get(key, default, "write a list of strings")
        if given and not (isinstance(value, list) and all(isinstance(entry, str) for entry in value)):
            raise self.error(key, "must be a list of strings")
        return list(value)

    # ---- tables and files -----------------------------------------------------------------------------------------

    @overload
    def table(self, key: str) -> Table: ...
    @overload
    def table(self, key: str, default: dict[str, Any]) -> Table: ...
    @overload
    def table(self, key: str, default: D) -> Table | D: ...
    def table(self, key: str, default: Any = REQUIRED) -> Any:
        """The table `key`; where it is absent the default, which ``{}`` turns into an empty table."""
        self._asked("table", key, default=default)
        name = self._dotted(key)
        if key not in self.data:
            if default is REQUIRED:
                raise InputError(f"{self.file}: the table [{name}] is missing")
            return Table({}, self.file, name) if isinstance(default, dict) else default
        value = self.data[key]
        if not isinstance(value, dict):
            raise self.error(key, f"must be a table, [{name}]")
        return Table(value, self.file, name)

    def tables(self, key: str) -> list[Table]:
        """The tables of ``[[key]]``, an empty list where there is none; they are named ``key[0]``, ``key[1]``, ..."""
        self._asked("tables", key, default=None)
        name = self._dotted(key)
        value = self.data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self.error(key, f"must be a list of tables, [[{name}]]")
        return [Table(entry, self.file, f"{name}[{k}]") for k, entry in enumerate(value)]

    @overload
    def path(self, key: str) -> Path: ...
    @overload
    def path(self, key: str, default: D) -> Path | D: ...
    def path(self, key: str, default: Any = REQUIRED) -> Any:
        """An existing file, relative to the file this table stands in.

        Raises
        ------
        InputError
            Missing key or missing file.
        """
        self._asked("string", key, default=default)
        given, value = self._get(key, default, "write the path of a file")
        if not given:
            return value
        path = self.file.parent / self.string(key)
        if not path.is_file():
            raise self.error(key, "names no file that exists")
        return path
