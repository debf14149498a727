"""Shao & Zhang 2023: every equation and statement that can be checked, ours beside.

    python validation/shao2023/run.py [FOLDER]

FOLDER (default: runs/validation/shao2023) receives table.md and current_fraction.png.

Reference: Shao & Zhang, J. Chem. Phys. (2023), doi:10.1063/5.0155301. Its trajectories and the points of its Fig. 2 are
not public in numbers. Formulas are checked on random matrices; the system of the paper, PEO-LiTFSI, is represented by
the coefficients of the sets steinruck2020_rs and steinruck2020_pnb (reconstructions of published measurements) and by
walkers made from them (synthetic, with a known answer).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from cellsim import TransportSet, load_set
from cellsim.base import N_A, F, R, k_B
from cellsim.cell.geometry import Cell
from cellsim.drawing.figstyle import COLOURS, drawing, label
from cellsim.electrolyte.onsager import Composition, OnsagerMatrix, ion_potentials
from cellsim.electrolyte.relations import current_fraction
from cellsim.laboratory.impedance import onsager_of
from cellsim.model.steady import steady_state
from mdcoeffs.onsager.displacements import CollectiveDisplacements
from mdcoeffs.onsager.estimate import estimate_onsager
from mdcoeffs.statistics.correlate import collective_msd
from mdcoeffs.synthetic.walkers import Solvent, walk

sys.path.insert(0, str(Path(__file__).parents[1]))
from statements import Statement, agreed, table

T = 363.15
M_LI, M_TFSI, M_EO = 6.94e-3, 280.15e-3, 44.05e-3
RATIOS = (0.02, 0.06, 0.10, 0.16)
TWIN_R = 0.1
N_SALT, FRAMES, DT, RUNS, SEED = 40, 2001, 50e-12, 4, 20230427
WINDOW = (10e-9, 20e-9)
HEAD = """# Shao & Zhang 2023: what is printed, and ours

Written by `python validation/shao2023/run.py`. "Random" means 2000 random positive definite matrices (fixed seed,
ratio of the diagonal elements 0.01 to 100, correlation -0.99 to 0.99); "largest difference" is relative. RS and PNB are
*reconstructions* of published measurements of PEO-LiTFSI at 90 °C (`cellsim sets steinruck2020_rs`); the twin consists
of *synthetic* walkers made from RS. None of them are the simulations of the paper.

