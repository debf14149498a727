"""Every number that Kozdra et al. print and derive about rates, again from its own inputs.

    python validation/kozdra2025/run.py [FOLDER]

FOLDER (default: runs/validation/kozdra2025) receives table.md and prediction.png.

Reference: Kozdra, Hölzer, Brandell & Heuer, Phys. Chem. Chem. Phys. 27, 24918 (2025), doi:10.1039/d5cp01988e.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellsim.drawing.figstyle import COLOURS, GREY, drawing, label
from mdcoeffs.interface.rates import (
    Split,
    equilibration_coefficient,
    expected_jumps,
    judge,
    jump_probability,
    jump_rate,
    mean_barrier,
    rate_at,
    rate_ratio,
    split_barrier,
    tst_rate,
    well_frequency,
)
from mdcoeffs.interface.temperatures import Joint, State, joint_barrier

NS = 1e-9
PER_ANGSTROM2 = 1e20
M_LI = 1.15e-26
K_LEFT, K_RIGHT, K_WELL = 4.9e-21, 5.2e-21, 5.1e-21
FREQUENCY = 1.5e12
BARRIER, BARRIERS = 7700.0, (8000.0, 7500.0)
IONS, RUN, RUN_600 = 15, 380 * NS, 300 * NS
JUMPS, JUMPS_600 = 7, 2
TRANSMISSION = 0.05
SLOPE, SHIFT_600, SHIFT_500, SHIFT_400 = 1850.0, 0.18, 0.35, 0.45
REDUCTION_600 = 330.0
HEAD = """# Kozdra 2025: printed numbers against their own inputs

Written by `python validation/kozdra2025/run.py`. "Ours" goes through the functions of `mdcoeffs.interface.rates`,
from the inputs as printed (rounded as they are); a number agrees when it rounds to the printed one, or lies within
the rounding of the printed inputs (column "within"). Nothing here is simulated again: this checks arithmetic and
formulas, not the MD.

| where | quantity | printed | ours | within | verdict |
| --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Check:
    """One number: where it stands, what is printed, what we find, by how much it may differ."""

    key: str
    where: str
    what: str
    printed: float
    ours: float
    within: float
    unit: str = ""

    @property
    def deviation(self) -> float:
        """Relative deviation of ours from the printed number [1]."""
        return self.ours / self.printed - 1.0

    @property
    def agrees(self) -> bool:
        """Whether it is the printed number within its tolerance."""
        return abs(self.deviation) <= self.within


def split(ratio: float) -> Split:
    """The split of the paper, for a ratio gamma of the rates at 700 and 600 K."""
    return split_barrier(ratio, temperatures=(700.0, 600.0), barrier=BARRIER, reduction=REDUCTION_600)


def rate_400(ratio: float) -> float:
    """Gamma(400 K), Eq. 11."""
    return float(rate_at(400.0, split(ratio), FREQUENCY, transmission=TRANSMISSION, reduction=SHIFT_400 * SLOPE))


def joint(*, cold: bool) -> Joint:
    """dE and dS from the counts of 700 and 600 K together, or with those of 500 and 400 K beside them."""
    states = [State(700.0, JUMPS, IONS * RUN, BARRIER, 1e-3), State(600.0, JUMPS_600, IONS * RUN_600, reduction=330.0)]
    if cold:  # Sec. 4: one ion entered at 500 K; Fig. 6: none at 400 K; 400 ns each
        states.append(State(500.0, 1, IONS * 400 * NS, reduction=SHIFT_500 * SLOPE))
        states.append(State(400.0, 0, IONS * 400 * NS, reduction=SHIFT_400 * SLOPE))
    return joint_barrier(states)


