"""The Onsager matrix of any number of species and what follows from it: mixed solvents, several salts, no solvent.

Every species has a row, the reference of the frame included: with w the weights of the reference (masses for the centre
of mass, ones for the mean of all particles, 1 for one species and 0 for the others), sum_i w_i N_i v_i = 0, so that
Omega w = 0. In this form every frame is alike: A = 1 - N w^T/(w^T N) takes displacements, and A Omega A^T the matrix,
from any frame to the one of w.

References
----------
doi:10.1063/5.0155301 (Shao & Zhang 2023), Eqs. 6, 14 and 24; Newman & Balsara, *Electrochemical Systems*, 4th ed., ch.
12; doi:10.48550/arXiv.2211.13505 for n species.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cellsim.base import Array, F, InputError, R
from cellsim.electrolyte.relations import conductivity, friction, standard_error_of

SINGULAR = 1e-9
"""How far Omega w may be from 0, relative to what it is made of."""


@dataclass(frozen=True, eq=False)
class SpeciesMatrix:
    """Onsager matrix of n species in one frame of reference.

    Parameters
    ----------
    Omega : array (n, n)
        Flux of i per force on j, symmetric, with Omega w = 0; otherwise positive [mol^2/(J m s)].
    names : sequence of str (n,)
        Species.
    z : sequence of float (n,)
        Charge numbers, 0 for a neutral species.
    c : sequence of float (n,)
        Concentrations [mol/m^3].
    T : float
        Temperature [K].
    frame : str
        Name of the frame, for messages: ``"solvent"``, ``"barycentric"``, ``"volume"``, ``"molar"`` or a species.
    weights : sequence of float (n,)
        w of that frame, per particle; only ratios enter.
    samples : array (S, n, n), optional
        Posterior samples of Omega.

    Raises
    ------
    InputError
        Shapes that do not fit, a matrix that is not symmetric or not in the frame of `weights`, a mixture that is not
        neutral or has no mobile charge.
    """

    Omega: Array
    names: tuple[str, ...]
    z: tuple[float, ...]
    c: tuple[float, ...]
    T: float
    frame: str
    weights: tuple[float, ...]
    samples: Array | None = None

    def __post_init__(self) -> None:
        n = len(self.names)
        for name in ("names", "z", "c", "weights"):
            value = tuple(str(v) if name == "names" else float(v) for v in getattr(self, name))
            if len(value) != n:
                raise InputError(f"{name} has {len(value)} entries for {n} species")
            object.__setattr__(self, name, value)
        for name, shape in (("Omega", (n, n)), ("samples", (-1, n, n))):
            if getattr(self, name) is None:
                continue
            array = np.array(getattr(self, name), dtype=float)
            if array.ndim != len(shape) or array.shape[-2:] != (n, n) or not np.all(np.isfinite(array)):
                raise InputError(f"{name} must be finite numbers of shape {shape}, got shape {array.shape}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        w, c, z = (np.array(value) for value in (self.weights, self.c, self.z))
        if not (np.all(c > 0) and self.T > 0):
            raise InputError("concentrations and T must be positive")
        if not (np.all(np.isfinite(w)) and np.all(w >= 0) and w @ c > 0):
            raise InputError(
                f"the weights {self.weights} of the {self.frame} frame must be positive or 0, and not all 0"
            )
        if abs(z @ c) > 1e-6 * (np.abs(z) @ c) or not np.any(z):
            raise InputError(f"the mixture is not neutral or has no ions: z = {self.z}, c = {self.c}")
        O = self.Omega
        scale = np.abs(O) @ w
        if not np.allclose(O, O.T, rtol=1e-9, atol=1e-12 * np.abs(O).max()) or np.any(np.diag(O) < 0):
            raise InputError("Omega must be symmetric, its diagonal positive")
        if np.any(np.abs(O @ w) > SINGULAR * np.max(scale)):
            raise InputError(f"Omega w must be 0 in the frame of w: this is not the {self.frame} frame")

    @property
    def ions(self) -> tuple[int, ...]:
        """Places of the charged species."""
        return tuple(k for k, q in enumerate(self.z) if q)

    @property
    def neutral(self) -> tuple[int, ...]:
        """Places of the neutral species."""
        return tuple(k for k, q in enumerate(self.z) if not q)

    @property
    def kappa(self) -> float:
        """Ionic conductivity [S/m], the same in every frame."""
        return float(conductivity(self.Omega, self.z))

    def quantities(self, Omega: Array | None = None) -> dict[str, Array]:
        """All derived numbers of a matrix, or of samples.

        Parameters
        ----------
        Omega : array (..., n, n), optional
            Matrices in this frame; the matrix itself when left out.

        Returns
        -------
        dict
            ``"kappa"`` [S/m]; for each ion ``"t_NAME"``, its transference number z_k (Omega z)_k/(z^T Omega z) in this
            frame, and for each neutral species ``"drag_NAME"``, the moles of it that move with a faraday; for each
            cation ``"rho_NAME"``, the current fraction that is left when nothing else crosses the interfaces,
            z_+^2 (Omega_++ - Omega_+r Omega_rr^-1 Omega_r+)/(z^T Omega z); for each pair ``"friction_A_B"``,
            RT/D_AB [J s/m^2], inverse of the Stefan-Maxwell coefficient.

        References
        ----------
        doi:10.1063/5.0155301, Eqs. 6 and 14; Newman & Balsara, Eq. 12.1.
        """
        O = self.Omega if Omega is None else Omega
        z = np.array(self.z)
        flow = np.einsum("...ij,j->...i", O, z)
        charge = np.einsum("i,...i->...", z, flow)
        found: dict[str, Array] = {"kappa": F**2 * charge}
        for k in self.ions:
            found[f"t_{self.names[k]}"] = z[k] * flow[..., k] / charge
        for k in self.neutral:
            found[f"drag_{self.names[k]}"] = flow[..., k] / charge
        for k in self.ions:
            if z[k] > 0 and len(self.names) > 2:
                found[f"rho_{self.names[k]}"] = z[k] ** 2 * self._blocked(O, k) / charge
        K = self._friction(O)
        for i in range(len(self.names)):
            for j in range(i):
                found[f"friction_{self.names[j]}_{self.names[i]}"] = K[..., j, i]
        return found

    def _reference(self, but: int | None = None) -> int:
        """A species to leave out: a neutral one if there is one."""
        places = [k for k in (*self.neutral, *self.ions) if k != but]
        return max(places, key=lambda k: (not self.z[k], self.c[k]))

    def _of(self, O: Array, reference: int) -> tuple[Array, list[int]]:
        """The matrices in the frame of one species, without its row."""
        A = frame_change(self.c, np.eye(len(self.c))[reference])
        rest = [k for k in range(len(self.c)) if k != reference]
        return (A @ O @ A.T)[..., rest, :][..., :, rest], rest

    def _blocked(self, O: Array, k: int) -> Array:
        """Mobility of species k relative to all others together, which stand still: 1/(Omega^-1)_kk."""
        M, rest = self._of(O, self._reference(k))
        place = rest.index(k)
        return np.asarray(1 / np.linalg.inv(M)[..., place, place])

    def _friction(self, O: Array) -> Array:
        """RT/D_ij of Stefan and Maxwell, (..., n, n) [J s/m^2]; 0 on the diagonal."""
        reference = self._reference()
        M, rest = self._of(O, reference)
        c = np.array(self.c)
        order = [*rest, reference]
        K = np.zeros(O.shape)
        K[..., np.array(order)[:, None], np.array(order)] = friction(M, c[rest], float(c[reference]))
        return K

    def stefan_maxwell(self) -> Array:
        """Stefan-Maxwell coefficients (n, n) [m^2/s], infinite on the diagonal; negative ones are physical."""
        with np.errstate(divide="ignore"):
            return np.asarray(R * self.T / self._friction(self.Omega))

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Equal-tailed credible interval of one of :meth:`quantities`.

        Raises
        ------
        InputError
            No samples, or an unknown quantity.
        """
        low, high = np.quantile(self._draws(name), [0.5 - level / 2, 0.5 + level / 2])
        return float(low), float(high)

    def standard_error(self, name: str) -> float:
        """Standard error of one of :meth:`quantities`, of a skewed posterior that of its longer side.

        Raises
        ------
        InputError
            No samples, or an unknown quantity.
        """
        return float(standard_error_of(self._draws(name)))

    def _draws(self, name: str) -> Array:
        if self.samples is None:
            raise InputError(f"an interval of {name} needs posterior samples; this matrix has none")
        draws = self.quantities(self.samples)
        if name not in draws:
            raise InputError(f"quantity {name!r} is unknown; allowed are {', '.join(draws)}")
        return draws[name]

    def to_frame(self, frame: str, weights: Sequence[float] | None = None) -> SpeciesMatrix:
        """The matrix in another frame, samples with it.

        Parameters
        ----------
        frame : str
            ``"molar"``, the name of a species, or any name with `weights`.
        weights : sequence of float (n,), optional
            w of that frame, per mole: molar masses for the barycentric frame, partial volumes for the volume frame,
            molar masses of the solvents and 0 for the ions for the frame of all solvent.

        Returns
        -------
        SpeciesMatrix

        Raises
        ------
        InputError
            A frame that needs weights.
        """
        n = len(self.names)
        if weights is None:
            if frame == "molar":
                weights = [1.0] * n
            elif frame in self.names:
                weights = np.eye(n)[self.names.index(frame)].tolist()
            else:
                raise InputError(f"the {frame} frame needs weights; known without are molar, {', '.join(self.names)}")
        A = frame_change(self.c, weights)

        def turn(M: Array) -> Array:
            turned = A @ M @ A.T
            return np.asarray(0.5 * (turned + np.swapaxes(turned, -1, -2)))

        return replace(
            self,
            Omega=turn(self.Omega),
            samples=None if self.samples is None else turn(self.samples),
            frame=frame,
            weights=tuple(weights),
        )


def frame_change(amounts: Sequence[float] | Array, weights: Sequence[float] | Array) -> Array:
    """A = 1 - N w^T/(w^T N), which takes summed displacements, or a matrix A Omega A^T, to the frame of w.

    Parameters
    ----------
    amounts : sequence of float (n,)
        Numbers of particles, or concentrations.
    weights : sequence of float (n,)
        Weights of the reference, per particle.

    Returns
    -------
    array (n, n)

    References
    ----------
    doi:10.1063/5.0155301, Eq. 24, for any reference.
    """
    N, w = np.asarray(amounts, dtype=float), np.asarray(weights, dtype=float)
    return np.asarray(np.eye(N.size) - np.outer(N, w) / (w @ N))
