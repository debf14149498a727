"""What is taken from the result of each analysis: values with intervals, under names that hold for all states.

A result folder is one that the command of an analysis wrote, such as ``mdcoeffs onsager``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import InputError
from cellsim.electrolyte.onsager import OnsagerMatrix
from cellsim.files.reading import read_json
from mdcoeffs.analysis import LEVEL
from mdcoeffs.inputs.species import ANALYSES
from mdcoeffs.onsager.result import read_onsager

Json = Mapping[str, Any]
PAIRS = {"pp": (0, 0), "pm": (0, 1), "mm": (1, 1)}
"""Elements of the Onsager matrix of a salt, p: cation, m: anion."""
Z95 = 1.959963984540054
"""Half width of a 95 % interval of a normal distribution, in standard errors."""
OMEGA = "mol^2/(J m s)"
DIFFUSIVE = 0.1
"""Largest difference of an exponent from 1 at which <dr^2>/6t is called a diffusion coefficient [1]."""


@dataclass(frozen=True)
class Panel:
    """Quantities that share an axis.

    Parameters
    ----------
    figure : str
        The file it is drawn in.
    label : str
        Of the axis, without the unit.
    unit : str
        SI unit of its quantities; "1" for pure numbers.
    sign : int
        1 for what grows with temperature where it follows Arrhenius' law, -1 for times, 0 where no law is tried.
    """

    figure: str
    label: str
    unit: str = "1"
    sign: int = 0


PANELS = {
    "Omega_solvent": Panel("onsager", r"$\Omega$, solvent frame", OMEGA),
    "Omega_barycentric": Panel("onsager", r"$\Omega$, barycentric frame", OMEGA),
    "parts": Panel("onsager", r"$\Omega$, self and distinct", OMEGA),
    "kappa": Panel("transport", r"$\kappa$", "S/m", 1),
    "ionicity": Panel("transport", "ionicity"),
    "transference": Panel("transport", r"$t_+$, $\rho_+$"),
    "self_diffusion": Panel("transport", "$D$, single ions", "m^2/s", 1),
    "stefan_maxwell": Panel("transport", "$D_{ij}$, Stefan-Maxwell", "m^2/s", 1),
    "friction": Panel("", "$RT/D_{ij}$", "J s/m^2"),
    "share": Panel("transport", r"self share of $\Omega$"),
    "coordination": Panel("structure", "in the shell of a cation"),
    "bound": Panel("structure", "cations bound to an anion"),
    "clusters": Panel("structure", "share in clusters"),
    "cluster_size": Panel("structure", "ions in a cluster"),
    "cage_order": Panel("structure", "tetrahedral order $q$"),
    "cage_angles": Panel("structure", "angles of cages, degrees off (rms)"),
    "residence": Panel("dynamics", "residence time", "s", -1),
    "linkers": Panel("dynamics", "life of a linker", "s", -1),
    "exponent": Panel("dynamics", r"diffusion exponent $\alpha$"),
    "order": Panel("dynamics", "order parameter $M$"),
    "rotation": Panel("dynamics", r"relaxation time $\tau$ of axes", "s", -1),
    "crossing": Panel("interface", "rate of one ion", "1/s", 1),
    "exchange": Panel("interface", "exchange current $i_0$", "A/m^2", 1),
    "barrier": Panel("interface", r"barrier $\Delta F/k_B$", "K"),
    "resistance": Panel("interface", "resistance $R$", "ohm m^2", -1),
    "chi": Panel("activity", r"$\chi$"),
    "screening": Panel("activity", "screening length", "m"),
}
"""Name of a panel -> what it shows, in the order of the page."""

NAMES = (
    (r"Omega_(pp|pm|mm)_solvent", "Omega_solvent"),
    (r"Omega_(pp|pm|mm)_barycentric", "Omega_barycentric"),
    (r"Omega_(self|distinct)_(plus|minus)", "parts"),
    (r"kappa(_NE)?", "kappa"),
    (r"ionicity", "ionicity"),
    (r"t_app|rho_.+|t_.+", "transference"),
    (r"D_(self|msd)_.+", "self_diffusion"),
    (r"self_share_(plus|minus)", "share"),
    (r"D_(?!salt).+_.+", "stefan_maxwell"),
    (r"friction_.+_.+", "friction"),
    (r"(sites|molecules)_.+", "coordination"),
    (r"bound|free", "bound"),
    (r"(cations|anions)_(free|pair|triple|larger)", "clusters"),
    (r"cluster_(mean|largest)", "cluster_size"),
    (r"tetrahedral_order", "cage_order"),
    (r"(tetrahedral|octahedral)_angles", "cage_angles"),
    (r"residence_(continuous|tolerant|intermittent)_.+", "residence"),
    (r"linker_(continuous|tolerant|intermittent)", "linkers"),
    (r"alpha_.+", "exponent"),
    (r"M_.+", "order"),
    (r"tau_[12]_.+", "rotation"),
    (r"(entry|exit)_rate_.+", "crossing"),
    (r"exchange_current_.+", "exchange"),
    (r"resistance_.+", "resistance"),
    (r"barrier_.+", "barrier"),
    (r"chi", "chi"),
    (r"screening_length", "screening"),
)
"""Pattern of a quantity's name -> its panel."""
EXAMPLES = ("kappa", "kappa_NE", "ionicity", "t_app", "t_plus_solvent", "t_plus_barycentric", "rho_plus", "D_self_plus")
"""Names that a message offers."""


