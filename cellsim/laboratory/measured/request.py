"""What is asked: the experiment, the files and the numbers typed beside them, or a record of the virtual laboratory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import Array, InputError, to_si
from cellsim.base import F as FARADAY
from cellsim.base import R as GAS
from cellsim.files.reading import read_bytes
from cellsim.files.schema import did_you_mean
from cellsim.instruments.potentiostat import PotentiostatData, read_potentiostat
from cellsim.instruments.spectrum import read_spectrum
from cellsim.instruments.tables import read_table
from cellsim.laboratory.bench import Bench
from cellsim.laboratory.measured.curves import limiting, potentials
from cellsim.laboratory.measured.fraction import Resistances, fraction
from cellsim.laboratory.measured.quantity import DRAWS, Finding, Typed, typed
from cellsim.laboratory.measured.relaxation import relaxation
from cellsim.laboratory.measured.spectrum import CircuitFit, fit_spectrum, spectrum, usable
from cellsim.laboratory.reading import Record

OFF = 0.01
"""A current below this part of the largest one counts as switched off [1]."""
FEWEST_STEPS = 8
"""Of a staircase of voltages."""
STEADY = 0.01
"""A held voltage scatters by less than this part of itself [1]."""


@dataclass(frozen=True)
class Request:
    """One experiment to be analysed.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    files : tuple of Path
        What was recorded.
    values : mapping
        Typed beside them, as text: ``thickness``, ``area``, ``voltage``, ...
    named : callable
        Key -> how a message names it: ``--thickness``, or a key of a file.
    labels : mapping
        Key -> label of a number that several experiments share, see :class:`.Typed`.
    molality : callable, optional
        Molality [mol/kg] of salt concentrations [mol/m^3], where the volumes are known.
    thermal_voltage : float, optional
        nu R T/(F z+ nu+), where the salt and the temperature are known [V].
    """

    kind: str
    files: tuple[Path, ...]
    values: Mapping[str, Any]
    named: Callable[[str], str] = field(default=lambda key: f"--{key}")
    labels: Mapping[str, str] = field(default_factory=dict)
    molality: Callable[[Array], Array] | None = None
    thermal_voltage: float | None = None

    def typed(self, key: str, unit: str, *, above: float | None = 0.0) -> Typed | None:
        """A number with its standard error, None where it is not given."""
        text = self.values.get(key)
        return None if text is None else self._typed(key, text, unit, above)

    def _typed(self, key: str, text: Any, unit: str, above: float | None) -> Typed:
        return typed(text, unit, field=self.named(key), above=above, label=self.labels.get(key, f"{self.kind}.{key}"))

    def required(self, key: str, unit: str, why: str, *, above: float | None = 0.0) -> Typed:
        """The same, with a complaint where it is missing."""
        found = self.typed(key, unit, above=above)
        if found is None:
            raise InputError(
                f'{self.kind}: {why} needs {self.named(key)}, such as "1.00 ± 0.01 {_EXAMPLES.get(unit, unit)}"'
            )
        return found

    def time(self, key: str) -> float | None:
        """A time on the clock of the file [s]."""
        text = self.values.get(key)
        return None if text is None else to_si(text, "s", field=self.named(key))

    def path(self, key: str) -> Path | None:
        """A second file, None where it is not given."""
        text = self.values.get(key)
        if text is None:
            return None
        if not Path(text).is_file():
            raise InputError(f"{self.named(key)} = {str(text)!r} names no file that exists")
        return Path(text)

    def one_file(self) -> Path:
        """The only file there may be."""
        if len(self.files) != 1:
            raise InputError(f"{self.kind}: takes one file, and {len(self.files)} are named")
        return self.files[0]


_EXAMPLES = {"m": "mm", "m^2": "cm^2", "mol/m^3": "mol/L"}
_UNITS = {"m": "mol/kg", "r": "", "c": "mol/m^3"}


def seed_of(path: Path) -> int:
    """A seed by the contents of a file: two experiments draw apart, and one file the same for whoever reads it."""
    return zlib.crc32(read_bytes(path))


def analyse(request: Request) -> Finding:
    """Read the files and analyse them.

    Parameters
    ----------
    request : Request
        What is asked.

    Returns
    -------
    Finding

    Raises
    ------
    InputError
        An unknown experiment or key, and whatever is wrong with a file or what is typed beside it, one sentence.
    """
    if request.kind not in KINDS:
        raise InputError(f"analyse {request.kind!r} is no experiment{did_you_mean(request.kind, KINDS)}")
    kind = KINDS[request.kind]
    for key in request.values:
        if key not in kind.keys:
            raise InputError(
                f"{request.kind}: {request.named(key)} is not asked for here; it takes "
                f"{', '.join(request.named(one) for one in kind.keys)}"
            )
    for file in request.files:
        if not file.is_file():
            raise InputError(f"{file}: no such file")
    return kind.analyse(request)


# ---- one function per experiment ------------------------------------------------------------------------------------


def _columns(request: Request) -> dict[str, str]:
    given = request.values.get("column") or ()
    found = {}
    for text in given:
        role, sign, name = str(text).partition("=")
        if not sign or not name.strip():
            raise InputError(f'{request.named("column")} = {text!r} must be ROLE=COLUMN, such as "voltage=Ewe/V"')
        found[role.strip()] = name.strip()
    return found


def _read(request: Request) -> PotentiostatData:
    data = read_potentiostat(request.one_file(), columns=_columns(request))
    if data.time.size < 2:
        raise InputError(f"{data.path}: holds one reading; an analysis needs a course in time")
    return data


def _relaxation(request: Request) -> Finding:
    thickness = request.required("thickness", "m", "D from a relaxation time")
    data = _read(request)
    if data.voltage is None:
        raise InputError(f'{data.path}: has no column of voltage with a unit, such as "Ewe (V)"; D is read from one')
    begin, notes = _rest(data, request)
    last = request.time("to")
    window = (data.time > begin[0]) & (data.time <= (begin[1] if last is None else last))
    if window.sum() < 2:
        raise InputError(
            f"{data.path}: no readings from {begin[0]:.6g} s to {begin[1] if last is None else last:.6g} s; the file "
            f"has {data.time[0]:.6g} to {data.time[-1]:.6g} s"
        )
    t, U = data.time[window] - begin[0], data.voltage[window]
    found = relaxation(t, U, thickness, files=(data.path.name,), seed=seed_of(data.path))
    return _with_notes(found, (*data.notes, *notes))


def _rest(data: PotentiostatData, request: Request) -> tuple[tuple[float, float], tuple[str, ...]]:
    """When the current stopped and the rest ended, on the clock of the file [s], and how that is known."""
    first, end = request.time("from"), float(data.time[-1])
    if first is not None:
        return (first, end), ()
    if data.current is None or not np.any(data.current):
        why = "has no column of current" if data.current is None else "has no current in any row"
        return (float(data.time[0]), end), (
            f"the file {why}, so its first reading is taken as the moment when the current stopped; say otherwise with "
            f"{request.named('from')}",
        )
    on = np.abs(data.current) > OFF * np.abs(data.current).max()
    if np.all(on):
        raise InputError(
            f"{data.path}: a current flows in every row, so there is no rest to read; export the rest after it, or "
            f"name its start with {request.named('from')}"
        )
    stops = np.flatnonzero(on[:-1] & ~on[1:])
    if not stops.size:
        return (float(data.time[0]), float(data.time[np.argmax(on)]) if np.any(on) else end), (
            "no current flows before the rest, so its first reading is taken as the moment when the current stopped",
        )
    spans = []
    for k in stops:
        again = np.flatnonzero(on[k + 1 :])
        spans.append((float(data.time[k]), float(data.time[k + again[0]]) if again.size else end))
    begin, end = max(spans, key=lambda span: span[1] - span[0])
    longest = ", the longest of " + str(len(spans)) if len(spans) > 1 else ""
    return (begin, end), (f"the rest that begins at {begin:.6g} s on the clock of the file{longest} is evaluated",)


def _fraction(request: Request) -> Finding:
    data = _read(request)
    if data.current is None:
        raise InputError(f'{data.path}: has no column of current with a unit, such as "I (mA)"; ρ₊ is read from one')
    area = request.typed("area", "m^2")
    begin, voltage = _step(data, request)
    last = request.time("to")
    window = (data.time > begin) & (data.time <= (data.time[-1] if last is None else last))
    if window.sum() < 2:
        raise InputError(f"{data.path}: no readings after {begin:.6g} s; the file ends at {data.time[-1]:.6g} s")
    resistances, notes = _resistances(request, data.per_area, area)
    t, i = data.time[window] - begin, data.current[window]
    found = fraction(t, i, voltage, resistances, files=(data.path.name,), seed=seed_of(data.path))
    return _with_notes(found, (*data.notes, *notes))


def _step(data: PotentiostatData, request: Request) -> tuple[float, Typed]:
    """When the voltage was applied, on the clock of the file [s], and the voltage."""
    first, given = request.time("from"), request.typed("voltage", "V", above=None)
    begin = float(data.time[0]) if first is None else first
    if data.voltage is None:
        if given is None:
            raise InputError(
                f"{data.path}: has no column of voltage; give the voltage held with {request.named('voltage')}"
            )
        return begin - (1e-12 if first is None else 0.0), given
    V = data.voltage
    held = float(np.median(V[V.size // 2 :]))
    before = np.flatnonzero(np.abs(V - held) > 0.5 * abs(held))
    before = before[before < V.size // 2]
    if first is None:
        begin = begin - 1e-12
        if (
            before.size
        ):  # between the last reading before it and the first one after, and no further back than readings lie
            k = min(int(before[-1]), data.time.size - 3)
            begin = max(float(data.time[k]), float(2 * data.time[k + 1] - data.time[k + 2]))
    after = V[data.time > begin]
    if after.size == 0:
        raise InputError(f"{data.path}: no readings after {begin:.6g} s; the file ends at {data.time[-1]:.6g} s")
    if given is not None:
        return begin, given
    scatter = 1.4826 * float(np.median(np.abs(after - held)))  # the first readings may come before the voltage stands
    if scatter > STEADY * abs(held):
        raise InputError(
            f"{data.path}: the voltage is not held: it scatters by {1e3 * scatter:.3g} mV about "
            f"{1e3 * held:.4g} mV; name the start of the step with {request.named('from')} or the voltage with "
            f"{request.named('voltage')}"
        )
    return begin, Typed(held, scatter / float(np.sqrt(after.size)), "voltage held")


def _resistances(request: Request, per_area: bool, area: Typed | None) -> tuple[Resistances, tuple[str, ...]]:
    """R_0, R_ss and R_b from spectra or as typed, in the unit that goes with the current."""
    drawn_area = None if area is None else area.draws()
    before, after = request.path("before"), request.path("after")
    notes: list[str] = []
    spectra = {
        key: _circuit(path, per_area, drawn_area, request)
        for key, path in (("before", before), ("after", after))
        if path
    }
    R: dict[str, Array] = {}
    for key in ("r0", "rss", "bulk"):
        text = request.values.get(key)
        if text is not None:
            R[key] = _in_unit(request, key, text, per_area, drawn_area)
    if "before" in spectra:
        R.setdefault("r0", spectra["before"][1])
        R.setdefault("bulk", spectra["before"][0])
    if "after" in spectra:
        R.setdefault("rss", spectra["after"][1])
    if "r0" not in R:
        raise InputError(
            f'fraction: the resistance of the interfaces is needed: {request.named("r0")} such as "50 ± 1 ohm", or '
            f'{request.named("before")} with a spectrum recorded before it; "0 ohm" says that there is none'
        )
    if "rss" not in R:
        notes.append("the interfaces are assumed to be the same at the end as before; measure them again to check this")
        R["rss"] = R["r0"]
    return Resistances(R["r0"], R["rss"], R.get("bulk"), per_area), tuple(notes)


def _circuit(path: Path, per_area: bool, area: Array | None, request: Request) -> tuple[Array, Array]:
    """R_b and R_int of a spectrum, draws that belong together."""
    data = read_spectrum(path)
    omega, Z, _ = usable(data.omega, data.Z)
    fit: CircuitFit = fit_spectrum(omega, Z, seed=seed_of(path))
    factor = _area_factor(request, data.per_area, per_area, area, path.name)
    return factor * fit.resistance("R_b"), factor * fit.resistance("R_int")


def _area_factor(request: Request, given: bool, wanted: bool, area: Array | None, what: str) -> Array:
    """What turns a resistance in ohm or ohm m^2 into the other, where that is asked."""
    if given == wanted:
        return np.ones(DRAWS)
    if area is None:
        stated = "area-specific" if given else "in ohm"
        raise InputError(
            f"fraction: {what} is {stated}, and the current is {'a density' if wanted else 'a total one'}; give "
            f'{request.named("area")}, such as "1.13 cm^2"'
        )
    return area if wanted else 1 / area


def _in_unit(request: Request, key: str, text: Any, per_area: bool, area: Array | None) -> Array:
    try:
        found, specific = typed(text, "ohm", field=request.named(key), label=f"{request.kind}.{key}"), False
    except InputError as first:
        try:
            found, specific = typed(text, "ohm m^2", field=request.named(key), label=f"{request.kind}.{key}"), True
        except InputError:
            raise first from None
    if found.value < 0 or (key == "bulk" and found.value == 0):
        raise InputError(
            f"{request.named(key)} = {text!r} must {'be positive' if key == 'bulk' else 'not be negative'}"
        )
    return found.draws() * _area_factor(request, specific, per_area, area, request.named(key))


def _impedance(request: Request) -> Finding:
    data = read_spectrum(request.one_file())
    found = spectrum(
        data.omega,
        data.Z,
        thickness=request.typed("thickness", "m"),
        area=request.typed("area", "m^2"),
        per_area=data.per_area,
        files=(data.path.name,),
        seed=seed_of(data.path),
    )
    return _with_notes(found, data.notes)


def _concentration_cell(request: Request) -> Finding:
    path = request.one_file()
    table = read_table(path)
    compositions = {
        "m": table.quantity(("m", "molality"), ["mol/kg"]),
        "r": table.quantity(("r",), [""]),
        "c": table.quantity(("c", "concentration"), ["mol/m^3"]),
    }
    given = [name for name, values in compositions.items() if values is not None]
    if len(given) != 1:
        raise InputError(
            f"{path}: needs one column of the composition of the second half-cell, m (mol/kg), r or c (mol/L); it has "
            f"{', '.join(given) or 'none'}"
        )
    (variable,) = given
    values = compositions[variable]
    assert values is not None
    if np.any(values <= 0):
        raise InputError(f"{path}: the column {variable} holds {values.min():.4g}; a composition must be positive")
    U = table.required(("u", "ecell", "voltage", "ewe", "v"), ["V"])
    at = request.required("at", _UNITS[variable], f"the slope at one {variable}").value
    x, names_m = np.log(values / at), variable != "c"
    notes: tuple[str, ...] = ()
    if variable == "c" and request.molality is not None:
        x, names_m = np.log(request.molality(values) / request.molality(np.array(at))), True
    elif variable == "c":
        notes = ("the slope is against ln c; that against ln m is smaller by the volume fraction of the solvent",)
    T = request.typed("temperature", "K")
    found = potentials(
        x,
        U,
        errors=table.errors(["V"]),
        against="m" if names_m else "c",
        thermal_voltage=request.thermal_voltage if T is None else 2 * GAS * T.value / FARADAY,
        files=(path.name,),
        seed=seed_of(path),
    )
    return _with_notes(found, notes)


def _limiting(request: Request) -> Finding:
    path = request.one_file()
    voltages, currents = ("v", "u", "voltage", "ewe", "ecell"), ("i", "j", "current")
    rows: tuple[Array, Array]
    if path.suffix.lower() in (".csv", ".txt") and "time" not in _columns(request):
        table = read_table(path)
        if not any(column.name.lower() in ("t", "time") for column in table.columns):
            k = next((k for k, one in enumerate(table.columns) if one.name.lower() in currents), None)
            rows = table.required(voltages, ["V"]), table.required(currents, ["A/m^2", "A"])
            per_area = k is not None and table.columns[k].fits(["A/m^2"])
            return _plateau(request, path, *rows, per_area=per_area, notes=("each row is taken as a steady state",))
    data = _read(request)
    if data.voltage is None or data.current is None:
        raise InputError(f"{path}: needs columns of voltage and current with units; i_L is read from both")
    first, last = request.time("from"), request.time("to")
    window = (data.time >= (data.time[0] if first is None else first)) & (
        data.time <= (data.time[-1] if last is None else last)
    )
    t, V, i = data.time[window], data.voltage[window], data.current[window]
    if t.size < 2:
        raise InputError(f"{path}: no readings in that time; the file has {data.time[0]:.6g} to {data.time[-1]:.6g} s")
    steps = _steps_of(V)
    if steps is not None:
        ends = [slice(b - max(1, (b - a) // 10), b) for a, b in steps]
        V, i = (np.array([float(np.mean(x[end])) for end in ends]) for x in (V, i))
        notes = (*data.notes, f"{len(ends)} steps of the voltage; the last tenth of each is taken as its steady state")
        return _plateau(request, path, V, i, per_area=data.per_area, notes=notes)
    turn = int(np.argmax(np.abs(V)))
    back = (V[turn + 1 :], i[turn + 1 :]) if V.size - turn > 0.05 * V.size else None
    forth = slice(0, turn + 1)
    lasts = float(t[turn] - t[0])
    return _plateau(
        request, path, V[forth], i[forth], per_area=data.per_area, notes=data.notes, back=back, duration=lasts
    )


def _steps_of(V: Array) -> list[tuple[int, int]] | None:
    """First and last row of every stretch of a staircase of at least FEWEST_STEPS; None where the voltage is swept."""
    change = np.abs(np.diff(V))
    jumps = np.flatnonzero(change > 0.002 * np.ptp(V))
    quiet = np.delete(change, jumps)
    if (
        jumps.size < FEWEST_STEPS
        or jumps.size > V.size // 4
        or (quiet.size and quiet.mean() > 0.1 * change[jumps].mean())
    ):
        return None
    return [(int(a), int(b)) for a, b in pairwise([0, *(jumps + 1), V.size]) if b - a > 1]


def _plateau(
    request: Request,
    path: Path,
    V: Array,
    i: Array,
    *,
    per_area: bool,
    notes: tuple[str, ...] = (),
    back: tuple[Array, Array] | None = None,
    duration: float | None = None,
) -> Finding:
    found = limiting(
        V,
        i,
        back=back,
        duration=duration,
        thickness=request.typed("thickness", "m"),
        c=request.typed("c", "mol/m^3"),
        area=request.typed("area", "m^2"),
        per_area=per_area,
        files=(path.name,),
        seed=seed_of(path),
    )
    return _with_notes(found, notes)


def _with_notes(found: Finding, notes: tuple[str, ...]) -> Finding:
    from dataclasses import replace

    return replace(found, notes=(*found.notes, *notes))


@dataclass(frozen=True)
class Kind:
    """An experiment that can be analysed.

    Parameters
    ----------
    analyse : callable
        What does it.
    keys : tuple of str
        What may be typed beside its files.
    what : str
        What it measures, a few words.
    """

    analyse: Callable[[Request], Finding]
    keys: tuple[str, ...]
    what: str


KINDS: dict[str, Kind] = {
    "limiting-current": Kind(
        _limiting,
        ("thickness", "c", "area", "from", "to", "column"),
        "a sweep or steps of the voltage: i_L",
    ),
    "relaxation": Kind(_relaxation, ("thickness", "from", "to", "column"), "the voltage after a current: D"),
    "fraction": Kind(
        _fraction,
        ("voltage", "r0", "rss", "bulk", "before", "after", "area", "from", "to", "column"),
        "the current under a held voltage: ρ₊ (Bruce-Vincent)",
    ),
    "concentration-cell": Kind(
        _concentration_cell, ("at", "temperature"), "U between two concentrations: dU/dln m = K (1 - t₊⁰) χ"
    ),
    "impedance": Kind(_impedance, ("thickness", "area"), "a spectrum: κ, R_int, and ρ₊ and D from the last arc"),
}
"""By the name on the command line."""


# ---- records of the virtual laboratory ---------------------------------------------------------------------------


MEASURED = ("impedance", "restricted_diffusion", "current_fraction", "concentration_cell")
"""Experiments of the virtual laboratory whose records :func:`analyse_record` takes."""


def analyse_record(record: Record, *, seed: int = 0) -> Finding:
    """What the estimators of `cellsim analyse` read off a record of the virtual laboratory.

    Parameters
    ----------
    record : Record
        Of an impedance, a restricted diffusion, a current fraction or concentration cells; with noisy instruments, for
        without noise there is no interval.
    seed : int
        Of the random numbers that make the interval.

    Returns
    -------
    Finding

    Raises
    ------
    InputError
        A record of another experiment.
    """
    bench, arrays, conditions = record.bench, record.arrays, record.conditions
    thickness = Typed(bench.thickness, label="thickness")
    if record.name == "impedance":
        Z = arrays["Z_real"] + 1j * arrays["Z_imag"]
        return spectrum(arrays["omega"], Z, thickness=thickness, per_area=True, files=(record.title,), seed=seed)
    if record.name == "restricted_diffusion":
        return relaxation(arrays["time"], arrays["U"], thickness, files=(record.title,), seed=seed)
    if record.name == "current_fraction":
        later = arrays["time"] > 0
        interfaces = Typed(conditions["R_i"], label="interfaces").draws()
        high = Typed(conditions["R_high"], conditions["R_high_error"], "high-frequency resistance").draws()
        resistances = Resistances(interfaces, interfaces, high - interfaces)
        t, i = arrays["time"][later], arrays["i"][later]
        return fraction(t, i, Typed(conditions["voltage"]), resistances, files=(record.title,), seed=seed)
    if record.name == "concentration_cell" and isinstance(bench, Bench):
        x = np.log(arrays["m"] / float(bench.transport.m(bench.c)))
        K = float(bench.transport.thermal_voltage)
        return potentials(x, arrays["U"], thermal_voltage=K, files=(record.title,), seed=seed)
    raise InputError(f"{record.name} is no record that can be analysed as a file of an instrument is")
