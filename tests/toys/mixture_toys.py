"""Sets of n components whose behaviour is known: random ones, and a binary electrolyte with labels on its molecules."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cellsim.base import Array, R
from cellsim.electrolyte.mixture_set import MixtureSet


def random_set(rng: np.random.Generator, z: Sequence[int], *, z_plus: int = 1, **other: Any) -> MixtureSet:
    """Omega of strong correlations, ideal G, volumes of 40 to 120 cm^3/mol."""
    K = len(z)
    X = rng.normal(size=(K + 1, K + 1))
    Omega = 1e-9 * (X @ X.T + 0.3 * np.eye(K + 1))
    return MixtureSet.constant(
        Omega, z=z, z_plus=z_plus, V_0=float(rng.uniform(4e-5, 1.2e-4)), V=rng.uniform(4e-5, 1.2e-4, K), **other
    )


def labelled_solvent(binary: MixtureSet, D_tracer: float, r_range: Any) -> MixtureSet:
    """A part of the solvent of a 1:1 electrolyte called b: same molecules, ideal mixing, tracer diffusion D_tracer.

    In the frame of all solvent Omega_bb = c_a c_b D/(c_s RT) without cross terms, then into the frame of the rest, a.
    The components are the anion and b, r_b = c_b/c_a.
    """

    def of(r: Array) -> tuple[Array, Array]:
        r = np.asarray(r, dtype=float)
        return r[..., :1] / (1 + r[..., 1:]), r[..., 1]

    def Omega(r: Array) -> Array:
        salt, r_b = of(r)
        ions = binary.Omega(salt)
        c_s = 1 / binary.volume(salt)
        flat = np.zeros((*r_b.shape, 4, 4))
        flat[..., :2, :2] = ions
        label = c_s * r_b / (1 + r_b) ** 2 * D_tracer / (R * binary.T)
        flat[..., 2, 2] = flat[..., 3, 3] = label
        flat[..., 2, 3] = flat[..., 3, 2] = -label
        share = 1 / (1 + r_b)  # of a in the solvent
        amounts = np.stack([salt[..., 0], salt[..., 0], r_b * share, share], axis=-1)
        A = np.broadcast_to(np.eye(4), flat.shape).copy()
        A[..., :, 3] -= amounts / share[..., None]  # relative to a: frame_change for many compositions at once
        out = (A @ flat @ np.swapaxes(A, -1, -2))[..., :3, :3]
        return out

    def G(r: Array) -> Array:
        m, b = of(r)
        g, y = binary.G(m)[..., 0, 0], m[..., 0]
        out = np.empty((*b.shape, 2, 2))
        out[..., 0, 0] = g / (1 + b)
        out[..., 0, 1] = out[..., 1, 0] = -g * y / (1 + b)
        out[..., 1, 1] = y**2 * g / (1 + b) + 1 / b - 1 / (1 + b)
        return out

    def volume(r: Array) -> Array:
        m, b = of(r)
        return np.asarray((1 + b) * binary.volume(m))

    def partial_volumes(r: Array) -> Array:
        m, _ = of(r)
        V = binary.partial_volumes(m)[..., 0]
        return np.stack([V, binary.volume(m) - m[..., 0] * V], axis=-1)

    return MixtureSet(
        name="labelled solvent",
        cation="Li",
        components=("X", "b"),
        solvent="a",
        z_plus=1,
        z=(-1, 0),
        T=binary.T,
        Omega=Omega,
        G=G,
        volume=volume,
        partial_volumes=partial_volumes,
        r_range=r_range,
    )


def labelled_anion(binary: MixtureSet, D_tracer: float, r_range: Any) -> MixtureSet:
    """Two salts of one cation with equal coefficients, as a 1:1 electrolyte of which some anions are called Y."""

    def Omega(r: Array) -> Array:
        r = np.asarray(r, dtype=float)
        total = r.sum(axis=-1, keepdims=True)
        x, ions = r / total, binary.Omega(total)
        out = np.empty((*r.shape[:-1], 3, 3))
        out[..., 0, 0] = ions[..., 0, 0]
        out[..., 0, 1:] = out[..., 1:, 0] = x * ions[..., 0, 1, None]
        exchange = total[..., 0] / binary.volume(total) * x[..., 0] * x[..., 1] * D_tracer / (R * binary.T)
        out[..., 1:, 1:] = x[..., :, None] * x[..., None, :] * ions[..., 1, 1, None, None]
        out[..., 1:, 1:] += exchange[..., None, None] * np.array([[1.0, -1.0], [-1.0, 1.0]])
        return out

    def G(r: Array) -> Array:
        r = np.asarray(r, dtype=float)
        total = r.sum(axis=-1, keepdims=True)
        shared = binary.G(total)[..., 0, 0] - 1 / total[..., 0]
        return np.asarray(np.eye(2) / r[..., None, :] + shared[..., None, None])

    return MixtureSet(
        name="labelled anion",
        cation="Li",
        components=("X", "Y"),
        solvent="S",
        z_plus=1,
        z=(-1, -1),
        T=binary.T,
        Omega=Omega,
        G=G,
        volume=lambda r: binary.volume(np.asarray(r).sum(axis=-1, keepdims=True)),
        partial_volumes=lambda r: np.repeat(binary.partial_volumes(np.asarray(r).sum(axis=-1, keepdims=True)), 2, -1),
        r_range=r_range,
    )
