"""Bands of a run of n components: what its set leaves open of i(t), V(t) and the profiles of all species."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, ConvergenceError, InputError, Progress
from cellsim.drawing import figstyle
from cellsim.electrolyte.mixture_file import drawn_mixtures
from cellsim.files.schema import parse_toml
from cellsim.fit.bands import LEVEL, POSITIONS, QUANTILES, TIMES, Curves, everywhere
from cellsim.run.ensemble import Member, simulate_many
from cellsim.run.mixture import MixtureCase
from cellsim.solvers.march import Options
from cellsim.solvers.solution import Solution

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class MixtureBands(Curves):
    """Quantiles of a run of n components over draws of the set, a :class:`.Result` like any other.

    Parameters
    ----------
    c : mapping
        Species, the cation first -> its concentration, shape (q, t, k) [mol/m^3].
    share : mapping
        Neutral species -> its share of all neutral molecules, shape (q, t, k); empty with a single solvent [1].
    **other
        As of :class:`.Curves`.
    """

    c: Mapping[str, Array]
    share: Mapping[str, Array]

    def lines(self) -> list[str]:
        """What the terminal shows."""
        lines = super().lines()
        for solvent, share in self.share.items():
            at = 100 * share[:, -1][:, [0, -1]]
            ends = (f"{m:.4g} % ({a:.4g} to {b:.4g})" for a, m, b in zip(at[0], at[2], at[4], strict=True))
            lines.append(f"{solvent} of the solvent at the end, at the two electrodes: {', '.join(ends)}")
        return lines

    def dataset(self) -> xr.Dataset:
        """All of them, with units and dimensions."""
        import xarray as xr

        curves, maps = ("quantile", "time"), ("quantile", "time", "position")
        variables: dict[str, Any] = {
            "i": (curves, self.i, {"units": "A/m^2"}),
            "V": (curves, self.V, {"units": "V"}),
            "i_everywhere": (("end", "time"), self.everywhere["i"], {"units": "A/m^2"}),
            "V_everywhere": (("end", "time"), self.everywhere["V"], {"units": "V"}),
        }
        variables |= {f"c_{name}": (maps, c, {"units": "mol/m^3"}) for name, c in self.c.items()}
        variables |= {f"share_{name}": (maps, share, {"units": "1"}) for name, share in self.share.items()}
        coords = {
            "quantile": list(self.quantiles),
            "end": ["low", "high"],
            "time": ("time", self.time, {"units": "s"}),
            "position": ("position", self.position, {"units": "m"}),
        }
        return xr.Dataset(variables, coords, {"draws": self.draws, "failed": self.failed, "level_everywhere": LEVEL})

    def draw(self, path: str | Path, *, title: str = "", note: str = "") -> Path:
        """Median, 68 % and 95 % of i(t) or V(t), and 95 % of the cation and of the solvents' shares over x.

        Parameters
        ----------
        path : str or Path
            PNG, PDF or SVG.
        title, note : str
            Above and below.

        Returns
        -------
        Path
        """
        unit, scale = self.clock
        t, mm = self.time / scale, 1e3 * self.position
        cation = next(iter(self.c))
        maps = [(1e-3 * self.c[cation], figstyle.label(f"$c$ {cation}", "mol L$^{-1}$"))]
        maps += [(100 * share, f"{name} of the solvent (%)") for name, share in list(self.share.items())[:-1]]
        layout = {"title": title, "note": self.told(note), "width": figstyle.TWO_COLUMNS, "height": 2.2}
        with figstyle.drawing(path, 1, 1 + len(maps), **layout) as (_, axes):
            self.draw_answer(axes[0])
            for k, colour in zip(self.shown, figstyle.shades(self.shown.size), strict=True):
                for panel, (of_x, label) in zip(axes[1:], maps, strict=True):
                    panel.fill_between(mm, of_x[0, k], of_x[4, k], color=colour, alpha=0.25, linewidth=0)
                    panel.plot(mm, of_x[2, k], color=colour, label=f"{t[k]:.3g} {unit}")
                    panel.set_ylabel(label)
                    panel.set_xlabel(figstyle.label("$x$", "mm"))
            axes[1].legend(fontsize=6)
        return Path(path)


def bands_of_mixture(case: MixtureCase, draws: int, *, seed: int = 0, progress: Progress | None = None) -> MixtureBands:
    """Bands on i(t), V(t) and the profiles of all species by draws of the set's own covariance.

    Parameters
    ----------
    case : MixtureCase
        Its set must have a [covariance].
    draws : int
        How many.
    seed : int
        Of the draws.
    progress : callable, optional
        Called with (runs done, of all).

    Returns
    -------
    MixtureBands

    Raises
    ------
    InputError
        A set without a covariance, fewer than two draws.
    ConvergenceError
        Fewer than half the draws could be run to the end.
    """
    if draws < 2:
        raise InputError(f"draws = {draws} must be at least 2")
    end, thickness = case.protocol.duration, case.cell.thickness
    times = np.union1d(np.geomspace(1e-3 * end, end, TIMES // 2), np.linspace(0, end, TIMES // 2))
    positions = np.linspace(0, thickness, POSITIONS)
    name = parse_toml(case.text, case.path).table("electrolyte").string("transport")
    transport = case.transport
    sets = drawn_mixtures(case.path.parent / name, draws, transport.T, seed=seed)
    options, solver = Options(cells=case.solver.cells, rtol=case.solver.rtol), case.solver.name
    members = [
        Member(
            case.cell,
            each.with_extrapolation(transport.extrapolate),
            case.protocol,
            case.start,
            times,
            solver,
            options,
        )
        for each in sets
    ]
    keep = partial(_kept, times, positions, transport.species)
    runs = simulate_many(members, workers=1, keep=keep, progress=progress)
    good = [run.value for run in runs if run.succeeded and run.value is not None]
    if len(good) < max(2, draws // 2):
        why = next((run.error for run in runs if run.error), "they end early")
        raise ConvergenceError(f"{draws - len(good)} of {draws} draws of the set could not be run to the end: {why}")
    i, V, c = (np.stack(values) for values in zip(*good, strict=True))
    neutral = [k for k, z in enumerate(transport.charges) if z == 0]
    share = c[:, neutral] / c[:, neutral].sum(axis=1, keepdims=True)
    pointwise: Callable[[Array], Array] = partial(np.quantile, q=QUANTILES, axis=0)
    return MixtureBands(
        time=times,
        position=positions,
        quantiles=QUANTILES,
        i=pointwise(i),
        V=pointwise(V),
        c={each: pointwise(c[:, k]) for k, each in enumerate(transport.species)},
        share={transport.species[k]: pointwise(share[:, n]) for n, k in enumerate(neutral) if len(neutral) > 1},
        everywhere={"i": everywhere(i), "V": everywhere(V)},
        draws=len(good),
        failed=draws - len(good),
    )


def _kept(times: Array, positions: Array, species: tuple[str, ...], s: Solution) -> tuple[Array, Array, Array] | None:
    """i, V and the concentrations (species, t, k) of a run at `times` and `positions`; None of one that ends early."""
    if not s.succeeded:
        return None
    t, faces = s["time"], s["position_face"]

    def at_places(values: Array) -> Array:
        rows = np.array([np.interp(positions, x, row) for x, row in zip(faces, values, strict=True)])
        return np.stack([np.interp(times, t, column) for column in rows.T], axis=1)

    c = np.stack([at_places(s[f"c_face_{name}"]) for name in species])
    return np.interp(times, t, s["i"]), np.interp(times, t, s["V"]), c
