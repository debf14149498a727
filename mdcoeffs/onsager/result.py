"""An Onsager result: in numbers and words, on disk (``onsager.nc``, and the way back), and as a one-page figure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import Array, F, InputError, R, __version__
from cellsim.drawing.figstyle import COLOURS, DASHES, GREY, TWO_COLUMNS, drawing, label, time_unit
from cellsim.electrolyte.onsager import Composition, Ideal, OnsagerMatrix
from cellsim.electrolyte.relations import QUANTILES, band, friction
from cellsim.files.reading import Shape, numbers, read_netcdf
from cellsim.files.writing import Rows, plain
from mdcoeffs.analysis import LEVEL
from mdcoeffs.onsager.displacements import SelfMSD
from mdcoeffs.onsager.estimate import PAIRS, OnsagerEstimate
from mdcoeffs.onsager.judgement import EXPONENT_RULE
from mdcoeffs.onsager.octp import MeanSlopes
from mdcoeffs.onsager.running import Running, running
from mdcoeffs.onsager.self_motion import SelfDiffusion
from mdcoeffs.onsager.velocities import VelocityCheck

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_IONS = ("cation", "anion")
_ELEMENTS = (("++", 0, 0), ("+-", 0, 1), ("--", 1, 1))


@dataclass(frozen=True, eq=False)
class OnsagerResult:
    """What ``mdcoeffs onsager`` reports.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    matrix : OnsagerMatrix
        The coefficients, with samples where displacements were at hand.
    names : tuple of str
        Cation and anion.
    lag : array (lags,)
        Lag times of the correlations [s].
    correlations : array (lags, 2, 2)
        <dr_i . dr_j> of cation and anion, in the frame of the matrix, replicas averaged [m^2].
    volume : float
        Mean volume [m^3].
    counts : tuple of int
        Numbers of cations and anions.
    self_part : SelfMSD, optional
        Single-particle mean-squared displacements of cation and anion.
    self_diffusion : SelfDiffusion, optional
        Their slopes over the window.
    unbounded : SelfDiffusion, optional
        The same in an unbounded liquid, where the viscosity is known.
    ideal : Ideal, optional
        Nernst-Einstein quantities and the self/distinct split.
    drift_velocity : array (replicas, 3)
        Velocity of the centre of mass that was taken away [m/s].
    longest_step : float
        Longest step between snapshots, as a fraction of the box [1].
    frames : tuple of int
        Snapshots of each replica.
    c_solvent : float
        Concentration of all solvents together; 0 where it is not known [mol/m^3].
    duration : float
        Length of all replicas together [s].
    slopes : MeanSlopes, optional
        For OCTP tables: the fit behind the matrix.
    notes : tuple of str
        What the user must know.
    inputs : mapping
        File name -> SHA-256.
    velocities : VelocityCheck, optional
        The current of the velocities, where it was asked for.
    """

    title: str
    matrix: OnsagerMatrix
    names: tuple[str, str]
    lag: Array
    correlations: Array
    volume: float
    counts: tuple[int, int]
    self_part: SelfMSD | None = None
    self_diffusion: SelfDiffusion | None = None
    unbounded: SelfDiffusion | None = None
    ideal: Ideal | None = None
    drift_velocity: Array = field(default_factory=lambda: np.zeros((0, 3)))
    longest_step: float = 0.0
    frames: tuple[int, ...] = ()
    c_solvent: float = 0.0
    duration: float = 0.0
    slopes: MeanSlopes | None = None
    notes: tuple[str, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)
    velocities: VelocityCheck | None = None

    @property
    def estimate(self) -> OnsagerEstimate | None:
        """The matrix with the story of how it was found; None for OCTP tables."""
        return self.matrix if isinstance(self.matrix, OnsagerEstimate) else None

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds: SI numbers, intervals at 95 %, window, doubts, provenance."""
        m = self.matrix
        numbers: dict[str, Any] = {
            "title": self.title,
            "cation": self.names[0],
            "anion": self.names[1],
            "frame": m.frame,
            "temperature": m.T,
            "c": m.c,
            "z": m.z,
            "nu": m.nu,
            "counts": self.counts,
            "Omega": _by_pair(m.Omega),
            "L_fong": _by_pair(m.fong),
            "L_wheeler_newman": _by_pair(m.wheeler_newman),
            "quantities": {name: _quantity(m, name) for name in _quantities(m)},
            "volume": self.volume,
            "frames": self.frames,
            "duration": self.duration,
            "drift_velocity": self.drift_velocity,
            "longest_step_over_box": self.longest_step,
            "notes": self.notes,
            "inputs": self.inputs,
            "mdcoeffs": __version__,
            "level": LEVEL,
        }
        if m.standard_errors is not None:
            numbers["Omega_standard_error"] = dict(zip(PAIRS, m.standard_errors, strict=True))
        if self.estimate is not None:
            e = self.estimate
            numbers |= {"window": e.window, "criterion": e.criterion, "relaxation_time": e.relaxation_time}
            numbers |= {"independent_origins": e.n_origins, "replicas": e.n_replicas}
            numbers |= {"run_for_5_percent_on_kappa": e.length_for(0.05)}
            numbers |= {"warnings": {doubt.name: doubt.text for doubt in e.warnings}}
            if e.local_exponent is not None:
                mean = dict(zip(PAIRS, e.local_exponent.mean, strict=True))
                numbers["local_exponent"] = {"window": e.local_exponent.window, **mean}
        if self.slopes is not None:
            numbers |= {"window": self.slopes.window, "replicas": self.slopes.runs.shape[0]}
        if self.self_diffusion is not None and self.ideal is not None:
            own, ideal = self.self_diffusion, self.ideal
            numbers["self"] = {
                "D_plus": own.D[0],
                "D_minus": own.D[1],
                "standard_error": own.standard_error,
                "t_app": ideal.t_app,
                "kappa_NE": ideal.kappa_NE,
                "ionicity": ideal.ionicity,
                "Omega_self": ideal.Omega_self,
                "Omega_distinct": ideal.Omega_distinct,
            }
            if ideal.Omega_distinct is not None:
                own_part = np.array(ideal.Omega_self)
                numbers["self"]["self_share"] = own_part / (own_part + ideal.Omega_distinct)
            numbers["self"] |= {f"{name}_interval": _ends(draws) for name, draws in self._ideal_draws().items()}
            if self.unbounded is not None:
                numbers["self"]["unbounded"] = self._of_unbounded(self.unbounded)
        numbers |= self._derived() | ({} if self.velocities is None else self.velocities.numbers())
        ready: dict[str, Any] = plain(numbers)
        return ready

    def _ideal_draws(self) -> dict[str, Array]:
        """Posterior samples of what follows from the self part; empty where there are none.

        Self and collective part are drawn independently.
        """
        own, m = self.self_diffusion, self.matrix
        if own is None or own.samples is None or m.samples is None:
            return {}
        count = min(len(own.samples), len(m.samples))
        # neither set of samples is in any order that the other knows, but both may be sorted by model
        D = np.random.default_rng(0).permutation(own.samples)[:count]
        part = m.c_ions * D / (R * m.T)
        weights = np.square(m.z) * part
        kappa_NE = F**2 * weights.sum(axis=1)
        found = {
            "D_plus": own.samples[:, 0],
            "D_minus": own.samples[:, 1],
            "t_app": weights[:, 0] / weights.sum(axis=1),
            "kappa_NE": kappa_NE,
            "ionicity": m.draws("kappa")[:count] / kappa_NE,
            "Omega_self": part,
        }
        if self.ideal is not None and self.ideal.Omega_distinct is not None:
            barycentric = m.to_frame("barycentric").samples
            assert barycentric is not None
            total = np.diagonal(barycentric[:count], axis1=1, axis2=2)
            found |= {"Omega_distinct": total - part, "self_share": part / total}
        return found

    def _of_unbounded(self, D: SelfDiffusion) -> dict[str, Any]:
        """Self-diffusion without the images of the box."""
        found: dict[str, Any] = {"D_plus": D.D[0], "D_minus": D.D[1], "standard_error": D.standard_error}
        if D.samples is not None:
            found |= {"D_plus_interval": _ends(D.samples[:, 0]), "D_minus_interval": _ends(D.samples[:, 1])}
        return found

    def _derived(self) -> dict[str, Any]:
        """Stefan-Maxwell coefficients and those of Wohde and Roling, with intervals; of the solvent frame only."""
        m, found = self.matrix, dict[str, Any]()
        if m.frame != "solvent":
            return {}
        if self.c_solvent > 0:
            friction = _friction(m.Omega, m, self.c_solvent)
            draws = {} if m.samples is None else _friction(m.samples, m, self.c_solvent)
            found["stefan_maxwell"] = {
                name: {"value": R * m.T / float(value)}
                | ({"RT_over_D": float(value), "RT_over_D_interval": _ends(draws[name])} if draws else {})
                for name, value in friction.items()
            }
        if abs(m.z[0] + m.z[1]) < 1e-9:
            value = m.wohde_roling()
            found["wohde_roling"] = {"alpha": value.alpha, "beta": value.beta}
            if m.samples is not None:
                pp, pm, mm = (m.samples[:, i, j] for i, j in ((0, 0), (0, 1), (1, 1)))
                found["wohde_roling"]["alpha_interval"] = _ends(1 - 2 * pm / (pp + mm))
                found["wohde_roling"]["beta_interval"] = _ends((pp - pm) / (mm - pm))
        return found

    def lines(self) -> list[str]:
        """What the command prints: coefficients with intervals, window, doubts."""
        m = self.matrix
        lines = [f"{self.title}: {m.c / 1000:.4g} mol/L, {m.T:g} K, {m.frame} frame"]
        errors = m.standard_errors
        for k, (name, i, j) in enumerate(_ELEMENTS):
            text = f"  Omega{name:<3} {m.Omega[i, j]:.4g} mol^2/(J m s)"
            if m.samples is not None:
                text += "  (95 %: {:.4g} to {:.4g})".format(*_ends(m.samples[:, i, j]))
            elif errors is not None:
                text += f"  (+- {errors[k]:.2g})"
            lines.append(text)
        t_plus = "t+0" if m.frame == "solvent" else "t+"
        shown_as = {"kappa": "kappa", "t_plus": t_plus, "rho_plus": "rho+", "newman_number": "Ne"}
        for key in _quantities(m):
            if key not in shown_as:
                continue
            text = f"  {shown_as[key]:<8} {getattr(m, key):.4g} {'S/m' if key == 'kappa' else ''}".rstrip()
            if m.samples is not None:
                low, high = m.interval(key)
                text += f"  (95 %: {low:.4g} to {high:.4g})"
            lines.append(text)
        if self.ideal is not None and self.self_diffusion is not None:
            D, draws = self.self_diffusion.D, self._ideal_draws()

            def within(name: str) -> str:
                return " ({:.4g} to {:.4g})".format(*_ends(draws[name])) if name in draws else ""

            lines.append(f"  self     D+ {D[0]:.4g}{within('D_plus')}, D- {D[1]:.4g}{within('D_minus')} m^2/s")
            if self.unbounded is not None:
                ends = self._of_unbounded(self.unbounded)
                plus, minus = (
                    f"{ends[key]:.4g}" + (" ({:.4g} to {:.4g})".format(*ends[f"{key}_interval"]) if draws else "")
                    for key in ("D_plus", "D_minus")
                )
                lines.append(
                    f"  no box   D+ {plus}, D- {minus} m^2/s in an unbounded liquid (Yeh and Hummer, cubic box)"
                )
            lines.append(f"  t_app    {self.ideal.t_app:.4g}{within('t_app')}")
            NE, ionicity = self.ideal.kappa_NE, self.ideal.ionicity
            lines.append(
                f"  NE       kappa_NE {NE:.4g}{within('kappa_NE')} S/m, ionicity {ionicity:.4g}{within('ionicity')}"
            )
        if self.estimate is not None:
            (low, high), origins = self.estimate.window, self.estimate.n_origins
            lines.append(f"  window   {low:.3g} to {high:.3g} s; {origins:.0f} independent origins")
            longer = self.estimate.length_for(0.05) / self.estimate.duration
            if longer > 1:
                lines.append(f"  longer   {longer:.2g} times as much simulation would give kappa to 5 %")
        if self.drift_velocity.size:
            speed = float(np.max(np.linalg.norm(self.drift_velocity, axis=1)))
            lines.append(f"  drift    {speed:.2g} m/s of the centre of mass, removed")
        return lines + [f"  note     {note}" for note in self.notes]

    def dataset(self) -> xr.Dataset:
        """All of it with units; dimensions ``ion``, ``ion_2``, ``pair``, ``pair_2``, ``sample`` and three of lags."""
        import xarray as xr

        m, omega = self.matrix, "mol^2/(J m s)"
        variables: dict[str, tuple[Any, ...]] = {}

        def put(name: str, dimensions: tuple[str, ...], values: Any, units: str, long_name: str) -> None:
            variables[name] = (dimensions, values, {"units": units, "long_name": long_name})

        coordinates = {
            "ion": list(_IONS),
            "ion_2": list(_IONS),
            "pair": list(PAIRS),
            "pair_2": list(PAIRS),
            "lag": ("lag", self.lag, {"units": "s"}),
        }
        put("Omega", ("ion", "ion_2"), m.Omega, omega, f"Onsager matrix, {m.frame} frame")
        put("correlation", ("lag", "ion", "ion_2"), self.correlations, "m^2", f"<dr_i . dr_j>, {m.frame} frame")
        if m.covariance is not None:
            put("covariance", ("pair", "pair_2"), m.covariance, f"({omega})^2", "covariance of Omega")
        if m.samples is not None:
            put("samples", ("sample", "ion", "ion_2"), m.samples, omega, "posterior samples of Omega")
        if self.self_part is not None:
            coordinates["self_lag"] = ("self_lag", self.self_part.lag, {"units": "s"})
            put("self_msd", ("self_lag", "ion"), self.self_part.msd, "m^2", "single particles, barycentric frame")
        exponent = self.estimate.local_exponent if self.estimate is not None else None
        if exponent is not None:
            coordinates["beta_lag"] = ("beta_lag", exponent.lag, {"units": "s"})
            put("beta", ("beta_lag", "pair"), exponent.beta, "1", "local exponent")
        fit = self.estimate.spectrum if self.estimate is not None else None
        if fit is not None:
            coordinates["frequency"] = ("frequency", fit.frequency, {"units": "1/s"})
            shape = ("frequency", "ion", "ion_2")
            coordinates["quantile"] = ("quantile", np.array(QUANTILES), {"units": "1"})
            model = band(fit.draws)
            put("spectrum", shape, fit.data, omega, f"current spectrum, {m.frame} frame")
            put("spectrum_amplitudes", ("frequency",), fit.dof, "1", "number of amplitudes averaged")
            put("spectrum_model", ("quantile", *shape), model, omega, "its model, posterior quantiles")
            kappa, t_plus = (band(each) for each in fit.at_frequencies(m.z))
            curve, of_m = ("quantile", "frequency"), f"transference number at a frequency, {m.frame} frame"
            put("conductivity_spectrum", curve, kappa, "S/m", "conductivity at a frequency, posterior quantiles")
            put("t_plus_spectrum", curve, t_plus, "1", of_m)
        over = self.over_lags()
        if over is not None:
            kappa, t_plus = band(over.kappa), band(over.t[..., 0])
            put("kappa_running", ("quantile", "lag"), kappa, "S/m", "apparent conductivity over a lag, quantiles")
            put("t_plus_running", ("quantile", "lag"), t_plus, "1", f"apparent t_+ over a lag, {m.frame} frame")
        if self.velocities is not None:
            more, axes = self.velocities.variables()
            variables |= more
            coordinates |= axes
        attributes = {
            "title": self.title,
            "z": np.array(m.z),
            "nu": np.array(m.nu),
            "c": m.c,
            "T": m.T,
            "frame": m.frame,
            "cation": self.names[0],
            "anion": self.names[1],
            "volume": self.volume,
            "summary": json.dumps(self.numbers()),
            "mdcoeffs": __version__,
        }
        if m.composition is not None:
            attributes["molar_masses"] = np.array(m.composition.molar_masses)
            attributes["solvent_density"] = m.composition.solvent_density
            if m.composition.partial_volumes is not None:
                attributes["partial_volumes"] = np.array(m.composition.partial_volumes)
        return xr.Dataset(variables, coordinates, attributes)

    def over_lags(self) -> Running | None:
        """Apparent conductivity and transference numbers over the lags of the correlations; None without a spectrum."""
        fit = self.estimate.spectrum if self.estimate is not None else None
        if fit is None:
            return None
        return running(fit, float(self.lag[0]), np.rint(self.lag / self.lag[0]), self.matrix.z)

    def tables(self) -> dict[str, Rows]:
        """None beside the summary and the dataset."""
        return {}

    def draw(self, path: Path) -> Path:
        """Correlations, beta(t), the window, the spectrum, and the posteriors of kappa, t+ and rho+ on one page."""
        m, estimate = self.matrix, self.estimate
        factor, unit = time_unit(float(self.lag[-1]))
        note = f"{m.frame} frame, {m.T:g} K, {m.c / 1000:.3g} mol/L"
        if estimate is not None:
            note += f", {estimate.n_replicas} replica(s), {estimate.n_origins:.0f} independent origins"
        note = ". ".join([note, "; ".join(self.notes)]) if self.notes else note
        over = self.over_lags()
        rows = 3 if over is None else 4
        with drawing(path, rows, 2, title=self.title, note=note, width=TWO_COLUMNS, height=2.4) as (_, axes):
            _correlations(axes[0], self, factor, unit)
            _exponent(axes[1], self, factor, unit)
            _spectrum(axes[2], self)
            name = r"$t_+^0$" if m.frame == "solvent" else r"$t_+$"
            _posterior(axes[3], m, "kappa", label(r"$\kappa$", "S m$^{-1}$"))
            _posterior(axes[4], m, "t_plus", f"{name} ({m.frame} frame)")
            _posterior(axes[5], m, "rho_plus", r"current fraction $\rho_+$")
            if over is not None:
                _over_lags(axes[6], self, over.kappa, m.kappa, factor, unit)
                axes[6].set_ylabel(label(r"$\kappa$", "S m$^{-1}$", "apparent"))
                _over_lags(axes[7], self, over.t[..., 0], m.t_plus, factor, unit)
                axes[7].set_ylabel(f"apparent {name} ({m.frame} frame)")
        return path


