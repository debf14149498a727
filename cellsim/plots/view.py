"""What the figures of a run show: times, positions, units, notes and data to overlay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cellsim import figstyle
from cellsim.solution import FRAMES, Solution

if TYPE_CHECKING:
    from cellsim.case import Case
    from cellsim.readers.measured import Measured

Array = NDArray[np.float64]

ANGSTROM = 1e10
CURRENT = "A m$^{-2}$"
SPEED = "Å s$^{-1}$"
CONCENTRATION = "mol L$^{-1}$"


@dataclass(frozen=True)
class View:
    """A solution and how to show it.

    Parameters
    ----------
    solution : Solution
        The run.
    title, note : str
        Above and below every figure.
    origin : float
        Distance of the origin of positions from the positive interface at t = 0 [m].
    origin_name : str
        In words.
    time_scale, time_unit
        Seconds in one unit of the time axis, and its name.
    profile_times : tuple of float
        When profiles are drawn [s].
    positions : tuple of float
        Where v(t) is drawn: distance from the positive interface at t = 0, fixed in the lab [m].
    measured : tuple of Measured
        Data to overlay.
    """

    solution: Solution
    title: str = ""
    note: str = ""
    origin: float = 0.0
    origin_name: str = "positive interface"
    time_scale: float = 60.0
    time_unit: str = "min"
    profile_times: tuple[float, ...] = ()
    positions: tuple[float, ...] = ()
    measured: tuple[Measured, ...] = ()

    @property
    def time(self) -> Array:
        """Times of the run in the unit of the axis."""
        return self.solution["time"] / self.time_scale

    @property
    def time_label(self) -> str:
        """Label of a time axis."""
        return figstyle.label("$t$", self.time_unit, "time")

    @property
    def position_label(self) -> str:
        """Label of a position axis."""
        return figstyle.label("$x$", self.length_unit, f"from {self.origin_name},")

    @property
    def length_unit(self) -> str:
        """Unit of positions: mm, or µm in a thin cell."""
        return "mm" if self.solution["thickness"][0] > 0.5e-3 else "µm"

    def along(self, x: Array | float) -> Any:
        """Distances from the positive interface [m] -> positions on the axis, in its unit."""
        return (np.asarray(x, dtype=float) - self.origin) * (1e3 if self.length_unit == "mm" else 1e6)

    def at_time(self, name: str, time: float) -> Array:
        """A variable at `time` [s], linear between the kept states; velocities in the interface frame [SI]."""
        values = self.solution[name]
        values = values[FRAMES.index("interface")] if values.ndim == 3 else values
        k = int(np.clip(np.searchsorted(self.solution["time"], time), 1, values.shape[0] - 1))
        t0, t1 = self.solution["time"][k - 1 : k + 1]
        w = float(np.clip((time - t0) / (t1 - t0), 0.0, 1.0))
        return np.asarray((1 - w) * values[k - 1] + w * values[k])

    def of_kind(self, kind: str) -> list[Measured]:
        """The overlays of one kind."""
        return [data for data in self.measured if data.kind == kind]


def make_view(solution: Solution, case: Case | None = None) -> View:
    """Decide what the figures of a run show.

    Parameters
    ----------
    solution : Solution
        The run.
    case : Case, optional
        Its case: title, origin of positions, times, positions and data to overlay.

    Returns
    -------
    View
    """
    attributes = solution.attributes
    end = float(solution["time"][-1])
    scale, unit = (1.0, "s") if end < 300 else (60.0, "min") if end <= 50 * 3600 else (3600.0, "h")
    thickness = float(solution["thickness"][0])
    view = View(
        solution,
        title=str(attributes.get("transport", "")),
        note=_note(solution),
        time_scale=scale,
        time_unit=unit,
        profile_times=_default_times(solution),
        positions=tuple(thickness * f for f in (0.2, 0.35, 0.5, 0.65, 0.8)),
    )
    if case is None:
        return view
    chosen = tuple(t for t in case.output.profiles_at if t <= end * (1 + 1e-9))
    if case.output.profiles_at and len(chosen) < len(case.output.profiles_at):
        chosen = (*chosen, end)  # the run ended early: its last state is what there is to see
    centre = case.cell.position_origin == "centre"
    return replace(
        view,
        title=case.title,
        origin=case.cell.from_origin(0.0),
        origin_name="cell centre" if centre else "positive interface",
        profile_times=chosen or view.profile_times,
        positions=case.output.positions or view.positions,
        measured=(*case.measured, *_not_imposed(solution, case)),
    )


def _default_times(solution: Solution) -> tuple[float, ...]:
    """Five times spread over one step as diffusion spreads them; the start and the end of each of several steps."""
    end = float(solution["time"][-1])
    if len(solution.log) < 2:
        return tuple(end * fraction for fraction in (0.0, 0.03, 0.1, 0.3, 1.0))
    times = {0.0}
    for entry in solution.log:
        start, stop = float(entry["t_start"]), float(entry["t_end"])
        times |= {stop} if len(solution.log) > 3 else {start + 0.05 * (stop - start), stop}
    return tuple(sorted(times))[:7]


def _note(solution: Solution) -> str:
    attributes, parts = solution.attributes, []
    status = attributes.get("transport_status", "measured")
    if status != "measured":
        text = f"Transport set {attributes.get('transport', '')}: {str(status).upper()}"
        parts.append(f"{text}, {attributes['transport_note']}" if attributes.get("transport_note") else text)
    if attributes.get("clamped"):
        parts.append("Properties held at the ends of their range where the run left it")
    if not solution.succeeded:
        parts.append(f"Run ended early ({solution.status}): {solution.message}")
    return ". ".join(part.rstrip(".") for part in parts) + ("." if parts else "")


def _not_imposed(solution: Solution, case: Case) -> list[Measured]:
    """The measured drive that a following step did not impose, as data to overlay."""
    from cellsim.readers.measured import Measured

    found = []
    for entry in solution.log:
        step = case.protocol.steps[int(entry["index"])]
        if step.measured_other is not None:
            time, value = step.measured_other
            kind = "voltage" if step.drive == "current" else "current"
            found.append(Measured(kind, time + float(entry["t_start"]), value, label="measured, not imposed"))  # type: ignore[arg-type]
    return found
