"""Tables of the stress of a box against time, as molecular dynamics programs write them, and arrays of it.

A table of text has one row of headings, ``t (ps), Pxx (bar), Pxy (bar), ...``, with commas, semicolons, tabs or spaces
between its columns; a # may stand before it, and units behind a slash, ``t/ps``. A .xvg of ``gmx energy`` has its
legends and units in lines that begin with @. An array file (.npz, .h5) holds ``time`` (frames,) and ``stress``
(frames, 3, 3), in SI unless a data set names its unit.
"""

from __future__ import annotations

import io
import re
import warnings
from itertools import takewhile
from pathlib import Path

import numpy as np

from cellsim.base import Array, InputError, factor_to_si, shortened, shown
from cellsim.files.reading import array_headers, check_memory, numbers, read_arrays

SHEAR = ("xy", "xz", "yz")
NORMAL = ("xx", "yy", "zz")
LARGEST = 1e20
"""No stress reaches it [Pa]: its square is still a number."""
_HEADING = re.compile(r"\s*([^(\[]*?)\s*[(\[]([^()\[\]]*)[)\]]\s*")
_SLASHED = re.compile(r"([^/]+)/(.+)")
_COMPONENT = re.compile(r"(?:p|press?|pressure|s|sigma|stress|tau)?[_ .-]?([xyz]{2})")
_LEGEND = re.compile(r'@\s+(?:s(\d+)\s+legend|([xy])axis\s+label)\s+"(.*)"')
_SPACED = re.compile(r"(?<=[)\]])\s+")


def read_stress(path: str | Path) -> tuple[Array, Array]:
    """Times and independent shear stresses of one run.

    Parameters
    ----------
    path : str or Path
        A table or an array file.

    Returns
    -------
    time : array (frames,)
        [s]
    stress : array (5, frames) or (3, frames)
        xy, xz, yz, (xx - yy)/2 and (2 zz - xx - yy)/sqrt(12), each of the same variance in a liquid [Pa]; the last two
        where the file has the normal components. Pressure and stress differ in sign, which does not matter.

    Raises
    ------
    InputError
        No such file, columns or units missing, a cell that is no number.

    References
    ----------
    Daivis & Evans 1994, doi:10.1063/1.466970 (independent components of the traceless tensor).
    """
    path = Path(path)
    if path.suffix.lower() in (".npz", ".h5", ".hdf5"):
        time, parts = _arrays(path)
    else:
        time, parts = _table(path)
    shear = [parts[name] for name in SHEAR]
    if all(name in parts for name in NORMAL):
        xx, yy, zz = (parts[name] for name in NORMAL)
        shear += [(xx - yy) / 2, (2 * zz - xx - yy) / np.sqrt(12)]
    stress = np.stack(shear)
    if not np.abs(stress).max(initial=0.0) < LARGEST:
        raise InputError(f"{path}: holds a stress beyond {LARGEST:g} Pa; check the unit in its heading")
    return time, stress


def _arrays(path: Path) -> tuple[Array, dict[str, Array]]:
    headers = array_headers(path)
    lengths: dict[str, int] = {}
    data = read_arrays(path, ("time", "stress"))
    found = {}
    for name, shape, unit in (("time", ("frames",), "s"), ("stress", ("frames", 3, 3), "Pa")):
        values = numbers(data, name, shape, where=str(path), lengths=lengths)
        own = headers[name].unit
        found[name] = values * (factor_to_si(own, unit, field=f"{path.name}: the unit of {name}") if own else 1.0)
    tensor = found["stress"]
    places = {name: ("xyz".index(name[0]), "xyz".index(name[1])) for name in (*SHEAR, *NORMAL)}
    return found["time"], {name: (tensor[:, i, j] + tensor[:, j, i]) / 2 for name, (i, j) in places.items()}