def open_result(path: str | Path) -> tuple[Path, xr.Dataset]:
    """The file ``onsager.nc`` at a path, or in the folder there, and what it holds."""
    path = Path(path)
    path = path / "onsager.nc" if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"{path}: no such Onsager result")
    return path, read_netcdf(path, what="an Onsager result of mdcoeffs")


def read_onsager(path: str | Path) -> OnsagerMatrix:
    """Read an Onsager matrix back.

    Parameters
    ----------
    path : str or Path
        ``onsager.nc``, or the folder that holds it.

    Returns
    -------
    OnsagerMatrix
        With covariance and samples where the file has them.

    Raises
    ------
    InputError
        No such file, or not an Onsager result.
    """
    path, data = open_result(path)
    if "species" in data.dims:
        raise InputError(
            f"{path} contains the matrix of all species ({', '.join(map(str, data['species'].values))}), not that of a "
            'binary salt; for one salt run mdcoeffs onsager with matrix = "salt" in [estimate]'
        )
    found: dict[str, Any] = {**{str(name): data[name].values for name in data.variables}, **data.attrs}
    where = str(path)
    shapes: dict[str, Shape] = {"Omega": (2, 2), "covariance": (3, 3), "samples": ("draws", 2, 2)}
    arrays: dict[str, Any] = {
        name: numbers(found, name, shape, where=where)
        for name, shape in shapes.items()
        if name == "Omega" or name in data
    }
    z, nu = (numbers(found, name, (2,), where=where).tolist() for name in ("z", "nu"))
    c, T = (numbers(found, name, (), where=where).item() for name in ("c", "T"))
    try:
        if "solvent_density" in found:
            density = numbers(found, "solvent_density", (), where=where).item()
            masses = numbers(found, "molar_masses", (2,), where=where)
            volumes = numbers(found, "partial_volumes", (2,), where=where) if "partial_volumes" in found else None
            both = None if volumes is None else tuple(volumes.tolist())
            arrays["composition"] = Composition(tuple(masses.tolist()), density, both)
        return OnsagerMatrix(z=tuple(z), nu=tuple(nu), c=c, T=T, frame=str(found.get("frame", "")), **arrays)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _ends(draws: Array) -> list[Any]:
    """Ends of the 95 % interval, one pair or a list of ends for each column."""
    ends: list[Any] = np.quantile(draws, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0).T.tolist()
    return ends


