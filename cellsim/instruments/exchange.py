"""Transport sets out to, and in from, what other programs read: PyBaMM, BPX and tables.

The battery models of PyBaMM and BPX write the flux of cations as N+ = -D grad c + t+ i/F in a medium whose volume
average stands still, and the potential of a lithium reference by i = kappa [2 (1 - t+) TDF RT/(F c) grad c - grad phi].
Their equations are those of this package (salt that is carried: phi_0 (1 - t+0) i/F; slope of the potential:
(1 - t+0) chi/phi_0 per ln c) if and only if

    1 - t+ = phi_0 (1 - t+0),    TDF = chi/phi_0^2,

with phi_0 the volume fraction of solvent: t+ of the volume frame. ``frame="solvent"`` writes t+0 and
TDF = chi/phi_0 = 1 + dln f/dln c in their place, as papers and PyBaMM's own sets state them: the voltage of a given
profile is then right and the salt that is carried too much by a factor 1/phi_0.

References: pybamm-team/PyBaMM, ``electrolyte_diffusion/full_diffusion.py`` (N_e, with v_box = 0) and ``chi``,
``chiRT_over_Fc`` of ``lithium_ion_parameters.py``; FaradayInstitution/BPX, ``schema.py``, whose equation (7a) is that
with TDF = 1 (its issue 101).
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cellsim.base import Array, InputError, __version__
from cellsim.electrolyte.expression import FUNCTIONS, parse_expression
from cellsim.electrolyte.properties import Constant, Formula, PropertyBlock
from cellsim.electrolyte.set_file import SetFile
from cellsim.electrolyte.transport import TransportSet
from cellsim.electrolyte.volumes import ConstantVolumes
from cellsim.files.writing import write_text

Frame = Literal["volume", "solvent"]
FRAMES: tuple[Frame, ...] = ("volume", "solvent")

QUANTITIES: Mapping[str, tuple[str, str, str]] = {
    "kappa": ("Electrolyte conductivity [S.m-1]", "Conductivity [S.m-1]", "electrolyte_conductivity"),
    "D": ("Electrolyte diffusivity [m2.s-1]", "Diffusivity [m2.s-1]", "electrolyte_diffusivity"),
    "t_plus": ("Cation transference number", "Cation transference number", "cation_transference_number"),
    "factor": ("Thermodynamic factor", "Thermodynamic factor", "thermodynamic_factor"),
}
"""Our name -> the key of PyBaMM, the key of BPX, the function that is written for PyBaMM."""
INITIAL = ("Initial concentration in electrolyte [mol.m-3]", "Initial electrolyte concentration [mol.m-3]")
T_PLUS_FUNCTION = "Cation transference number function"
"""User-defined key of BPX, whose own transference number is one number."""
TOLERANCE = 2e-7
"""Of a table between its points, relative to the largest value [1]."""
MOST_POINTS = 20_000


@dataclass(frozen=True)
class Portable:
    """A property as other programs take it: arithmetic where it is that, else points.

    Parameters
    ----------
    text : str, optional
        Arithmetic in c [mol/m^3] and T [K], SI.
    x, y : ndarray, shape (n,), optional
        Concentrations [mol/m^3] and values, SI.
    kind : {"pchip", "linear", "cubic"}
        How the points are joined.
    """

    text: str | None = None
    x: Array | None = None
    y: Array | None = None
    kind: str = "pchip"

    @property
    def uses_T(self) -> bool:
        """Whether it depends on temperature."""
        return self.text is not None and "T" in parse_expression(self.text, ("c", "T")).names


def portable(file: SetFile, transport: TransportSet, frame: Frame, kind: str) -> dict[str, Portable]:
    """The four properties of a set in the terms of PyBaMM's equations.

    Parameters
    ----------
    file : SetFile
        The set as its file states it.
    transport : TransportSet
        The same, bound to the temperature of tables.
    frame : {"volume", "solvent"}
        Of the transference number.
    kind : {"pchip", "linear"}
        How a table is read between its points.

    Returns
    -------
    dict
        The names of :data:`QUANTITIES` -> Portable.

    Raises
    ------
    InputError
        A salt that is not 1:1, whose equations those programs do not have; a factor that is not finite.
    """
    if (transport.z_plus, transport.z_minus, transport.nu) != (1, -1, 2):
        raise InputError(
            f"{file.name}: z+ = {transport.z_plus} and z- = {transport.z_minus}, but PyBaMM and BPX know 1:1 salts "
            "only; write --to csv"
        )
    texts = _texts(file, frame)
    found = {}
    for name, values in _functions(transport, frame).items():
        text = texts.get(name)
        found[name] = Portable(text) if text else Portable(None, *sampled(values, transport.c_range, kind, name), kind)
    return found


def _functions(transport: TransportSet, frame: Frame) -> dict[str, Callable[[Array], Array]]:
    def part(c: Array) -> Array:
        return transport.phi_0(c) if frame == "volume" else np.ones(np.shape(c))

    def carried(c: Array) -> Array:
        return part(c) * (1 - transport.t_plus(c))

    return {
        "kappa": transport.kappa,
        "D": transport.D,
        "t_plus": lambda c: 1 - carried(c),
        "factor": lambda c: transport.potential_slope(c) / carried(c),
    }


def _texts(file: SetFile, frame: Frame) -> dict[str, str]:
    """The properties that are arithmetic in c [mol/m^3] and T [K]; others are left out."""
    scope: dict[str, str] = {"c": "c", "T": "T"}
    phi = None
    if isinstance(file.volumes, ConstantVolumes):
        phi = f"(1 - {file.volumes.V_e!r} * c)" if file.volumes.V_e else "1.0"
        scope["r"] = f"(c * {file.volumes.V_0!r} / {phi})"
        scope["m"] = f"({scope['r']} / {file.solvent['M']!r})"
    texts = {}
    for name in ("kappa", "D", "t_plus", "chi"):
        text = _arithmetic(file.properties[name], scope)
        if text is not None:
            texts[name] = scope[name] = text
    chi, stated = texts.pop("chi", None), texts.pop("t_plus", None)
    if phi is None or stated is None or file.t_plus_frame not in ("solvent", "volume"):
        return texts
    # 1 - t+ with respect to the solvent and to the volume; the set states one of the two
    solvent = f"(1 - {stated})" if file.t_plus_frame == "solvent" else f"((1 - {stated}) / {phi})"
    volume = f"{phi} * (1 - {stated})" if file.t_plus_frame == "solvent" else f"(1 - {stated})"
    texts["t_plus"] = f"1 - {volume if frame == 'volume' else solvent}"
    if file.t_plus_frame == frame:
        texts["t_plus"] = stated
    if chi is not None:
        salt = file.salt["nu_plus"] + file.salt["nu_minus"]
        molal = {
            "molal": chi,
            "molar": f"{phi} * {chi}",
            "particle_fraction": f"{chi} * {phi} / ({phi} + {salt * file.volumes.V_0!r} * c)",  # type: ignore[union-attr]
        }[file.chi_basis]
        over = f"{phi}**2" if frame == "volume" else phi
        texts["factor"] = f"({molal}) / ({over} * {solvent})" if file.chi_is_product else f"({molal}) / {over}"
    return texts


def _arithmetic(block: PropertyBlock, scope: Mapping[str, str]) -> str | None:
    """A property as arithmetic in what `scope` puts in place of its variables; None where it is a table."""
    law = block.law
    if isinstance(law, Constant):
        return repr(float(law.value)) if law.value >= 0 else f"({float(law.value)!r})"
    if not isinstance(law, Formula) or any(name not in scope for name in law.uses):
        return None
    names = {name: f"({float(value)!r})" for name, value in law.expression.constants.items()}
    for name in law.uses:
        scale = float(law.scales[name])
        names[name] = scope[name] if scale == 1 else f"({scope[name]} / {scale!r})"
    trees = {name: ast.parse(text, mode="eval").body for name, text in names.items()}
    tree = ast.parse(" ".join(law.expression.text.split()), mode="eval")
    text = ast.unparse(Names(trees).visit(tree))
    return f"({text})" if law.factor == 1 else f"({float(law.factor)!r} * ({text}))"


class Names(ast.NodeTransformer):
    """Trees in place of names.

    Parameters
    ----------
    trees : mapping
        Name -> what stands in its place.
    """

    def __init__(self, trees: Mapping[str, ast.expr]):
        self.trees = trees

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.trees.get(node.id, node)


def joined(x: Array, y: Array, kind: str) -> Callable[[Array], Array]:
    """The function that a table stands for.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Its points.
    kind : {"linear", "cubic", "pchip"}
        How they are joined.

    Returns
    -------
    callable
        Of x.
    """
    from scipy.interpolate import CubicSpline, PchipInterpolator, make_interp_spline

    return {"linear": partial(make_interp_spline, k=1), "cubic": CubicSpline, "pchip": PchipInterpolator}[kind](x, y)


def sampled(
    function: Callable[[Array], Array], span: tuple[float, float], kind: str, name: str = "the property"
) -> tuple[Array, Array]:
    """Points of a function that lie as close as its table needs.

    Parameters
    ----------
    function : callable
        Of concentrations [mol/m^3].
    span : tuple of float
        First and last concentration [mol/m^3].
    kind : {"linear", "pchip"}
        How it is read between the points: by straight lines, or by the monotone curve of a set's table.
    name : str
        For messages.

    Returns
    -------
    x, y : ndarray, shape (n,)
        Between the points the table is right to :data:`TOLERANCE` of the largest value.

    Raises
    ------
    InputError
        A value that is not finite, or a function that no table of :data:`MOST_POINTS` points follows.
    """
    low, high = max(span[0], 1e-6 * span[1]), span[1]
    x = np.union1d(np.append(np.linspace(*span, 33), span), np.geomspace(low, high, 33)[1:-1])
    while True:
        y = function(x)
        if not np.all(np.isfinite(y)):
            raise InputError(
                f"{name} is not finite at c = {x[np.argmin(np.isfinite(y))] / 1e3:.4g} mol/L; narrow [range]"
            )
        thirds = x[:-1] + np.diff(x) * np.array([[1 / 3], [1 / 2], [2 / 3]])
        missed = np.abs(joined(x, y, kind)(thirds) - function(thirds)).max(axis=0) > TOLERANCE * np.abs(y).max()
        if not missed.any():
            return x, np.asarray(y)
        if x.size > MOST_POINTS:
            raise InputError(f"{name} has a step that no table of {MOST_POINTS} points follows; smooth it")
        x = np.sort(np.append(x, thirds[1][missed]))


# ---- out ----------------------------------------------------------------------------------------------------------


def write_exchange(
    file: SetFile,
    path: str | Path,
    kind: str,
    *,
    T: float | None = None,
    frame: Frame = "volume",
    c: float | None = None,
) -> Path:
    """Write a set for another program.

    Parameters
    ----------
    file : SetFile
        The set.
    path : str or Path
        Where to.
    kind : {"pybamm", "bpx", "csv", "toml"}
        A Python file for PyBaMM, a BPX JSON file, a table, or the set as its own file states it.
    T : float, optional
        Temperature of tables and of BPX [K]; default :attr:`.SetFile.T_default`. Formulas for PyBaMM keep theirs.
    frame : {"volume", "solvent"}
        Of the transference number for PyBaMM and BPX.
    c : float, optional
        Initial concentration, where BPX takes its one transference number [mol/m^3]; default 1 mol/L or mid-range.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        A kind that is unknown, a salt that the program cannot take, c outside the range.
    """
    transport = file.bind(T)
    if kind == "toml":
        return write_text(path, file.text)
    if kind == "csv":
        return _write_csv(file, transport, path)
    low, high = transport.c_range
    if c is None:
        c = 1e3 if low <= 1e3 <= high else 0.5 * (low + high)
    if not transport.contains(c):
        raise InputError(
            f"--c = {c / 1e3:.4g} mol/L lies outside {low / 1e3:.4g}-{high / 1e3:.4g} mol/L of {file.name}"
        )
    if kind == "pybamm":
        return write_text(path, _pybamm(file, transport, frame, c))
    if kind == "bpx":
        content = _bpx(file, transport, frame, c)
        return write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    raise InputError(f"--to {kind} is unknown; allowed are pybamm, bpx, csv and toml")


def _write_csv(file: SetFile, transport: TransportSet, path: str | Path) -> Path:
    def all_four(c: Array) -> Array:
        columns = transport.kappa(c), transport.D(c), transport.t_plus(c), transport.one_minus_t_plus_chi(c)
        return np.stack(columns)

    low, high = transport.c_range
    points = [
        sampled(lambda c, k=k: all_four(c)[k], (low, high), "pchip", name)[0]  # type: ignore[misc]
        for k, name in enumerate(("kappa", "D", "t_plus", "chi"))
    ]
    c = np.unique(np.concatenate(points))
    columns = {
        "c (mol/L)": c / 1e3,
        "m (mol/kg)": transport.m(c),
        "r": transport.r(c),
        "kappa (S/m)": transport.kappa(c),
        "D (m^2/s)": transport.D(c),
        "t_plus_0": transport.t_plus(c),
        "chi": transport.chi(c),
    }
    rows = [
        f"# {file.name}, {transport.T:.6g} K; t_plus_0 with respect to the solvent, chi = 1 + dln(gamma)/dln(m)",
        ",".join(columns),
        *(",".join(f"{value:.13g}" for value in row) for row in zip(*columns.values(), strict=True)),
    ]
    return write_text(path, "\n".join(rows) + "\n")


def _validity(file: SetFile, transport: TransportSet, frame: Frame, found: Mapping[str, Portable]) -> list[str]:
    low, high = transport.c_range
    tables = any(one.text is None for one in found.values())
    span = f"{file.T_range[0]:.6g} to {file.T_range[1]:.6g} K" if not tables else f"{transport.T:.6g} K"
    means = (
        "of the volume frame, 1 - phi_0 (1 - t+0), and the thermodynamic factor is chi/phi_0**2"
        if frame == "volume"
        else "with respect to the solvent, and the thermodynamic factor is 1 + dln f/dln c = chi/phi_0"
    )
    return [
        f"{file.title} (status: {file.status}{'; ' + file.note if file.note else ''}).",
        f"Written by cellsim {__version__} from the transport set {file.name}.",
        f"Valid from c = {low:.6g} to {high:.6g} mol/m3 at {span}; nothing checks that.",
        f"The transference number is {means}.",
        *(f"{key}: {text}" for key, text in file.source.items()),
    ]


def _pybamm(file: SetFile, transport: TransportSet, frame: Frame, c: float) -> str:
    found = portable(file, transport, frame, "pchip")
    # a text of somebody's may hold anything: no quotes and no backslashes in the docstring of a file that is run
    head = "\n".join(_validity(file, transport, frame, found)).replace("\\", "/").replace('"', "'")
    use = "    parameters = pybamm.ParameterValues(get_parameter_values())"
    lines = [f'"""Electrolyte for PyBaMM.\n\n{head}\n\n{use}\n"""', ""]
    lines += ["import numpy as np"] * any(one.text is None for one in found.values()) + ["import pybamm", ""]
    for name, one in found.items():
        if one.text is None:
            assert one.x is not None and one.y is not None
            for axis, values in (("X", one.x), ("Y", one.y)):
                numbers = [f"{value:.13g}" for value in values]
                rows = [", ".join(numbers[k : k + 6]) for k in range(0, len(numbers), 6)]
                lines += [
                    f"{name.upper()}_{axis} = np.array(",
                    "    [",
                    *(f"        {row}," for row in rows),
                    "    ]",
                    ")",
                ]
    for name, one in found.items():
        body = (
            f'pybamm.Interpolant({name.upper()}_X, {name.upper()}_Y, c_e, interpolator="pchip")'
            if one.text is None
            else _spelt(one.text, {"c": "c_e"}, "pybamm.")
        )
        lines += ["", "", f"def {QUANTITIES[name][2]}(c_e, T):", f"    return {body}"]
    lines += ["", "", "def get_parameter_values():", "    return {"]
    lines += [f'        "{key}": {function},' for key, _, function in QUANTITIES.values()]
    lines += [f'        "{INITIAL[0]}": {c!r},', f'        "Reference temperature [K]": {transport.T!r},', "    }"]
    return "\n".join(lines) + "\n"


PEER_NAMES = {"min": "minimum", "max": "maximum"}


def _spelt(text: str, variables: Mapping[str, str], prefix: str) -> str:
    """An expression with other names of its variables and functions."""
    names: dict[str, ast.expr] = {name: ast.Name(other) for name, other in variables.items()}
    names |= {name: ast.Name(f"{prefix}{PEER_NAMES.get(name, name)}") for name in FUNCTIONS}
    return ast.unparse(Names(names).visit(ast.parse(text, mode="eval")))


def _bpx(file: SetFile, transport: TransportSet, frame: Frame, c: float) -> dict[str, Any]:
    found = portable(file, transport, frame, "linear")
    values = _functions(transport, frame)
    fields: dict[str, Any] = {}
    for name, one in found.items():
        text = None if one.text is None else _bpx_text(one.text, transport.T)
        if text is None:
            x, y = (one.x, one.y) if one.text is None else sampled(values[name], transport.c_range, "linear", name)
            assert x is not None and y is not None
            fields[name] = {"x": [float(v) for v in x], "y": [float(v) for v in y]}
        else:
            fields[name] = text
    head = _validity(file, transport, frame, found)
    return {
        "Header": {
            "BPX": "1.0.0",
            "Title": file.title,
            "Description": " ".join(head[1:4]) + f" All values are at {transport.T:.6g} K.",
            "References": "; ".join(f"{key}: {text}" for key, text in file.source.items()),
            "Model": "Partial",
        },
        "Parameterisation": {
            "Electrolyte": {
                QUANTITIES["t_plus"][1]: float(values["t_plus"](np.array([c]))[0]),
                QUANTITIES["D"][1]: fields["D"],
                QUANTITIES["kappa"][1]: fields["kappa"],
            },
            "User-defined": {
                "description": f"{T_PLUS_FUNCTION} and thermodynamic factor against the concentration in mol/m3: BPX "
                "takes one transference number, here that of the initial concentration, and sets the factor to 1",
                INITIAL[1]: c,
                T_PLUS_FUNCTION: fields["t_plus"],
                QUANTITIES["factor"][1]: fields["factor"],
            },
        },
    }


def _bpx_text(text: str, T: float) -> str | float | None:
    """An expression in the grammar of BPX, which has exp, tanh and one variable x; None where that does not hold it."""
    tree = Names({"c": ast.Name("x"), "T": ast.Constant(T)}).visit(ast.parse(text, mode="eval").body)
    tree = _Roots().visit(tree)
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    if not called <= {"exp", "tanh"}:
        return None
    if not any(isinstance(node, ast.Name) and node.id == "x" for node in ast.walk(tree)):
        return float(parse_expression(ast.unparse(tree), ())())
    return ast.unparse(tree)


class _Roots(ast.NodeTransformer):
    """sqrt(a) as a ** 0.5."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "sqrt":
            return ast.BinOp(node.args[0], ast.Pow(), ast.Constant(0.5))
        return node
