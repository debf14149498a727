"""The thermodynamic matrix G of n components, from the composition of a running box: mixed solvents, several salts.

Every species but one cation and one reference solvent 0 counts a neutral component k (an anion the salt of that
cation), r_k = N_k/N_0, and d mu_l/RT = sum_m G_lm d r_m at constant pressure. A composition of a large open volume has
the probability exp(-N_0 dr^T G dr/2), so that

    (G^-1)_kl = N_0 <dr_k dr_l>,        Gamma_kl = sqrt(r_k r_l) G_kl = (Y^-1)_kl,

with Y of `mdcoeffs.activity.waves`. That is the inverse of the matrix of d mu_k/d c_l at constant volume, taken to
constant pressure by the relation of Gibbs and Duhem, in one step; the compressibility drops out. One salt in one
solvent: Gamma = (nu/nu_-) chi.

References
----------
Kirkwood & Buff, J. Chem. Phys. 19, 774 (1951), doi:10.1063/1.1748352; O'Connell, Mol. Phys. 20, 27 (1971)
(n components as matrices); Kusalik & Patey, J. Chem. Phys. 86, 5110 (1987) (ions); doi:10.48550/arXiv.2211.13505 (the
salt-charge basis).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cellsim.base import N_A, Array, InputError, __version__
from cellsim.drawing.figstyle import COLOURS, GREY, TWO_COLUMNS, drawing, label, legend_above
from cellsim.electrolyte.relations import ideal_thermodynamic_matrix
from cellsim.files.schema import read_json_table
from cellsim.files.writing import Rows, plain
from mdcoeffs.activity.fluctuations import Factors, doubts, factors_from_sums, linear_limits
from mdcoeffs.activity.result import with_error
from mdcoeffs.activity.waves import WaveSums, composition_map, fluctuations, square, triangle
from mdcoeffs.analysis import LEVEL, columns
from mdcoeffs.statistics.blocks import Averaged
from mdcoeffs.structure.radial import RadialSums

SUMMARY = "summary.json"
STABLE = 5 / 6
"""Least share of draws of G that are stable mixtures: about a standard error to the limit of stability [1]."""


@dataclass(frozen=True, eq=False)
class ThermodynamicMatrix:
    """G at one composition, with its error.

    Parameters
    ----------
    cation, solvent : str
        The species that count no component: one cation, and the reference 0.
    components : tuple of str (K,)
        All others.
    z : tuple of float (K + 1,)
        Charge numbers of the cation and of the components.
    r : array (K,)
        N_k/N_0 [1].
    T : float
        Temperature [K].
    G : array (K, K)
        Symmetric, positive definite [1].
    covariance : array (entries, entries)
        Of its upper triangle, row by row [1].
    volumes : mapping
        Component or solvent -> its partial molar volume from the same fluctuations; empty where unknown [m^3/mol].
    """

    cation: str
    solvent: str
    components: tuple[str, ...]
    z: tuple[float, ...]
    r: Array
    T: float
    G: Array
    covariance: Array
    volumes: Mapping[str, float] = field(default_factory=dict)

    @property
    def error(self) -> Array:
        """Standard errors of G, (K, K) [1]."""
        return square(np.sqrt(np.diag(self.covariance)))

    @property
    def ideal(self) -> Array:
        """G of an ideal mixture of the same composition, (K, K) [1]."""
        return ideal_thermodynamic_matrix(self.r, self.z[1:], self.z[0])

    def draws(self, number: int, seed: int = 0) -> Array:
        """Draws of G, (number, K, K) [1]: normal, and made anew where the mixture would not be stable.

        Raises
        ------
        InputError
            More than a sixth of the draws are no stable mixture: G is not told from one that separates.
        """
        rng = np.random.default_rng(seed)
        found = np.empty((0, *self.G.shape))
        for _ in range(20):
            more = square(rng.multivariate_normal(triangle(self.G), self.covariance, number, method="eigh"))
            least = np.linalg.eigvalsh(more / np.sqrt(np.outer(np.diag(self.G), np.diag(self.G))))[:, 0]
            good = more[least > 0.01]
            if len(good) < STABLE * number:
                raise InputError(
                    f"G of {', '.join(self.components)} may be that of a mixture that separates; use longer runs"
                )
            found = np.concatenate([found, good])
            if len(found) >= number:
                break
        return found[:number]


@dataclass(frozen=True, eq=False)
class MixtureActivity:
    """What ``mdcoeffs activity`` reports of n components.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    names : tuple of str (n,)
        All species.
    points : tuple of int (n,)
        Points of each in the box.
    matrix : ThermodynamicMatrix
        By `route`.
    route : str
        One of `mdcoeffs.activity.result.ROUTES`.
    factors : Factors
        Gamma = sqrt(r_k r_l) G_kl by all routes.
    fractions : Averaged (K + 1,)
        Volume fractions c_k V_k of the components and of the reference, from the same fluctuations [1].
    screening_length : tuple of float
        The Debye length of the ions and its standard error [m].
    k : array (shells,)
        Wave numbers [1/m].
    reach : array (bins,)
        Upper ends of the Kirkwood-Buff integrals [m].
    frames : tuple of int
        Frames of each replica.
    volume : float
        Mean volume of the box [m^3].
    notes : tuple of str
        What the user must know.
    """

    title: str
    names: tuple[str, ...]
    points: tuple[int, ...]
    matrix: ThermodynamicMatrix
    route: str
    factors: Factors
    fractions: Averaged
    screening_length: tuple[float, float]
    k: Array
    reach: Array
    frames: tuple[int, ...]
    volume: float
    notes: tuple[str, ...] = ()

    @property
    def G(self) -> Array:
        """Slopes of the chemical potentials over RT, (K, K) [1]."""
        return self.matrix.G

    def interval(self, level: float = 0.95) -> Array:
        """Interval of every entry of G, (2, K, K) [1]; Student's t."""
        blocks = square(self.factors.values)
        return Averaged(self.G, self.matrix.error, blocks, blocks > 0).interval(level)

    def _entries(self) -> list[tuple[str, int, int]]:
        """Name and place of every entry of the upper triangle."""
        each = self.matrix.components
        return [(f"{each[i]}_{each[j]}", i, j) for i in range(len(each)) for j in range(i, len(each))]

    def partial_volumes(self) -> dict[str, tuple[float, float]]:
        """Partial molar volume of every component and of the reference, and its standard error [m^3/mol]."""
        counted = [self.points[self.names.index(name)] for name in (*self.matrix.components, self.matrix.solvent)]
        per = self.volume * N_A / np.array(counted, dtype=float)
        value, error = self.fractions.value * per, self.fractions.error * per
        names = (*self.matrix.components, self.matrix.solvent)
        return {name: (float(v), float(e)) for name, v, e in zip(names, value, error, strict=True)}

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds; SI."""
        m, (low, high) = self.matrix, self.interval(LEVEL)
        ready: dict[str, Any] = plain(
            {
                "title": self.title,
                "T": m.T,
                "cation": m.cation,
                "solvent": m.solvent,
                "components": m.components,
                "z": m.z,
                "r": m.r,
                "G": m.G,
                "standard_error": m.error,
                "interval": [low, high],
                "covariance": m.covariance,
                "ideal": m.ideal,
                "route": self.route,
                "Gamma": {
                    name: with_error(square(value), square(np.sqrt(np.diag(covariance))))
                    for name, (value, covariance) in self.factors.routes.items()
                },
                "share_of_waves": self.factors.share,
                "difference": with_error(*(square(each) for each in self.factors.difference)),
                "partial_volumes": {name: with_error(*each) for name, each in self.partial_volumes().items()},
                "screening_length": with_error(*self.screening_length),
                "species": self.names,
                "numbers": self.points,
                "volume": self.volume,
                "frames": self.frames,
                "notes": self.notes,
                "mdcoeffs": __version__,
                "level": LEVEL,
            }
        )
        return ready

    def lines(self) -> list[str]:
        """What the command prints."""
        m, (low, high), ideal, error = self.matrix, self.interval(LEVEL), self.matrix.ideal, self.matrix.error
        content = ", ".join(f"r_{name} = {r:.4g}" for name, r in zip(m.components, m.r, strict=True))
        lines = [
            f"{self.title}: {content} per {m.solvent}; {sum(self.frames)} frames",
            f"  G, slopes of the chemical potentials over RT ({self.route}); in brackets that of an ideal mixture",
        ]
        entries = self._entries()
        width = max(len(name) for name, _, _ in entries)
        for name, i, j in entries:
            ends = f"95 % interval {low[i, j]:.4g} to {high[i, j]:.4g}"
            lines.append(f"    {name:<{width}} {m.G[i, j]:8.4g} +- {error[i, j]:.2g}, {ends}  ({ideal[i, j]:.4g})")
        scale = np.sqrt(np.outer(m.r, m.r))
        apart, spread = (square(each) / scale for each in self.factors.difference)
        for name, i, j in entries:
            lines.append(f"  difference of the routes, {name:<{width}} {apart[i, j]:+.2g} +- {spread[i, j]:.2g}")
        volumes = ", ".join(f"{name} {v * 1e6:.4g} +- {e * 1e6:.2g}" for name, (v, e) in self.partial_volumes().items())
        lines.append(f"  partial volumes {volumes} cm3/mol from the same fluctuations")
        length, spread_of_it = (1e9 * value for value in self.screening_length)
        if np.isfinite(length):
            lines.append(f"  screening  {length:.3g} +- {spread_of_it:.2g} nm")
        return lines + [f"  note       {note}" for note in self.notes]

    def dataset(self) -> None:
        """None: what is behind the figure is in the tables."""

    def tables(self) -> dict[str, Rows]:
        """Covariances of the waves, and running integrals."""
        f, entries = self.factors, [name for name, _, _ in self._entries()]
        waves: dict[str, Array] = {"k_per_nm": self.k * 1e-9, "independent": f.limit.independent}
        pairs: dict[str, Array] = {"L_nm": self.reach * 1e9}
        for e, name in enumerate(entries):
            waves |= {f"Y_{name}": f.Y.value[:, e], f"Y_error_{name}": f.Y.error[:, e]}
            waves[f"Gamma_of_k_fitted_{name}"] = f.limit.curve[:, e]
            pairs |= {f"Y_{name}": f.running.value[:, e], f"Y_error_{name}": f.running.error[:, e]}
        return {"waves.csv": columns(waves), "pairs.csv": columns(pairs)}

    def draw(self, path: Path) -> Path:
        """Gamma by waves against k^2, and by pairs against the reach of the integrals, every entry a colour."""
        f, entries = self.factors, self._entries()
        of_waves = triangle(np.linalg.inv(square(f.Y.value)))
        of_pairs = triangle(np.linalg.inv(square(f.running.value)))
        note = (
            f"{sum(self.frames)} frames; squares at the left and bands at the right: the result, one standard error. "
        )
        value, covariance = f.routes[self.route]
        error = np.sqrt(np.diag(covariance))
        note += "; ".join(self.notes)
        with drawing(path, 1, 2, title=self.title, note=note, width=TWO_COLUMNS, height=2.6) as (_, axes):
            for e, (name, _, _) in enumerate(entries):
                colour, text = COLOURS[e % len(COLOURS)], name.replace("_", ", ")
                x = (self.k * 1e-9) ** 2
                axes[0].plot(x, of_waves[:, e], "o", color=colour, markersize=3)
                axes[0].plot(x, f.limit.curve[:, e], color=GREY, linewidth=0.8)
                axes[0].errorbar(
                    [0], value[e : e + 1], error[e : e + 1], fmt="s", color=colour, markersize=4, label=text
                )
                axes[1].plot(self.reach * 1e9, of_pairs[:, e], color=colour)
                axes[1].axhspan(value[e] - error[e], value[e] + error[e], color=colour, alpha=0.25, linewidth=0)
            axes[0].set_xlabel(label("$k^2$", "nm$^{-2}$"))
            axes[1].set_xlabel(label("$L$", "nm"))
            for axis in axes:
                axis.set_ylabel(label(r"$\sqrt{r_k r_l}\,G_{kl}$", ""))
            shown = np.concatenate(
                [of_waves[: of_waves.shape[0] // 2], of_pairs[of_pairs.shape[0] // 2 :], value[None]]
            )
            low, high = shown.min(), shown.max()
            legend_above(axes[0], columns=len(entries))
            for axis in axes:
                axis.set_ylim(low - 0.15 * (high - low), high + 0.15 * (high - low))
        return path


def mixture_from_sums(
    pairs: Sequence[RadialSums],
    waves: Sequence[WaveSums],
    *,
    names: Sequence[str],
    z: Sequence[float],
    cation: str,
    solvent: str,
    T: float,
    title: str = "",
    route: str = "both",
) -> MixtureActivity:
    """G of n components from the accumulators of all replicas.

    Parameters
    ----------
    pairs : sequence of RadialSums
        Pairs of all species, i <= j.
    waves : sequence of WaveSums
        Of the same frames.
    names, z : sequence of str, of float (n,)
        Species and their charge numbers.
    cation, solvent : str
        The cation that counts no component, empty for a mixture without ions; the reference.
    T : float
        Temperature [K].
    title : str
        For output.
    route : str
        One of `mdcoeffs.activity.result.ROUTES`.

    Returns
    -------
    MixtureActivity

    Raises
    ------
    InputError
        Too few frames for an error, or a mixture that seems to separate.
    """
    counts, zero = waves[0].counts, list(names).index(solvent)
    places = [k for k, name in enumerate(names) if name not in (cation, solvent)]
    factors = factors_from_sums(pairs, waves, composition_map(counts, z, places, zero))
    whole = np.asarray(sum(each.sums.sums.sum(axis=0) for each in waves))
    k = np.sqrt(fluctuations(whole, len(names))[1])
    r = np.array(counts, dtype=float)[places] / counts[zero]
    scale = triangle(np.sqrt(np.outer(r, r)))
    value, covariance = factors.routes[route]
    matrix = ThermodynamicMatrix(
        cation=cation,
        solvent=solvent,
        components=tuple(names[k] for k in places),
        z=(float(z[list(names).index(cation)]) if cation else 1.0, *(float(z[k]) for k in places)),
        r=r,
        T=T,
        G=square(value / scale),
        covariance=covariance / np.outer(scale, scale),
    )
    fractions, screening = linear_limits(waves, z, [*places, zero], factors.limit)
    frames = tuple(each.sums.frames for each in waves)
    found = MixtureActivity(
        title=title,
        names=tuple(names),
        points=counts,
        matrix=matrix,
        route=route,
        factors=factors,
        fractions=fractions,
        screening_length=screening,
        k=k,
        reach=pairs[0].edges[1:],
        frames=frames,
        volume=float(whole[-2] / whole[-1]),
    )
    return replace(found, notes=tuple(_notes(found, screening[0] * float(k[0]))))


def _notes(found: MixtureActivity, screened: float) -> list[str]:
    notes = doubts(found.factors, screened, sum(found.frames))
    apart, spread = (square(each) for each in found.factors.difference)
    error, least = found.matrix.error, np.linalg.eigvalsh(square(found.factors.routes[found.route][0]))[0]
    for name, i, j in found._entries():
        if abs(apart[i, j]) > 3.0 * spread[i, j]:
            notes.append(
                f"{name}: the two routes differ by {abs(apart[i, j]) / spread[i, j]:.1f} standard errors: the box is "
                "too small for one of them"
            )
        if i == j and error[i, i] > 0.25 * found.G[i, i]:
            notes.append(f"{name}: the error of G is {error[i, i] / found.G[i, i]:.0%}; longer runs are needed")
    if least <= 0:
        notes.append("G is not positive definite within its error: the mixture may be separating")
    return notes


def read_thermodynamics(path: str | Path) -> ThermodynamicMatrix:
    """G as ``mdcoeffs activity`` wrote it.

    Parameters
    ----------
    path : str or Path
        Its folder, or the summary.json in it.

    Returns
    -------
    ThermodynamicMatrix

    Raises
    ------
    InputError
        No such file, or one of something else.
    """
    path = Path(path)
    file = path / SUMMARY if path.is_dir() else path
    table = read_json_table(file, what="a result of mdcoeffs activity")
    if "G" not in table:
        hint = ", but chi of one salt in one solvent" if "chi" in table else ""
        raise InputError(f'{file}: contains no matrix G{hint}; matrix = "species" in [activity] gives it')
    components = tuple(table.strings("components"))
    K = len(components)

    def array(key: str, *shape: int) -> Array:
        try:
            values = np.array(table.data[key], dtype=float)
        except (KeyError, TypeError, ValueError) as error:
            raise table.error(key, "is not the array that mdcoeffs activity writes") from error
        if values.shape != shape or not np.all(np.isfinite(values)):
            raise table.error(key, f"must be finite numbers of shape {shape}, not {values.shape}")
        return values

    m = K * (K + 1) // 2
    volumes = table.table("partial_volumes", {})
    return ThermodynamicMatrix(
        cation=table.string("cation"),
        solvent=table.string("solvent"),
        components=components,
        z=tuple(array("z", K + 1)),
        r=array("r", K),
        T=table.number("T", above=0),
        G=array("G", K, K),
        covariance=array("covariance", m, m),
        volumes={name: volumes.table(name).number("value") for name in volumes},
    )
