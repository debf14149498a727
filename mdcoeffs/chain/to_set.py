"""Onsager coefficients at one or several concentrations to a transport set that cellsim reads.

kappa, t+0 and D = nu R T chi / (c n^T Omega^-1 n) at every concentration, from the solvent-frame matrix; tables between
them (PCHIP), the joint covariance of all their numbers from the posterior samples (or from the matrix' covariance), and
where each comes from. chi comes from a property block or from an activity table, chi = 1 + d ln gamma / d ln m. D is
proportional to chi, so the error of chi, where it is given, enters the covariance of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from scipy.interpolate import PchipInterpolator

from cellsim.base import Array, InputError
from cellsim.electrolyte.onsager import Composition, OnsagerMatrix
from cellsim.electrolyte.set_file import parse_set
from cellsim.electrolyte.volumes import PartialVolumes, partial_volumes
from cellsim.files.schema import Table, read_toml
from mdcoeffs.chain.made_set import DRAWS, FILLED, SOURCE_OF_DRAWS, WIDTH, MadeSet, rounded
from mdcoeffs.chain.to_mixture import is_mixture_recipe, mixture_from_recipe
from mdcoeffs.inputs.arrays import read_published
from mdcoeffs.onsager.result import read_onsager

KEYS = ("title", "note", "onsager", "published", "salt", "solvent", "volumes", "chi", "activity", "range")
MASSES = 0.01
"""How far the molar mass of a salt may be from that of the ions simulated: force fields round masses to 1e-3 [1]."""
LIQUID = (500.0, 20e3)
"""Densities of solvent of a box that is one of a liquid [kg/m^3]."""
_DRAWS = 2000

Block = dict[str, Any]
"""A table of a transport set, as TOML has it."""


def set_from_recipe(path: str | Path, *, name: str) -> MadeSet:
    """Make a transport set from a recipe file.

    Parameters
    ----------
    path : str or Path
        TOML: ``onsager`` (list of result files or folders) or ``published`` (a table of published coefficients), the
        tables [salt] (formula, M), [solvent] (name, M), [volumes] and [chi] or [activity] as docs/mdcoeffs.md says;
        with ``thermodynamics`` or [G] a set of n components, as :func:`.mixture_from_recipe` says.
    name : str
        Name of the set; the stem of its file.

    Returns
    -------
    MadeSet

    Raises
    ------
    InputError
        A recipe that is not complete, or a set that cellsim would not read.
    """
    top = read_toml(path)
    if is_mixture_recipe(top):
        return mixture_from_recipe(top, name=name)
    top.only(*KEYS)
    source = top.exactly_one("onsager", "published")
    if source == "published":
        table = top.path("published")
        matrices: Sequence[OnsagerMatrix] = read_published(table)
        origin = read_toml(table).string("source")
    else:
        files = top.strings("onsager")
        matrices = [read_onsager(top.file.parent / result) for result in files]
        origin = f"mdcoeffs, from {', '.join(files)}"
    return transport_set(matrices, top, name=name, origin=origin)


def transport_set(matrices: Sequence[OnsagerMatrix], recipe: Table, *, name: str, origin: str) -> MadeSet:
    """Make a transport set from matrices.

    Parameters
    ----------
    matrices : sequence of OnsagerMatrix
        One per concentration, of one salt at one temperature.
    recipe : Table
        Salt, solvent, volumes, chi or activity.
    name : str
        Name of the set.
    origin : str
        Where the matrices come from.

    Returns
    -------
    MadeSet

    Raises
    ------
    InputError
        Matrices that do not belong together, a chi that does not cover them, frames that cannot be changed.
    """
    blocks = {key: recipe.table(key) for key in ("salt", "solvent", "volumes")}
    first = _check_together(matrices)
    boxes = None
    if "from" in blocks["volumes"]:
        boxes = _volumes_of_boxes(matrices, blocks)
        blocks["volumes"] = _volumes_block(boxes, blocks["volumes"])
    for matrix in matrices:
        _check_masses(matrix, blocks["salt"])
        _check_box(matrix, blocks)
    moved = sorted((_solvent_frame(m, blocks) for m in matrices), key=lambda m: m.c)
    c = np.array([m.c for m in moved])
    if np.any(np.diff(c) <= 1e-6 * c[:-1]):
        raise InputError("two Onsager matrices have the same concentration; combine them as replicas first")
    notes = []
    low, high = _range(recipe, c)
    if len(moved) == 1:
        notes.append(
            f"one concentration ({c[0] / 1000:.4g} mol/L): the set is constant, used from {low:.4g} to {high:.4g} mol/L"
        )
    chi_block, basis, spread = _chi(recipe)
    head = _head(recipe, blocks, first, name, low, high, notes)

    def chi_at(block: Block) -> Array:
        # A set with this chi, else made up: cellsim itself says what its block means at these concentrations.
        other = {"kappa": _number(1.0, "S/m"), "D": _number(1e-10, "m^2/s"), "t_plus": _number(0.0, "")}
        trial = {key: {"value": value, "source": "trial"} for key, value in other.items()}
        trial["t_plus"]["frame"] = "solvent"
        text = tomli_w.dumps({**head, **trial, "chi": block})
        return np.asarray(parse_set(text, f"{name}.toml").bind(first.T).chi(np.clip(c, low * 1000, high * 1000)))

    chi = chi_at(chi_block)
    values, draws = _properties(moved, chi)
    covariance = None if draws is None else _covariance(draws, len(moved))
    drawn = None if draws is None else _independent(draws)
    if covariance is not None and spread is not None:
        slopes = np.array([(chi_at(moved_block) - chi) / step for moved_block, step in spread.steps()]).T
        covariance = _with_chi(covariance, values[1] / chi, slopes, spread.error)
        assert drawn is not None
        drawn = _drawn_with_chi(drawn, chi, slopes, spread)
    sized = boxes is not None and bool(np.all(np.isfinite(boxes.covariance)))
    if covariance is not None and drawn is not None and boxes is not None and sized:
        covariance, drawn = _with_volumes(covariance, drawn, boxes)
    numbers = _numbers_of(n := len(moved), spread, sized)
    document = dict(head)
    for k, (key, unit) in enumerate((("kappa", "S/m"), ("D", "m^2/s"), ("t_plus", ""))):
        errors = None if covariance is None else np.sqrt(np.diag(covariance)[k * n : (k + 1) * n])
        document[key] = _property(unit, c / 1000, values[k], errors) | {"source": origin}
    document["t_plus"]["frame"] = "solvent"
    document["chi"] = chi_block
    if covariance is not None:
        document["covariance"] = _covariance_block(covariance, numbers, spread) | {"draws": f"{name}{DRAWS}"}
    if covariance is None:
        notes.append("the matrices have neither samples nor covariance, so the set has no [covariance]")
    text = tomli_w.dumps(document)
    parse_set(text, f"{name}.toml").bind(first.T)
    carried = "and carries its error" if covariance is not None and spread else "and carries no error of it"
    if boxes is not None:
        notes.append(_told_of_boxes(boxes))
    told = (*notes, f"chi on the {basis} basis; D follows from it {carried}")
    return MadeSet(text, told, tuple(numbers), drawn)


def _check_together(matrices: Sequence[OnsagerMatrix]) -> OnsagerMatrix:
    if not matrices:
        raise InputError("no Onsager matrix given; at least one concentration is needed")
    first = matrices[0]
    for number, m in enumerate(matrices):
        if m.z != first.z or m.nu != first.nu or abs(m.T - first.T) > 0.5:
            raise InputError(
                f"matrix {number} has z = {m.z}, nu = {m.nu}, T = {m.T:g} K, but matrix 0 has z = {first.z}, "
                f"nu = {first.nu}, T = {first.T:g} K: a set is of one salt at one temperature"
            )
    return first


def _check_box(m: OnsagerMatrix, blocks: dict[str, Table]) -> None:
    """Refuse volumes that do not fill the box the matrix comes from, where that is known.

    A density far from a liquid's says that the masses of an array file were in another unit than kg, or that the box
    is a toy of a few walkers in empty space.
    """
    if (
        m.composition is None
        or "V_0" not in blocks["volumes"]
        or not LIQUID[0] < m.composition.solvent_density < LIQUID[1]
    ):
        return
    V_e = blocks["volumes"].quantity("V_e", "m^3/mol", 0.0)
    V_0 = blocks["volumes"].quantity("V_0", "m^3/mol", above=0)
    c_0 = m.composition.solvent_density / blocks["solvent"].quantity("M", "kg/mol", above=0)
    filled = m.c * V_e + c_0 * V_0
    if abs(filled - 1) > FILLED:
        raise InputError(
            f"{blocks['volumes'].where()}: V_e = {V_e * 1e6:.4g} cm^3/mol and V_0 = {V_0 * 1e6:.4g} cm^3/mol fill "
            f"{filled:.3f} of the box simulated ({m.c / 1e3:.4g} mol/L of salt, {c_0 / 1e3:.4g} mol/L of solvent), "
            f"allowed is {1 - FILLED:g}-{1 + FILLED:g}; take the volumes from the densities of the simulation"
        )


def _check_masses(m: OnsagerMatrix, salt: Table) -> None:
    """Refuse a molar mass of the salt that is not that of the ions simulated, where a box is one of a liquid."""
    if m.composition is None or not LIQUID[0] < m.composition.solvent_density < LIQUID[1]:
        return
    simulated = float(np.dot(m.nu, m.composition.molar_masses))
    stated = salt.quantity("M", "kg/mol", above=0)
    if abs(stated / simulated - 1) > MASSES:
        raise InputError(
            f"{salt.where('M')} = {1e3 * stated:.5g} g/mol, but the ions simulated weigh {1e3 * simulated:.5g} g/mol "
            "per formula; give the mass of the force field, or correct the masses of the trajectory"
        )


def _volumes_of_boxes(matrices: Sequence[OnsagerMatrix], blocks: dict[str, Table]) -> PartialVolumes:
    """V_e and V_0 that fill the boxes of all concentrations; their errors by the scatter about the straight line."""
    table = blocks["volumes"]
    table.only("from", "source")
    table.choice("from", ("boxes",))
    known = [(m.c, m.composition) for m in matrices if m.composition is not None]
    if len(known) < len(matrices):
        raise table.error("from", '= "boxes" needs results that know their box: made from masses, in one frame of all')
    c = np.array([each for each, _ in known])
    M_0 = blocks["solvent"].quantity("M", "kg/mol", above=0)
    solvent = np.array([composition.solvent_density for _, composition in known]) / M_0
    with table.located():
        found = partial_volumes(c / solvent, 1 / solvent)
        if found.V_e < 0:
            raise InputError(f"{table.where()}: the boxes give V_e = {1e6 * found.V_e:.4g} cm^3/mol; give volumes")
    return found


def _volumes_block(boxes: PartialVolumes, table: Table) -> Table:
    """The [volumes] of the set, in cm^3/mol."""
    source = f"the boxes of {boxes.points} concentrations" + (
        f"; {table.string('source')}" if "source" in table else ""
    )
    volumes = {"V_e": f"{1e6 * boxes.V_e:.10g} cm^3/mol", "V_0": f"{1e6 * boxes.V_0:.10g} cm^3/mol"}
    return Table({**volumes, "source": source}, table.file, table.name)


def _told_of_boxes(boxes: PartialVolumes) -> str:
    V = f"V_e = {1e6 * boxes.V_e:.4g}, V_0 = {1e6 * boxes.V_0:.4g} cm^3/mol from the boxes"
    if not np.all(np.isfinite(boxes.covariance)):
        return f"{V}; two concentrations do not tell their errors"
    return f"{V}, standard errors {1e6 * boxes.error[0]:.2g} and {1e6 * boxes.error[1]:.2g}"


def _with_volumes(covariance: Array, drawn: Array, boxes: PartialVolumes) -> tuple[Array, Array]:
    """The same with V_e and V_0 [cm^3/mol], independent of what was estimated from the motion."""
    own = boxes.covariance * 1e12
    k = len(covariance)
    whole = np.zeros((k + 2, k + 2))
    whole[:k, :k], whole[k:, k:] = covariance, own
    mean = 1e6 * np.array([boxes.V_e, boxes.V_0])
    draws = np.random.default_rng(len(drawn) + 2).multivariate_normal(mean, own, len(drawn), method="eigh")
    return whole, np.hstack([drawn, draws])


def _solvent_frame(m: OnsagerMatrix, blocks: dict[str, Table]) -> OnsagerMatrix:
    if m.frame == "solvent":
        return m
    if m.frame != "volume":
        raise InputError(
            f"the matrix at {m.c / 1000:.4g} mol/L is in the {m.frame} frame: estimate it in the solvent frame"
        )
    V_e = blocks["volumes"].quantity("V_e", "m^3/mol")
    V_0 = blocks["volumes"].quantity("V_0", "m^3/mol", above=0)
    density = (1 - m.c * V_e) / V_0 * blocks["solvent"].quantity("M", "kg/mol", above=0)
    half = 0.5 * blocks["salt"].quantity("M", "kg/mol", above=0)  # masses do not enter volume -> solvent
    return m.to_frame("solvent", Composition((half, half), density, (0.0, V_e / m.nu[1])))


def _range(recipe: Table, c: Array) -> tuple[float, float]:
    """Range of validity [mol/L]: that of the concentrations, or what [range] says."""
    if "range" in recipe:
        table = recipe.table("range")
        table.only("min", "max")
        low, high = (table.quantity(key, "mol/m^3", above=0) / 1000 for key in ("min", "max"))
        if len(c) > 1 and not (c[0] / 1000 * (1 - 1e-9) <= low < high <= c[-1] / 1000 * (1 + 1e-9)):
            raise InputError(
                f"{table.where()} = {low:.4g} to {high:.4g} mol/L reaches beyond the concentrations simulated, "
                f"{c[0] / 1000:.4g} to {c[-1] / 1000:.4g} mol/L"
            )
        return low, high
    if len(c) == 1:
        return c[0] / 1000 * (1 - WIDTH), c[0] / 1000 * (1 + WIDTH)
    return float(c[0] / 1000), float(c[-1] / 1000)


@dataclass(frozen=True, eq=False)
class _ChiSpread:
    """The numbers of a [chi] block that have an error.

    Parameters
    ----------
    table : Table
        The block, ``standard_error`` taken out.
    paths : tuple of str
        Their places in the set's file, ``"chi.value"`` or ``"chi.y[0]"``.
    error : array (numbers,)
        Their standard errors, independent of one another [1].
    """

    table: Table
    paths: tuple[str, ...]
    error: Array

    def steps(self) -> list[tuple[Block, float]]:
        """The block with one number after the other moved by a hundredth of its error, and that step."""
        moved = []
        for path, error in zip(self.paths, self.error, strict=True):
            data, step = dict(self.table.data), 0.01 * float(error)
            if path == "chi.value":
                data["value"] = float(data["value"]) + step
            else:
                data["y"] = list(data["y"])
                data["y"][int(path[6:-1])] += step
            moved.append((data, step))
        return moved


def _chi(recipe: Table) -> tuple[Block, str, _ChiSpread | None]:
    """The [chi] block, its basis, and which of its numbers have an error."""
    if recipe.exactly_one("chi", "activity") == "chi":
        table = recipe.table("chi")
        spread = _spread_of_chi(table)
        data = dict(table.data)
        if data.pop("standard_error", None) is not None and spread is not None:
            data.setdefault("uncertainty", f"{float(spread.error.max()):.3g}")
        return data, table.string("basis", "molal"), spread
    table = recipe.table("activity")
    table.only("m", "gamma", "source")
    m, gamma = np.array(table.array("m")), np.array(table.array("gamma"))
    source = f"1 + d ln gamma / d ln m of: {table.string('source')}"
    points = {"variable": "m", "x": rounded(m), "y": rounded(chi_from_activity(m, gamma))}
    return points | {"basis": "molal", "source": source}, "molal", None


def _spread_of_chi(table: Table) -> _ChiSpread | None:
    if "standard_error" not in table:
        return None
    bare = Table({k: v for k, v in table.data.items() if k != "standard_error"}, table.file, table.name)
    if "value" in table:
        paths: tuple[str, ...] = ("chi.value",)
        error = [table.number("standard_error", least=0)]
        bare.number("value")
    elif "y" in table:
        error = table.array("standard_error")
        paths = tuple(f"chi.y[{k}]" for k in range(len(table.array("y"))))
        if len(error) != len(paths) or min(error) < 0:
            raise table.error(
                "standard_error", f"must be {len(paths)} numbers that are not negative, one for each of y"
            )
    else:
        raise table.error("standard_error", "goes with a value or a table (x, y) of chi, not with an expression")
    uncertain = [k for k, spread in enumerate(error) if spread > 0]
    if not uncertain:
        return None
    return _ChiSpread(bare, tuple(paths[k] for k in uncertain), np.array([error[k] for k in uncertain]))


def chi_from_activity(m: Array, gamma: Array) -> Array:
    """Thermodynamic factor chi = 1 + d ln gamma / d ln m from a table of mean activity coefficients.

    Parameters
    ----------
    m : array (points,)
        Molality, increasing [mol/kg].
    gamma : array (points,)
        Mean molal activity coefficient [1].

    Returns
    -------
    array (points,)
        chi at the same molalities [1], by the slope of a monotone cubic through ln gamma(ln m).

    Raises
    ------
    InputError
        Fewer than three points, values that are not positive, molalities out of order, chi not positive.
    """
    m, gamma = np.asarray(m, dtype=float), np.asarray(gamma, dtype=float)
    if m.shape != gamma.shape or m.size < 3 or np.any(m <= 0) or np.any(gamma <= 0) or np.any(np.diff(m) <= 0):
        raise InputError("an activity table needs at least three increasing molalities and as many positive gamma")
    chi: Array = 1.0 + PchipInterpolator(np.log(m), np.log(gamma)).derivative()(np.log(m))
    if np.any(chi <= 0):
        raise InputError(
            f"the activity table gives chi = {chi.min():.3g} at {m[int(chi.argmin())]:.4g} mol/kg; a stable solution "
            f"has chi > 0"
        )
    return chi


def _properties(matrices: Sequence[OnsagerMatrix], chi: Array) -> tuple[Array, Array | None]:
    """kappa, D, t+0 at every concentration (3, n), and draws of them (draws, 3, n)."""
    values = np.array([[m.kappa, m.diffusion(float(x)), m.t_plus] for m, x in zip(matrices, chi, strict=True)]).T
    drawn = []
    for number, (m, x) in enumerate(zip(matrices, chi, strict=True)):
        sampled = _sampled(m, number)
        if sampled is None:
            return values, None
        D = sampled.draws("diffusion", chi=float(x))
        drawn.append(np.stack([sampled.draws("kappa"), D, sampled.draws("t_plus")], axis=1))
    size = min(len(draws) for draws in drawn)
    return values, np.stack([draws[:size] for draws in drawn], axis=2)


def _sampled(m: OnsagerMatrix, seed: int) -> OnsagerMatrix | None:
    if m.samples is not None:
        return m
    if m.covariance is None:
        return None
    rng = np.random.default_rng(seed)
    mean = m.Omega[[0, 0, 1], [0, 1, 1]]
    draws = rng.multivariate_normal(mean / mean[0], m.covariance / mean[0] ** 2, size=_DRAWS) * mean[0]
    good = draws[(draws[:, 0] > 0) & (draws[:, 0] * draws[:, 2] > draws[:, 1] ** 2)]
    if len(good) < _DRAWS // 2:
        raise InputError(
            f"the error of the matrix at {m.c / 1000:.4g} mol/L reaches beyond positive definiteness; use a longer run"
        )
    return OnsagerMatrix(m.Omega, m.z, m.nu, m.c, m.T, m.frame, samples=good[:, [0, 1, 1, 2]].reshape(-1, 2, 2))


# ---- the tables of the set -------------------------------------------------------------------------------------------


def _head(
    recipe: Table, blocks: dict[str, Table], m: OnsagerMatrix, name: str, low: float, high: float, notes: Sequence[str]
) -> Block:
    note = recipe.string("note", "transport coefficients from molecular dynamics")
    charges = {"z_plus": m.z[0], "z_minus": m.z[1], "nu_plus": m.nu[0], "nu_minus": m.nu[1]}
    for key, value in charges.items():
        if value != round(value):
            raise InputError(f"{key} = {value:g} is not whole; a transport set needs whole charges")
    temperature = _number(m.T, "K")
    limits = {"min": _number(low, "mol/L"), "max": _number(high, "mol/L"), "T_min": temperature, "T_max": temperature}
    return {
        "name": name,
        "title": recipe.string("title", name),
        "status": "simulated",
        "note": "; ".join([note, *notes]),
        "salt": {**blocks["salt"].data, **{key: round(value) for key, value in charges.items()}},
        "solvent": dict(blocks["solvent"].data),
        "volumes": dict(blocks["volumes"].data),
        "range": {"variable": "c", **limits},
    }


def _number(value: float, unit: str) -> str | float:
    return f"{value:.10g} {unit}" if unit else float(f"{value:.10g}")


def _property(unit: str, c: Array, y: Array, errors: Array | None) -> Block:
    block: Block = {"value": _number(float(y[0]), unit)}
    if len(c) > 1:
        block = {"variable": "c", "x": rounded(c), "y": rounded(y)} | ({"unit": unit} if unit else {})
    if errors is not None:
        block["uncertainty"] = f"{float(np.max(errors)):.3g} {unit}".strip()
    return block


def _covariance(draws: Array, n: int) -> Array:
    """Of kappa, D and t+0 at n concentrations, (3 n, 3 n), at given chi."""
    blocks = np.zeros((3 * n, 3 * n))
    for k in range(n):  # runs at different concentrations are independent
        rows = [k, n + k, 2 * n + k]
        blocks[np.ix_(rows, rows)] = np.cov(draws[:, :, k].T)
    return blocks


def _with_chi(covariance: Array, D_over_chi: Array, slopes: Array, error: Array) -> Array:
    """The same with the numbers of chi, (3 n + p, 3 n + p): D = (D/chi) chi moves with them, to first order."""
    n, p = slopes.shape
    J = np.zeros((3 * n + p, p))
    J[n : 2 * n], J[3 * n :] = D_over_chi[:, None] * slopes, np.eye(p)
    whole = J @ np.diag(error**2) @ J.T
    whole[: 3 * n, : 3 * n] += covariance
    return whole


def _independent(draws: Array) -> Array:
    """Draws of kappa, D and t+0 at n concentrations side by side, (draws, 3 n); (draws, 3, n) come in.

    Draws of different runs are independent, also where their samples come from the same random numbers: they are
    shuffled against one another.
    """
    rng = np.random.default_rng(len(draws))
    shuffled = np.stack([rng.permutation(draws[:, :, k]) for k in range(draws.shape[2])], axis=2)
    return shuffled.reshape(len(draws), -1)


def _drawn_with_chi(drawn: Array, chi: Array, slopes: Array, spread: _ChiSpread) -> Array:
    """The same with the numbers of chi, (draws, 3 n + p): D = (D/chi) chi in every draw.

    chi is given with a standard error, so its draws are normal; draws of a chi that would not be positive at one of the
    concentrations are made again, as a stable solution has none.
    """
    n = len(chi)
    rng = np.random.default_rng(len(drawn) + 1)
    own = np.array([float(spread.table.data["value"])]) if spread.paths == ("chi.value",) else None
    if own is None:
        table = spread.table.array("y")
        own = np.array([table[int(path[6:-1])] for path in spread.paths])
    numbers = np.empty((0, len(own)))
    while len(numbers) < len(drawn):
        more = own + spread.error * rng.standard_normal((len(drawn), len(own)))
        good = np.all(chi + (more - own) @ slopes.T > 0.01 * chi, axis=1) & np.all(more > 0, axis=1)
        numbers = np.concatenate([numbers, more[good]])
    numbers = numbers[: len(drawn)]
    at = chi + (numbers - own) @ slopes.T
    return np.hstack([drawn[:, :n], drawn[:, n : 2 * n] * at / chi, drawn[:, 2 * n :], numbers])


def _numbers_of(n: int, chi: _ChiSpread | None, sized: bool) -> list[str]:
    """The numbers of the set that the covariance and the draws are of, as paths in its file."""
    names = [f"{key}.value" if n == 1 else f"{key}.y[{k}]" for key in ("kappa", "D", "t_plus") for k in range(n)]
    return [*names, *(chi.paths if chi is not None else ()), *(("volumes.V_e", "volumes.V_0") if sized else ())]


def _covariance_block(matrix: Array, names: list[str], chi: _ChiSpread | None) -> Block:
    carried = "with the standard error of chi" if chi is not None else "chi taken as exact"
    source = f"{SOURCE_OF_DRAWS}; {carried}"
    return {"parameters": names, "matrix": [rounded(row) for row in matrix], "source": source}
