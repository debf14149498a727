"""A mobility analysis: in numbers and words, as dataset (``mobility.nc``) and ``table.csv``, and as a figure.

The figure shows displacements and angles as in Siegel 2021, Fig. 2, and the cage as in Fig. 4.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsim.base import __version__
from cellsim.drawing.figstyle import COLOURS, DASHES, GREY, MARKERS, TWO_COLUMNS, drawing, label, time_unit
from cellsim.files.writing import Rows, plain
from mdcoeffs.mobility.bottleneck import Opening
from mdcoeffs.mobility.cooperative import Cooperation
from mdcoeffs.mobility.paddlewheel import Response
from mdcoeffs.mobility.rotation import Relaxation
from mdcoeffs.mobility.settings import Friction
from mdcoeffs.mobility.translation import Exponent, FrictionFit, SegmentFit
from mdcoeffs.mobility.vibration import Vibration
from mdcoeffs.statistics.lagged import Lagged, LaggedEstimate

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

SHELL = 0.9
"""M from here on is a shell, below it a cage: the paper names 1 for liquids, 0.5 for polymers, 0 for solids."""
COLUMNS = ("System", "Entity", "Solvation structure", "Mobility order parameter", "Conductivity (S/cm)")


@dataclass(frozen=True, eq=False)
class Mover:
    """Translation of one species, or of chosen atoms.

    Parameters
    ----------
    name : str
        Name.
    what : str
        ``"molecules"`` (centres of mass) or ``"atoms"``.
    count : int
        Particles, in one replica.
    msd : Lagged
        Squared displacements [m^2].
    law : Exponent
        Their power law.
    M : LaggedEstimate, optional
        Mobility order parameter; None for the cation itself [1].
    D : LaggedEstimate
        Self-diffusion coefficient, the mean square over 6 t at the end of the window; says something only
        where the exponent is 1 [m^2/s].
    """

    name: str
    what: str
    count: int
    msd: Lagged
    law: Exponent
    M: LaggedEstimate | None
    D: LaggedEstimate

    @property
    def structure(self) -> str:
        """Whether it makes a shell that goes with the ion or a cage that stays.

        ``"shell"``, ``"cage"``, or ``"undecided"`` where the 95 % interval of M holds `SHELL`.
        """
        if self.M is None or not math.isfinite(self.M.error):
            return "undecided"
        low, high = self.M.interval()
        return "shell" if low >= SHELL else "cage" if high < SHELL else "undecided"

    def summary(self) -> dict[str, Any]:
        """For ``summary.json``."""
        entry = {"what": self.what, "count": self.count, **_law(self.law), "D": self.D.numbers()}
        return entry if self.M is None else entry | {"M": self.M.numbers(), "structure": self.structure}


@dataclass(frozen=True, eq=False)
class Turner:
    """Rotation of one kind of axis.

    Parameters
    ----------
    name : str
        Name.
    count : int
        Axes, in one replica.
    msad : Lagged
        Squared unwrapped angles [rad^2].
    law : Exponent
        Their power law.
    M : LaggedEstimate
        Rotational order parameter M_theta [1].
    correlations : tuple of Lagged
        Autocorrelations C_1 and C_2 [1].
    relaxations : tuple of Relaxation
        Their relaxation times.
    step : float
        Root mean square angle between two snapshots [rad].
    """

    name: str
    count: int
    msad: Lagged
    law: Exponent
    M: LaggedEstimate
    correlations: tuple[Lagged, Lagged]
    relaxations: tuple[Relaxation, Relaxation]
    step: float

    def summary(self) -> dict[str, Any]:
        """For ``summary.json``."""
        tau_1, tau_2 = (_tau(fit) for fit in self.relaxations)
        M_theta = self.M.numbers()
        entry = {"axes": self.count, **_law(self.law), "M_theta": M_theta, "step": self.step}
        return entry | {"tau_1": tau_1, "tau_2": tau_2}


@dataclass(frozen=True, eq=False)
class MobilityResult:
    """What ``mdcoeffs mobility`` reports.

    Parameters
    ----------
    title : str
        From the SPECIES.toml.
    temperature : float
        Temperature [K].
    cation : str
        The working ion.
    window : tuple of float
        First and last lag of the power laws [s].
    movers : tuple of Mover
        Species in the order of the file, then chosen atoms.
    turners : tuple of Turner
        Rotors.
    response : Response, optional
        Paddle-wheel.
    jumps : int, optional
        Jumps found, whether counted in the response or not.
    bjerrum : float, optional
        Bjerrum length [m].
    conductivity : float, optional
        As given, for the table [S/m].
    friction : FrictionFit, optional
        kappa = A r exp(-r / r_star).
    friction_data : Friction, optional
        The conductivities behind it.
    segments : tuple of SegmentFit and FrictionFit, optional
        Friction from the displacements of segments, and kappa = A r exp(-r / r_star) with its r_star.
    frames : tuple of int
        Snapshots of each replica.
    interval : float
        Time between snapshots [s].
    notes : tuple of str
        What the user must know.
    opening : Opening, optional
        Bottleneck: windows that jumps lead through.
    together : Cooperation, optional
        Jumps of neighbours that coincide.
    vibrations : tuple of Vibration
        Power spectra of velocities.
    """

    title: str
    temperature: float
    cation: str
    window: tuple[float, float]
    movers: tuple[Mover, ...]
    turners: tuple[Turner, ...]
    response: Response | None
    jumps: int | None
    bjerrum: float | None
    conductivity: float | None
    friction: FrictionFit | None
    friction_data: Friction | None
    segments: tuple[SegmentFit, FrictionFit] | None
    frames: tuple[int, ...]
    interval: float
    notes: tuple[str, ...]
    opening: Opening | None = None
    together: Cooperation | None = None
    vibrations: tuple[Vibration, ...] = ()

    def numbers(self) -> dict[str, Any]:
        """What ``summary.json`` holds; SI."""
        numbers: dict[str, Any] = {
            "title": self.title,
            "temperature": self.temperature,
            "cation": self.cation,
            "window": self.window,
            "frames": self.frames,
            "frame_interval": self.interval,
            "translation": {mover.name: mover.summary() for mover in self.movers},
            "rotation": {turner.name: turner.summary() for turner in self.turners},
            "bjerrum_length": self.bjerrum,
            "conductivity": self.conductivity,
            "notes": self.notes,
            "mdcoeffs": __version__,
        }
        if self.jumps is not None:
            numbers["paddlewheel"] = {"jumps": self.jumps}
        if self.response is not None:
            numbers["paddlewheel"] |= self.response.summary()
        if self.opening is not None:
            numbers["bottleneck"] = self.opening.summary()
        if self.together is not None:
            numbers["cooperative"] = self.together.summary()
        if self.vibrations:
            numbers["vibrations"] = {each.name: each.summary() for each in self.vibrations}
        if self.friction is not None:
            numbers["friction"] = dict(vars(self.friction))
        if self.segments is not None:
            numbers["friction"] |= {"segments": {**vars(self.segments[0]), "conductivity": vars(self.segments[1])}}
        ready: dict[str, Any] = plain(numbers)
        return ready

    def lines(self) -> list[str]:
        """What the command prints: exponents, order parameters, relaxation times, doubts."""
        low, high = self.window
        lines = [f"{self.title}: {self.temperature:g} K, window {low:.3g} to {high:.3g} s"]
        for m in self.movers:
            M = "" if m.M is None else f", M {_short(m.M)}: {m.structure}"
            lines.append(f"  {m.name:<10} alpha {_short(m.law.alpha)}{M}")
        for t in self.turners:
            text = f"  {t.name:<10} alpha_theta {_short(t.law.alpha)}, M_theta {_short(t.M)}"
            for fit in t.relaxations:
                if math.isfinite(fit.tau):
                    text += f", tau_{fit.order} {fit.tau:.3g} +- {fit.error:.2g} s"
            lines.append(text)
        if self.response is not None:
            r = self.response
            text = f"no response of the cage beyond chance ({r.chance:.2g})"
            if r.coupled:
                text = f"cage turns {np.degrees(r.peak.value):.2g} degrees above average, {_short(r.lead, 1e12)} ps "
                text += f"after the jump; by chance {r.chance:.2g}"
            lines.append(f"  paddlewheel: {r.events} jumps, {text}")
        if self.opening is not None:
            lines.append(_passage(self.opening))
        if self.together is not None:
            lines.append(_cooperation(self.together))
        lines += [_spectrum(each) for each in self.vibrations]
        if self.bjerrum is not None:
            lines.append(f"  Bjerrum length {self.bjerrum * 1e9:.3g} nm")
        if self.friction is not None:
            f, (of_A, of_r) = self.friction, np.sqrt(np.diag(self.friction.covariance))
            lines.append(f"  kappa = A r exp(-r/r*): A {f.A:.3g} +- {of_A:.2g} S/m, r* {f.r_star:.3g} +- {of_r:.2g}")
            if self.segments is not None:
                s, k = self.segments
                apart = (s.r_star - f.r_star) / math.hypot(s.error, of_r)
                lines.append(
                    f"  friction of the segments: r* {s.r_star:.3g} +- {s.error:.2g}, {apart:+.1f} standard errors "
                    f"from that of kappa; with it A {k.A:.3g} +- {math.sqrt(k.covariance[0, 0]):.2g} S/m"
                )
        return lines + [f"  note     {note}" for note in self.notes]

    def dataset(self) -> xr.Dataset:
        """All curves; dimensions ``lag``, ``entity``, ``rotor``, ``order``, ``delay``, ``passage``,
        ``apart``, ``vibrating``, ``frequency``; every curve with its error."""
        import xarray as xr

        variables: dict[str, Any] = {}

        def put(name: str, dims: tuple[str, ...], values: Any, errors: Any, unit: str, long_name: str) -> None:
            variables[name] = (dims, np.array(values), {"units": unit, "long_name": long_name})
            variables[f"{name}_error"] = (dims, np.array(errors), {"units": unit, "long_name": "its standard error"})

        def put_lagged(name: str, dimension: str, curves: Sequence[Lagged], unit: str, long_name: str) -> None:
            means, errors = [c.mean for c in curves], [c.standard_error() for c in curves]
            put(name, (dimension, "lag"), means, errors, unit, long_name)

        movers, turners = self.movers, self.turners
        coordinates: dict[str, Any] = {"lag": ("lag", movers[0].msd.lag, {"units": "s"})}
        coordinates["entity"] = [mover.name for mover in movers]
        put_lagged("msd", "entity", [mover.msd for mover in movers], "m^2", "mean-squared displacement")
        if turners:
            coordinates |= {"rotor": [turner.name for turner in turners], "order": [1, 2]}
            put_lagged("msad", "rotor", [turner.msad for turner in turners], "rad^2", "mean-squared unwrapped angle")
            C = [[order.mean for order in turner.correlations] for turner in turners]
            errors = [[order.standard_error() for order in turner.correlations] for turner in turners]
            put("correlation", ("rotor", "order", "lag"), C, errors, "1", "orientational autocorrelation")
        if self.response is not None:
            r, text = self.response, "reorientation of the cage after a jump, above average"
            coordinates["delay"] = ("delay", r.delay, {"units": "s"})
            put("excess", ("delay",), r.excess, r.error, "rad", text)
        if self.opening is not None:
            r, text = self.opening.response, "area of the window of a jump, above average"
            coordinates["passage"] = ("passage", r.delay, {"units": "s"})
            put("opening", ("passage",), r.excess, r.error, "m^2", text)
        if self.vibrations:
            f = self.vibrations[0].spectrum.lag
            coordinates |= {
                "vibrating": [each.name for each in self.vibrations],
                "frequency": ("frequency", f, {"units": "Hz"}),
            }
            g = np.array([each.density for each in self.vibrations])
            put("density_of_states", ("vibrating", "frequency"), g[:, 0], g[:, 1], "s", "density of states")
            squares = [each.mean_square for each in self.vibrations]
            text = "mean-squared velocity, m^2/s^2, of axes 1/s^2"
            variables["mean_square_velocity"] = ("vibrating", squares, {"long_name": text})
        if self.together is not None:
            of, text = self.together, "jumps of neighbours over those of independent cations"
            coordinates["apart"] = ("apart", of.delay, {"units": "s"})
            put("jump_correlation", ("apart",), of.correlation, of.error, "1", text)
        attributes = {"title": self.title, "summary": json.dumps(self.numbers()), "mdcoeffs": __version__}
        return xr.Dataset(variables, coordinates, attributes)

    def tables(self) -> dict[str, Rows]:
        """A table like that of Siegel 2021, Table 1: one row for every entity beside the cation."""
        system = f"{self.title}, {self.temperature:g} K"
        kappa = "" if self.conductivity is None else f"{self.conductivity / 100:.2g}"
        rows: list[tuple[str, ...]] = [COLUMNS]
        rows += [(system, m.name, m.structure, f"M = {_short(m.M)}", kappa) for m in self.movers if m.M is not None]
        rows += [(system, t.name, "", f"M_theta = {_short(t.M)}", kappa) for t in self.turners]
        return {"table.csv": rows}

    def draw(self, path: Path) -> Path:
        """Mean squares with their power laws, autocorrelations, and the response of the cage."""
        factor, unit = time_unit(float(self.movers[0].msd.lag[-1]))
        asked = (self.response, self.opening, self.together, self.friction)
        panels = 1 + 2 * bool(self.turners) + sum(each is not None for each in asked) + bool(self.vibrations)
        columns = 1 if panels == 1 else 2
        note = f"{self.temperature:g} K; window in grey, dashed: fitted power laws; bands, bars: one standard error"
        note = ". ".join([note, "; ".join(self.notes)]) if self.notes else note
        size = {"width": TWO_COLUMNS if columns == 2 else 4.5, "height": 2.5}
        with drawing(path, -(-panels // columns), columns, title=self.title, note=note, **size) as (_, axes):
            for spare in axes[panels:]:
                spare.remove()
            free = iter(axes)
            moved = next(free)
            _laws(moved, self, [(m.name, m.msd, m.law) for m in self.movers], r"\alpha", 1e20)
            moved.set_ylabel(label(r"$\langle\Delta r_i^2\rangle$", "Å²"))
            if self.turners:
                turned = next(free)
                _laws(turned, self, [(t.name, t.msad, t.law) for t in self.turners], r"\alpha_\theta", 1.0)
                turned.set_ylabel(label(r"$\langle\Delta\theta_i^2\rangle$", "rad²"))
                _decay(next(free), self, factor, unit)
            if self.response is not None:
                _around(next(free), self.response, 180 / np.pi, "turn of the cage above average", "°")
            if self.opening is not None:
                r = self.opening.response
                _around(next(free), r, 1e20, f"area of the window above {r.baseline * 1e20:.3g} Å²", "Å²")
            if self.together is not None:
                _pairs(next(free), self.together)
            if self.vibrations:
                _spectra(next(free), self.vibrations)
            if self.friction is not None and self.friction_data is not None:
                _conductivity(next(free), self.friction, self.friction_data, self.segments)
        return path


def _short(estimate: LaggedEstimate | None, scale: float = 1.0) -> str:
    if estimate is None or not math.isfinite(estimate.value):
        return "unknown"
    value, error = scale * estimate.value, scale * estimate.error
    if not math.isfinite(error):
        return f"{value:.3g} (no error)"
    digits = 2 if error == 0 else max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} +- {error:.{digits}f}"


def _passage(found: Opening) -> str:
    r, relative = found.response, found.relative
    low, high = relative.interval()
    text = (
        f"  bottleneck: {r.events} of {found.jumps} jumps through {found.windows} windows of {r.baseline * 1e20:.3g} "
    )
    text += f"angstrom^2; {100 * relative.value:+.3g} % ({100 * low:.3g} to {100 * high:.3g}) at the jump, "
    return text + (f"widest by chance {r.chance:.2g}" if r.coupled else f"no wider than by chance ({r.chance:.2g})")


def _cooperation(found: Cooperation) -> str:
    value, low, high = found.ratio
    text = (
        f"  cooperative: {found.coincidences} jumps of neighbours within {found.window * 1e12:.3g} ps of {found.jumps} "
    )
    text += f"jumps, {value:.3g} ({low:.3g} to {high:.3g}) times those of independent cations"
    text += (
        f", by chance {found.chance:.2g}; " if found.together else f", no more than by chance ({found.chance:.2g}); "
    )
    return text + f"{100 * found.share:.3g} % of the jumps are cooperative, {100 * found.by_chance:.3g} % by chance"


def _spectrum(found: Vibration) -> str:
    text = "no peak that is resolved" if math.isnan(found.peak.value) else f"peak {_short(found.peak, 1e-12)} THz"
    if found.kinetic is not None:
        text += f", the frames resolve {100 * found.kinetic:.3g} % of the kinetic energy"
    return f"  vibration of {found.name}: {text}"


def _law(law: Exponent) -> dict[str, Any]:
    return {"alpha": law.alpha.numbers(), "prefactor": law.prefactor}


def _tau(fit: Relaxation) -> dict[str, Any]:
    if not math.isfinite(fit.tau):
        return {"value": None, "longest_lag": fit.longest}
    return {"value": fit.tau, "standard_error": fit.error, "interval": list(fit.interval()), "misfit": fit.misfit}


# ---- the figure -----------------------------------------------------------------------------------------------------


def _laws(
    axes: Axes, result: MobilityResult, curves: Sequence[tuple[str, Lagged, Exponent]], symbol: str, scale: float
) -> None:
    factor, unit = time_unit(float(curves[0][1].lag[-1]))
    window = np.array(result.window)
    for k, (name, mean_square, law) in enumerate(curves):
        t, y, error = mean_square.lag * factor, mean_square.mean * scale, mean_square.standard_error() * scale
        alpha, colour = law.alpha.value, COLOURS[k % len(COLOURS)]
        look: dict[str, Any] = {
            "color": colour,
            "linestyle": "",
            "marker": MARKERS[k % len(MARKERS)],
            "markersize": 2.5,
        }
        axes.plot(t, y, label=rf"{name}: ${symbol} = {alpha:.2f}$", **look)
        axes.fill_between(t, np.maximum(y - error, 1e-3 * y), y + error, color=colour, alpha=0.2, linewidth=0)
        fitted = law.prefactor * window**alpha * scale
        axes.plot(window * factor, fitted, color=colour, linestyle="--", linewidth=1.0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axvspan(*(window * factor), color=GREY, alpha=0.15, linewidth=0, zorder=0)
    axes.set_xlabel(label("$t$", unit))
    axes.legend()


def _decay(axes: Axes, result: MobilityResult, factor: float, unit: str) -> None:
    for k, turner in enumerate(result.turners):
        colour = COLOURS[k % len(COLOURS)]
        for order, (C, fit) in enumerate(zip(turner.correlations, turner.relaxations, strict=True), start=1):
            look: dict[str, Any] = {"color": colour, "marker": MARKERS[order - 1], "markersize": 2.5, "linestyle": ""}
            look |= {"markerfacecolor": colour if order == 1 else "none", "label": f"{turner.name}: $C_{order}$"}
            axes.errorbar(C.lag * factor, C.mean, C.standard_error(), elinewidth=0.6, **look)
            if np.isfinite(fit.tau):
                x = np.geomspace(C.lag[0], fit.longest, 100)
                axes.plot(x * factor, np.exp(-x / fit.tau), color=colour, linestyle=DASHES[order])
    axes.set_xscale("log")
    axes.set_xlabel(label("$t$", unit))
    axes.set_ylabel(r"orientational autocorrelation $C_l$")
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    axes.legend()


def _around(axes: Axes, r: Response, scale: float, what: str, of: str) -> None:
    """An average around the time of a jump."""
    factor, unit = time_unit(float(r.delay[-1]))
    t, y, error = r.delay * factor, scale * r.excess, scale * r.error
    axes.fill_between(t, y - error, y + error, color=COLOURS[0], alpha=0.25, linewidth=0)
    axes.plot(t, y, color=COLOURS[0])
    axes.axvline(0.0, color=GREY, linestyle=":", linewidth=0.9)
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    axes.set_xlabel(label("time after the jump", unit))
    axes.set_ylabel(label(what, of))
    verdict = "not due to chance" if r.coupled else "may be due to chance"
    axes.set_title(f"{r.events} jumps; {verdict} (p = {r.chance:.2g})", loc="right")


def _pairs(axes: Axes, found: Cooperation) -> None:
    """How often neighbours jump a time apart, over chance."""
    factor, unit = time_unit(float(found.delay[-1]))
    half = 0.5 * (found.delay[1] - found.delay[0]) * factor
    look: dict[str, Any] = {"color": COLOURS[0], "marker": "o", "markersize": 3, "linestyle": "", "elinewidth": 0.8}
    axes.errorbar(found.delay * factor, found.correlation, found.error, xerr=half, **look)
    axes.axhline(1.0, color=GREY, linewidth=0.8, linestyle="--")
    axes.axvspan(-found.window * factor, found.window * factor, color=GREY, alpha=0.15, linewidth=0, zorder=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(label("time between jumps of neighbours", unit))
    axes.set_ylabel("jumps over those by chance, $G$")
    verdict = "not due to chance" if found.together else "may be due to chance"
    axes.set_title(f"{found.jumps} jumps; {verdict} (p = {found.chance:.2g})", loc="right")


def _spectra(axes: Axes, vibrations: Sequence[Vibration]) -> None:
    """Densities of states."""
    for k, each in enumerate(vibrations):
        f, (g, error), colour = each.spectrum.lag * 1e-12, each.density, COLOURS[k % len(COLOURS)]
        axes.plot(f, g * 1e12, color=colour, linestyle=DASHES[k % len(DASHES)], label=each.name)
        axes.fill_between(f, (g - error) * 1e12, (g + error) * 1e12, color=colour, alpha=0.2, linewidth=0)
    axes.set_xlim(0, f[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(label("frequency", "THz"))
    axes.set_ylabel(label("density of states $g$", "ps"))
    axes.legend()


def _conductivity(
    axes: Axes, fit: FrictionFit, data: Friction, segments: tuple[SegmentFit, FrictionFit] | None
) -> None:
    r = np.array(data.r)
    error = None if data.error is None else 10 * np.array(data.error)
    look: dict[str, Any] = {"color": COLOURS[6], "marker": "o", "markerfacecolor": "none", "linestyle": ""}
    axes.errorbar(r, 10 * np.array(data.kappa), error, label="data", **look)
    x = np.linspace(0, 1.05 * r.max(), 200)
    axes.plot(x, 10 * fit.kappa(x), color=COLOURS[0], label=rf"$A\,r\,e^{{-r/r^*}}$, $r^* = {fit.r_star:.3g}$")
    if segments is not None:
        text = rf"$r^* = {segments[0].r_star:.3g}$ of segments"
        axes.plot(x, 10 * segments[1].kappa(x), color=COLOURS[1], linestyle="--", label=text)
    axes.set_xlabel("$r$")
    axes.set_ylabel(label(r"$\kappa$", "mS/cm"))
    axes.set_ylim(bottom=0)
    axes.legend()
