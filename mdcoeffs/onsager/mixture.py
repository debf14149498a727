"""The Onsager matrix of all species of a run: mixed solvents, several salts, salts without solvent, crystals.

The summed displacements are taken to the frame asked for, all species but one are estimated together as those of a
binary salt are (:mod:`.estimate`), and the row of the last follows, since sum w_i R_i = 0 in the frame of w. Species of
a lattice that only rattle are one body, the framework, in whose frame the mobile ones are seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import N_A, Array, F, InputError, R, __version__
from cellsim.drawing.figstyle import COLOURS, DASHES, GREY, TWO_COLUMNS, drawing, label, time_unit
from cellsim.electrolyte.mixture import SpeciesMatrix, frame_change
from cellsim.electrolyte.relations import QUANTILES, band, standard_error_of
from cellsim.files.reading import Shape, numbers
from cellsim.files.writing import Rows, plain
from mdcoeffs.analysis import LEVEL
from mdcoeffs.onsager.displacements import CollectiveDisplacements, check_replicas, mean_volume
from mdcoeffs.onsager.estimate import Posterior, centre, posterior
from mdcoeffs.onsager.judgement import EstimateWarning
from mdcoeffs.onsager.plateau import Beliefs
from mdcoeffs.onsager.result import open_result
from mdcoeffs.onsager.running import running
from mdcoeffs.onsager.velocities import VelocityCheck
from mdcoeffs.statistics.correlate import collective_msd, log_lags

if TYPE_CHECKING:
    import xarray as xr

FRAMEWORK = "framework"
"""Name of the frame, and of the body, that the species of a lattice make together."""
FRAMES = ("solvent", "barycentric", "volume", "molar", FRAMEWORK)
"""Frames by name; the name of a species is its own frame."""


@dataclass(frozen=True, eq=False)
class SpeciesEstimate:
    """The matrix of all species and how it was found.

    Parameters
    ----------
    matrix : SpeciesMatrix
        With posterior samples.
    found : Posterior
        Window, origins, spectrum and doubts; its samples are those of the species in `estimated`.
    estimated : tuple of int
        Places of the species whose displacements were used; the one that is left out follows from them.
    runs : tuple of CollectiveDisplacements
        The displacements in the frame of the matrix, lattice species as one body.
    """

    matrix: SpeciesMatrix
    found: Posterior
    estimated: tuple[int, ...]
    runs: tuple[CollectiveDisplacements, ...]


def estimate_species(
    displacements: CollectiveDisplacements | Sequence[CollectiveDisplacements],
    *,
    frame: str | None = None,
    solvents: Sequence[str] | None = None,
    framework: Sequence[str] = (),
    window: tuple[float, float] | None = None,
    prior_flat: float | None = None,
    n_samples: int = 4000,
    seed: int = 0,
) -> SpeciesEstimate:
    """Onsager matrix of all species from one run or several replicas.

    Parameters
    ----------
    displacements : CollectiveDisplacements or sequence of them
        One run, or replicas of one system; every species of the box must be among them.
    frame : str, optional
        ``"solvent"`` (all solvents, weighted with their masses), ``"barycentric"``, ``"volume"``, ``"molar"`` (mean of
        all particles), ``"framework"`` or the name of a species. When left out: the framework's where there is one,
        else the solvent's, else barycentric.
    solvents : sequence of str, optional
        Solvent species that make the solvent frame; all when left out.
    framework : sequence of str
        Species of an immobile lattice; together they are one body.
    window, prior_flat, n_samples, seed
        As for :func:`mdcoeffs.onsager.estimate.estimate_onsager`.

    Returns
    -------
    SpeciesEstimate

    Raises
    ------
    InputError
        A frame that cannot be reached, a single species, species that do not move or move together, too short a run.

    References
    ----------
    doi:10.1063/5.0155301, Eqs. 23 and 24, for n species and any reference.
    """
    replicas = [displacements] if isinstance(displacements, CollectiveDisplacements) else list(displacements)
    beliefs = Beliefs() if prior_flat is None else Beliefs(flat=prior_flat)
    if not 0 <= beliefs.flat < 1 or n_samples < 100:
        raise InputError(f"prior_flat = {prior_flat!r} must lie in [0, 1) and n_samples = {n_samples} be at least 100")
    check_replicas(replicas)
    merged = [_as_one_body(run, framework) for run in replicas]
    first = merged[0]
    assert first.names is not None
    names = first.names
    if len(names) < 2:
        raise InputError("one species alone has no motion relative to another; list every species of the box")
    frame = frame or (FRAMEWORK if framework else "solvent" if first.solvents else "barycentric")
    weights = _weights(first, frame, solvents)
    N = np.array(first.counts, dtype=float)
    # The species that the reference knows best is left out: its displacement follows from the others'.
    left_out = int(np.argmax(weights * N))
    estimated = tuple(k for k in range(len(names)) if k != left_out)
    A = frame_change(N, weights)
    runs = tuple(replace(run, R=np.einsum("ij,tjx->tix", A, run.R), frame="lab") for run in merged)
    found = posterior(runs, estimated, window=window, beliefs=beliefs, n_samples=n_samples, seed=seed)
    rows = _all_of(weights, estimated)
    matrix = SpeciesMatrix(
        Omega=rows @ centre(found.samples) @ rows.T,
        names=names,
        z=first.z,
        c=tuple(N / (N_A * mean_volume(merged))),
        T=first.temperature,
        frame=frame,
        weights=tuple(weights),
        samples=rows @ found.samples @ rows.T,
    )
    return SpeciesEstimate(matrix, found, estimated, runs)


def _all_of(weights: Array, estimated: Sequence[int]) -> Array:
    """What makes all species of those estimated, in the frame of these weights (n, n - 1)."""
    some = list(estimated)
    left_out = next(k for k in range(len(weights)) if k not in some)
    rows = np.zeros((len(weights), len(some)))
    rows[some] = np.eye(len(some))
    rows[left_out] = -weights[some] / weights[left_out]
    return rows


def _as_one_body(run: CollectiveDisplacements, framework: Sequence[str]) -> CollectiveDisplacements:
    """The run with the species of the framework as one species of one particle, the last."""
    if not framework:
        return run
    assert run.names is not None and run.roles is not None
    for name in framework:
        if name not in run.names:
            raise InputError(f"framework: {name!r} is not among the species {', '.join(run.names)}")
    body = [k for k, name in enumerate(run.names) if name in framework]
    rest = [k for k in range(len(run.names)) if k not in body]
    N = np.array(run.counts, dtype=float)
    charge = float(sum(run.z[k] * N[k] for k in body))
    mass = None if run.masses is None else float(sum(run.masses[k] * N[k] for k in body))
    if len(body) > 1 and run.masses is None:
        raise InputError("framework: the masses of its species are needed, since it is their centre of mass")
    share = np.array([N[k] * (1.0 if run.masses is None else run.masses[k]) for k in body])
    moved = np.einsum("k,tkx->tx", share / share.sum() / N[body], run.R[:, body])
    volumes = run.molecular_volumes
    return replace(
        run,
        R=np.concatenate([run.R[:, rest], moved[:, None]], axis=1),
        z=(*(run.z[k] for k in rest), charge),
        counts=(*(run.counts[k] for k in rest), 1),
        masses=None if run.masses is None or mass is None else (*(run.masses[k] for k in rest), mass),
        molecular_volumes=None
        if volumes is None
        else (*(volumes[k] for k in rest), float(sum(volumes[k] * N[k] for k in body))),
        roles=(*(run.roles[k] for k in rest), "cation" if charge > 0 else "anion" if charge < 0 else "solvent"),
        names=(*(run.names[k] for k in rest), FRAMEWORK),
    )


def _weights(run: CollectiveDisplacements, frame: str, solvents: Sequence[str] | None) -> Array:
    """w of a frame, per particle."""
    assert run.names is not None
    n = len(run.names)
    if frame in run.names:
        return np.eye(n)[run.names.index(frame)]
    if frame == "molar":
        return np.ones(n)
    if frame not in FRAMES or frame == FRAMEWORK:
        allowed = [name for name in FRAMES if name != FRAMEWORK or name in run.names]
        raise InputError(f"frame = {frame!r} is unknown; allowed are {', '.join([*allowed, *run.names])}")
    if frame == "volume":
        if run.molecular_volumes is None:
            raise InputError("molecular_volumes are needed to go to the volume frame")
        run.reference_displacement("volume")  # refuses volumes that do not fill the box
        return np.array(run.molecular_volumes)
    chosen = list(range(n))
    if frame == "solvent":
        if not run.solvents:
            raise InputError(
                "the solvent frame needs a solvent species, there is none; without one the frames are barycentric, "
                f"molar, volume and those of a species: {', '.join(run.names)}"
            )
        wanted = [run.names[k] for k in run.solvents] if solvents is None else list(solvents)
        unknown = [name for name in wanted if name not in [run.names[k] for k in run.solvents]]
        if unknown or not wanted:
            raise InputError(f"solvents = {wanted} must name solvent species: {[run.names[k] for k in run.solvents]}")
        chosen = [run.names.index(name) for name in wanted]
    if len(chosen) > 1 and run.masses is None:
        raise InputError(f"masses are needed to go to the {frame} frame")
    weights = np.zeros(n)
    weights[chosen] = 1.0 if run.masses is None else np.array(run.masses)[chosen]
    return weights


def read_species_matrix(path: str | Path) -> SpeciesMatrix:
    """Read a matrix of all species back.

    Parameters
    ----------
    path : str or Path
        ``onsager.nc``, or the folder that holds it.

    Returns
    -------
    SpeciesMatrix
        With samples where the file has them.

    Raises
    ------
    InputError
        No such file, or not a matrix of all species.
    """
    path, data = open_result(path)
    if "species" not in data.coords:
        raise InputError(
            f'{path}: contains no matrix of all species; matrix = "species" in [estimate] of mdcoeffs onsager gives it'
        )
    names = tuple(str(name) for name in data["species"].values)
    n = len(names)
    found: dict[str, Any] = {**{str(name): data[name].values for name in data.variables}, **data.attrs}
    shapes: dict[str, Shape] = {"Omega": (n, n), "z": (n,), "c": (n,), "weights": (n,), "T": ()}
    shapes |= {"samples": ("sample", n, n)} if "samples" in data else {}
    arrays: dict[str, Any] = {key: numbers(found, key, shape, where=str(path)) for key, shape in shapes.items()}
    arrays["T"] = arrays["T"].item()
    try:
        return SpeciesMatrix(names=names, frame=str(found.get("frame", "")), **arrays)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


# ---- what is reported -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SpeciesResult:
    """What ``mdcoeffs onsager`` reports where the matrix of all species was asked for.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    estimate : SpeciesEstimate
        The matrix and how it was found.
    self_diffusion : mapping
        Species -> self-diffusion coefficient in the barycentric frame and its standard error [m^2/s].
    drift_velocity : array (replicas, 3)
        Velocity of the centre of mass that was taken away [m/s].
    longest_step : float
        Longest step between snapshots, as a fraction of the box [1].
    notes : tuple of str
        What the user must know.
    inputs : mapping
        File name -> SHA-256.
    velocities : VelocityCheck, optional
        The current of the velocities, where it was asked for.
    """

    title: str
    estimate: SpeciesEstimate
    self_diffusion: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    drift_velocity: Array = field(default_factory=lambda: np.zeros((0, 3)))
    longest_step: float = 0.0
    notes: tuple[str, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)
    velocities: VelocityCheck | None = None

    @property
    def matrix(self) -> SpeciesMatrix:
        """The coefficients, with samples."""
        return self.estimate.matrix

    @property
    def warnings(self) -> tuple[EstimateWarning, ...]:
        """Named doubts about the estimate."""
        return self.estimate.found.warnings

    @property
    def duration(self) -> float:
        """Length of all replicas together [s]."""
        return sum(run.duration for run in self.estimate.runs)

    def ideal(self) -> dict[str, Any]:
        """Nernst-Einstein conductivity [S/m] and ionicity [1]; empty where the self part of an ion is missing."""
        m = self.matrix
        ions = [m.names[k] for k in m.ions]
        mobile = [name for name in ions if name != FRAMEWORK]
        if not mobile or any(name not in self.self_diffusion for name in mobile):
            return {}
        parts = {
            name: F**2 * m.z[k] ** 2 * m.c[k] * self.self_diffusion[name][0] / (R * m.T)
            for k, name in enumerate(m.names)
            if name in mobile
        }
        kappa = sum(parts.values())
        haven = {
            name: m.c[k] * self.self_diffusion[name][0] / (R * m.T) / float(m.Omega[k, k])
            for k, name in enumerate(m.names)
            if name in mobile and m.Omega[k, k] > 0
        }
        return {"kappa_NE": kappa, "ionicity": m.kappa / kappa, "haven_ratio": haven}

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds: SI numbers, intervals at 95 %, window, doubts, provenance."""
        m, found = self.matrix, self.estimate.found
        draws = m.quantities(m.samples)
        values = {
            name: {
                "value": float(value),
                "interval": _ends(draws[name]),
                "standard_error": float(standard_error_of(draws[name])),
            }
            for name, value in m.quantities().items()
        }
        friction = {name: values.pop(name) for name in list(values) if name.startswith("friction_")}
        D = m.stefan_maxwell()
        pairs = [(i, j) for j in range(len(m.names)) for i in range(j)]
        numbers: dict[str, Any] = {
            "title": self.title,
            "species": list(m.names),
            "z": m.z,
            "c": m.c,
            "temperature": m.T,
            "frame": m.frame,
            "weights": m.weights,
            "Omega": m.Omega,
            "Omega_interval": np.quantile(m.samples, _TAILS, axis=0) if m.samples is not None else None,
            "quantities": values,
            "stefan_maxwell": {
                f"{m.names[i]}_{m.names[j]}": {
                    "value": D[i, j],
                    "RT_over_D": friction[f"friction_{m.names[i]}_{m.names[j]}"],
                }
                for i, j in pairs
            },
            "self_diffusion": {
                name: {"value": value, "standard_error": error} for name, (value, error) in self.self_diffusion.items()
            },
            **self.ideal(),
            "window": found.window,
            "criterion": found.criterion,
            "relaxation_time": found.relaxation_time,
            "independent_origins": found.n_origins,
            "replicas": len(self.estimate.runs),
            "frames": [run.n_frames for run in self.estimate.runs],
            "duration": self.duration,
            "volume": mean_volume(self.estimate.runs),
            "drift_velocity": self.drift_velocity,
            "longest_step_over_box": self.longest_step,
            "warnings": {doubt.name: doubt.text for doubt in self.warnings},
            "notes": self.notes,
            "inputs": self.inputs,
            "mdcoeffs": __version__,
            "level": LEVEL,
        }
        numbers |= {} if self.velocities is None else self.velocities.numbers()
        ready: dict[str, Any] = plain(numbers)
        return ready

    def lines(self) -> list[str]:
        """What the command prints: coefficients with intervals, window, doubts."""
        m, found = self.matrix, self.estimate.found
        content = ", ".join(f"{name} {c / 1000:.4g}" for name, c in zip(m.names, m.c, strict=True) if name != FRAMEWORK)
        lines = [f"{self.title}: {content} mol/L, {m.T:g} K, {m.frame} frame"]
        draws, values = m.quantities(m.samples), m.quantities()
        shown = self._shown()
        width = max(8, *(len(name) for name in shown))
        for name in shown:
            low, high = _ends(draws[name])
            unit = " S/m" if name == "kappa" else ""
            lines.append(f"  {name:<{width}} {float(values[name]):.4g}{unit}  (95 %: {low:.4g} to {high:.4g})")
        lines.append("  Omega [mol^2/(J m s)], symmetric; in brackets half the width of the 95 % interval")
        half = np.ptp(np.quantile(m.samples, _TAILS, axis=0), axis=0) / 2 if m.samples is not None else None
        moving = [k for k in range(len(m.names)) if m.Omega[k, k] > 1e-12 * m.Omega.max()]
        for i in moving:
            name, columns = m.names[i], [j for j in moving if j <= i]
            row = "  ".join(
                f"{m.Omega[i, j]:10.3e}" + ("" if half is None else f" ({half[i, j]:.1e})") for j in columns
            )
            lines.append(f"    {name:<{width - 2}} {row}")
        for name, (value, error) in self.self_diffusion.items():
            lines.append(f"  self     D_{name} {value:.4g} +- {error:.2g} m^2/s")
        if ideal := self.ideal():
            lines.append(f"  NE       kappa_NE {ideal['kappa_NE']:.4g} S/m, ionicity {ideal['ionicity']:.4g}")
        low, high = found.window
        lines.append(f"  window   {low:.3g} to {high:.3g} s; {found.n_origins:.0f} independent origins")
        return lines + [f"  note     {note}" for note in self.notes]

    def _shown(self) -> list[str]:
        """Names of the quantities that are printed and drawn: without friction, and without the frame's own motion."""
        m = self.matrix
        moving = {name for k, name in enumerate(m.names) if m.Omega[k, k] > 1e-12 * m.Omega.max()}
        named = [name for name in m.quantities() if not name.startswith("friction_")]
        return [name for name in named if name == "kappa" or name.split("_", 1)[1] in moving]

    def dataset(self) -> xr.Dataset:
        """All of it with units; dimensions ``species``, ``species_2``, ``sample``, ``lag`` and ``frequency``."""
        import xarray as xr

        m, omega = self.matrix, "mol^2/(J m s)"
        lag, correlations = self._correlations()
        both = ("species", "species_2")
        variables: dict[str, tuple[Any, ...]] = {
            "Omega": (both, m.Omega, {"units": omega, "long_name": f"Onsager matrix, {m.frame} frame"}),
            "samples": (("sample", *both), m.samples, {"units": omega, "long_name": "posterior samples of Omega"}),
            "z": (("species",), np.array(m.z), {"units": "1", "long_name": "charge number"}),
            "c": (("species",), np.array(m.c), {"units": "mol/m^3", "long_name": "concentration"}),
            "weights": (("species",), np.array(m.weights), {"units": "1", "long_name": f"of the {m.frame} frame"}),
            "correlation": (("lag", *both), correlations, {"units": "m^2", "long_name": "<dr_i . dr_j>"}),
        }
        coordinates: dict[str, Any] = {"species": list(m.names), "species_2": list(m.names)}
        coordinates["lag"] = ("lag", lag, {"units": "s"})
        fit = self.estimate.found.spectrum
        if fit is not None:
            kappa = band(fit.at_frequencies(self._charges)[0])
            coordinates |= {
                "frequency": ("frequency", fit.frequency, {"units": "1/s"}),
                "quantile": np.array(QUANTILES),
            }
            about = {"units": "S/m", "long_name": "conductivity at a frequency, posterior quantiles"}
            variables["conductivity_spectrum"] = (("quantile", "frequency"), kappa, about)
            over = running(fit, float(lag[0]), np.rint(lag / lag[0]), m.z, self._rows)
            apparent = (
                ("kappa_running", (), over.kappa, "S/m", "apparent conductivity over a lag, quantiles"),
                ("t_running", ("species",), over.t, "1", f"apparent transference numbers, {m.frame} frame"),
            )
            for name, of, over_draws, unit, text in apparent:
                variables[name] = (("quantile", "lag", *of), band(over_draws), {"units": unit, "long_name": text})
        if self.velocities is not None:
            more, axes = self.velocities.variables()
            variables |= more
            coordinates |= axes
        attributes = {"title": self.title, "T": m.T, "frame": m.frame, "summary": json.dumps(self.numbers())}
        return xr.Dataset(variables, coordinates, attributes | {"mdcoeffs": __version__})

    def tables(self) -> dict[str, Rows]:
        """None beside the summary and the dataset."""
        return {}

    @property
    def _rows(self) -> Array:
        """What makes all species of those estimated: the one left out follows (n, n - 1)."""
        return _all_of(np.array(self.matrix.weights), self.estimate.estimated)

    @property
    def _charges(self) -> Array:
        """Charge that moves with each species estimated, that of the species left out, which follows, with it [1]."""
        return np.asarray(np.array(self.matrix.z) @ self._rows)

    def _correlations(self) -> tuple[Array, Array]:
        """Lag times [s] and <dr_i . dr_j>, (lags, n, n) [m^2], replicas averaged."""
        runs = self.estimate.runs
        lags = log_lags(min(run.n_frames for run in runs), per_decade=20)[1:]
        weights = np.array([run.n_frames for run in runs], dtype=float)
        each = np.array([3 / len(run.axes) * collective_msd(run.along, lags) for run in runs])
        return np.asarray(lags * runs[0].dt, dtype=np.float64), np.einsum("r,rlij->lij", weights / weights.sum(), each)

    def draw(self, path: Path) -> Path:
        """Displacement of every species, the spectrum of the charge, and the posteriors of kappa and of the shares."""
        m, found = self.matrix, self.estimate.found
        lag, C = self._correlations()
        factor, unit = time_unit(float(lag[-1]))
        note = f"{m.frame} frame, {m.T:g} K, {found.n_origins:.0f} independent origins"
        note = ". ".join([note, *self.notes])
        with drawing(path, 2, 2, title=self.title, note=note, width=TWO_COLUMNS, height=2.4) as (_, axes):
            shown = lag <= lag[-1] / 4
            for k, name in enumerate(m.names):
                if k in self.estimate.estimated or C[shown][:, k, k].max() > 0:
                    look = {"color": COLOURS[k % len(COLOURS)], "linestyle": DASHES[k % len(DASHES)]}
                    axes[0].loglog(lag[shown] * factor, C[shown][:, k, k] * 1e20, label=name, **look)
            axes[0].axvspan(*(np.array(found.window) * factor).clip(*axes[0].get_xlim()), color=GREY, alpha=0.15)
            axes[0].set_xlabel(label("$t$", unit, "lag"))
            axes[0].set_ylabel(label(r"$\langle\Delta R^2\rangle$", "Å²", "summed displacement"))
            axes[0].legend()
            self._draw_spectrum(axes[1])
            names = self._shown()
            draws = m.quantities(m.samples)
            low, high = np.quantile(draws["kappa"], [0.002, 0.998])
            axes[2].hist(draws["kappa"], bins=61, range=(low, high), color=COLOURS[5], density=True)
            axes[2].axvline(m.kappa, color=COLOURS[0])
            axes[2].set_yticks([])
            axes[2].set_xlabel(label(r"$\kappa$", "S m$^{-1}$"))
            ends = np.array([_ends(draws[name]) for name in names[1:]])
            middle = np.array([float(m.quantities()[name]) for name in names[1:]])
            at = np.arange(len(middle))[::-1]
            axes[3].hlines(at, ends[:, 0], ends[:, 1], color=COLOURS[0])
            axes[3].plot(middle, at, "o", color=COLOURS[0])
            axes[3].axvline(0, color=GREY, linestyle=":", linewidth=0.9)
            axes[3].set_yticks(at, [_shown(name) for name in names[1:]])
            axes[3].set_xlabel(f"value and 95 % interval ({m.frame} frame)")
        return path

    def _draw_spectrum(self, axes: Any) -> None:
        """The spectrum of the charge current over its limit, with its model."""
        m, fit = self.matrix, self.estimate.found.spectrum
        axes.set_xscale("log")
        if fit is None:
            axes.set_axis_off()
            return
        z, q = np.array(m.z), self._charges
        limit = float(z @ m.Omega @ z)
        f, unit = (fit.frequency * 1e-9, "GHz") if fit.frequency[-1] < 1e12 else (fit.frequency * 1e-12, "THz")
        model = band(np.einsum("i,dkij,j->dk", q, fit.draws, q)) / limit
        axes.plot(f, np.einsum("i,kij,j->k", q, fit.data, q) / limit, ".", color=COLOURS[0], markersize=2.5, alpha=0.6)
        axes.plot(f, model[1], color=COLOURS[0], label=r"charge current over $\kappa$")
        axes.fill_between(f, model[0], model[2], color=COLOURS[0], alpha=0.2, linewidth=0)
        axes.axhline(1.0, color=GREY, linestyle=":", linewidth=0.9)
        axes.set_yscale("log")
        axes.set_xlabel(label("$f$", unit, "frequency"))
        axes.set_ylabel("spectrum over its limit")
        axes.legend()


_TAILS = (0.5 - LEVEL / 2, 0.5 + LEVEL / 2)


def _ends(draws: Array) -> list[float]:
    return [float(end) for end in np.quantile(draws, _TAILS)]


def _shown(name: str) -> str:
    kind, species = name.split("_", 1)
    return {"t": f"$t$ {species}", "drag": f"drag {species}", "rho": rf"$\rho$ {species}"}[kind]
