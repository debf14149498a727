"""Fang et al. 2026: every equation, number and statement that can be checked, ours beside.

    python validation/fang2026/run.py [FOLDER]

FOLDER (default: runs/validation/fang2026) receives table.md and twin.png.

Reference: Fang, Woosley, Chakraborty, Halat, Balsara & Wang, J. Mater. Chem. A (2026), doi:10.1039/D5TA05739F. Its
trajectories and the values of Figs. 1-5 are not public in numbers, and its supplement is not at hand. Formulas are
checked on random matrices, statements on one another, and what its runs can resolve on synthetic walkers of its
composition.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from cellsim import TransportSet, load_set
from cellsim.base import N_A, F, k_B
from cellsim.cell.geometry import Cell
from cellsim.drawing.figstyle import COLOURS, drawing, label
from cellsim.electrolyte.onsager import Composition, OnsagerMatrix
from cellsim.laboratory.impedance import onsager_of
from cellsim.model.steady import steady_state
from mdcoeffs.onsager.displacements import CollectiveDisplacements
from mdcoeffs.onsager.estimate import OnsagerEstimate, estimate_onsager
from mdcoeffs.residence.lifetimes import Intervals, lag_sums, survival
from mdcoeffs.statistics.correlate import collective_msd
from mdcoeffs.structure import overlap_concentration
from mdcoeffs.synthetic.partners import Partner, exchange
from mdcoeffs.synthetic.walkers import Onset, walk

sys.path.insert(0, str(Path(__file__).parents[1]))
from statements import Statement, agreed, table

T, Z = 303.0, -20
PER_MOLAR = 1000.0
M_LI, M_UNIT = 6.94e-3, 314.3e-3
"""Lithium, and one styrenesulfonyl(trifluoromethanesulfonyl)imide unit C9H7F3NO4S2 of the anion [kg/mol]."""
DENSITY = 1200.0
"""Of the electrolyte, assumed: that of the paper stands in its supplement [kg/m^3]."""
FRAMES, DT, RUNS, SEED = 10_001, 10e-12, 4, 5739
HEAD = """# Fang et al. 2026: what is printed, and ours

Written by `python validation/fang2026/run.py`. "Random" means 500 random positive definite matrices of a 1:20 salt
(fixed seed); "largest difference" is relative. The twin consists of *synthetic* walkers with the paper's charges,
concentration, box, length, frames and number of runs; its coefficients are chosen, they are not the paper's.

