# /// script
# requires-python = ">=3.11"
# dependencies = ["cellsim", "marimo"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="3 Frames of reference")


@app.cell
def _():
    from pathlib import Path

    import marimo as mo
    import numpy as np

    from cellsim import OnsagerMatrix, load_case, simulate
    from cellsim.base import F
    from cellsim.drawing import figstyle
    from cellsim.electrolyte.onsager import Composition
    from cellsim.instruments.velocities import anion_velocity, epsilon

    cases = Path(mo.notebook_dir()).parents[1] / "cases"
    return Composition, F, OnsagerMatrix, anion_velocity, cases, epsilon, figstyle, load_case, mo, np, simulate


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # 3 Frames of reference

    "How fast do the anions move?" has no answer until you say relative to what. In a polymer electrolyte the salt takes
    a quarter of the volume: when anions go one way, polymer must go the other. An X-ray experiment measures the velocity of the polymer in
    the laboratory. Theory states fluxes relative to the polymer. An electrode is a wall that itself moves as lithium
    is dissolved on one side and plated on the other. Three observers see three different velocities of the same motion.

    You need notebook 1. Set aside 45 minutes.

    | frame | what is at rest | used for |
    | --- | --- | --- |
    | **solvent** | the solvent, *here* | $t_+^0$, the Onsager matrix, molecular dynamics |
    | **interface** | the lithium surfaces | the boundary conditions: no anion, no solvent crosses |
    | **lab** | the backs of the electrodes, clamped | cameras, X-ray and neutron beams |

    ## Interface frame: volume decides

    No anion and no solvent crosses an interface. With constant partial molar volumes the volume flux
    $\bar V_\mathrm{e} N_-/\nu_- + \bar V_0 N_0$ is the same at every place, and it is zero at the wall. So it is zero everywhere:

    $$ v_0 = -\frac{\varphi_\mathrm{e}}{\varphi_0}\, v_-, \qquad v_- = -\varepsilon\, v_0, \quad
       \varepsilon = \frac{\varphi_0}{\varphi_\mathrm{e}}. $$

    $\varphi_0$ and $\varphi_\mathrm{e}$ are the volume fractions of solvent and salt (Steinrück 2020,
    [doi:10.1039/D0EE02193H](https://doi.org/10.1039/D0EE02193H), Eq. 3). All of the salt's volume is assigned to the anion: only
    $\bar V_\mathrm{e}$ is measurable, and this choice makes "no volume flux" mean "interfaces at rest".

    ## Lab frame: lithium has a volume too

    The positive electrode shrinks, the negative one grows. With the backs clamped, both surfaces move at

    $$ v_\mathrm{s} = -\frac{i\,\bar V_\mathrm{Li}}{z_+ F}, \qquad \bar V_\mathrm{Li} = 13.0\ \mathrm{cm^3/mol}, $$

    and every lab velocity is the interface velocity plus $v_\mathrm{s}$.

    ## Solvent frame

    Subtract the local velocity $v_0$: $v_- - v_0 = v_-\,(1 + 1/\varepsilon)$ with $v_-$ of the interface frame.

    ## See it

    The cell of Steinrück 2020 (3 mm, 0.3 V, 90 °C), with transport sets *reconstructed* from the paper's text.
    """)
    return


@app.cell
def _(cases, load_case, simulate):
    def run(name):
        case = load_case(cases / "steinruck2020" / f"{name}.toml")
        return case, simulate(case.cell, case.transport, case.protocol, c0=case.c0, solver="sundials")

    runs = {name: run(name) for name in ("rs", "rs_volume", "pnb")}
    return (runs,)


@app.cell(hide_code=True)
def _(mo):
    which = mo.ui.dropdown(["rs", "rs_volume", "pnb"], value="rs", label="transport set")
    minute = mo.ui.slider(5, 969, value=300, step=1, label="time (min)", show_value=True)
    cations = mo.ui.checkbox(label="cations, too")
    mo.hstack([which, minute, cations], justify="start")
    return cations, minute, which


@app.cell(hide_code=True)
def _(cations, figstyle, minute, mo, np, runs, which):
    _case, _s = runs[which.value]
    _k = int(np.argmin(np.abs(_s["time"] / 60 - minute.value)))
    _x = 1e3 * (_s["position_face"][_k] - _case.cell.from_origin(0.0))
    with figstyle.panels(1, 3, width=figstyle.TWO_COLUMNS, height=2.6, sharey=True) as (_figure, _axes):
        for _panel, _frame in zip(_axes, ("interface", "lab", "solvent"), strict=True):
            _ions = {"v_minus": "$v_-$", "v_0": "$v_0$"} | ({"v_plus": "$v_+$"} if cations.value else {})
            for (_name, _text), _dash in zip(_ions.items(), figstyle.DASHES, strict=False):
                _row = ("interface", "lab", "solvent").index(_frame)
                _panel.plot(_x, 1e10 * _s[_name][_row, _k], linestyle=_dash, label=_text)
            _panel.axhline(0, color=figstyle.GREY, linewidth=0.5)
            _panel.set(title=f"{_frame} frame", xlabel="from cell centre, $x$ (mm)")
        _axes[0].set_ylabel("velocity (Å/s)")
        _axes[0].legend(loc="best")
    _mid = np.argmin(np.abs(_x))
    mo.vstack(
        [
            _figure,
            mo.md(
                f"""At {_s["time"][_k] / 60:.0f} min the interfaces move at {1e10 * _s["v_interface"][_k]:.2f} Å/s and have moved by
                {1e6 * _s["interface_shift"][_k]:.1f} µm. At the centre $v_-$ is {1e10 * _s["v_minus"][0, _k, _mid]:.1f} Å/s relative to the
                interfaces, {1e10 * _s["v_minus"][1, _k, _mid]:.1f} in the lab, {1e10 * _s["v_minus"][2, _k, _mid]:.1f} relative to the polymer."""
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _(F, anion_velocity, epsilon, np, runs):
    def frames(name):
        """Gaps of the frame relations over a run, and how much |v-| is under-read if the interfaces are forgotten."""
        case, s = runs[name]
        v_s = s["v_interface"][:, None]
        inside = slice(1, -1)  # at the walls nothing moves relative to the interfaces
        v_minus, v_0 = s["v_minus"][:, 1:, inside], s["v_0"][:, 1:, inside]
        largest = np.abs(v_minus[0]).max()
        ratio = epsilon(case.transport, s["c_face"][1:, inside])
        shift = max(np.abs(v[1] - v[0] - v_s[1:]).max() for v in (v_minus, v_0)) / largest
        balance = np.abs(v_minus[0] + ratio * v_0[0]).max() / largest
        way_back = np.abs(anion_velocity(v_0[1], v_s[1:], ratio) - v_minus[0]).max() / largest
        carried = F * s["c_face"] * (s["v_plus"] - s["v_minus"])  # the current, as each frame sees it
        charge = np.abs(carried / s["i"][:, None] - 1).max()
        places = np.array(case.output.positions)
        v_lab = s.at("v_0", places)
        at_300 = int(np.argmin(np.abs(s["time"] / 60 - 300)))
        v = v_lab[at_300]
        under = 1 - v / (v - s["v_interface"][at_300])
        return {"shift": shift, "balance": balance, "way_back": way_back, "charge": charge, "under": under, "v_lab": v}

    frame_gaps = {name: frames(name) for name in runs}
    under = {name: frame_gaps[name]["under"] for name in ("rs", "pnb")}
    return frame_gaps, under


@app.cell(hide_code=True)
def _(figstyle, mo, np, runs, under):
    with figstyle.panels(width=figstyle.COLUMN, height=2.4) as (_figure, _axes):
        for (_name, _values), _marker in zip(under.items(), figstyle.MARKERS, strict=False):
            _case = runs[_name][0]
            _x = 1e3 * (np.array(_case.output.positions) - _case.cell.from_origin(0.0))
            _axes[0].plot(_x, 100 * _values, _marker, linestyle=":", label=_name)
        _axes[0].set(xlabel="from cell centre, $x$ (mm)", ylabel="$|v_-|$ under-read by (%)", ylim=(0, None))
        _axes[0].legend()
    _all = np.concatenate(list(under.values()))
    mo.vstack(
        [
            mo.md(
                rf"""
                ## The mistake that is easily made

                $\varepsilon$ relates velocities *in the interface frame*. XPCS gives $v_0$ *in the lab*. Multiply the lab velocity by
                $\varepsilon$ and you have forgotten that the interfaces move, too. The correct relation is

                $$ v_-^\mathrm{{interface}} = -\varepsilon\,(v_0^\mathrm{{lab}} - v_\mathrm{{s}}). $$

                For the five beam positions at 300 min the short cut under-reads $|v_-|$ by {100 * _all.min():.0f} to {100 * _all.max():.0f} %.
                """
            ),
            _figure,
        ]
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## Transference numbers have a frame, too

    $t_+$ is the cations' share of the current *relative to a frame*. The current itself does not depend on the frame: if one velocity is added to
    every species, $F\sum z_i N_i$ does not change, because the solution is neutral. Nor does κ. But $N_+$ does, so $t_+$ does:

    $$ 1 - t_+^V = \varphi_0\,(1 - t_+^0) $$

    for the volume frame with $\bar V_+ = 0$, and for the centre of mass likewise with masses. Move the composition, and look
    for a transference number that is positive in one frame and negative in another.
    """)
    return


@app.cell(hide_code=True)
def _(mo):
    t_solvent = mo.ui.slider(-0.5, 0.9, value=-0.1, step=0.05, label="$t_+^0$, solvent frame", show_value=True)
    salt_share = mo.ui.slider(
        0.0, 0.5, value=0.25, step=0.01, label=r"volume fraction of salt, $\varphi_\mathrm{e}$", show_value=True
    )
    mo.vstack([t_solvent, salt_share])
    return salt_share, t_solvent


@app.cell
def _(Composition, F, OnsagerMatrix, np):
    def observers(t_plus, salt_share, c=1500.0, kappa=0.1):
        """One electrolyte in three frames; LiTFSI's molar masses, solvent of 1.1 g/cm^3."""
        minus_minus = 4.0 * (1 - t_plus)  # any positive definite matrix with this t+ will do
        plus_minus = minus_minus - (1 - t_plus)
        plus_plus = plus_minus + t_plus
        Omega = kappa / F**2 * np.array([[plus_plus, plus_minus], [plus_minus, minus_minus]])
        mix = Composition((6.94e-3, 280.1e-3), 1100.0 * (1 - salt_share), (0.0, salt_share / c))
        solvent = OnsagerMatrix(Omega, (1, -1), (1, 1), c, 363.15, "solvent", composition=mix)
        return {frame: solvent.to_frame(frame) for frame in ("solvent", "volume", "barycentric")}

    return (observers,)


@app.cell(hide_code=True)
def _(figstyle, mo, np, observers, salt_share, t_solvent):
    _seen = observers(t_solvent.value, salt_share.value)
    _shares = np.linspace(0, 0.5, 40)
    with figstyle.panels(width=figstyle.COLUMN, height=2.4) as (_figure, _axes):
        for _frame, _dash in zip(_seen, figstyle.DASHES, strict=False):
            _line = [observers(t_solvent.value, s)[_frame].t_plus for s in _shares]
            _axes[0].plot(_shares, _line, linestyle=_dash, label=_frame)
        _axes[0].axvline(salt_share.value, color=figstyle.GREY, linestyle=":")
        _axes[0].axhline(0, color=figstyle.GREY, linewidth=0.5)
        _axes[0].set(xlabel=r"volume fraction of salt, $\varphi_\mathrm{e}$ (1)", ylabel="$t_+$ (1)")
        _axes[0].legend()
    _rows = "\n".join(
        f"| {f} | {o.t_plus:.3f} | {o.kappa:.6f} | {o.Omega[0, 1] / o.Omega[1, 1]:.3f} |" for f, o in _seen.items()
    )
    mo.hstack(
        [
            _figure,
            mo.md(
                "| frame | $t_+$ | κ (S/m) | $\\Omega_{+-}$ over that of the anion |\n| --- | --- | --- | --- |\n"
                + _rows
            ),
        ],
        justify="start",
        align="center",
    )
    return


@app.cell(hide_code=True)
def _(mo, np, runs):
    _rs, _volume = runs["rs"][1], runs["rs_volume"][1]
    phi_0 = float(runs["rs"][0].transport.phi_0(runs["rs"][0].c0))
    same_number = {
        "t": 1 - (1 - 0.2) / phi_0,
        "current": float(_volume["i"][-1] / _rs["i"][-1]),
        "faces": [float(np.ptp(s["c_face"][-1]) / s["c_face"][-1].mean()) for s in (_rs, _volume)],
    }
    mo.md(rf"""
    **Does it matter?** A paper states $t_+ = 0.2$ without a frame. In the solvent frame it is 0.2. If it refers to the volume frame, it
    means $t_+^0 = {same_number["t"]:.3f}$ here ($\varphi_0 = {phi_0:.3f}$). The two cells (`rs` and `rs_volume` above) end with currents in the
    ratio {same_number["current"]:.2f}, and salt that differs between the electrodes by {same_number["faces"][0]:.2f} and {same_number["faces"][1]:.2f}
    of its mean. A set file of `cellsim` must name the frame of its $t_+$; conversion is done once, on reading.

    ## Exercises
    """)
    return phi_0, same_number


@app.cell(hide_code=True)
def _(mo, runs):
    _s = runs["rs"][1]
    _total = 1e6 * _s["interface_shift"][-1]
    mo.accordion(
        {
            "1. At a wall, what is $v_0$ in each frame?": mo.md(
                r"""Zero in the interface frame (no solvent crosses), $v_\mathrm{s}$ in the lab, zero in the solvent frame, where it is
                zero everywhere. Put the slider anywhere and look at the edges."""
            ),
            "2. A beam fixed in the lab measures for 16 hours. Does it stay at the same place of the electrolyte?": mo.md(
                rf"""No. The interfaces move by {abs(_total):.0f} µm over the run, so the distance to the positive electrode changes by
                that much. `solution.at(..., frame="lab")` keeps positions fixed in the lab."""
            ),
            "3. A dilute salt: $\\varphi_\\mathrm{e} \\to 0$. Which frames agree?": mo.md(
                r"""Solvent and volume frame: $t_+^V \to t_+^0$, and $v_0 \to 0$ relative to the interfaces while $\varepsilon \to \infty$, so $v_-$
                stays finite. The lab does not join them: $v_\mathrm{s}$ depends on the current and on lithium, not on the salt."""
            ),
            "4. Your simulation reports $t_+$ relative to the centre of mass. May you put it into a cell model?": mo.md(
                r"""Not as it is. Convert with masses and solvent density (`OnsagerMatrix.to_frame`). With heavy anions the difference
                is large: the anion takes the centre of mass with it."""
            ),
        }
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to remember

    1. A velocity, a flux and a transference number have a meaning only with a frame.
    2. Interface frame: $v_- = -\varepsilon v_0$, by volume balance. Lab: add $v_\mathrm{s}$, lithium's own volume. Solvent: subtract $v_0$.
    3. $\varepsilon$ times a *lab* velocity is wrong by $v_\mathrm{s}$: a tenth to a quarter of $|v_-|$ in this cell.
    4. The current and κ have no frame. $t_+$ may be negative in one frame and positive in another.
    """)
    return


@app.cell(hide_code=True)
def _(frame_gaps, mo, np, observers, phi_0, same_number, under):
    _gap = {
        key: max(float(np.max(g[key])) for g in frame_gaps.values())
        for key in ("shift", "balance", "way_back", "charge")
    }
    _all = np.concatenate(list(under.values()))
    _seen = observers(-0.1, 0.25)
    _kappas = [o.kappa for o in _seen.values()]
    checks = {
        f"lab minus interface is v_s within {_gap['shift']:.0e} of |v-|": _gap["shift"] < 1e-12,
        f"v- = -epsilon v0 in the interface frame within {_gap['balance']:.0e}": _gap["balance"] < 1e-12,
        f"and back from the lab velocity within {_gap['way_back']:.0e}": _gap["way_back"] < 1e-12,
        f"every frame sees the same current, within {_gap['charge']:.0e}": _gap["charge"] < 1e-11,
        f"under-reading {100 * _all.min():.1f} to {100 * _all.max():.1f} %": _all.min() > 0.08 and _all.max() < 0.27,
        f"kappa in three frames: spread {np.ptp(_kappas) / _kappas[0]:.0e}": np.ptp(_kappas) < 1e-12 * _kappas[0],
        "1 - t_V = phi_0 (1 - t_0)": abs((1 - _seen["volume"].t_plus) - 0.75 * (1 - _seen["solvent"].t_plus)) < 1e-12,
        f"t+ = {_seen['solvent'].t_plus:.2f} for the solvent, {_seen['volume'].t_plus:.2f} for the volume": _seen[
            "solvent"
        ].t_plus
        < 0
        < _seen["volume"].t_plus,
        f"0.2 read in the volume frame is {same_number['t']:.3f} (phi_0 = {phi_0:.3f}); currents {same_number['current']:.3f}": abs(
            same_number["current"] - 1
        )
        > 0.01,
    }
    assert all(checks.values()), [claim for claim, holds in checks.items() if not holds]
    mo.md("**Checked in this run**\n\n" + "\n".join(f"- {claim}" for claim in checks))
    return


if __name__ == "__main__":
    app.run()