def checks() -> list[Check]:
    """All checks, in the order of the paper."""
    nu = float(well_frequency(K_WELL * PER_ANGSTROM2, M_LI))
    gamma_700 = float(tst_rate(FREQUENCY, BARRIER, 700.0))
    jumps = float(expected_jumps(gamma_700, IONS, RUN))
    ratio = rate_ratio((JUMPS, JUMPS_600), (RUN, RUN_600)).value
    slope_E = float(split(np.e).dE - split(1.0).dE)
    slope_S = float(split(np.e).dS - split(1.0).dS)
    power = float(np.log(rate_400(np.e) / rate_400(1.0)))
    rows = [
        Check("EC_700", "Fig. 7", "EC(Li), 7 in and 7 out, lambda = 10", 0.6, ec(7, 7), 0.05),
        Check("EC_600", "Fig. 7", "EC(Li) at 600 K, 2 in; 2 out assumed", 0.3, ec(2, 2), 0.06),
        Check("k_mean", "Sec. 3.3", "mean k of LEFT and RIGHT", 5.1e-21, (K_LEFT + K_RIGHT) / 2, 0.011, "J/Å²"),
        Check(
            "dF_mean",
            "Sec. 3.3",
            "Boltzmann mean of 8000 and 7500 K at 700 K",
            7700,
            mean_barrier(BARRIERS, 700.0),
            0.0065,
            "K",
        ),
        Check("nu", "Eq. 8", "nu of k = 5.1e-21 J/Å², m = 1.15e-26 kg", 1.5e12, nu, 0.02, "1/s"),
        Check("rate_700", "Sec. 3.3", "Gamma(700 K), transmission 1", 2.5e7, gamma_700, 0.02, "1/s"),
        Check("jumps_700", "Sec. 3.3", "expected jumps, 15 ions, 380 ns", 140, jumps, 0.04),
        Check("transmission", "Sec. 3.3", "transmission = 7 / expected", 0.05, JUMPS / jumps, 0.1),
        Check("mass_factor", "Sec. 3.3", "mass that gives it, (1/0.05)²", 400, mass_factor(TRANSMISSION), 1e-12),
        Check("reduction", "Sec. 3.3", "barrier reduction, 0.18 Å at 1850 K/Å", 330, SHIFT_600 * SLOPE, 0.016, "K"),
        Check("gamma", "Sec. 3.3", "gamma = (7/2)(300/380)", 3, ratio, 1 / 6),
        Check("gamma_low", "Sec. 3.3", "gamma with 3 jumps at 600 K", 2, gamma_of(3), 0.25),
        Check("gamma_high", "Sec. 3.3", "gamma with 1 jump at 600 K", 6, gamma_of(1), 0.084),
        Check("dE_slope", "Eq. 9", "dE = (4200 ln gamma + ...) K", 4200, slope_E, 1e-9, "K"),
        Check("dE_offset", "Eq. 9", "dE = (... + 2310) K", 2310, float(split(1.0).dE), 1e-9, "K"),
        Check("dS_slope", "Eq. 10", "dS = 6 ln gamma ...", 6, slope_S, 1e-9),
        Check("dS_offset", "Eq. 10", "dS = ... - 7.7", -7.7, float(split(1.0).dS), 1e-9),
        Check("dS_3", "Sec. 3.3", "dS for gamma = 3", -1.1, float(split(3.0).dS), 0.046),
        Check("prefactor_400", "Eq. 12", "Gamma(400 K) at gamma = 1", 0.8e6, rate_400(1.0), 0.0625, "1/s"),
        Check("power_400", "Eq. 12", "power of gamma", -4.5, power, 1e-9),
        Check("rate_400_2", "Sec. 3.4", "Gamma(400 K), gamma = 2", 4e4, rate_400(2.0), 0.125, "1/s"),
        Check("rate_400_3", "Sec. 3.4", "Gamma(400 K), gamma = 3", 6e3, rate_400(3.0), 0.084, "1/s"),
        Check("rate_400_6", "Sec. 3.4", "Gamma(400 K), gamma = 6", 3e2, rate_400(6.0), 0.17, "1/s"),
        Check(
            "probability",
            "Sec. 3.4",
            "probability of a jump in 380 ns at 400 K, gamma = 3",
            0.03,
            float(jump_probability(rate_400(3.0), IONS, RUN)),
            0.17,
        ),
        Check("barrier_TFSI", "Sec. 3.3", "Li barrier / 3, TFSI is 2500 to 3000 K", 2750, BARRIER / 3, 0.1, "K"),
        Check(
            "wait_400",
            "Sec. 4",
            "run for one more jump at 400 K, gamma = 3",
            1e-3,
            1 / (IONS * rate_400(3.0)),
            0.5,
            "s",
        ),
    ]
    return rows