| where | printed | ours | verdict |
| --- | --- | --- | --- |
"""


def star(L: np.ndarray, c_plus: float = 200.0) -> OnsagerMatrix:
    """The salt of the paper from its L (Eq. 1), solvent frame; c_plus [mol/m^3]."""
    return OnsagerMatrix.from_wheeler_newman(L, z=(1, Z), nu=(20, 1), c=c_plus / 20, T=T, frame="solvent")


def stated(t_plus: float, rho_plus: float, c_plus: float = 200.0, kappa: float = 0.06) -> OnsagerMatrix:
    """The matrix that has this transference number and current fraction; kappa assumed [S/m]."""
    return onsager_of(kappa, t_plus, rho_plus, z=(1, Z), nu=(20, 1), c=c_plus / 20, T=T)


def composition(c_plus: float) -> Composition:
    """Masses of the electrolyte: of the anion only its 20 charged units, so at least these."""
    anion = 20 * M_UNIT
    return Composition((M_LI, anion), DENSITY - c_plus * (M_LI + M_UNIT))


# ---- formulas -------------------------------------------------------------------------------------------------------


def formulas() -> list[Statement]:
    """Eqs. 1 to 7."""
    rng = np.random.default_rng(SEED)
    root, cross = 10 ** rng.uniform(-1, 1, 500), rng.uniform(-0.99, 0.99, 500)
    matrices = 1e-20 * np.stack([np.stack([root, cross], -1), np.stack([cross, 1 / root], -1)], -2)
    two = three = four = text = five = steady = 0.0
    for L in matrices:
        m = star(L)
        (pp, pm), (_, mm) = L
        total = pp - 2 * pm + mm
        two = max(two, abs(m.kappa / (F**2 * 200.0**2 * total) - 1))
        three = max(three, abs(m.t_plus - (pp - pm) / total))
        ne = (mm - pm) ** 2 / (pp * mm - pm**2)
        four = max(four, abs(m.rho_plus * (1 + ne) - 1))
        text = max(text, abs(m.rho_plus / ((pp - pm**2 / mm) / total) - 1))
        # no flux of the anion: an independent route to the current fraction of any valence
        force = np.linalg.solve(m.Omega, [-1.0, 0.0])
        steady = max(steady, abs(F / (-m.kappa * force[0] / F) / m.rho_plus - 1))
        D = 10 ** rng.uniform(-12, -10, 2)
        five = max(five, abs(m.ideal(*D).t_app / (D[0] / (D[0] + 20 * D[1])) - 1))
    worst = 0.0
    for t_plus, rho in ((-1.0, 0.7), (0.0, 0.6), (-1.0, 0.5)):
        m = stated(t_plus, rho)
        transport = TransportSet.constant(
            kappa=m.kappa, D=m.diffusion(1.0), t_plus=m.t_plus, chi=1.0, T=T, z_plus=1, z_minus=Z
        )
        i = steady_state(Cell(1e-4, T), transport, m.c, voltage=1e-5).i
        worst = max(worst, abs(i / (1e-5 * m.kappa / 1e-4) / m.rho_plus - 1))
    return [
        Statement(
            "eq2",
            "Eq. 2",
            "κ = F²c₊²z₊²(L₊₊ - 2L₊₋ + L₋₋), any valence",
            f"`kappa`: largest difference {two:.0e}, random",
            agreed(two, 1e-9),
            two,
        ),
        Statement(
            "eq3",
            "Eq. 3",
            "t₊⁰ = (L₊₊ - L₊₋)/(L₊₊ - 2L₊₋ + L₋₋)",
            f"`t_plus`: largest difference {three:.0e}, random",
            agreed(three, 1e-9),
            three,
        ),
        Statement(
            "eq4",
            "Eq. 4",
            "ρ₊ = 1/(1 + Ne), Ne = (L₋₋ - L₊₋)²/(L₊₊L₋₋ - L₊₋²), any valence",
            f"`rho_plus`: largest difference {four:.0e}; the flux law with no anion flux solved: "
            f"{steady:.0e}; polarised cells of three 1:20 salts: {worst:.0e}",
            agreed(max(four, steady, worst / 1e4), 1e-8),
            worst,
        ),
        Statement(
            "text4",
            "after Fig. 2",
            "ρ₊ = (L₊₊ - L₊₋²/L₋₋)/(L₊₊ - 2L₊₋ + L₋₋) follows from Eq. 4",
            f"largest difference {text:.0e}, random",
            agreed(text, 1e-8),
            text,
        ),
        Statement(
            "eq5",
            "Eq. 5, Fig. 3",
            "t₊,PFG = D₊/(D₊ - z₋D₋) = D₊/(D₊ + 20D₋)",
            f"`ideal`: largest difference {five:.0e}, random",
            agreed(five, 1e-9),
            five,
        ),
        *normalisation(),
        residence(),
    ]


def normalisation() -> list[Statement]:
    """Eq. 1 against Eq. 7: one is per ion, the other per volume."""
    rng = np.random.default_rng(SEED + 1)
    n, D, dt, frames = 20, 3e-11, 1e-11, 20_001
    volume = n / (N_A * 200.0)
    steps = np.sqrt(2 * D * dt) * rng.standard_normal((frames - 1, n, 3))
    slope = float(np.mean(np.sum(steps**2, axis=2))) * n / n**2 / dt  # sum over alpha = beta, as in Eq. 1
    own = volume / (6 * k_B * T) * slope
    per_ion = own / (D / (200.0 * N_A * k_B * T))
    seven = D * 200.0 * N_A / (k_B * T)
    factor = seven / own / (200.0 * N_A) ** 2
    return [
        Statement(
            "eq7",
            "Eqs. 1, 7",
            "L₊₊^self = D₊c₊/(k_BT), the sum over α = β in Eq. 1",
            f"Eq. 1 gives D₊/(c₊k_BT): independent walkers {per_ion:.3f} times that. Eq. 7 is "
            f"larger by c₊² (measured {factor:.3f} c₊²): with c₊ as a number density it is N_A²Ω, "
            "Eq. 1 has Ω/(c_ic_j). Shares of self and distinct are the same in both",
            "**differs**",
            factor,
        ),
        Statement(
            "rise",
            "after Fig. 2",
            "L_ij rise with c₊ at low concentrations by the number of carriers, maximum at 0.2 M",
            "in the normalisation of Eq. 1 independent ions have L ~ 1/c₊, which falls; in that "
            "of Eq. 7 it rises as c₊. The reason given fits Eq. 7 only; where the maximum lies "
            "is in Fig. 2",
            "**differs** (normalisation); the maximum cannot be checked",
        ),
    ]


def residence() -> Statement:
    """Eq. 6 with partners of known residence time."""
    tau, dt = 1e-9, 2e-11
    run = exchange([Partner("POSS", 2, tau, 0.4)], cations=60, frames=4001, dt=dt, seed=SEED + 2)
    states = run.states[0]
    kept = survival([lag_sums(Intervals.of_states(states.reshape(states.shape[0], -1)), 400)], dt)
    assert kept.fit is not None
    mean, (low, high) = float(kept.fit.value[3]), kept.mean_interval()
    return Statement(
        "eq6",
        "Eq. 6",
        "mean residence time of a stretched exponential through ⟨P(t)P(0)⟩/⟨P(0)P(0)⟩, P = 1 "
        "while bound without a break",
        f"synthetic partners with τ = 1 ns: {mean * 1e9:.3f} ns ({low * 1e9:.3f} to "
        f"{high * 1e9:.3f}, 95 %), β = {float(kept.fit.value[2]):.2f} (1)",
        "agrees" if low <= tau <= high else "**differs**",
        mean / tau,
    )


# ---- numbers and statements -----------------------------------------------------------------------------------------


def numbers() -> list[Statement]:
    """Printed numbers against one another."""
    edges = {0.1: 9.8, 0.2: 7.9, 0.4: 7.9, 0.8: 7.9}
    anions = {c: c * PER_MOLAR * N_A * (edge * 1e-9) ** 3 / 20 for c, edge in edges.items()}
    off = max(abs(n - round(n)) for n in anions.values())
    boxes = ", ".join(f"{n:.2f} at {c} M" for c, n in anions.items())
    c_overlap = overlap_concentration(4.4e-9, Z) / PER_MOLAR
    ratio = 20 * 0.1 / 0.9
    free, bound = np.array([0.2, 0.05]), np.array([0.8, 0.95])
    return [
        Statement(
            "valence",
            "Introduction",
            "8 side chains of 2-3 TFSI give about -20",
            "-16 to -24, 2.5 a chain gives -20",
            "agrees",
            20.0,
        ),
        Statement(
            "box",
            "Methods",
            "boxes of 7.9 nm (c₊ ≥ 0.2 M) and 9.8 nm (0.1 M)",
            f"anions in them: {boxes}; whole numbers within the rounding of the edge (±0.05 nm is ±2 %) and of c₊",
            agreed(off, 0.2),
            off,
        ),
        Statement(
            "overlap",
            "before Fig. 5",
            "anions of 4.4 nm overlap from c₊ = 0.4 M",
            f"`overlap_concentration`: {c_overlap:.3f} M (4.35 to 4.45 nm: 0.377 to 0.403 M)",
            agreed(abs(c_overlap / 0.4 - 1), 0.05),
            c_overlap,
        ),
        Statement(
            "pfg",
            "after Eq. 5, Fig. 1",
            "t₊,PFG near 0.1 at low c₊; D₊ substantially above D₋; both differences grow with c₊",
            f"0.1 is D₊/D₋ = {ratio:.1f}; t₊,PFG is monotonic in D₊/D₋, so the two statements are one",
            "agrees",
            ratio,
        ),
        Statement(
            "bound",
            "after Fig. 4",
            "free Li⁺ fall from 0.2 to 0.05, bound rise from 0.8 to 0.95; 0.8 anions in a shell at the lowest c₊",
            f"sums {np.sum([free, bound], axis=0)}; with at most one anion per Li⁺ the mean "
            "number of anions is the bound fraction",
            agreed(float(np.max(np.abs(free + bound - 1))), 1e-12),
            0.8,
        ),
        Statement(
            "self",
            "after Eq. 7",
            "distinct part of L₊₊^m above 80 %, self below 20 %",
            "the two limits are one statement; the shares themselves are in Fig. 5b",
            "agrees",
            0.2,
        ),
        *sizes(),
        *frames(),
    ]


def sizes() -> list[Statement]:
    """What t+0 of order -1 and a current fraction above one half imply for the three coefficients."""
    found = []
    for rho in (0.5, 0.6, 0.7, 0.8):
        L = stated(-1.0, rho).wheeler_newman
        total = L[0, 0] - 2 * L[0, 1] + L[1, 1]
        found.append((L[0, 0] / L[1, 1], L[0, 1] / L[1, 1], L[0, 0] / total, L[1, 1] / total))
    low, high = np.min(found, axis=0), np.max(found, axis=0)
    return [
        Statement(
            "negative",
            "after Fig. 2, Fig. 3",
            "t₊⁰ < 0 because L₊₊ < L₊₋; L₋₋ the largest at all c₊",
            "exact: the denominator of Eq. 3 is positive, so t₊⁰ < 0 means L₊₊ < L₊₋, and then "
            "L₋₋ > 2L₊₋ - L₊₊ > L₊₋ > L₊₊",
            "agrees",
        ),
        Statement(
            "comparable",
            "Abstract, Fig. 2",
            "the three coefficients are comparable, with t₊⁰ of order -1 and ρ₊ > 0.5",
            f"t₊⁰ = -1 and ρ₊ = 0.5 to 0.8 require L₊₊/L₋₋ = {low[0]:.2f} to {high[0]:.2f} and "
            f"L₊₋/L₋₋ = {low[1]:.2f} to {high[1]:.2f}",
            "agrees",
            float(low[0]),
        ),
        Statement(
            "order",
            "after Fig. 2",
            "κ of Eq. 2 about an order of magnitude below the L_ij",
            f"L₊₊/Σ = {low[2]:.0f} to {high[2]:.0f} and L₋₋/Σ = {low[3]:.0f} to {high[3]:.0f} for "
            "the same, Σ the sum in Eq. 2",
            "agrees",
            float(high[3]),
        ),
    ]


def frames() -> list[Statement]:
    """Solvent and mass frame."""
    shifts = {}
    for c_molar, t_plus in ((0.1, -1.0), (0.2, -1.0), (0.4, 0.0), (0.4, -1.0), (0.8, -1.0)):
        c = c_molar * PER_MOLAR
        m = replace(stated(t_plus, 0.7, c), composition=composition(c))
        shifts[c_molar, t_plus] = m.to_frame("barycentric").t_plus - t_plus
    words = ", ".join(f"{s:+.2f} at {c} M and t₊⁰ = {t:g}" for (c, t), s in shifts.items())
    contrast = []
    for name in ("steinruck2020_rs", "steinruck2020_pnb"):
        transport = load_set(name)
        for r in (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.16):
            c = float(transport.c_of(r=r))
            rho = float(1 / (1 + transport.newman_number(c)))
            m = onsager_of(
                float(transport.kappa(c)), float(transport.t_plus(c)), rho, z=(1, -1), nu=(1, 1), c=c, T=363.15
            )
            m = replace(m, composition=Composition((M_LI, 280.15e-3), c / r * 44.05e-3))
            contrast.append((m.Omega[0, 1], m.to_frame("barycentric").Omega[0, 1]))
    reversed_sign = sum(a * b < 0 for a, b in contrast)
    same = all(
        replace(stated(t, 0.7, c), composition=composition(c)).to_frame("barycentric").Omega[0, 1] > 0
        for t, c in ((-1.0, 100.0), (-1.0, 200.0), (0.0, 400.0), (-1.0, 800.0))
    )
    return [
        Statement(
            "minor",
            "after Fig. 2 (Fig. S5)",
            "transference numbers in the two frames differ little at all c₊",
            f"at least {words} (20 units of 314 g/mol, electrolyte 1200 kg/m³ assumed). The shift grows with c₊",
            "**differs** at high c₊, with these masses",
            shifts[0.8, -1.0],
        ),
        Statement(
            "sign",
            "after Fig. 2",
            "the frame does not change the trends here; with LiTFSI it can reverse the sign of L₊₋",
            f"here L₊₋^m > 0 at 0.1, 0.2, 0.4, 0.8 M: {'yes' if same else 'no'}; PEO-LiTFSI (RS "
            f"and PNB reconstructions): sign reversed in {reversed_sign} of {len(contrast)} states",
            "agrees" if same and reversed_sign else "**differs**",
            float(reversed_sign),
        ),
        Statement(
            "explains",
            "before Conclusion",
            "L₊₋^m small beside L₊₊^m at 0.4 M explains t₊⁰ near 0 there",
            f"t₊⁰ = 0 is L₊₊⁰ = L₊₋⁰; in the mass frame t₊^m = {shifts[0.4, 0.0]:+.2f}, so there L₊₊^m > L₊₋^m",
            "agrees",
            shifts[0.4, 0.0],
        ),
    ]


# ---- the twin -------------------------------------------------------------------------------------------------------


def twin(
    t_plus: float, rho_plus: float, c_plus: float, seed: int
) -> tuple[OnsagerMatrix, list[CollectiveDisplacements]]:
    """Four runs of 100 ns of walkers in the paper's box."""
    m = stated(t_plus, rho_plus, c_plus)
    anions = round(c_plus * N_A * (7.9e-9) ** 3 / 20)
    runs = [
        walk(
            m.Omega,
            frames=FRAMES,
            dt=DT,
            seed=seed + k,
            z=(1, Z),
            n_salt=anions,
            c=m.c,
            T=T,
            onset=Onset(1e-10, m.Omega),
        )
        for k in range(RUNS)
    ]
    return m, runs


