"""Statements on current, concentration and volumes: Figs. 3 and 4, Eqs. 3 and 4 (see steinruck2020_runs)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from steinruck2020_runs import BEAMS, MINUTE, NAMES, SETS, Check, Run, listed, ratio, verdict

Array = NDArray[np.float64]


def currents(runs: dict[str, Run]) -> list[Check]:
    """Fig. 3 and lines 181-193."""
    q = ratio(runs, "pnb", "rs")
    t = runs["pnb"].solution["time"][1:] / MINUTE
    late = q[t >= 200]
    drift = float(np.ptp(late) / np.mean(late))
    transport = runs["rs"].case.transport
    R_bulk = 3e-3 / float(transport.kappa(runs["rs"].case.c0))
    low, high = float(q.min()), float(q.max())
    return [
        Check(
            "measured_current",
            "185-186",
            "predicted and measured current within 10 % at all times, RS and PNB",
            "the measured current is only a curve in Fig. 3",
            "not checkable",
        ),
        Check(
            "current_ratio",
            "185-186, 190-192",
            "hence PNB/RS within 0.9/1.1 to 1.1/0.9 at all times: the current does not tell the sets apart",
            f"PNB/RS {low:.3f} to {high:.3f} (within 10 % of one another)",
            verdict(float(low > 0.9 and high < 1.1)),
            {"low": low, "high": high},
        ),
        Check(
            "current_constant_after_200",
            "186-187",
            "after about 200 min both predictions keep a fairly constant "
            "difference from the measurement, hence PNB/RS is constant",
            f"PNB/RS changes by {100 * drift:.1f} % of itself from 200 to 1000 min",
            verdict(float(drift < 0.1)),
            {"drift": drift},
        ),
        Check(
            "interfaces_small",
            "187-190",
            "interfacial resistance is minor in a 3 mm cell",
            f"electrolyte {1e4 * R_bulk:.0f} ohm cm^2: 10 % of i_0 is lost to {1e4 * R_bulk / 18:.0f} ohm cm^2 a "
            "side; the sets assume none and the paper gives no value",
            "not checkable",
            {"R_bulk": R_bulk},
        ),
    ]


def concentrations(runs: dict[str, Run]) -> list[Check]:
    """Fig. 4 and lines 84-90, 167-172, 198-213, 228-230."""
    checks = []
    faces = {n: runs[n].excess(300)[[0, -1]] for n in ("rs", "pnb")}
    inner = {n: np.interp(np.array([-1.2, 1.2]), runs[n].x(300), runs[n].excess(300)) for n in ("rs", "pnb")}
    text = "; ".join(
        f"{NAMES[n]} {100 * faces[n][0]:+.0f} / {100 * faces[n][1]:+.0f} % at the faces, "
        f"{100 * inner[n][0]:+.0f} / {100 * inner[n][1]:+.0f} % 0.3 mm from them"
        for n in faces
    )
    checks.append(
        Check(
            "change_50",
            "169",
            "concentration changes by about 50 % upon several hours (here 300 min)",
            text,
            "holds in part",
            {f"{n}_{k}": float(faces[n][k]) for n in faces for k in (0, 1)},
        )
    )
    largest = min(float(np.max(np.abs(runs[n].excess(969)))) for n in ("rs", "pnb"))
    checks.append(
        Check(
            "change_30",
            "208",
            "concentration changes by more than 30 %",
            f"at least {100 * largest:.0f} % at a face by 969 min",
            verdict(float(largest > 0.3)),
        )
    )
    spans, within = {}, {}
    for n in ("rs", "pnb"):
        r = runs[n].case.transport.r(runs[n].along("c_face", 969))
        spans[n] = (float(r.min()), float(r.max()))
        x = np.linspace(-1.5, 1.5, 3001)
        values = np.interp(x, runs[n].x(969), r)
        within[n] = float(np.mean((values > 0.04) & (values < 0.16)))
    text = "; ".join(
        f"{NAMES[n]} {spans[n][0]:.3f}-{spans[n][1]:.3f}, {100 * within[n]:.0f} % of the cell inside" for n in spans
    )
    checks.append(
        Check(
            "r_span",
            "170",
            "r spans about 0.04 to 0.16 (here at 969 min, faces included)",
            text,
            "holds in part",
            {f"{n}_min": spans[n][0] for n in spans}
            | {f"{n}_max": spans[n][1] for n in spans}
            | {f"{n}_within": within[n] for n in within},
        )
    )
    t_span = {n: float(np.ptp(runs[n].solution["t_plus"][runs[n].row(969)])) for n in ("rs", "pnb")}
    checks.append(
        Check(
            "t_plus_varies",
            "167-172",
            "t+ varies insignificantly with position and time for RS, significantly for PNB",
            f"span of t+0 over the cell at 969 min: RS {t_span['rs']:.2f}, PNB {t_span['pnb']:.2f}",
            verdict(float(t_span["rs"] < 0.05 and t_span["pnb"] > 0.3)),
            t_span,
        )
    )
    cross = {n: runs[n].crossing(707) for n in SETS}
    uneven = {n: runs[n].asymmetry(707) for n in SETS}
    for n, statement, good in (
        ("rs", "RS profile symmetric, centred close to the cell centre (707 min)", abs(cross["rs"]) < 0.1),
        ("pnb", "PNB profile asymmetric, not centred on the cell centre (707 min)", abs(cross["pnb"]) > 0.15),
    ):
        checks.append(
            Check(
                f"crossing_{n}",
                "204-208, Fig. S10",
                statement,
                f"crosses its mean at {cross[n]:+.2f} mm; even/odd part {uneven[n]:.2f}",
                verdict(float(good)),
                {"crossing": cross[n], "asymmetry": uneven[n]},
            )
        )
    centre = {n: float(np.interp(0, runs[n].x(969), runs[n].excess(969))) for n in ("rs", "pnb")}
    checks.append(
        Check(
            "centre_unchanged",
            "228-230",
            "at the centre the concentration essentially does not change "
            "(an observation, so RS should show it and PNB not)",
            f"at 969 min RS {100 * centre['rs']:+.1f} %, PNB {100 * centre['pnb']:+.1f} %",
            verdict(float(abs(centre["rs"]) < 0.05 < abs(centre["pnb"]))),
            centre,
        )
    )
    left = {
        n: float(np.max(np.abs(runs[n].along("v_minus", 969))) / np.max(np.abs(runs[n].along("v_minus", 300))))
        for n in ("rs", "pnb")
    }
    checks.append(
        Check(
            "no_steady_state",
            "241",
            "no steady state is reached",
            "largest anion velocity at 969 min is "
            f"{100 * left['rs']:.0f} % (RS), {100 * left['pnb']:.0f} % (PNB) of that at 300 min",
            verdict(float(min(left.values()) > 0.05)),
            left,
        )
    )
    return checks


def volumes(runs: dict[str, Run]) -> list[Check]:
    """Eqs. 3 and 4, lines 245-274."""
    run = runs["rs"]
    transport = run.case.transport
    epsilon = {}
    for r in (0.04, 0.10, 0.16):
        phi = float(transport.phi_0(transport.c_of(r=r)))
        epsilon[f"{r:.2f}"] = phi / (1 - phi)
    relative = float(np.hypot(0.73 / 66.4, 7 / 224))
    v_minus, v_0 = run.along("v_minus", 300), run.along("v_0", 300)
    local = transport.phi_0(run.along("c_face", 300))
    residual = float(np.max(np.abs(v_minus + local / (1 - local) * v_0)) / np.max(np.abs(v_minus)))
    factor = run.average(run.speeds(relative=True)) / run.average(run.speeds())
    q = 2 * np.pi / np.array([0.0192, 0.0029])
    return [
        Check(
            "epsilon",
            "264-266",
            "epsilon = V_EO c_EO/(V_LiTFSI c_LiTFSI) is 2.95 at r = 0.1, multiplying |v_EO|",
            f"{epsilon['0.10']:.2f} at r = 0.1, {epsilon['0.04']:.1f} at 0.04, {epsilon['0.16']:.2f} at 0.16; the "
            "printed minus sign contradicts Eq. 3 and the factor 1/epsilon + 1",
            "holds",
            epsilon,
        ),
        Check(
            "epsilon_error",
            "264",
            "its uncertainty is 0.01",
            f"66.4 +- 0.73 and 224 +- 7 A^3 give +- {relative * epsilon['0.10']:.2f}",
            "fails",
            {"error": relative * epsilon["0.10"]},
        ),
        Check(
            "equation_3",
            "245-249",
            "v- = -epsilon v0 from volume conservation",
            f"interface frame, local epsilon: residual {residual:.0e} of max |v-|",
            verdict(float(residual < 1e-9)),
            {"residual": residual},
        ),
        Check(
            "solvent_factor",
            "269-274",
            "anion velocity relative to the solvent = (1/epsilon + 1) times the one "
            "relative to the electrodes; 1.34 at r = 0.1",
            f"model, 200-400 min, five positions: {listed(factor, 2)}",
            verdict(float(np.all(np.abs(factor / 1.337 - 1) < 0.1))),
            {"low": factor.min(), "high": factor.max()},
        ),
        Check(
            "constant_epsilon",
            "266-268",
            "one epsilon for all positions is an approximation",
            "true epsilon at the five positions, 300 min: " + listed(_epsilon_at_beams(run), 2),
            "holds",
        ),
        Check(
            "lengths",
            "220-222",
            "q = 0.0029-0.0192 1/A probes 300-2000 A",
            f"2 pi/q = {q[0]:.0f}-{q[1]:.0f} A",
            "holds",
        ),
        Check(
            "directions",
            "88-90, 462",
            "anions move to the positive electrode, solvent to the negative",
            "at 300 min v- < 0 < v0 at every inner point, RS and PNB",
            verdict(
                float(
                    all(
                        np.all(runs[n].along("v_minus", 300)[1:-1] < 0) and np.all(runs[n].along("v_0", 300)[1:-1] > 0)
                        for n in ("rs", "pnb")
                    )
                )
            ),
        ),
    ]


def _epsilon_at_beams(run: Run) -> Array:
    c = np.interp(BEAMS - run.along("interface_shift", 300) * 1e3, run.x(300), run.along("c_face", 300))
    phi = run.case.transport.phi_0(c)
    return np.asarray(phi / (1 - phi))