| where | printed | ours | verdict |
| --- | --- | --- | --- |
"""


def random_matrices(n: int = 2000, seed: int = 2023) -> np.ndarray:
    """Positive definite matrices (n, 2, 2) [mol^2/(J m s)]."""
    rng = np.random.default_rng(seed)
    root = 10 ** rng.uniform(-1, 1, n)
    cross = rng.uniform(-0.99, 0.99, n)
    return 1e-12 * np.stack([np.stack([root, cross], -1), np.stack([cross, 1 / root], -1)], -2)


def salt(Omega: np.ndarray, z: int = 1) -> OnsagerMatrix:
    """A z:z salt, solvent frame."""
    return OnsagerMatrix(Omega, (z, -z), (1, 1), 1000.0, T, "solvent")


def of_set(transport: TransportSet, r: float) -> OnsagerMatrix:
    """The matrix of a set at r, solvent frame, with the composition of PEO-LiTFSI."""
    c = float(transport.c_of(r=r))
    m = onsager_of(
        float(transport.kappa(c)),
        float(transport.t_plus(c)),
        float(1 / (1 + transport.newman_number(c))),
        z=(1, -1),
        nu=(1, 1),
        c=c,
        T=T,
    )
    return replace(m, composition=Composition((M_LI, M_TFSI), c / r * M_EO))


# ---- formulas -------------------------------------------------------------------------------------------------------


def formulas() -> list[Statement]:
    """Eqs. 3 to 22 on random matrices."""
    matrices = random_matrices()
    pp, pm, mm = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 1]
    det = pp * mm - pm**2
    blocked = np.linalg.solve(matrices, np.array([-1.0, 0.0])[None, :, None])[..., 0]  # J_+ = 1, J_- = 0
    four = np.max(np.abs(-(pp - pm**2 / mm) * blocked[:, 0] - 1))
    total = pp + mm - 2 * pm
    six = max(
        abs(salt(O, z).kappa / (z**2 * F**2 * s) - 1) for z in (1, 2) for O, s in zip(matrices, total, strict=True)
    )
    ratio = (pp - pm**2 / mm) / total
    fraction = current_fraction(matrices, (1, -1))
    fourteen = np.max(np.abs(fraction / ratio - 1))
    rows = [
        Statement(
            "eq4",
            "Eqs. 3, 4",
            "J₊ = -(Ω₊₊ - Ω₊₋²/Ω₋₋)∇μ̃₊ where J₋ = 0",
            f"largest difference {four:.0e}, random",
            agreed(four, 1e-9),
            four,
        ),
        Statement(
            "eq6",
            "Eqs. 5, 6",
            "σ = z²F²(Ω₊₊ + Ω₋₋ - 2Ω₊₋)",
            f"`kappa`: largest difference {six:.0e}, random, z = 1 and 2",
            agreed(six, 1e-9),
            six,
        ),
        *potentials(),
        Statement(
            "eq14",
            "Eq. 14",
            "t₊,ss = (Ω₊₊ - Ω₊₋²/Ω₋₋)/(Ω₊₊ + Ω₋₋ - 2Ω₊₋)",
            f"`rho_plus`: largest difference {fourteen:.0e}, random",
            agreed(fourteen, 1e-9),
            fourteen,
        ),
        Statement(
            "positive",
            "after Eq. 24",
            "t₊,ss is always positive",
            (
                f"{fraction.min():.1e} to {fraction.max():.4f}, random; numerator = det Ω/Ω₋₋ > 0. It "
                "stays below 1 too: 1 - t₊,ss = (Ω₋₋ - Ω₊₋)²/(Ω₋₋ Σ)"
            ),
            agreed(-fraction.min(), 0),
            float(fraction.min()),
        ),
        *dilute(),
        *choice_of_x(matrices, det),
    ]
    steady = [ion_potentials(salt(O), 1.0, 1.0) for O in matrices]
    split = np.array([each.salt / (2 * F) / each.voltage for each in steady])
    low = float(np.max(np.abs(split - (mm - pm) / (2 * mm)) / (1 + np.abs(split))))
    rows.append(
        Statement(
            "eq22",
            "Eqs. 21, 22",
            "Δφ_salt = ΔV (Ω₋₋ - Ω₊₋)/(2Ω₋₋); one half where Ω₊₋ → 0",
            "salt potential over voltage of the solved steady state: largest difference "
            f"{low:.0e}, random; at Ω₊₋ = 0: "
            f"{salt(np.diag([1e-12, 3e-12])).potential_split():g}. "
            f"The share is negative where Ω₊₋ > Ω₋₋, which {np.mean(pm > mm):.0%} of the random matrices have",
            agreed(low, 1e-9),
            low,
        )
    )
    return rows


def potentials() -> list[Statement]:
    """Eqs. 9 to 13 with numbers: activities and potentials chosen, both sides evaluated."""
    G, a_a, a_c, phi_a, phi_c = 2.9e5, 1.7, 0.4, 0.031, -0.012  # J/mol, 1, 1, V, V: any numbers do
    metal = [phi - G / F + R * T / F * np.log(a) for phi, a in ((phi_a, a_a), (phi_c, a_c))]
    V = metal[0] - metal[1]
    eleven = abs(V - (R * T / F * np.log(a_a / a_c) + phi_a - phi_c))
    driving = R * T * np.log(a_a / a_c) + F * (phi_a - phi_c)
    thirteen = abs(F * V - driving) / F
    return [
        Statement(
            "eq11",
            "Eqs. 9-11",
            "ΔV = (RT/zF) ln(a_a/a_c) + φ_Sa - φ_Sc",
            f"difference {eleven:.0e} V for one set of numbers; the standard term cancels. The "
            "text calls both a and c the anode, c is the cathode",
            agreed(eleven, 1e-12),
            float(eleven),
        ),
        Statement(
            "eq13",
            "Eqs. 12, 13",
            "zFΔV = Δμ̃₊, so that the last factor of Eq. 8 is 1",
            f"difference {thirteen:.0e} V, the same numbers",
            agreed(thirteen, 1e-12),
            float(thirteen),
        ),
    ]


def dilute() -> list[Statement]:
    """Eq. 15, how fast it is reached, and which sign t_ss - t_app has."""
    own = np.array([0.6, 1.0])
    t_app = own[0] / own.sum()
    sizes = np.array([1e-2, 1e-3, 1e-4])
    gaps = []
    for epsilon in sizes:
        Omega = np.diag(own) + epsilon * np.array([[0.3, -0.2], [-0.2, 0.8]])
        gaps.append(float(current_fraction(Omega, (1, -1))) - t_app)
    order = float(np.polyfit(np.log(sizes), np.log(np.abs(gaps)), 1)[0])
    first_order = (2 * own[0] * -0.2 + own[1] * 0.3 - own[0] * 0.8) / own.sum() ** 2
    off = abs(gaps[-1] / sizes[-1] / first_order - 1)
    above = float(current_fraction([[0.6, 0.2], [0.2, 1.0]], (1, -1)))
    return [
        Statement(
            "eq15",
            "Eq. 15",
            "t₊,ss → t₊,app = D₊/(D₊ + D₋) at infinite dilution",
            f"difference falls as the {order:.3f}th power of the correlations; holds for z₊ = -z₋ "
            "as printed, else D₋ carries z₋/z₊ (`ideal`)",
            agreed(abs(order - 1), 0.01),
            order,
        ),
        Statement(
            "order",
            "after Eq. 24, Fig. 2",
            't₊,ss < t₊,app "seems to hold for the entire range"',
            "no law: to first order t₊,ss - t₊,app = (2Ω₊Ω₊₋ + Ω₋δ₊ - Ω₊δ₋)/(Ω₊ + Ω₋)², Ω₊ and "
            "Ω₋ the self and δ₊ and δ₋ "
            f"the distinct parts ({off:.0e} off for correlations of 1e-4). Ω₊₋ > 0 alone *raises* "
            f"t₊,ss, from {t_app:.3f} to "
            f"{above:.3f} for Ω₊₋ = 0.2, Ω₊ = 0.6, Ω₋ = 1; in Fang 2026 ρ₊ is above 0.5 and t_PFG near 0.1",
            "cannot be checked (Fig. 2 has no numbers)",
            off,
        ),
    ]


def choice_of_x(matrices: np.ndarray, det: np.ndarray) -> list[Statement]:
    """Eqs. 16 to 20 for several conventions mu_+ = x mu_-."""
    eighteen = nineteen = twenty = moved = 0.0
    for Omega, d in zip(matrices[:100], det[:100], strict=True):
        m = salt(Omega)
        pm, mm = Omega[0, 1], Omega[1, 1]
        J = 1.0 / F  # i = 1 A/m^2
        for x in (-0.5, 0.0, 0.4, 1.0, 2.0):
            mine = ion_potentials(m, x, 1.0)
            phi = -J / F * (x * pm + mm) / ((x + 1) * d)
            minus = -F * (pm - mm) / (x * pm + mm) * phi
            largest = max(abs(mine.mu_minus), F * abs(mine.phi))
            eighteen = max(
                eighteen,
                F * abs(mine.phi - phi) / largest,
                abs(mine.mu_minus - minus) / largest,
                abs(mine.mu_plus - x * minus) / largest,
            )
            nineteen = max(nineteen, abs(F * mine.voltage / (-mm / d * J) - 1))
            twenty = max(twenty, abs(mine.salt - (pm - mm) / d * J) / (mm / d * J))
            moved = max(moved, abs(mine.current_fraction / m.rho_plus - 1))
    return [
        Statement(
            "eq18",
            "Eqs. 16-18",
            "∇φ, ∇μ₊ and ∇μ₋ under μ₊ = xμ₋",
            f"`ion_potentials`: largest difference {eighteen:.0e}, 100 random matrices, five x; x "
            "= -1, where they diverge, is not excluded in the text and is refused by ours",
            agreed(eighteen, 1e-9),
            eighteen,
        ),
        Statement(
            "eq19",
            "Eq. 19",
            "∇μ₊ + zF∇φ = -Ω₋₋J₊/det Ω, whatever x (the text at hand shows one index, Ω₋)",
            f"largest difference {nineteen:.0e}",
            agreed(nineteen, 1e-8),
            nineteen,
        ),
        Statement(
            "eq20",
            "Eq. 20",
            "∇μ₊ + ∇μ₋ = (Ω₊₋ - Ω₋₋)J₊/det Ω, whatever x",
            f"largest difference {twenty:.0e}",
            agreed(twenty, 1e-8),
            twenty,
        ),
        Statement(
            "x",
            "after Eq. 22",
            "t₊,ss needs no choice of x",
            f"moves by {moved:.0e} with x",
            agreed(moved, 1e-8),
            moved,
        ),
        Statement(
            "refs",
            "after Eq. 18",
            "x = 0 is Ref. 1 (Balsara and Newman), x = 1 Ref. 11 (Wohde, Balabajew and Roling)",
            "their results give the same t₊,ss: 1/(1 + Ne) from κ, D, t₊⁰, χ differs by "
            f"{newman(matrices):.0e}, α and β by {wohde(matrices):.0e}, random; their equations "
            "for single ions are not in the text at hand",
            "agrees in the result",
        ),
    ]


def newman(matrices: np.ndarray) -> float:
    """Largest difference of 1/(1 + Ne), Ne from kappa, D, t+0 and chi."""
    worst = 0.0
    for Omega in matrices[:200]:
        m = salt(Omega)
        Ne = 2 * m.kappa * R * T * (1 - m.t_plus) ** 2 * 1.7 / (F**2 * m.diffusion(1.7) * m.c)
        worst = max(worst, abs((1 / (1 + Ne)) / m.rho_plus - 1))
    return worst


def wohde(matrices: np.ndarray) -> float:
    """Largest difference of the anion-blocking transference number from alpha and beta."""
    return max(abs(salt(O).wohde_roling().anion_blocking - salt(O).rho_plus) for O in matrices[:200])


# ---- the system of the paper ----------------------------------------------------------------------------------------


def cells() -> list[Statement]:
    """The definition, Eq. 7, in a polarised cell of PEO-LiTFSI against Eq. 14."""
    worst, closing, values = 0.0, 0.0, []
    for name in ("steinruck2020_rs", "steinruck2020_pnb"):
        transport = load_set(name)
        for r in RATIOS:
            m = of_set(transport, r)
            steady = steady_state(Cell(1e-3, T), transport, m.c, voltage=1e-4)
            ratio = steady.i / (1e-4 * m.kappa / 1e-3)
            worst = max(worst, abs(ratio / m.rho_plus - 1))
            chi = float(transport.chi(m.c))
            closing = max(closing, abs(m.diffusion(chi) / float(transport.D(m.c)) - 1))
            values.append(m.rho_plus)
    return [
        Statement(
            "cell",
            "Eqs. 7, 14",
            "t₊,ss is the ratio of steady and initial current",
            "cells polarised by 0.1 mV, RS and PNB, r = 0.02 to 0.16: i_ss/i_0 differs from Eq. "
            f"14 by {worst:.1e} at most; Ω gives back D to {closing:.0e}",
            agreed(worst, 3e-3),
            worst,
        ),
        Statement(
            "range",
            "Fig. 2",
            "t₊,ss of PEO-LiTFSI against r, simulated and measured",
            "the points are in a figure only and the data of Refs. 2, 20-22 are not at hand: no "
            "value can be set beside ours. RS and PNB, whose χ is assumed, give "
            f"{min(values):.2f} to {max(values):.2f}",
            "cannot be checked",
            float(max(values)),
        ),
        Statement(
            "app",
            "Fig. 2",
            "t₊,app of PEO-LiTFSI against r",
            "the same; no self-diffusion coefficients are printed",
            "cannot be checked",
        ),
    ]


def twin() -> tuple[OnsagerMatrix, list[CollectiveDisplacements]]:
    """Walkers with the composition of PEO-LiTFSI at r = 0.1 and the matrix of RS; barycentric frame."""
    m = of_set(load_set("steinruck2020_rs"), TWIN_R)
    runs = [
        walk(
            m.Omega,
            frames=FRAMES,
            dt=DT,
            seed=SEED + k,
            n_salt=N_SALT,
            c=m.c,
            T=T,
            masses=(M_LI, M_TFSI),
            solvents=Solvent(round(N_SALT / TWIN_R), M_EO),
        )
        for k in range(RUNS)
    ]
    return m, runs


def straight_line(run: CollectiveDisplacements) -> np.ndarray:
    """Omega by Eq. 23 as printed: a line through <dr_i dr_j> between 10 and 20 ns."""
    first, last = (round(t / DT) for t in WINDOW)
    lags = np.arange(first, last + 1)
    curve = collective_msd(run.R[:, :2], lags).reshape(lags.size, 4)
    slope = np.polyfit(lags * DT, curve, 1)[0].reshape(2, 2)
    return np.asarray(slope / (6 * k_B * T * run.volume * N_A**2))


def frames_and_errors() -> list[Statement]:
    """Eqs. 23 and 24 on the twin."""
    truth, runs = twin()
    mix = truth.composition
    assert mix is not None
    barycentric = truth.to_frame("barycentric")
    lines = np.array([straight_line(run) for run in runs])
    mean, error = lines.mean(axis=0), lines.std(axis=0, ddof=1) / np.sqrt(RUNS)
    off = float(np.max(np.abs(mean - barycentric.Omega) / error))
    A = np.eye(2) + np.outer(truth.c_ions, mix.molar_masses) / mix.solvent_density
    by_displacement = np.array([straight_line(run.to_frame("solvent")) for run in runs])
    turned = float(np.max(np.abs(by_displacement / (A @ lines @ A.T) - 1)))
    estimate = estimate_onsager([run.to_frame("solvent") for run in runs])
    low, high = estimate.interval("rho_plus", 0.95)
    one_run = current_fraction(by_displacement, (1, -1))
    shifts = {name: frame_shifts(load_set(f"steinruck2020_{name}")) for name in ("rs", "pnb")}
    largest = max(abs(ss) for pairs in shifts.values() for ss, _ in pairs)
    of_t = max(abs(t) for pairs in shifts.values() for _, t in pairs)
    inside = low <= truth.rho_plus <= high
    return [
        Statement(
            "eq23",
            "Eq. 23",
            "Ω_ij = β⟨Δr_i·Δr_j⟩/(6VN_A²t), a line from 10 to 20 ns",
            f"twin, 4 runs of 100 ns (length assumed): farthest element {off:.1f} standard errors from the truth",
            agreed(off, 4.0),
            off,
        ),
        Statement(
            "eq24",
            "Eq. 24",
            "Ω⁰ = A Ω^M Aᵀ equals the correlations of transformed displacements",
            f"twin: largest difference {turned:.0e}",
            agreed(turned, 1e-6),
            turned,
        ),
        Statement(
            "twin",
            "Eqs. 14, 23, 24",
            "t₊,ss from a simulation",
            f"twin of known t₊,ss = {truth.rho_plus:.3f}: ours {estimate.rho_plus:.3f} ({low:.3f} "
            f"to {high:.3f}, 95 %); lines from 10 to 20 ns in one run each: {one_run.min():.2f} "
            f"to {one_run.max():.2f}",
            "agrees" if inside else "**differs**",
            float(estimate.rho_plus),
        ),
        Statement(
            "frame",
            "before Eq. 24",
            "the conversion to the solvent-fixed frame is necessary",
            "RS and PNB, r = 0.02 to 0.16: Eq. 14 with the barycentric matrix errs by up to "
            f"{largest:.1%} of t₊,ss; t₊ itself "
            f"moves by up to {of_t:.2f} (RS at r = 0.1: {barycentric.t_plus:+.2f}, and "
            f"{truth.t_plus:+.2f} relative to the solvent)",
            "agrees, though t₊,ss hardly moves",
            largest,
        ),
    ]


def frame_shifts(transport: TransportSet) -> list[tuple[float, float]]:
    """By how much the barycentric frame would change t_ss (relative) and t_+ at each r."""
    shifts = []
    for r in RATIOS:
        m = of_set(transport, r)
        box = m.to_frame("barycentric")
        shifts.append((float(current_fraction(box.Omega, (1, -1))) / m.rho_plus - 1, box.t_plus - m.t_plus))
    return shifts


# ---- out ------------------------------------------------------------------------------------------------------------


def draw(path: Path) -> None:
    """Current fraction and transference number of the two reconstructions."""
    note = (
        "Lines: RECONSTRUCTIONS of published measurements at 90 °C (their χ is assumed), not the "
        "simulations of the paper; "
        "the points of its Fig. 2 are not public in numbers."
    )
    with drawing(path, title=r"PEO-LiTFSI: $\rho_+ = t_{+,ss}$ and $t_+^0$", note=note, height=2.6) as (
        _,
        axes,
    ):
        axis = axes[0]
        r = np.linspace(0.02, 0.2, 37)
        for k, name in enumerate(("rs", "pnb")):
            matrices = [of_set(load_set(f"steinruck2020_{name}"), each) for each in r]
            axis.plot(r, [m.rho_plus for m in matrices], color=COLOURS[k], label=rf"$\rho_+$, {name.upper()}")
            axis.plot(r, [m.t_plus for m in matrices], "--", color=COLOURS[k], label=rf"$t_+^0$, {name.upper()}")
        axis.set_xticks([0.05, 0.1, 0.15, 0.2])
        axis.axhline(0, color="0.7", linewidth=0.6)
        axis.set_xlabel(label("$r$", ""))
        axis.set_ylabel("fraction of the current")
        axis.legend(ncols=2)


def main(folder: Path) -> list[Statement]:
    """Write table and figure."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [*formulas(), *cells(), *frames_and_errors()]
    (folder / "table.md").write_text(table(HEAD, rows), encoding="utf-8")
    draw(folder / "current_fraction.png")
    return rows


if __name__ == "__main__":
    say: Callable[[str], None] = print
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/validation/shao2023")
    main(target)
    say((target / "table.md").read_text(encoding="utf-8"))