def by_equation_1(run: CollectiveDisplacements, lags: np.ndarray) -> np.ndarray:
    """L by Eq. 1, a line through the product of mean displacements."""
    means = run.R[:, :2] / np.asarray(run.counts[:2], dtype=float)[None, :, None]
    curve = collective_msd(means, lags).reshape(lags.size, 4)
    slope = np.polyfit(lags * DT, curve, 1)[0].reshape(2, 2)
    return np.asarray(run.volume / (6 * k_B * T) * slope)


def twins() -> tuple[list[Statement], list[tuple[float, OnsagerMatrix, OnsagerEstimate]]]:
    """What four runs of 100 ns say about t+0 and the current fraction."""
    estimates, rows = [], []
    for k, (t_plus, rho, c_plus) in enumerate(((-1.0, 0.7, 200.0), (0.0, 0.6, 400.0))):
        truth, runs = twin(t_plus, rho, c_plus, SEED + 100 * k)
        found = estimate_onsager(runs)
        estimates.append((c_plus, truth, found))
        if k == 0:
            lines = np.array([by_equation_1(run, np.arange(100, 1001)) for run in runs])
            error = lines.std(axis=0, ddof=1) / np.sqrt(RUNS)
            off = float(np.max(np.abs(lines.mean(axis=0) - truth.wheeler_newman) / error))
            rows.append(
                Statement(
                    "eq1",
                    "Eq. 1",
                    "L_ij from the slope over one order of magnitude of time",
                    f"twin, 1 to 10 ns: farthest of three {off:.1f} standard errors of the four runs from Ω/(c_ic_j)",
                    agreed(off, 5.0),
                    off,
                )
            )
        ends = {name: found.interval(name, 0.95) for name in ("t_plus", "rho_plus")}
        half = (ends["t_plus"][1] - ends["t_plus"][0]) / 2
        rows.append(
            Statement(
                f"twin{k}",
                "Methods, Fig. 3",
                (
                    "t₊⁰ of order -1 and ρ₊ > 0.5"
                    if k == 0
                    else "t₊⁰ near 0 at 0.4 M, slightly positive in the simulation, slightly negative in the experiment"
                ),
                f"twin with t₊⁰ = {t_plus:g}, ρ₊ = {rho}: {found.t_plus:.2f} "
                f"({ends['t_plus'][0]:.2f} to {ends['t_plus'][1]:.2f}) and {found.rho_plus:.2f} "
                f"({ends['rho_plus'][0]:.2f} to {ends['rho_plus'][1]:.2f}), 95 %: four runs of "
                f"100 ns resolve t₊⁰ to ±{half:.2f} where the slowest motion lasts 0.1 ns",
                "synthetic, no verdict on the paper",
                half,
            )
        )
    return rows, estimates