def _friction(Omega: Array, m: OnsagerMatrix, c_solvent: float) -> dict[str, Array]:
    """RT over the Stefan-Maxwell coefficients of matrices (..., 2, 2), by name [J s/m^2]."""
    K = friction(Omega, m.c_ions, c_solvent)
    return {"D_plus_0": K[..., 0, 2], "D_minus_0": K[..., 1, 2], "D_plus_minus": K[..., 0, 1]}


def _by_pair(M: Array) -> dict[str, float]:
    return {name: float(M[i, j]) for name, (_, i, j) in zip(PAIRS, _ELEMENTS, strict=True)}


def _quantities(m: OnsagerMatrix) -> list[str]:
    return ["kappa", "t_plus", "t_minus"] + (["rho_plus", "newman_number"] if m.frame == "solvent" else [])


def _quantity(m: OnsagerMatrix, name: str) -> dict[str, Any]:
    value = {"value": float(getattr(m, name))}
    if m.samples is None:
        return value
    return value | {"interval": m.interval(name, LEVEL), "standard_error": m.standard_error(name)}


# ---- the figure -----------------------------------------------------------------------------------------------------


def _window(axes: Axes, result: OnsagerResult, factor: float) -> None:
    source = result.estimate or result.slopes
    if source is None:
        return
    low, high = (min(max(v * factor, axes.get_xlim()[0]), axes.get_xlim()[1]) for v in source.window)
    axes.axvspan(low, high, color=GREY, alpha=0.15, linewidth=0, zorder=0)