def _table(path: Path) -> tuple[Array, dict[str, Array]]:
    check_memory(3.0 * _size(path), f"{path}: its text as numbers")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"{path}: cannot be read as a table of the stress ({reason})") from None
    before = list(takewhile(lambda line: line.lstrip()[:1] in ("#", "@"), text.splitlines()))
    if any(line.startswith("@") for line in before):
        headings, delimiter, skipped = _xvg(text)
    else:  # of lines behind a # the last one, as programs write them
        headings, delimiter, skipped = _headed(path, before[-1].lstrip("# ") if before else text)
        skipped = len(before) or skipped
    columns = _columns(path, headings)
    if delimiter in ("\t", ";"):
        text = text.replace(",", ".")  # a comma in a number is then a decimal comma
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a table without rows
            rows = np.loadtxt(io.StringIO(text), delimiter=delimiter, skiprows=skipped, comments=("#", "@"), ndmin=2)
    except UserWarning:
        raise InputError(f"{path}: has headings and no rows") from None
    except (ValueError, OverflowError) as error:
        reason = shortened(" ".join(str(error).split(";")[0].split()), 200)
        raise InputError(f"{path}: its rows cannot be read as numbers ({reason})") from None
    if rows.shape[1] != len(headings):
        raise InputError(f"{path}: has {len(headings)} headings and {rows.shape[1]} columns; name every column")
    for place, heading in enumerate(headings):
        bad = np.flatnonzero(~np.isfinite(rows[:, place]))
        if bad.size:
            raise InputError(f"{path}: row {bad[0] + 1} of the column {shown(heading)} is no finite number")
    found: dict[str, list[Array]] = {}
    for place, (name, factor) in columns.items():
        found.setdefault("".join(sorted(name)) if name != "t" else name, []).append(rows[:, place] * factor)
    return found.pop("t")[0], {name: np.mean(each, axis=0) for name, each in found.items()}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read as a table of the stress ({error.strerror})") from None


def _headed(path: Path, text: str) -> tuple[list[str], str | None, int]:
    """Headings, what stands between columns, and the lines before the first row of numbers."""
    head = text.split("\n", 1)[0].strip()
    if not re.search(r"[A-Za-z]", head):
        raise InputError(
            f"{path}: begins with {shown(shortened(head, 60))}, which are no headings; name the columns in the first "
            'row, such as "t (ps), Pxy (bar), Pxz (bar), Pyz (bar)"'
        )
    for delimiter in "\t;,":
        if delimiter in head:
            return [cell.strip().strip('"') for cell in head.split(delimiter)], delimiter, 1
    return _SPACED.split(head) if _HEADING.search(head) else head.split(), None, 1


def _xvg(text: str) -> tuple[list[str], str | None, int]:
    """The same of a .xvg, whose y axis may name the unit of all legends."""
    legends: dict[int, str] = {}
    axes = {"x": "", "y": ""}
    for line in text.splitlines():
        if line[:1] not in ("#", "@"):
            break
        if match := _LEGEND.match(line):
            number, axis, words = match.groups()
            if axis:
                axes[axis] = words
            else:
                legends[int(number)] = words
    headings = [axes["x"], *(f"{legends.get(k, '')} {axes['y']}" for k in range(max(legends, default=-1) + 1))]
    return headings, None, 0


def _columns(path: Path, headings: list[str]) -> dict[int, tuple[str, float]]:
    """Place of a column -> "t" or a component, and the factor to SI."""
    columns = {}
    for place, heading in enumerate(headings):
        match = _HEADING.fullmatch(heading) or _SLASHED.fullmatch(heading)
        name = (match[1] if match else heading).strip().lower()
        part = "t" if name in ("t", "time") else component[1] if (component := _COMPONENT.fullmatch(name)) else ""
        if not part:
            continue
        where = f"{path}: column {shown(heading)}"
        if match is None:
            example = "t (ps)" if part == "t" else f"{heading.strip()} (bar)"
            raise InputError(f'{where} names no unit; write "{example}"')
        columns[place] = part, factor_to_si(match[2], "s" if part == "t" else "Pa", field=where)
    names = [name for name, _ in columns.values()]
    there = {"".join(sorted(name)) for name in names}
    missing = [name for name in ("t", *SHEAR) if name not in there]
    if missing:
        listed = shortened(", ".join(shown(heading) for heading in headings), 200)
        raise InputError(
            f"{path}: has no column {', '.join(missing)}; needed are t, Pxy, Pxz and Pyz with their units, such as "
            f'"t (ps)" and "Pxy (bar)"; found {listed}'
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: has the column {twice} {names.count(twice)} times; leave one of them")
    return columns