def ec(forward: int, backward: int) -> float:
    """EC with lambda = 10."""
    return float(equilibration_coefficient(forward, backward))


def gamma_of(jumps_600: int) -> float:
    """Ratio of the rates with so many jumps at 600 K."""
    return rate_ratio((JUMPS, jumps_600), (RUN, RUN_600)).value


def mass_factor(transmission: float) -> float:
    """Factor on the mass that lowers nu by `transmission`."""
    return float((well_frequency(1.0, 1.0) / well_frequency(1.0, 1.0 / transmission**2)) ** 2)


def notes() -> list[str]:
    """What does not fit, with the proof, and what the counts allow."""
    waits = {ratio: 1 / (IONS * rate_400(ratio)) for ratio in (2.0, 3.0, 6.0)}
    ratio = rate_ratio((JUMPS, JUMPS_600), (RUN, RUN_600))
    one_sigma = rate_ratio((JUMPS, JUMPS_600), (RUN, RUN_600), level=0.6827)
    transmission = jump_rate(JUMPS, IONS * RUN * float(tst_rate(FREQUENCY, BARRIER, 700.0)))
    two, four = joint(cold=False), joint(cold=True)
    two_dS, four_dS = two.dS, four.dS
    assert two_dS is not None and four_dS is not None
    cold = [float(v) for v in four.rate(400.0)]
    return [
        "**All counts together** (`mdcoeffs.interface.temperatures`). The entries at 700 and 600 K give dE = "
        f"{two.dE.value:.0f} K (95 %: {two.dE.low:.0f} to {two.dE.high:.0f}) and dS = {two_dS.value:.1f} "
        f"({two_dS.low:.0f} to {two_dS.high:.0f}); the paper's gamma = 3 lies in the middle, with 6924 K and -1.1. The "
        "one entry at 500 K and none at 400 K, which the paper reports and does not use, narrow dE to "
        f"{four.dE.value:.0f} K ({four.dE.low:.0f} to {four.dE.high:.0f}), dS to {four_dS.value:.1f} "
        f"({four_dS.low:.1f} to {four_dS.high:.1f}) and give Gamma(400 K) = {cold[0]:.0e} /s ({cold[1]:.0e} to "
        f"{cold[2]:.0e}): the paper's 3e2 to 4e4 and five times beyond. 15 ions are taken to be in the first layer at "
        "all temperatures, and the excess at 500 K is far from that at 700 K, so that this is what the counts say and "
        "no better.",
        "**`about 1 ms` disagrees with its own inputs.** The paper estimates that about 1 ms of simulation at 400 K is "
        "needed to see one more Li+ jump. Its own 3 % in 380 ns means 380 ns / 0.034 = 11 µs; its rates with 15 ions "
        f"give {waits[2.0] * 1e6:.2g} µs, {waits[3.0] * 1e6:.2g} µs and {waits[6.0] * 1e6:.3g} µs for gamma = 2, 3, 6. "
        f"One millisecond lies above all three; the waiting time of *one* ion, 1/Gamma, is "
        f"{1e3 / rate_400(3.0):.2g} ms for gamma = 3 and {1e3 / rate_400(6.0):.2g} ms for gamma = 6, which is probably "
        "what was meant.",
        "**The 600 K count that makes EC = 0.3 is not printed.** 2 in and 2 out give 0.286, the nearest a pair with 2 "
        "in can come; EC(600 K) is therefore an assumption, not a check.",
        "**380 ns at 400 K**: the 400 K run is 400 ns long, the analysed part of the others is 580 - 200 = 380 ns. "
        f"From 200 ns on, as elsewhere, 200 ns remain and the probability is "
        f"{float(jump_probability(rate_400(3.0), IONS, 200 * NS)):.3f}, not 0.03; the conclusion stays.",
        f"**The counts allow more than 2 to 6.** 7 and 2 jumps give gamma = {ratio.value:.2f}, 68 %: "
        f"{one_sigma.low:.2f} to {one_sigma.high:.1f}, 95 %: {ratio.low:.2f} to {ratio.high:.0f} (conditional "
        f"binomial). With Gamma(400 K) ~ gamma^-4.5 that is {rate_400(one_sigma.high):.0e} to "
        f"{rate_400(one_sigma.low):.0e} /s (68 %) and {rate_400(ratio.high):.0e} to {rate_400(ratio.low):.0e} /s "
        f"(95 %), against the paper's 3e2 to 4e4. Likewise transmission = {transmission.value:.3f}, 95 %: "
        f"{transmission.low:.3f} to {transmission.high:.3f}.",
        "**The verdict at 700 K**: " + judge("Li in LLZO", JUMPS, JUMPS, donors=IONS, time=RUN).sentence + ". "
        "**At 400 K** (none in 400 ns): " + judge("Li in LLZO", 0, 0, donors=IONS, time=400 * NS).sentence + ".",
    ]