def _correlations(axes: Axes, result: OnsagerResult, factor: float, unit: str) -> None:
    lag = result.lag * factor
    shown = lag <= lag[-1] / 4 if result.slopes is None else np.ones(lag.size, dtype=bool)
    scale = 1e20 / sum(result.counts)
    for k, (name, i, j) in enumerate(_ELEMENTS):
        C = result.correlations[:, i, j] * scale
        sign = np.sign(np.median(C[shown]))
        text = rf"$\langle\Delta r_{name[0]}\cdot\Delta r_{name[1]}\rangle$" + (" × (−1)" if sign < 0 else "")
        good = shown & (sign * C > 0)
        axes.loglog(lag[good], sign * C[good], color=COLOURS[k], linestyle=DASHES[k], label=text)
    if result.self_part is not None:
        own = result.self_part
        inside = (own.lag > 0) & (own.lag * factor <= lag[shown][-1])
        for k, ion in enumerate("+-"):
            C, look = own.msd[inside, k] * own.counts[k] * scale, {"color": GREY, "linewidth": 0.8}
            axes.loglog(own.lag[inside] * factor, C, linestyle=DASHES[2 * k], label=f"self {ion}", **look)
    low = np.abs(result.correlations[shown][:, [0, 1], [0, 1]]).min() * scale
    axes.set_ylim(bottom=low / 30)
    axes.set_xlabel(label("$t$", unit, "lag"))
    axes.set_ylabel(label("", "Å²", "correlation per ion"))
    _window(axes, result, factor)
    axes.legend(ncols=1)