def panel_of(name: str) -> str:
    """The panel of a quantity.

    Parameters
    ----------
    name : str
        Such as ``"kappa"`` or ``"residence_continuous_Li-TFSI"``.

    Returns
    -------
    str
        A key of `PANELS`.

    Raises
    ------
    InputError
        No quantity has such a name.
    """
    for pattern, panel in NAMES:
        if re.fullmatch(pattern, name):
            return panel
    from cellsim.files.schema import did_you_mean

    raise InputError(f"{name!r} is no quantity of a series{did_you_mean(name, EXAMPLES)}")


@dataclass(frozen=True)
class Found:
    """A quantity of one state.

    Parameters
    ----------
    name : str
        Of the quantity.
    value : float
        In SI.
    low, high : float
        Ends of the 95 % interval, in SI; NaN where there is none.
    """

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def panel(self) -> Panel:
        """Where it is drawn."""
        return PANELS[panel_of(self.name)]

    @property
    def unit(self) -> str:
        """Its SI unit."""
        return self.panel.unit

    @property
    def bounded(self) -> bool:
        """Whether it has an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class Summary:
    """What one result folder says.

    Parameters
    ----------
    analysis : str
        Which analysis made it.
    found : tuple of Found
        Its quantities.
    notes : tuple of str
        What its user must know.
    c : float
        Concentration [mol/m^3]; NaN where it says none.
    temperature : float
        Temperature [K]; NaN where it says none.
    frames : tuple of int
        Snapshots of each replica.
    """

    analysis: str
    found: tuple[Found, ...]
    notes: tuple[str, ...]
    c: float
    temperature: float
    frames: tuple[int, ...]


_TELLS = {
    "onsager": "quantities",
    "structure": "partners",
    "residence": "curves",
    "mobility": "translation",
    "activity": "routes",
    "interface": "regions",
}
"""Analysis -> a key that only its summary has."""


def analysis_of(folder: str | Path) -> str:
    """Which analysis wrote a result folder.

    Parameters
    ----------
    folder : str or Path
        With a ``summary.json``.

    Returns
    -------
    str
        One of `mdcoeffs.inputs.species.ANALYSES`.

    Raises
    ------
    InputError
        No summary, or one of another program.
    """
    path = Path(folder) / "summary.json"
    if not path.is_file():
        raise InputError(f"{folder}: contains no summary.json; name a folder that an analysis of mdcoeffs wrote")
    data = read_json(path, what="the summary of an analysis")
    for name, key in _TELLS.items():
        if isinstance(data, dict) and key in data:
            return name
    raise InputError(f"{path}: is not the summary of one of the analyses {', '.join(ANALYSES)}")


def read_summary(folder: str | Path, analysis: str | None = None) -> Summary:
    """The quantities of a result folder.

    Parameters
    ----------
    folder : str or Path
        As the command of an analysis writes it.
    analysis : str, optional
        Which; found from the summary when left out.

    Returns
    -------
    Summary

    Raises
    ------
    InputError
        No such folder, or one that is damaged.
    """
    folder = Path(folder)
    name = analysis_of(folder) if analysis is None else analysis
    data = read_json(folder / "summary.json", what="the summary of an analysis")
    read = _READERS.get(name, lambda folder, data: iter(()))
    try:
        found = tuple(each for each in read(folder, data) if math.isfinite(each.value))
        notes = tuple(str(note) for note in data.get("notes", ()))
        c, T = _plain(data.get("c")), _plain(data.get("temperature", data.get("T")))
        frames = tuple(int(n) for n in data.get("frames", ()))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{folder / 'summary.json'}: is not the summary of mdcoeffs {name} ({type(error).__name__}: {error}); "
            "make it again"
        ) from error
    return Summary(name, found, notes, c, T, frames)


def _plain(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _entry(name: str, entry: Any) -> Found:
    """From {"value": ..., "interval": [low, high]}; a value that does not exist is null there."""
    if not isinstance(entry, Mapping) or _missing(entry.get("value")):
        return Found(name, math.nan)
    ends = entry.get("interval")
    if ends is None or any(_missing(end) for end in ends):
        return Found(name, float(entry["value"]))
    return Found(name, float(entry["value"]), float(ends[0]), float(ends[1]))


def _missing(value: Any) -> bool:
    return value is None or not math.isfinite(value)


def _inverse(name: str, entry: Json) -> Found:
    """A Stefan-Maxwell coefficient from the interval of its inverse; none where that holds zero, for D has two ends."""
    ends, scale = entry.get("RT_over_D_interval"), None
    inner = entry.get("RT_over_D")
    if isinstance(inner, Mapping):
        ends, inner = inner.get("interval"), inner.get("value")
    value = _plain(entry.get("value"))
    if ends is None or inner is None or ends[0] <= 0 <= ends[1]:
        return Found(name, value)
    scale = value * float(inner)
    return Found(name, value, scale / float(ends[1]), scale / float(ends[0]))


# ---- analyses --------------------------------------------------------------------------------------------------------


def _onsager(folder: Path, data: Json) -> Iterator[Found]:
    return _of_species(data) if "species" in data else of_salt(read_onsager(folder), data)


def of_salt(m: OnsagerMatrix, data: Json) -> Iterator[Found]:
    """The quantities of an Onsager result of one salt.

    Parameters
    ----------
    m : OnsagerMatrix
        The matrix, with samples where there are intervals.
    data : mapping
        The numbers of the result, as in its summary.

    Yields
    ------
    Found
    """
    yield from _matrices(m)
    for name in ("kappa", "rho_plus"):
        if name in data["quantities"]:
            yield _entry(name, data["quantities"][name])
    own = data.get("self")
    if own is not None:
        ions = ("plus", "minus")
        for name in ("kappa_NE", "ionicity", "t_app"):
            yield _entry(name, {"value": own[name], "interval": own.get(f"{name}_interval")})
        for k, ion in enumerate(ions):
            spread = own.get("standard_error")
            ends = own.get(f"D_{ion}_interval")
            if ends is None and spread is not None and not _missing(spread[k]):
                ends = [own[f"D_{ion}"] - Z95 * spread[k], own[f"D_{ion}"] + Z95 * spread[k]]
            yield _entry(f"D_self_{ion}", {"value": own[f"D_{ion}"], "interval": ends})
            for part in ("Omega_self", "Omega_distinct", "self_share"):
                if own.get(part) is not None:
                    ends = own.get(f"{part}_interval")
                    yield _entry(
                        f"{part}_{ion}", {"value": own[part][k], "interval": None if ends is None else ends[k]}
                    )
    for name, entry in (data.get("stefan_maxwell") or {}).items():
        yield _inverse(name, entry)
        if "RT_over_D" in entry:
            yield _entry(
                name.replace("D_", "friction_", 1),
                {"value": entry["RT_over_D"], "interval": entry.get("RT_over_D_interval")},
            )


def _matrices(m: OnsagerMatrix) -> Iterator[Found]:
    """Omega and t+ in the two frames, where the composition lets the matrix be turned."""
    for frame in ("solvent", "barycentric"):
        if frame != m.frame and m.composition is None:
            continue
        turned = m.to_frame(frame)
        tails = [0.5 - LEVEL / 2, 0.5 + LEVEL / 2]
        for pair, (i, j) in PAIRS.items():
            ends = (math.nan, math.nan)
            if turned.samples is not None:
                ends = tuple(np.quantile(turned.samples[:, i, j], tails).tolist())
            elif turned.covariance is not None:
                spread = Z95 * math.sqrt(turned.covariance[list(PAIRS).index(pair)][list(PAIRS).index(pair)])
                ends = (float(turned.Omega[i, j]) - spread, float(turned.Omega[i, j]) + spread)
            yield Found(f"Omega_{pair}_{frame}", float(turned.Omega[i, j]), *ends)
        ends = (math.nan, math.nan) if turned.samples is None else turned.interval("t_plus", LEVEL)
        yield Found(f"t_plus_{frame}", turned.t_plus, *ends)


def _of_species(data: Json) -> Iterator[Found]:
    """Of a run of n components: what its own frame says."""
    for name, entry in data["quantities"].items():
        if name == "kappa" or name.startswith(("t_", "rho_")):
            yield _entry(name, entry)
    for name in ("kappa_NE", "ionicity"):
        if name in data:
            yield Found(name, _plain(data[name]))
    for name, entry in data.get("self_diffusion", {}).items():
        value, spread = float(entry["value"]), _plain(entry.get("standard_error"))
        yield Found(f"D_self_{name}", value, value - Z95 * spread, value + Z95 * spread)
    for pair, entry in data.get("stefan_maxwell", {}).items():
        yield _inverse(f"D_{pair}", entry)
        yield _entry(f"friction_{pair}", entry["RT_over_D"])


def _structure(folder: Path, data: Json) -> Iterator[Found]:
    for name, partner in data["partners"].items():
        yield _entry(f"sites_{name}", partner["atoms"])
        yield _entry(f"molecules_{name}", partner["molecules"])
    free = _entry("free", data["free"])
    yield free
    yield Found("bound", 1 - free.value, 1 - free.high, 1 - free.low)
    for kind in ("cations", "anions"):
        for size, entry in data["clusters"][kind].items():
            yield _entry(f"{kind}_{size}", entry)
    yield _entry("cluster_mean", data["clusters"]["mean_size"])
    yield _entry("cluster_largest", data["clusters"]["largest"])
    for name, entry in data.get("cages", {}).items():
        yield _entry(name, entry)


def _residence(folder: Path, data: Json) -> Iterator[Found]:
    for bond, modes in data["curves"].items():
        for mode, curve in modes.items():
            linker = bond.startswith("anion-")
            yield _entry(f"linker_{mode}" if linker else f"residence_{mode}_{bond}", curve.get("mean_time"))


def _mobility(folder: Path, data: Json) -> Iterator[Found]:
    for name, entry in data["translation"].items():
        yield _entry(f"alpha_{name}", entry["alpha"])
        if "M" in entry:
            yield _entry(f"M_{name}", entry["M"])
        if abs(entry["alpha"]["value"] - 1) <= DIFFUSIVE:
            yield _entry(f"D_msd_{name}", entry["D"])
    for name, entry in data["rotation"].items():
        yield _entry(f"alpha_theta_{name}", entry["alpha"])
        yield _entry(f"M_theta_{name}", entry["M_theta"])
        for order in (1, 2):
            yield _entry(f"tau_{order}_{name}", entry[f"tau_{order}"])


def _activity(folder: Path, data: Json) -> Iterator[Found]:
    yield _entry("chi", {"value": data["chi"], "interval": data.get("interval")})
    length = data["screening_length"]
    value, spread = _plain(length["value"]), _plain(length["standard_error"])
    yield Found("screening_length", value, value - Z95 * spread, value + Z95 * spread)


def _interface(folder: Path, data: Json) -> Iterator[Found]:
    for name, region in data["regions"].items():
        for way in ("entry_rate", "exit_rate"):
            yield _entry(f"{way}_{name}", region[way])
        exchange = region.get("exchange") or {}
        yield _entry(f"exchange_current_{name}", exchange.get("exchange_current"))
        yield _entry(f"resistance_{name}", exchange.get("resistance"))
    for name, barrier in data.get("barriers", {}).items():
        if barrier.get("found"):
            yield _entry(f"barrier_{name}", barrier["barrier_K"])


_READERS: dict[str, Callable[[Path, Json], Iterator[Found]]] = {
    "onsager": _onsager,
    "structure": _structure,
    "residence": _residence,
    "mobility": _mobility,
    "activity": _activity,
    "interface": _interface,
}


_PLAIN = {
    "kappa": r"$\kappa$",
    "kappa_NE": r"$\kappa_\mathrm{NE}$",
    "ionicity": r"$\kappa/\kappa_\mathrm{NE}$",
    "t_app": r"$t_\mathrm{app}$",
    "t_plus_solvent": "$t_+^0$",
    "t_plus_barycentric": r"$t_+$, barycentric",
    "rho_plus": r"$\rho_+$",
    "chi": r"$\chi$",
}
_SIGNS = {"plus": "+", "minus": "−", "pp": "++", "pm": "+−", "mm": "−−"}


def legend_of(name: str) -> str:
    """A quantity's name in a legend.

    Parameters
    ----------
    name : str
        Of the quantity.

    Returns
    -------
    str
        Short, with mathematics as matplotlib sets it.
    """
    if name in _PLAIN:
        return _PLAIN[name]
    panel, parts = panel_of(name), name.split("_")
    if panel in ("Omega_solvent", "Omega_barycentric"):
        return _SIGNS[parts[1]]
    if panel in ("parts", "share"):
        return f"{parts[1] if panel == 'parts' else 'self'} {_SIGNS[parts[2]]}"
    if panel in ("self_diffusion", "stefan_maxwell"):
        shown = [_SIGNS.get(part, part) for part in parts[1:] if part not in ("self", "msd")]
        return f"$D_{{{''.join(shown)}}}$" if all(len(each) == 1 for each in shown) else f"D {' '.join(shown)}"
    if panel in ("residence", "linkers"):
        return "_".join(parts[2:]) or parts[1]
    if panel in ("exponent", "order"):
        return name.split("_", 1)[1].replace("theta_", "axis ")
    return name.replace("_", " ")