def table(rows: list[Check]) -> str:
    """The table and the notes in Markdown."""
    lines = []
    for c in rows:
        verdict = "agrees" if c.agrees else "**disagrees**"
        within = f"{100 * c.within:.2g} %" if c.within > 1e-6 else "rounding"
        lines.append(
            f"| {c.where} | {c.what} | {c.printed:g} {c.unit} | {c.ours:.4g} {c.unit} | {within} | {verdict} |"
        )
    good = sum(c.agrees for c in rows)
    text = "\n".join(line.replace("  ", " ") for line in lines)
    return f"{HEAD}{text}\n\n{good} of {len(rows)} agree.\n\n" + "\n".join(f"- {note}" for note in notes()) + "\n"


def draw(path: Path) -> None:
    """The predicted rate over temperature, for the paper's range of gamma and for what the counts allow."""
    T = np.linspace(300.0, 700.0, 81)
    # 0.18 and 0.45 A at 600 and 400 K are those of Eqs. 9 and 11, 0.35 A at 500 K stands in Sec. 3.4 (Fig. 11)
    shift = np.interp(T, [300, 400, 500, 600, 700], [0.45, 0.45, 0.35, 0.18, 0.0])

    def curve(ratio: float) -> np.ndarray:
        return rate_at(T, split(ratio), FREQUENCY, transmission=TRANSMISSION, reduction=shift * SLOPE)

    allowed = rate_ratio((JUMPS, JUMPS_600), (RUN, RUN_600))
    note = (
        "Eq. 11 with the printed inputs; counts: 7 in 380 ns at 700 K, 2 in 300 ns at 600 K. The shift of the peak is "
        "interpolated, and held below 400 K."
    )
    with drawing(path, title="Li+ into LLZO, predicted rate of one ion", note=note, height=2.6) as (_, axes):
        axis = axes[0]
        axis.fill_between(
            T, curve(allowed.low), curve(allowed.high), color=GREY, alpha=0.2, linewidth=0, label="95 % of the counts"
        )
        axis.fill_between(
            T, curve(2.0), curve(6.0), color=COLOURS[5], alpha=0.6, linewidth=0, label=r"$\gamma$ = 2 to 6 (paper)"
        )
        axis.semilogy(T, curve(3.0), color=COLOURS[0], label=r"$\gamma$ = 3")
        axis.axhline(1 / (IONS * RUN), color=GREY, linestyle=":", linewidth=0.9)
        axis.text(300, 1.2e9, "dotted: 1 jump of 15 ions in 380 ns", color=GREY, va="bottom")
        axis.set_xlabel(label("$T$", "K"))
        axis.set_ylabel(label(r"$\Gamma$", "1/s", "rate"))
        axis.set_ylim(1e-4, 1e9)
        axis.legend(loc="lower right")


def main(folder: Path) -> list[Check]:
    """Write table and figure."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = checks()
    (folder / "table.md").write_text(table(rows), encoding="utf-8")
    draw(folder / "prediction.png")
    return rows


if __name__ == "__main__":
    say: Callable[[str], None] = print
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/validation/kozdra2025")
    main(target)
    say((target / "table.md").read_text(encoding="utf-8"))