def _exponent(axes: Axes, result: OnsagerResult, factor: float, unit: str) -> None:
    axes.set_xlabel(label("$t$", unit, "lag"))
    axes.set_ylabel(label(r"$\beta$", "", "local exponent"))
    axes.set_ylim(0, 2)
    axes.set_xscale("log")
    axes.axhline(1.0, color=GREY, linestyle=":", linewidth=0.9, zorder=1)
    axes.axhspan(1 - EXPONENT_RULE, 1 + EXPONENT_RULE, color=COLOURS[4], alpha=0.2, linewidth=0, zorder=0)
    exponent = result.estimate.local_exponent if result.estimate is not None else None
    first = result.lag[0] if exponent is None else exponent.lag[0]
    axes.set_xlim(first * factor, result.lag[-1] * factor / (1 if exponent is None else 4))
    _window(axes, result, factor)
    for k, (name, i, j) in enumerate(_ELEMENTS):
        look: dict[str, Any] = {"color": COLOURS[k], "linestyle": DASHES[k], "label": name}
        if exponent is not None:
            axes.plot(exponent.lag * factor, exponent.beta[:, k], **look)
        elif result.slopes is not None:
            axes.plot(np.array(result.slopes.window) * factor, [result.slopes.exponent[i, j]] * 2, **look)
    if result.estimate is not None:
        axes.set_title(f"window from {result.estimate.window[0] * factor:.3g} {unit} (grey)", loc="right")
    if exponent is not None or result.slopes is not None:
        axes.legend(ncols=3, loc="upper center")


