# /// script
# requires-python = ">=3.11"
# dependencies = ["cellsim", "marimo"]
# ///

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="1 Why the current decays")


@app.cell
def _():
    import marimo as mo
    import numpy as np

    from cellsim import Cell, Electrode, Protocol, Resistance, TransportSet, hold_voltage, simulate
    from cellsim.drawing import figstyle
    from cellsim.model import closed_forms as analytic
    from cellsim.model import small_signals
    from cellsim.model.steady import limiting_current

    return (
        Cell,
        Electrode,
        Protocol,
        Resistance,
        TransportSet,
        analytic,
        figstyle,
        hold_voltage,
        limiting_current,
        mo,
        np,
        simulate,
        small_signals,
    )


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # 1 Why the current decays

    A salt MX in a solvent fills the space between two lithium electrodes. At $t = 0$ a small voltage $V$ is applied and held. The
    current jumps to $i_0$, then falls for minutes or hours to a steady value $i_\mathrm{ss}$. Nothing is consumed: what
    dissolves at one electrode plates at the other. So what slows the current down?

    You need to know what a flux and a diffusion coefficient are. Set aside 45 minutes. Every curve is computed as you
    move the sliders, by the model of `cellsim.model.equations`.

    ## The first instant

    The salt is still uniform, nothing can diffuse, and the electrolyte is a resistor:

    $$ i_0 = \frac{\kappa V}{L}. $$

    Both ions carry this current. Cations carry the fraction $t_+^0$, anions the rest, $1 - t_+^0$.

    ## Then the anions pile up

    Lithium electrodes pass cations only. Anions move towards the positive electrode, cannot leave, and collect there; at
    the negative electrode they are missing. Electroneutrality makes cations follow, so the *salt* concentration rises on
    one side and falls on the other:

    $$ \frac{\partial c}{\partial t} = \frac{\partial}{\partial x}\left( D \frac{\partial c}{\partial x} +
       \frac{(1 - t_+^0)\, i}{z_+ \nu_+ F} \right), \qquad N_- = 0 \text{ at both electrodes.} $$

    (Here the salt takes no volume; notebook 3 says what changes when it does.) The gradient grows until diffusion carries
    every anion back that migration brings. At the steady state $N_- = 0$ *everywhere*, not only at the walls:

    $$ \frac{\mathrm d c}{\mathrm d x} = -\frac{(1 - t_+^0)\, i_\mathrm{ss}}{z_+ \nu_+ F D}. $$

    ## A concentration cell against you

    Two lithium electrodes in different concentrations are a battery, and this one works against the voltage you apply:

    $$ V = i \int_0^L \frac{\mathrm d x}{\kappa} +
       \frac{\nu R T}{z_+ \nu_+ F} \int_{c(L)}^{c(0)} (1 - t_+^0)\, \chi \,\mathrm d \ln m. $$

    The first term is the ohmic part, the second the voltage of the concentration cell.

    The voltage is held, the second term grows, so less is left for the first: the current decays. For small voltages both
    terms are proportional to $i_\mathrm{ss}$, and their ratio is the **Newman number**

    $$ \mathrm{Ne} = \frac{\nu}{(z_+\nu_+)^2} \frac{\kappa R T (1 - t_+^0)^2 \chi}{F^2 D c}, \qquad
       \boxed{\;\frac{i_\mathrm{ss}}{i_0} = \rho_+ = \frac{1}{1 + \mathrm{Ne}}\;} $$

    (Balsara & Newman 2015, [doi:10.1149/2.0651514jes](https://doi.org/10.1149/2.0651514jes)).
    """)
    return


@app.cell
def _(Cell, Electrode, Protocol, Resistance, TransportSet, analytic, hold_voltage, simulate):
    T, C = 363.15, 1000.0  # K, mol/m^3

    def polarise(voltage, *, t_plus=0.2, kappa=0.1, D=2e-11, chi=1.5, thickness=5e-4, resistance=0.0, times=None):
        """A polarisation of ten relaxation times [SI]; `resistance` is that of one interface."""
        transport = TransportSet.constant(kappa=kappa, D=D, t_plus=t_plus, chi=chi, T=T)
        layer = analytic.Layer(thickness, C, kappa, D, t_plus, chi, T, resistance=2 * resistance)
        electrode = Electrode(resistance=Resistance(resistance))
        cell = Cell(thickness, T, positive=electrode, negative=electrode)
        protocol = Protocol((hold_voltage(voltage, 10 / layer.relaxation_rate),))
        return simulate(cell, transport, protocol, c0=C, solver="sundials"), layer

    return C, T, polarise


@app.cell(hide_code=True)
def _(mo):
    voltage = mo.ui.slider(1, 300, value=20, step=1, label="voltage held (mV)", show_value=True)
    t_plus = mo.ui.slider(-1.0, 1.0, value=0.2, step=0.05, label="$t_+^0$", show_value=True)
    D = mo.ui.slider(0.5, 10.0, value=2.0, step=0.5, label="$D$ (1e-11 m²/s)", show_value=True)
    kappa = mo.ui.slider(0.02, 0.4, value=0.1, step=0.02, label="κ (S/m)", show_value=True)
    chi = mo.ui.slider(0.5, 3.0, value=1.5, step=0.1, label="χ", show_value=True)
    thickness = mo.ui.slider(0.1, 2.0, value=0.5, step=0.1, label="thickness (mm)", show_value=True)
    resistance = mo.ui.slider(0, 100, value=0, step=5, label="resistance of each interface (Ω cm²)", show_value=True)
    mo.vstack(
        [
            mo.md("## Move it"),
            mo.hstack(
                [mo.vstack([voltage, t_plus, D, kappa]), mo.vstack([chi, thickness, resistance])], justify="start"
            ),
        ]
    )
    return D, chi, kappa, resistance, t_plus, thickness, voltage


@app.cell(hide_code=True)
def _(D, chi, figstyle, kappa, mo, np, polarise, resistance, small_signals, t_plus, thickness, voltage):
    _s, _layer = polarise(
        1e-3 * voltage.value,
        t_plus=t_plus.value,
        kappa=kappa.value,
        D=1e-11 * D.value,
        chi=chi.value,
        thickness=1e-3 * thickness.value,
        resistance=1e-4 * resistance.value,
    )
    _t = _s["time"] / 60
    with figstyle.panels(1, 3, width=figstyle.TWO_COLUMNS, height=2.4) as (_figure, _axes):
        _axes[0].plot(_t, _s["i"] / _s["i"][0])
        _end = min(_t[-1], 4 / _layer.relaxation_rate / 60)
        _axes[0].set(xlabel="time $t$ (min)", ylabel="current $i/i_0$", ylim=(0, 1.25), xlim=(0, _end))
        figstyle.reference(_axes[0], 1 / (1 + _layer.newman_number), "1/(1 + Ne)")
        _rows = np.searchsorted(_t, _t[-1] * np.array([0, 0.01, 0.05, 0.2, 1.0]))
        for _k, _shade in zip(_rows, figstyle.shades(len(_rows)), strict=True):
            _k = min(_k, _t.size - 1)
            _axes[1].plot(1e3 * _s["face"], _s["c_face"][_k] / 1e3, color=_shade, label=f"{_t[_k]:.0f} min")
        _axes[1].set(xlabel="from positive electrode, $x$ (mm)", ylabel="salt $c$ (mol/L)")
        _axes[1].legend(handlelength=1.0)
        _parts = {
            "ohmic": _s["V_ohmic"],
            "concentration": _s["V_concentration"],
            "interfaces": _s["V_positive"] + _s["V_negative"],
        }
        for (_name, _part), _dash in zip(_parts.items(), figstyle.DASHES, strict=False):
            _axes[2].plot(_t, 1e3 * _part, linestyle=_dash, label=_name)
        _axes[2].set(xlabel="time $t$ (min)", ylabel="share of the voltage (mV)", xlim=(0, _end))
        _axes[2].legend()
    mo.vstack(
        [
            _figure,
            mo.md(
                f"""
                | | |
                | --- | --- |
                | initial current $i_0$ | {_s["i"][0]:.3g} A/m² |
                | last current over $i_0$ | {_s["i"][-1] / _s["i"][0]:.3f} |
                | Ne; 1/(1 + Ne) | {_layer.newman_number:.3f}; {1 / (1 + _layer.newman_number):.3f} |
                | slowest mode, held voltage | {1 / small_signals.held_rate(_layer) / 60:.1f} min |
                | slowest mode at rest, $L^2/(\\pi^2 D)$ | {1 / _layer.relaxation_rate / 60:.1f} min |
                | how the run ended | {_s.status}{"" if _s.succeeded else ": " + _s.message} |
                """
            ),
        ]
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    **Look for these.**

    - Raise $t_+^0$ to 1: anions carry nothing, no gradient forms, the current stays. Lower it below zero: cations are dragged
      the wrong way by the anions, and the decay is deeper than if anions carried all the current.
    - Double $D$: the decay is faster *and* shallower. Double κ: it is deeper, and its start steeper. A better conductor
      with the same diffusion coefficient loses more of its current.
    - Double the thickness: the decay takes four times as long and is as deep as before. $\rho_+$ has no length in it.
    - Raise the voltage: the curve leaves the dotted line. $1/(1+\mathrm{Ne})$ is a small-signal law. Far above, the
      negative electrode runs out of salt: the limiting current.
    - Put resistance on the interfaces: the decay looks smaller, because part of $V$ was never across the electrolyte.

    ## How fast?

    At first the diffusion layers of the two electrodes do not overlap, and the concentration at each electrode changes with the square root of
    time. With $B$ the ratio of diffusion resistance to all other resistance,

    $$ \frac{i}{i_0} = e^{4 B^2 D t/L^2}\, \mathrm{erfc}\!\left(2 B \sqrt{D t}/L\right)
       \approx 1 - \frac{4 B}{L}\sqrt{\frac{D t}{\pi}}. $$

    Later the decay becomes a single exponential. `cellsim.model.small_signals.current_response` has both and everything between; below it is
    drawn over the simulation. On the square-root axis the beginning is a straight line: do not read $i_0$ from the
    first point of a slow potentiostat, extrapolate on this axis.
    """)
    return


@app.cell(hide_code=True)
def _(figstyle, mo, np, polarise, small_signals):
    _s, _layer = polarise(1e-3)
    exact = small_signals.current_response(_layer, 1e-3, _s["time"])
    response_gap = float(np.max(np.abs(_s["i"] / exact - 1)))
    with figstyle.panels(width=figstyle.COLUMN, height=2.4) as (_figure, _axes):
        _axes[0].plot(np.sqrt(_s["time"]), _s["i"] / _s["i"][0], label="simulated, 1 mV")
        _axes[0].plot(np.sqrt(_s["time"]), exact / exact[0], linestyle=figstyle.DASHES[1], label="closed form")
        _axes[0].set(xlabel=r"$t^{1/2}$ (s$^{1/2}$)", ylabel="current $i/i_0$", xlim=(0, 60), ylim=(0, 1))
        _axes[0].legend()
    mo.vstack([_figure, mo.md(f"Largest relative difference over the whole decay: {response_gap:.1e}.")])
    return (response_gap,)


@app.cell(hide_code=True)
def _(C, T, TransportSet, analytic, limiting_current, np, polarise):
    from cellsim import Cell as _Cell
    from cellsim.model.closed_forms import dilute_ideal_properties

    small, layer = polarise(1e-3)
    ratio = small["i"][-1] / small["i"][0]
    rho_plus = analytic.current_fraction(layer.newman_number)

    # what interfaces do to the ratio, and the correction of Bruce, Evans and Vincent
    with_film, film = polarise(1e-3, resistance=2e-3)
    raw = with_film["i"][-1] / with_film["i"][0]
    film_ratio = analytic.current_fraction(
        film.newman_number, bulk_resistance=film.bulk_resistance, resistance_initial=film.resistance
    )
    _i0, _iss = with_film["i"][0], with_film["i"][-1]
    corrected = _iss * (1e-3 - _i0 * film.resistance) / (_i0 * (1e-3 - _iss * film.resistance))

    immobile, _ = polarise(1e-3, t_plus=1.0)
    no_decay = float(np.max(np.abs(immobile["i"] / immobile["i"][0] - 1)))
    large, _ = polarise(0.1)
    large_ratio = large["i"][-1] / large["i"][0]
    thick, _ = polarise(1e-3, thickness=1e-3)
    thick_ratio = thick["i"][-1] / thick["i"][0]
    limit = limiting_current(_Cell(5e-4, T), TransportSet.constant(kappa=0.1, D=2e-11, t_plus=0.2, chi=1.5, T=T), C)

    ideal_kappa, ideal_D, ideal_t = dilute_ideal_properties(1e-11, 3e-11, C, T)
    ideal_rho = analytic.current_fraction(analytic.newman_number(ideal_kappa, ideal_D, ideal_t, 1.0, C, T))
    return (
        corrected,
        film_ratio,
        ideal_rho,
        ideal_t,
        large_ratio,
        limit,
        no_decay,
        ratio,
        raw,
        rho_plus,
        thick_ratio,
    )


@app.cell(hide_code=True)
def _(corrected, film_ratio, ideal_rho, ideal_t, large_ratio, limit, mo, raw, rho_plus):
    mo.md(rf"""
    ## Reading a transference number from it

    In a *dilute ideal* solution $\rho_+$ is the transference number: with $D_- = 3 D_+$ both are
    {ideal_t:.2f} and {ideal_rho:.2f}. That is Bruce and Vincent's method, and it is exact there. In a concentrated one it
    is not: for the electrolyte of this page $t_+^0 = 0.2$ and $\rho_+ = {rho_plus:.3f}$. $\rho_+$ is a true property of the
    electrolyte and worth reporting, under its own name, the **current fraction**. Notebook 2 takes it from there.

    **Interfaces.** Give each electrode of this page's cell 20 Ω cm². The raw ratio becomes {raw:.3f}, as
    $(R_b + R_i)/(R_b(1 + \mathrm{{Ne}}) + R_i) = {film_ratio:.3f}$ says. Evans, Vincent and Bruce take the drop over the
    interfaces away from the voltage,

    $$ \rho_+ = \frac{{i_\mathrm{{ss}}\,(V - i_0 R_{{i,0}})}}{{i_0\,(V - i_\mathrm{{ss}} R_{{i,\mathrm{{ss}}}})}}, $$

    which gives back {corrected:.3f}. The correction is exact here because the resistances are known and do not change.
    With films that grow during the run it is as good as the impedance at both ends.

    **Voltage.** At 100 mV the same cell, without interfaces, keeps {large_ratio:.3f} of its current in place of
    {rho_plus:.3f}. The largest steady current it can carry at all is {limit.i:.2f} A/m².

    ## Exercises
    """)
    return


@app.cell(hide_code=True)
def _(analytic, mo, rho_plus, small_signals):
    _slow = analytic.Layer(3e-3, 1000.0, 0.1, 1e-11, 0.2)
    mo.accordion(
        {
            "1. Two electrolytes have the same $D$, $c$, χ and $t_+^0$; one conducts twice as well. Which keeps the larger share of its current? Which carries the larger steady current?": mo.md(
                r"""The poorer conductor keeps the larger share: $\mathrm{Ne} \propto \kappa$. The better conductor still
                carries the larger steady current, $i_\mathrm{ss} = (V/L)\,\kappa/(1+\mathrm{Ne})$, but for large Ne this tends to
                $(V/L)\,\kappa/\mathrm{Ne}$, in which κ cancels: diffusion alone decides."""
            ),
            "2. A colleague reports $i_\\mathrm{ss}/i_0 = 0.24$ and concludes that lithium carries 24 % of the current. Correct?": mo.md(
                rf"""At the *steady state* lithium carries all of it, anions stand still. At the *start* it carries $t_+^0$, which
                the ratio alone does not give: here $t_+^0 = 0.2$ with $\rho_+ = {rho_plus:.2f}$, but Ne also holds κ, $D$ and χ,
                so any $t_+^0$ could go with it."""
            ),
            "3. How long must you wait for the steady state of a 3 mm cell with $D = 10^{-11}$ m²/s?": mo.md(
                rf"""$L^2/(\pi^2 D)$ is {1 / _slow.relaxation_rate / 3600:.0f} h, and at a held current you need a few of those. At a held
                voltage the slowest mode is quicker, $q\cot q = -\mathrm{{Ne}}$ with a rate $4q^2D/L^2$: here
                {1 / small_signals.held_rate(_slow) / 3600:.0f} h. Make the cell thinner: time goes with $L^2$."""
            ),
            "4. What does a negative $t_+^0$ look like in the current?": mo.md(
                r"""Like a larger Ne, nothing else. $\rho_+$ stays between 0 and 1 whatever $t_+^0$ is, and no decay curve by
                itself shows the sign."""
            ),
        }
    )
    return


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    ## What to remember

    1. The current decays because blocked anions build a salt gradient, and the gradient is a concentration cell against
       the voltage you hold.
    2. Small voltage, no interfaces: $i_\mathrm{ss}/i_0 = \rho_+ = 1/(1 + \mathrm{Ne})$. Thickness cancels; it sets only the time,
       $L^2/(\pi^2 D)$.
    3. $\rho_+$ is $t_+^0$ for a dilute ideal salt. Anywhere else, agreement is coincidence.
    4. Interfaces and large voltages change the ratio: subtract the first, avoid the second.
    """)
    return


@app.cell(hide_code=True)
def _(
    corrected,
    film_ratio,
    ideal_rho,
    ideal_t,
    large_ratio,
    mo,
    no_decay,
    ratio,
    raw,
    response_gap,
    rho_plus,
    thick_ratio,
):
    checks = {
        f"i_ss/i_0 = {ratio:.6f} is 1/(1 + Ne) = {rho_plus:.6f} at 1 mV": abs(ratio / rho_plus - 1) < 2e-4,
        f"the whole decay is the closed form within {response_gap:.1e}": response_gap < 2e-3,
        f"with interfaces {raw:.6f}, by the formula {film_ratio:.6f}": abs(raw / film_ratio - 1) < 2e-4,
        f"corrected for interfaces {corrected:.6f}": abs(corrected / rho_plus - 1) < 2e-4,
        f"t+ = 1: the current moves by {no_decay:.1e}": no_decay < 1e-9,
        f"twice the thickness: {thick_ratio:.6f}": abs(thick_ratio / rho_plus - 1) < 2e-4,
        f"100 mV: {large_ratio:.3f}, not small-signal": abs(large_ratio / rho_plus - 1) > 0.02,
        f"dilute ideal: t+ = {ideal_t:.3f}, rho+ = {ideal_rho:.3f}": abs(ideal_rho / ideal_t - 1) < 1e-12,
    }
    assert all(checks.values()), [claim for claim, holds in checks.items() if not holds]
    mo.md("**Checked in this run**\n\n" + "\n".join(f"- {claim}" for claim in checks))
    return


if __name__ == "__main__":
    app.run()