def absent() -> list[Statement]:
    """What cannot be checked."""
    where = "the values are in a figure only, and the trajectories and the supplement are not at hand"
    return [
        Statement(
            "fig1",
            "Fig. 1",
            "self-diffusion coefficients against c₊, simulated and measured",
            where,
            "cannot be checked",
        ),
        Statement(
            "fig2",
            "Fig. 2",
            "L_ij against c₊ in two frames",
            where + "; their formulas, order and ratios are checked above",
            "cannot be checked",
        ),
        Statement("fig3", "Fig. 3", "t₊,PFG, ρ₊ and t₊⁰ against c₊", where, "cannot be checked"),
        Statement("fig45", "Figs. 4, 5", "shells, bound shares, residence times, linkers", where, "cannot be checked"),
        Statement(
            "s1",
            "after Eq. 1 (Table S1)",
            "exponents within 10 % of 1",
            "the table is not at hand; `mdcoeffs onsager` warns by the same limit (docs/onsager.md)",
            "cannot be checked",
        ),
    ]


# ---- out ------------------------------------------------------------------------------------------------------------


def draw(path: Path, estimates: list[tuple[float, OnsagerMatrix, OnsagerEstimate]]) -> None:
    """Posterior of t+0 of the twins."""
    note = "SYNTHETIC walkers of known coefficients (dashed) in the paper's box: 4 runs of 100 ns, frames 10 ps apart."
    with drawing(path, title="What runs of this length say about $t_+^0$", note=note, height=2.4) as (_, axes):
        for k, (c, truth, found) in enumerate(estimates):
            draws = found.draws("t_plus")
            axes[0].hist(draws, bins=60, density=True, histtype="step", color=COLOURS[k], label=f"{c / PER_MOLAR:g} M")
            axes[0].axvline(truth.t_plus, color=COLOURS[k], linestyle="--", linewidth=0.9)
        axes[0].set_xlabel(label("$t_+^0$", ""))
        axes[0].set_ylabel("probability density")
        axes[0].legend()


def main(folder: Path) -> list[Statement]:
    """Write table and figure."""
    folder.mkdir(parents=True, exist_ok=True)
    simulated, estimates = twins()
    rows = [*formulas(), *numbers(), *simulated, *absent()]
    (folder / "table.md").write_text(table(HEAD, rows), encoding="utf-8")
    draw(folder / "twin.png", estimates)
    return rows


if __name__ == "__main__":
    say: Callable[[str], None] = print
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/validation/fang2026")
    main(target)
    say((target / "table.md").read_text(encoding="utf-8"))