def _spectrum(axes: Axes, result: OnsagerResult) -> None:
    """What the plateau is read from: the spectrum over its low-frequency limit, of the charge and of both ions."""
    fit = result.estimate.spectrum if result.estimate is not None else None
    if fit is None:
        axes.set_axis_off()
        _mark(axes, "no spectrum: the window was given, or slopes were read")
        return
    m, z = result.matrix, np.array(result.matrix.z, dtype=float)
    factor, unit = (1e-9, "GHz") if fit.frequency[-1] < 1e12 else (1e-12, "THz")
    f = fit.frequency * factor
    pairs: tuple[tuple[str, Array], ...] = (
        (r"$\kappa$", np.outer(z, z)),
        ("++", np.diag([1.0, 0.0])),
        ("--", np.diag([0.0, 1.0])),
    )
    for k, (name, weight) in enumerate(pairs):
        limit = float(np.sum(weight * m.Omega))
        values = np.einsum("ij,kij->k", weight, fit.data) / limit
        model = band(np.einsum("ij,dkij->dk", weight, fit.draws)) / limit
        axes.plot(f, values, ".", color=COLOURS[k], markersize=2.5, alpha=0.6)
        axes.plot(f, model[1], color=COLOURS[k], linestyle=DASHES[k], label=name)
        if k == 0:
            axes.fill_between(f, model[0], model[2], color=COLOURS[k], alpha=0.2, linewidth=0)
    axes.axhline(1.0, color=GREY, linestyle=":", linewidth=0.9, zorder=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(label("$f$", unit, "frequency"))
    axes.set_ylabel("spectrum over its limit")
    axes.legend(ncols=3)


def _over_lags(axes: Axes, result: OnsagerResult, draws: Array, limit: float, factor: float, unit: str) -> None:
    """An apparent coefficient against the lag with its 95 % band, and where it ends."""
    low, middle, high = band(draws)
    axes.plot(result.lag * factor, middle, color=COLOURS[0])
    axes.fill_between(result.lag * factor, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.axhline(limit, color=GREY, linestyle=":", linewidth=0.9, zorder=1)
    axes.set_xscale("log")
    axes.set_xlabel(label("$t$", unit, "lag"))
    _window(axes, result, factor)


def _posterior(axes: Axes, m: OnsagerMatrix, name: str, text: str) -> None:
    axes.set_xlabel(text)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if name == "rho_plus" and m.frame != "solvent":
        _mark(axes, "defined in the solvent frame only")
        return
    value = float(getattr(m, name))
    axes.axvline(value, color=COLOURS[0])
    if m.samples is None:
        _mark(axes, f"{value:.3g}; no posterior")
        return
    draws = m.draws(name)
    low, high = m.interval(name)
    span = np.quantile(draws, [0.002, 0.998])
    axes.hist(draws, bins=61, range=(float(span[0]), float(span[1])), color=COLOURS[5], density=True)
    for end in (low, high):
        axes.axvline(end, color=COLOURS[0], linestyle=":")
    axes.set_ylabel("posterior")
    axes.set_title(f"{value:.3g}, 95 %: {low:.3g} to {high:.3g}", loc="right")


def _mark(axes: Axes, text: str) -> None:
    """A few words in the upper left corner of a panel."""
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(text, (0.0, 1.0), xytext=(3, -3), ha="left", va="top", **place)
