"""One measured thing and what a trial set predicts of it, instrument and nuisances included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cellsim.errors import InputError
from cellsim.fit.noise import Noise
from cellsim.solution import Solution
from cellsim.transport import TransportSet

Array = NDArray[np.float64]
Kind = Literal["current", "voltage", "profile", "velocity", "signal", "potential", "current_fraction", "conductivity"]
ROLES: Mapping[str, float] = {
    "gain": 1.0, "background": 0.0, "time_offset": 0.0, "position_offset": 0.0, "velocity_scale": 1.0,
}  # fmt: skip
"""Nuisances of a measurement, and their values where they are not fitted."""


class Look(Protocol):
    """What an instrument makes of a run."""

    def times(self, values: Mapping[str, float]) -> Array:
        """When a run must be kept for it [s]; empty where it looks at the set alone."""

    def predict(self, transport: TransportSet, solution: Solution | None, values: Mapping[str, float]) -> Array:
        """The prediction, shape (n,), NaN where there is none. `values`: nuisances by role."""


@dataclass(frozen=True)
class Observation:
    """A measurement with its error model and its nuisances.

    Parameters
    ----------
    label : str
        For reports.
    kind : str
        What it is; one of :data:`Kind`.
    measured : ndarray, shape (n,)
        In SI, or in the unit of a raw signal.
    noise : Noise
        How it scatters.
    look : Look
        What predicts it.
    nuisance : mapping
        Role (:data:`ROLES`, or one of the look's own) -> name of the parameter that plays it.
    profiled : tuple of {"gain", "background"}
        What is free in every profile by itself: the best value is taken for each, at no cost in parameters.
    time : ndarray, shape (n,)
        When each point was measured [s], for holding out late ones and for figures.
    position : ndarray, shape (n,), optional
        Where [m], from the positive interface.
    """

    label: str
    kind: Kind
    measured: Array
    noise: Noise
    look: Look
    nuisance: Mapping[str, str] = field(default_factory=dict)
    profiled: tuple[str, ...] = ()
    time: Array = field(default_factory=lambda: np.zeros(0))
    position: Array | None = None

    def __post_init__(self) -> None:
        if self.measured.shape != self.noise.sigma.shape or not self.measured.size:
            raise InputError(f"{self.label}: {self.measured.size} points, but {self.noise.sigma.size} errors")
        if not np.all(np.isfinite(self.measured)):
            raise InputError(f"{self.label}: holds points that are not numbers; take them out")

    @property
    def size(self) -> int:
        """Number of points."""
        return int(self.measured.size)

    def roles(self, values: Mapping[str, float]) -> dict[str, float]:
        """The nuisances of this observation by role, from all parameters by name."""
        return dict(ROLES) | {role: values[name] for role, name in self.nuisance.items()}

    def predict(self, transport: TransportSet, solution: Solution | None, values: Mapping[str, float]) -> Array:
        """Prediction, shape (n,); gain and background of the whole measurement applied.

        Parameters
        ----------
        transport : TransportSet
            The trial set.
        solution : Solution or None
            The run, where one is needed.
        values : mapping
            Nuisances by role, as :meth:`roles` gives them.
        """
        return np.asarray(values["background"] + values["gain"] * self.look.predict(transport, solution, values))

    def adjusted(self, predicted: Array) -> Array:
        """A prediction with each profile's own best gain and background, shape (n,)."""
        if not self.profiled:
            return predicted
        made = predicted.copy()
        for part, best in zip(self.noise.slices, self._best(predicted), strict=True):
            made[part] = self._columns(predicted[part]) @ best
            if "gain" not in self.profiled:
                made[part] += predicted[part]
        return made

    def residual(self, predicted: Array) -> Array:
        """Whitened measured minus predicted, shape (n,) [1]; large where there is no prediction."""
        missing = ~np.isfinite(predicted)
        if missing.any():
            predicted = np.where(missing, self.measured, predicted)
        w = self.noise.whiten(self.measured - self.adjusted(predicted))
        if missing.any():
            w = w + NO_PREDICTION * missing
        return w

    def _columns(self, predicted: Array) -> Array:
        columns = {"gain": predicted, "background": np.ones(predicted.size)}
        return np.column_stack([columns[name] for name in self.profiled])

    def _best(self, predicted: Array) -> list[Array]:
        """Each profile's own linear nuisances, by least squares weighted by the errors, those in common included."""
        columns = self._columns(predicted)
        target = self.measured if "gain" in self.profiled else self.measured - predicted
        y = self.noise.correlated(target / self.noise.sigma)
        A = np.column_stack([self.noise.correlated(column / self.noise.sigma) for column in columns.T])
        size = np.maximum(np.linalg.norm(A, axis=0), 1e-300)
        A /= size
        if self.noise.common is None:
            best = [np.linalg.lstsq(A[part], y[part], rcond=None)[0] for part in self.noise.slices]
            return [np.asarray(b / size, dtype=np.float64) for b in best]
        U, weight = self.noise.common
        less = (1 + weight) ** 2 - 1  # C^-1 = 1 + U less U^T, the rest whitened
        k = A.shape[1]
        seen = np.concatenate([A[part].T @ U[part] for part in self.noise.slices])
        normal = (seen * less) @ seen.T
        right = np.concatenate([A[part].T @ y[part] for part in self.noise.slices]) + (seen * less) @ (U.T @ y)
        for j, part in enumerate(self.noise.slices):
            normal[j * k : (j + 1) * k, j * k : (j + 1) * k] += A[part].T @ A[part]
        found = np.linalg.lstsq(normal, right, rcond=None)[0].reshape(-1, k)
        return [np.asarray(row / size, dtype=np.float64) for row in found]

    def only(self, keep: NDArray[np.bool_]) -> Observation:
        """Some of the points; the look must know how to be cut (:meth:`Cut`)."""
        return replace(
            self, measured=self.measured[keep], noise=self.noise.only(keep), look=Cut(self.look, keep),
            time=self.time[keep] if self.time.size else self.time,
            position=None if self.position is None else self.position[keep],
        )  # fmt: skip


NO_PREDICTION = 30.0
"""Residual of a point the run does not reach, in standard errors: enough to drive a search away."""


@dataclass(frozen=True)
class Cut:
    """A look of which only some points are used."""

    look: Look
    keep: NDArray[np.bool_]

    def times(self, values: Mapping[str, float]) -> Array:
        """As the whole look."""
        return self.look.times(values)

    def predict(self, transport: TransportSet, solution: Solution | None, values: Mapping[str, float]) -> Array:
        """The points kept."""
        return self.look.predict(transport, solution, values)[self.keep]
