"""Statements on velocities and frames: Fig. 5, the lab frame, the frame of t+ (see steinruck2020_runs)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from steinruck2020_runs import ANGSTROM, BEAMS, COLOURS, MINUTE, NAMES, SETS, TRIAL, Check, Run, listed, ratio, verdict

Array = NDArray[np.float64]

REGIMES = {  # lines 285-288: slow below 50, medium below 100, fast above, A/s at 300 min
    "rs": ("slow", "medium", "fast", "fast", "medium"),
    "pnb": ("slow", "medium", "fast", "fast", "fast"),
}


def regimes(speeds: Array) -> tuple[str, ...]:
    """Slow below 50, medium below 100, fast above, in A/s."""
    return tuple("slow" if v < 50 else "medium" if v < 100 else "fast" for v in speeds)


def regime_checks(runs: dict[str, Run]) -> list[Check]:
    """Lines 281-288: slow, medium, fast at 300 min, for both readings of the sign of x."""
    checks = []
    for n, wanted in REGIMES.items():
        for side, positions in (("as here", BEAMS), ("mirrored", -BEAMS)):
            run = runs[n]
            v = run.speeds(positions)[run.row(300)]
            spread = np.abs(run.speeds(positions + 0.04) - run.speeds(positions - 0.04))[run.row(300)] / 2
            found = regimes(v)
            right = [a == b for a, b in zip(found, wanted, strict=True)]
            order = _ordered(v, wanted)
            text = ", ".join(f"{c} {a:.0f}±{e:.0f}" for c, a, e in zip(COLOURS, v, spread, strict=True))
            values = {c: float(a) for c, a in zip(COLOURS, v, strict=True)}
            where = f"285-288, x {side}"
            groups = ", ".join(f"{c} {w}" for c, w in zip(COLOURS, wanted, strict=True))
            checks.append(
                Check(
                    f"regimes_{n}_{side.split()[0]}",
                    where,
                    f"{NAMES[n]}, 300 min: {groups}",
                    f"{text} A/s: {sum(right)} of 5 as stated",
                    verdict(float(np.mean(right))),
                    values | {"right": float(sum(right))},
                )
            )
            checks.append(
                Check(
                    f"order_{n}_{side.split()[0]}",
                    where,
                    f"{NAMES[n]}: the same grouping as an order, every faster group above every slower one",
                    f"{order[0]} of {order[1]} pairs in order",
                    verdict(order[0] / order[1]),
                    {"right": float(order[0]), "pairs": float(order[1])},
                )
            )
    return checks


def _ordered(v: Array, wanted: tuple[str, ...]) -> tuple[int, int]:
    rank = {"slow": 0, "medium": 1, "fast": 2}
    pairs = [(v[a], v[b]) for a in range(5) for b in range(5) if rank[wanted[a]] < rank[wanted[b]]]
    return sum(int(a < b) for a, b in pairs), len(pairs)


def velocities(runs: dict[str, Run]) -> list[Check]:
    """Fig. 5 and lines 278-301."""
    t = runs["rs"].solution["time"]
    later = t >= 30 * MINUTE
    alike = {}
    for n in ("rs", "pnb"):
        i = np.interp(t, runs[n].solution["time"], runs[n].solution["i"])[later]
        alike[n] = min(float(np.corrcoef(v[later], i)[0, 1]) for v in runs[n].speeds().T)
    checks = [
        Check(
            "shape_of_current",
            "278-279",
            "velocities against time resemble the current density",
            f"least correlation of |v-|(t) and i(t) after 30 min: RS {alike['rs']:.3f}, PNB {alike['pnb']:.3f}",
            verdict(float(min(alike.values()) > 0.95)),
            alike,
        ),
        Check(
            "measured_velocity",
            "293-301",
            "measured/model velocity 1.19 +- 0.10 pooled; spread 0.08 RS, 0.12 PNB over four positions",
            "the measured velocities are only points in Fig. 5",
            "not checkable",
        ),
    ]
    for side, positions in (("as here", BEAMS), ("mirrored", -BEAMS)):
        a, b = (runs[n].average(runs[n].speeds(positions))[1:] for n in ("pnb", "rs"))
        spread = float(np.std(np.log(a / b), ddof=1))
        checks.append(
            Check(
                f"velocity_spread_{side.split()[0]}",
                f"293-301, x {side}",
                "hence PNB/RS, 200-400 min, "
                "scatters over the four positions by between |0.12 - 0.08|/1.19 = 0.03 and 0.20/1.19 = 0.17",
                f"PNB/RS {listed(a / b, 2)}, scatter {spread:.2f}",
                verdict(float(0.034 <= spread <= 0.168)),
                {"spread": spread},
            )
        )
    return checks


def lab_frame(runs: dict[str, Run]) -> list[Check]:
    """What lines 216-218 leave out: the interfaces move in the lab."""
    shift = {n: float(runs[n].along("interface_shift", 969)) * 1e6 for n in SETS}
    under, published = {}, {}
    for n in ("rs", "pnb"):
        run = runs[n]
        v_0 = run.solvent()[run.row(300)]
        v_s = float(run.along("v_interface", 300)) / ANGSTROM
        under[n] = 1 - v_0 / (v_0 - v_s)
        published[n] = 2.95 * v_0
    true = {n: runs[n].speeds()[runs[n].row(300)] for n in under}
    text = "; ".join(f"{NAMES[n]} {listed(published[n])} for {listed(true[n])} A/s" for n in under)
    each = np.concatenate(list(under.values()))
    spans = ", ".join(f"{NAMES[n]} {100 * under[n].min():.0f}-{100 * under[n].max():.0f} %" for n in under)
    return [
        Check(
            "interface_shift",
            "216-218",
            "referring velocities to the clamped cell is the same as to the lithium; "
            "but lithium's own volume moves both interfaces, by 16-30 µm until 969 min (estimate)",
            ", ".join(f"{NAMES[n]} {shift[n]:.1f}" for n in SETS) + " µm",
            verdict(float(all(16 <= abs(v) <= 30 for v in shift.values()))),
            shift,
        ),
        Check(
            "under_reading",
            "264-266",
            "epsilon applied straight to the lab velocity reads |v-| 13-23 % too low (estimate)",
            f"{spans} at 300 min; 2.95 v0,lab (as published) for |v-| (interface frame): {text}",
            verdict(float(np.mean((each > 0.125) & (each < 0.235)))),
            {"low": float(each.min()), "high": float(each.max())},
        ),
    ]


def frame_of_t_plus(runs: dict[str, Run]) -> list[Check]:
    """t+ = 0.2 with respect to the solvent or to the volume: how far that alone explains RS against PNB."""
    phi = float(runs["rs"].case.transport.phi_0(runs["rs"].case.c0))
    to_solvent, to_volume = 1 - 0.8 / phi, 1 - phi * 0.8
    cross = {n: runs[n].crossing(707) for n in SETS}
    share = (cross["rs_volume"] - cross["rs"]) / (cross["pnb"] - cross["rs"])
    v = {n: runs[n].average(runs[n].speeds()) for n in SETS}
    spread = {n: float(np.ptp(v[n] / v["rs"])) for n in ("rs_volume", "pnb")}
    q, p = ratio(runs, "rs_volume", "rs"), ratio(runs, "pnb", "rs_volume")
    return [
        Check(
            "frames",
            "160-163, frame question",
            "t+V = 0.2 is t+0 = -0.07 at r = 0.1, and t+0 = 0.2 is t+V = 0.40",
            f"{to_solvent:.2f} and {to_volume:.2f}",
            verdict(float(round(to_solvent, 2) == -0.07 and round(to_volume, 2) == 0.40)),
            {"solvent": to_solvent, "volume": to_volume},
        ),
        Check(
            "frame_crossing",
            "frame question",
            "the frame alone explains the shift of the profile from RS to PNB",
            f"crossing at 707 min: RS {cross['rs']:+.3f}, RS volume {cross['rs_volume']:+.3f}, PNB "
            f"{cross['pnb']:+.3f} mm: {100 * share:.0f} % of the shift",
            "holds in part",
            {"share": share, "rs_volume": cross["rs_volume"]},
        ),
        Check(
            "frame_velocity",
            "frame question",
            "the frame alone explains how RS and PNB velocities differ over x",
            f"|v-|/RS, 200-400 min: RS volume {listed(v['rs_volume'] / v['rs'], 2)}, "
            f"PNB {listed(v['pnb'] / v['rs'], 2)}: "
            f"{100 * spread['rs_volume'] / spread['pnb']:.0f} % of the spread",
            "holds in part",
            spread,
        ),
        Check(
            "frame_current",
            "frame question",
            "the current does not tell the two readings of 0.2 apart",
            f"RS volume/RS {q.min():.3f} to {q.max():.3f}; PNB/RS volume {p.min():.3f} to {p.max():.3f}, with "
            "(1-t+0) chi, kappa and D kept",
            verdict(float(q.min() > 0.9)),
            {"low": float(q.min())},
        ),
    ]


def estimates(runs: dict[str, Run]) -> list[Check]:
    """Independent estimates: other solvers, the same physics."""
    run = runs["rs"]
    i_0, near = float(run.solution["i"][0]), abs(float(run.solution["i"][0]) - 14.5) < 0.05
    v = run.speeds()[run.row(300)]
    bounds = np.array([[40, 55], [60, 90], [70, 114], [72, 119], [67, 111]])
    inside = (v >= bounds[:, 0]) & (v <= bounds[:, 1])
    r = run.case.transport.r(run.along("c_face", 969))[[0, -1]]
    trial = {"rs": [49, 86, 106, 111, 103], "pnb": [71, 113, 121, 111, 91]}
    at_300 = {n: runs[n].speeds()[runs[n].row(300)] for n in (*trial, *TRIAL)}
    off = {n: float(np.max(np.abs(at_300[f"trial_{n}"] / trial[n] - 1))) for n in trial}
    moved = {n: float(np.max(np.abs(at_300[n] / at_300[f"trial_{n}"] - 1))) for n in trial}
    q, now = ratio(runs, "trial_pnb", "trial_rs"), ratio(runs, "pnb", "rs")
    cross = {n: runs[n].crossing(707) for n in (*trial, *TRIAL)}
    return [
        Check(
            "i_0", "estimate", "i_0 = V kappa/L = 14.5 A/m^2", f"{i_0:.2f} A/m^2", verdict(float(near)), {"i_0": i_0}
        ),
        Check(
            "speeds_in_range",
            "estimate",
            "|v-| at 300 min 40-55, 60-90, 70-114, 72-119, 67-111 A/s",
            f"RS {listed(v)}",
            verdict(float(np.mean(inside))),
        ),
        Check(
            "faces",
            "estimate",
            "r at the faces after 969 min between 0.24/0.003 and 0.18/0.035",
            f"RS {r[0]:.3f}/{r[1]:.4f}",
            verdict(float(0.18 <= r[0] <= 0.24 and 0.003 <= r[1] <= 0.035)),
        ),
        Check(
            "trial_speeds",
            "trial pair",
            "|v-| at 300 min 49/86/106/111/103 (RS), 71/113/121/111/91 (PNB) A/s",
            f"trial pair {listed(at_300['trial_rs'])}, {listed(at_300['trial_pnb'])}: off by up to "
            f"{100 * max(off.values()):.1f} %; shipped pair {listed(at_300['rs'])}, {listed(at_300['pnb'])}: up to "
            f"{100 * moved['rs']:.0f} % (RS), {100 * moved['pnb']:.0f} % (PNB) from the trial pair",
            verdict(float(max(off.values()) < 0.05)),
            off | {f"shipped_{n}": moved[n] for n in moved},
        ),
        Check(
            "trial_current",
            "trial pair",
            "PNB/RS current 1.00 .. 0.916 .. 0.978",
            f"trial pair {q[0]:.3f} .. {q.min():.3f} .. {q[-1]:.3f}; "
            f"shipped pair {now[0]:.3f} .. {now.min():.3f} .. {now[-1]:.3f}",
            verdict(float(abs(q.min() - 0.916) < 0.003 and abs(q[-1] - 0.978) < 0.003)),
            {"trial": float(q.min()), "shipped": float(now.min())},
        ),
        Check(
            "trial_crossing",
            "trial pair",
            "profile at 707 min crosses its mean at 0.07 mm (RS), -0.25 mm (PNB)",
            f"trial pair {cross['trial_rs']:+.3f} and {cross['trial_pnb']:+.3f} mm; "
            f"shipped pair {cross['rs']:+.3f} and {cross['pnb']:+.3f} mm",
            verdict(float(abs(cross["trial_rs"] - 0.07) < 0.02 and abs(cross["trial_pnb"] + 0.25) < 0.02)),
            cross,
        ),
    ]
