// The page: controls in, a solved cell out, drawn and described. The state lives in one object and in the address.
"use strict";

const Page = (() => {
  const BLUE = "var(--blue)", RED = "var(--red)", GREEN = "var(--green)", GREY = "var(--soft)"; // which dark mode changes
  const { say, duration, percent } = Words, ORANGE = "#E69F00", PLAY = 9000; // ms for the whole run
  const find = (id) => document.getElementById(id);
  const state = { setting: { ...Settings.PRESETS[0].setting }, preset: 0, frame: "interface", axis: "log", time: 0.7, moved: null };
  let result = null, due = false, effort = 0, scaleCurrent = null, speaking = 0, kept = null, playing = 0, resting = 0;

  // ---- controls ----

  function buildControls() {
    const preset = find("preset");
    preset.append(...Settings.PRESETS.map((p, k) => new Option(p.name, String(k))), new Option("your own setting", "-1"));
    preset.addEventListener("change", () => {
      const k = Number(preset.value);
      if (k < 0) return;
      state.setting = { ...Settings.PRESETS[k].setting };
      state.preset = k;
      state.moved = null;
      changed();
    });
    for (const s of Settings.SLIDERS) {
      const row = document.createElement("div"), top = document.createElement("div"), label = document.createElement("label");
      row.className = "slider";
      top.className = "top";
      label.htmlFor = "s-" + s.name;
      label.append(s.label + " ");
      const symbol = document.createElement("i");
      Plot.rich(symbol, s.symbol);
      label.append(symbol);
      const entry = document.createElement("input");
      Object.assign(entry, { type: "text", id: "n-" + s.name, size: 11, autocomplete: "off" });
      entry.setAttribute("aria-label", s.label + ", number and unit");
      entry.addEventListener("change", () => enter(s, entry));
      const input = document.createElement("input");
      Object.assign(input, { type: "range", id: "s-" + s.name, min: "0", max: "1000", step: "1" });
      input.addEventListener("input", () => {
        state.setting[s.name] = Number(Settings.valueAt(s, input.value / 1000).toPrecision(4));
        own(s.name);
      });
      top.append(label, entry);
      row.append(top, input);
      find("sliders").append(row);
    }
    find("reset").addEventListener("click", () => {
      Object.assign(state, { setting: { ...Settings.PRESETS[0].setting }, preset: 0, frame: "interface", axis: "log", time: 0.7, moved: null });
      keep(null);
      changed();
    });
    find("keep").addEventListener("click", () => { keep(kept ? null : result); request(); });
    find("play").addEventListener("click", () => (playing ? stop() : play()));
    find("csv").addEventListener("click", () => Files.saveCsv(result, Solver.at(result, shownTime()), kept));
    find("png").addEventListener("click", () => Files.savePng(["cell", "current", "salt", "velocity", "share"], Words.settings(state.setting).join(", ")));
    find("dark").addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; request(); });
    find("motion").addEventListener("change", (e) => { state.setting.motion = e.target.checked; own("motion"); });
    find("time").addEventListener("input", (e) => { stop(); state.time = e.target.value / 1000; request(); });
    for (const name of ["axis", "frame"]) {
      for (const input of document.getElementsByName(name)) {
        input.addEventListener("change", () => {
          const time = result ? shownTime() : 0;
          state[name] = input.value;
          if (name === "axis" && result) state.time = partOf(time);
          request();
        });
      }
    }
    const plot = find("plot-current");
    const point = (e) => {
      if (!scaleCurrent) return;
      stop();
      state.time = Settings.clip(scaleCurrent.toPart((e.clientX - plot.getBoundingClientRect().left)), 0, 1);
      request();
    };
    plot.addEventListener("pointerdown", (e) => { plot.setPointerCapture(e.pointerId); point(e); });
    plot.addEventListener("pointermove", (e) => { if (e.buttons) point(e); });
    window.addEventListener("resize", () => { Plot.sizes.clear(); request(); });
    find("profiles").addEventListener("toggle", request);
    window.addEventListener("hashchange", () => { if (location.hash.slice(1) !== address()) { readAddress(); state.moved = null; changed(); } });
  }

  const isDark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

  // A number that was typed: taken where it lies between the ends of the slider, else a sentence says why not.
  function enter(s, entry) {
    const value = Settings.typed(s, entry.value, state.setting[s.name]), good = value >= s.low && value <= s.high;
    find("entry").textContent = good ? "" : Number.isFinite(value)
      ? `${s.label}: ${Words.withUnit(s, value)} lies outside ${Words.withUnit(s, s.low)} to ${Words.withUnit(s, s.high)}.`
      : `${s.label}: “${entry.value}” is not a number with a unit; write one such as ${Words.withUnit(s, state.setting[s.name])}.`;
    if (good) {
      state.setting[s.name] = value;
      own(s.name);
    } else request();
  }

  // A run to compare with, drawn beside the present one.
  function keep(run) {
    kept = run;
    find("keep").setAttribute("aria-pressed", String(Boolean(run)));
    find("keep").textContent = run ? "Drop kept curve" : "Keep this curve";
  }

  function play() {
    const from = state.time >= 0.999 ? 0 : state.time, began = performance.now();
    find("play").textContent = "Pause";
    find("play").setAttribute("aria-pressed", "true");
    const step = (now) => {
      state.time = Settings.clip(from + (now - began) / PLAY, 0, 1);
      update();
      if (state.time < 1) playing = requestAnimationFrame(step);
      else stop();
    };
    playing = requestAnimationFrame(step);
  }

  function stop() {
    cancelAnimationFrame(playing);
    playing = 0;
    find("play").textContent = "Play";
    find("play").setAttribute("aria-pressed", "false");
  }

  function own(name) {
    state.preset = -1;
    state.moved = name;
    changed();
  }

  function changed() {
    result = null;
    request();
  }

  function request() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; update(); });
  }

  // ---- the address ----

  function address() {
    const p = state.setting, parts = Settings.SLIDERS.map((s) => `${s.name}=${Number(p[s.name].toPrecision(5))}`);
    return [...parts, "motion=" + (p.motion ? "on" : "off"), "frame=" + state.frame, "axis=" + state.axis, "at=" + state.time.toFixed(3)].join("&");
  }

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const s of Settings.SLIDERS) {
      const value = given.get(s.name) ? Number(given.get(s.name)) : NaN;
      if (Number.isFinite(value)) { state.setting[s.name] = Settings.clip(value, s.low, s.high); state.preset = -1; }
    }
    if (given.has("motion")) state.setting.motion = !["off", "0", "false", "no"].includes(given.get("motion"));
    if (["interface", "lab", "solvent"].includes(given.get("frame"))) state.frame = given.get("frame");
    if (["log", "linear"].includes(given.get("axis"))) state.axis = given.get("axis");
    const at = given.has("at") ? Number(given.get("at")) : NaN;
    if (Number.isFinite(at)) state.time = Settings.clip(at, 0, 1);
    const same = (p) => Settings.SLIDERS.every((s) => Math.abs(p[s.name] - state.setting[s.name]) <= 1e-4 * Math.abs(p[s.name])) && p.motion === state.setting.motion;
    state.preset = Settings.PRESETS.findIndex((p) => same(p.setting));
  }

  // ---- time ----

  const firstTime = () => {
    const g = result.closed;
    return Settings.clip((0.003 * g.t_unit) / Math.max(g.B, g.J_0, 1) ** 2, 1e-8 * result.t_end, 1e-3 * result.t_end);
  };
  const shownTime = () => (state.axis === "log" ? firstTime() * (result.t_end / firstTime()) ** state.time : result.t_end * state.time);
  const partOf = (t) => Settings.clip(state.axis === "log" ? Math.log(Math.max(t, firstTime()) / firstTime()) / Math.log(result.t_end / firstTime()) : t / result.t_end, 0, 1);

  const timeAxis = () => Words.timeUnit(state.axis === "log" ? 0.1 * result.t_end : result.t_end);

  // ---- solve and show ----

  function update() {
    if (result === null) {
      const before = performance.now();
      result = Solver.solve(state.setting);
      effort = performance.now() - before;
    }
    const view = { frame: state.frame, time: shownTime() };
    view.profile = Solver.at(result, view.time);
    showControls(view);
    drawCell(view);
    drawCurrent(view);
    drawSalt(view);
    find("summary").textContent = Words.summary(result);
    if (!resting) resting = setTimeout(rest, 100); // what is looked at when the hand rests: never in a frame of a drag
  }

  // The words, the numbers and the plots further down.
  function rest() {
    clearTimeout(resting);
    resting = 0;
    if (result === null) update();
    const view = { frame: state.frame, time: shownTime() };
    view.profile = Solver.at(result, view.time);
    showWords(view);
    drawVelocity(view);
    drawFraction();
    drawShare(view);
    showNumbers(view);
    const wanted = "#" + address();
    if (location.hash !== wanted && !location.hash.startsWith("#selftest")) history.replaceState(null, "", wanted);
  }

  function showControls(view) {
    const p = state.setting;
    for (const s of Settings.SLIDERS) {
      const input = find("s-" + s.name), entry = find("n-" + s.name), text = Words.withUnit(s, p[s.name]);
      input.value = String(Math.round(1000 * Settings.place(s, p[s.name])));
      input.setAttribute("aria-valuetext", text);
      if (document.activeElement !== entry || state.moved !== null) entry.value = text;
      entry.setAttribute("value", text);
    }
    find("motion").checked = p.motion;
    find("preset").value = String(state.preset);
    find("preset-note").textContent = state.preset < 0 ? "" : Settings.PRESETS[state.preset].note;
    find("time").value = String(Math.round(1000 * state.time));
    find("time").setAttribute("aria-valuetext", duration(view.time));
    find("time-value").textContent = duration(view.time);
    for (const name of ["axis", "frame"]) for (const input of document.getElementsByName(name)) input.checked = input.value === state[name];
  }

  function showWords(view) {
    const text = Words.summary(result);
    find("inputs").textContent = Words.settings(state.setting).join(", ") + (kept ? `. Kept curve: ${Words.settings(kept.setting).join(", ")}` : "");
    find("dark").setAttribute("aria-pressed", String(isDark()));
    find("notes").replaceChildren(...Words.notes(result, view, state.moved).map((note) => {
      const card = document.createElement("div"), title = document.createElement("h3"), body = document.createElement("p");
      card.className = "card" + (note.moved ? " moved" : note.warn ? " warn" : "");
      Plot.rich(title, note.title);
      Plot.rich(body, note.text);
      card.append(title, body);
      return card;
    }));
    clearTimeout(speaking); // spoken once the controls rest
    speaking = setTimeout(() => { if (find("spoken").textContent !== text) find("spoken").textContent = text; }, 700);
  }

  const top = (values) => Math.max(...values) * 1.08 || 1;

  function drawCell(view) {
    const now = view.profile, n = now.c.length - 1;
    Cell.draw(find("plot-cell"), result, now, {
      desc: `At ${duration(now.time)} lithium dissolves at the left electrode, where the salt is ${say(now.c[0] / 1e3)} mol/L, and plates at the right one, where it is ${say(now.c[n] / 1e3)} mol/L.`,
      below: `${duration(now.time)}: i = ${say(now.i)} A/m²`,
    });
    Plot.legend(find("legend-cell"), [
      { label: "solvent, moves with v₀", shape: "circle", hollow: true, colour: GREEN },
      { label: "anions, move with v₋", shape: "circle", colour: BLUE },
      { label: "current", colour: RED },
      { label: "salt", area: true, colour: BLUE, opacity: 0.4 },
    ]);
  }

  function drawCurrent(view) {
    const g = result.closed, first = firstTime(), log = state.axis === "log", [unit, size] = timeAxis();
    const x = [], i = [];
    for (let k = 0; k < result.time.length; k++) {
      if (log && result.time[k] < first) continue;
      x.push(result.time[k] / size);
      i.push(result.i[k]);
    }
    if (log) { x.unshift(first / size); i.unshift(Solver.at(result, first).i); }
    const low = log ? first / size : 0, high = result.t_end / size, ends = [low, high], flat = (v) => [v, v];
    const lines = [{ label: "initial i₀", x: ends, y: flat(g.i_0), colour: GREY, dash: "2 4" }];
    if (!g.depletes) lines.push({ label: "steady, closed form", x: ends, y: flat(g.i_ss), colour: GREEN, dash: "8 4" });
    if (g.i_lim < 1.05 * g.i_0) lines.push({ label: "limiting", x: ends, y: flat(g.i_lim), colour: RED, dash: "6 3 1 3" });
    if (kept) {
      const shown = Array.from(kept.time, (t, k) => k).filter((k) => !log || kept.time[k] >= first);
      lines.push({ label: "kept", x: shown.map((k) => kept.time[k] / size), y: shown.map((k) => kept.i[k]), colour: ORANGE, dash: "10 3", width: 2.5 });
    }
    lines.push({ label: "current i(t)", x, y: i, colour: BLUE, width: 2.5 });
    scaleCurrent = Plot.draw(find("plot-current"), {
      title: "Current density against time", desc: Words.summary(result), lines,
      x: { label: `time / ${unit}`, low, high: log ? high : high * 1.0001, log }, y: { label: "i / (A/m²)", low: 0, high: top([g.i_0, kept ? kept.closed.i_0 : 0]) },
      rules: [{ x: view.time / size }], marks: [{ x: view.time / size, y: view.profile.i, colour: BLUE }],
    });
    Plot.legend(find("legend-current"), lines.slice().reverse());
  }

  const across = () => {
    const L = state.setting.thickness, mm = L >= 1e-3;
    return { unit: mm ? "mm" : "µm", size: mm ? 1e-3 : 1e-6 };
  };
  const SIDES = ["Li dissolves", "Li plates"];

  function drawSalt(view) {
    const g = result.closed, now = view.profile, { unit, size } = across(), L = state.setting.thickness / size;
    const scaled = (v, by) => Array.from(v, (c) => c / by);
    const lines = [0.003, 0.02, 0.1].map((part) => Solver.at(result, part * result.t_end)).map((p) => ({
      x: scaled(p.x, size), y: scaled(p.c, 1e3), colour: GREY, width: 1, opacity: 0.6, label: "at other times" }));
    const last = Solver.at(result, result.t_end);
    lines.push({ x: scaled(last.x, size), y: scaled(last.c, 1e3), colour: GREEN, dash: "8 4", label: result.status === "steady" ? "at the end, steady" : "when it stops" });
    lines.push({ x: scaled(now.x, size), y: scaled(now.c, 1e3), colour: BLUE, width: 2.5, label: `salt at ${duration(now.time)}` });
    const before = kept ? Solver.at(kept, Math.min(view.time, kept.t_end)) : null;
    // A kept cell may have another thickness: its profile is stretched to this one's.
    if (before) lines.splice(3, 0, { x: scaled(before.x, (before.x[before.x.length - 1] / state.setting.thickness) * size), y: scaled(before.c, 1e3), colour: ORANGE, dash: "10 3", width: 2.5, label: "kept" });
    const high = top([...last.c, ...now.c, ...(before ? before.c : [])]) / 1e3;
    Plot.draw(find("plot-salt"), {
      title: "Salt concentration against position", lines, sides: SIDES,
      desc: `At ${duration(now.time)}: ${say(now.c[0] / 1e3)} mol/L where lithium dissolves, ${say(now.c[now.c.length - 1] / 1e3)} mol/L where it plates, ${say(g.c0 / 1e3)} mol/L on average.`,
      x: { label: `x / ${unit}`, low: 0, high: L }, y: { label: "c / (mol/L)", low: 0, high },
    });
    Plot.legend(find("legend-salt"), lines.slice(2).reverse());
  }

  function drawVelocity(view) {
    const now = view.profile, v = Solver.inFrame(now, state.frame), { unit, size } = across(), L = state.setting.thickness / size;
    const fast = Math.max(...[v.plus, v.minus, v.solvent].map((a) => Math.abs(a[a.length >> 1]))), [speed, per] = Words.speedUnit(fast);
    const x = Array.from(now.x, (y) => y / size), scaled = (a) => Array.from(a, (y) => y / per);
    const lines = [
      { label: "Li⁺", x, y: scaled(v.plus), colour: RED, dash: "none" },
      { label: "anion", x, y: scaled(v.minus), colour: BLUE, dash: "8 4" },
      { label: "solvent", x, y: scaled(v.solvent), colour: GREEN, dash: "2 3", width: 2.5 },
    ];
    // a depleted wall makes the cations as fast as you like: show what nine tenths of the cell do, and their margin
    const inner = lines.flatMap((line) => line.y.filter((_, k) => x[k] > 0.03 * L && x[k] < 0.9 * L));
    const low = Math.min(0, ...inner), high = Math.max(0, ...inner), room = 0.35 * (high - low) || 1;
    const y = { low: Math.max(low - room, Math.min(0, ...lines.flatMap((l) => l.y)) * 1.05), high: Math.min(high + room, Math.max(0, ...lines.flatMap((l) => l.y)) * 1.05) };
    if (!(y.high > y.low)) y.high = y.low + 1;
    const middle = x.length >> 1;
    Plot.draw(find("plot-velocity"), {
      title: `Velocities in the ${state.frame} frame against position`, lines, sides: SIDES,
      desc: `In the middle of the cell at ${duration(now.time)}, ${speed}: cations ${say(lines[0].y[middle])}, anions ${say(lines[1].y[middle])}, solvent ${say(lines[2].y[middle])}.`,
      x: { label: `x / ${unit}`, low: 0, high: L }, y: { ...y, label: `v / (${speed})` },
    });
    Plot.legend(find("legend-velocity"), lines);
  }

  function drawFraction() {
    const g = result.closed, p = state.setting, Ne = [], curve = [];
    for (let k = 0; k <= 120; k++) { Ne.push(10 ** (-4 + k / 15)); curve.push(1 / (1 + Ne[k])); }
    const lines = [
      { label: "1/(1 + Ne)", x: Ne, y: curve, colour: GREY, width: 1.5 },
      { label: "t₊⁰", x: [1e-4, 1e4], y: [p.t_plus, p.t_plus], colour: RED, dash: "6 3 1 3" },
    ];
    const at = Settings.clip(g.Ne, 1e-4, 1e4);
    const reached = result.status === "steady";
    const marks = [{ label: "ρ₊, small voltage", x: at, y: g.rho_plus, colour: BLUE, shape: "circle" }];
    if (p.R_int > 0) marks.push({ label: "with R_int", x: at, y: g.ratio_small, colour: GREEN, shape: "square", hollow: true });
    marks.push({ label: reached ? "i_ss/i₀ of this cell" : "i/i₀ when it stops", x: at, y: result.i[result.i.length - 1] / g.i_0, colour: "var(--ink)", shape: "diamond", hollow: true });
    Plot.draw(find("plot-fraction"), {
      title: "Fraction of the current that is left, against the Newman number", lines, marks,
      desc: `Newman number ${say(g.Ne)}; current fraction ${say(g.rho_plus)}; in this cell ${say(result.i[result.i.length - 1] / g.i_0)} of the first current is left. Transference number ${say(p.t_plus)}.`,
      x: { label: "Newman number Ne", low: 1e-4, high: 1e4, log: true }, y: { label: "i/i₀", low: Math.min(0, p.t_plus - 0.05), high: 1.05 },
    });
    Plot.legend(find("legend-fraction"), [...marks, ...lines]);
  }

  // Voltage against time, split into interfaces, conduction and concentration.
  function drawShare(view) {
    const g = result.closed, p = state.setting, [unit, size] = timeAxis(), first = firstTime(), log = state.axis === "log";
    const x = [], one = [], two = [];
    const put = (t, i) => { x.push(t / size); one.push(1e3 * i * p.R_int); two.push(1e3 * i * (p.R_int + g.R_b)); };
    put(log ? first : 0, log ? Solver.at(result, first).i : result.i[0]);
    result.time.forEach((t, k) => { if (t > first) put(t, result.i[k]); });
    const V = 1e3 * p.V, zero = x.map(() => 0), all = x.map(() => V);
    const areas = [
      { label: "concentration", x, lower: two, upper: all, colour: BLUE, opacity: 0.55, area: true },
      { label: "conduction i L/κ", x, lower: one, upper: two, colour: "#E69F00", opacity: 0.6, area: true },
    ];
    if (p.R_int > 0) areas.push({ label: "interfaces i R_int", x, lower: zero, upper: one, colour: GREY, opacity: 0.6, area: true });
    const now = view.profile.i;
    Plot.draw(find("plot-share"), {
      title: "Parts of the cell voltage against time", areas, rules: [{ x: view.time / size }],
      desc: `At ${duration(view.time)}: interfaces ${percent((now * p.R_int) / p.V)}, conduction ${percent((now * g.R_b) / p.V)}, concentration ${percent(1 - (now * (g.R_b + p.R_int)) / p.V)} of ${say(V)} mV.`,
      x: { label: `time / ${unit}`, low: log ? first / size : 0, high: result.t_end / size, log }, y: { label: "V / mV", low: 0, high: V },
    });
    Plot.legend(find("legend-share"), areas);
  }

  // ---- numbers ----

  function rows(body, table, numeric) {
    body.replaceChildren(...table.map((cells) => {
      const row = document.createElement("tr");
      row.append(...cells.map((text, k) => {
        const cell = document.createElement("td");
        if (numeric(k)) cell.className = "n";
        Plot.rich(cell, text);
        return cell;
      }));
      return row;
    }));
  }

  function showNumbers(view) {
    const g = result.closed, p = state.setting, now = view.profile, n = now.x.length - 1, steady = !g.depletes;
    rows(find("numbers"), [
      ["Average salt concentration", "c0", say(g.c0 / 1e3), "mol/L"],
      ["Initial current", "i₀ = V/(L/κ + R_int)", say(g.i_0), "A/m²"],
      [`Current at ${duration(now.time)}`, "i", say(now.i), "A/m²"],
      ["Steady current, closed form", "i_ss", steady ? say(g.i_ss) : "depleted first", steady ? "A/m²" : ""],
      ["Limiting current", "i_lim", say(g.i_lim), "A/m²"],
      ["Newman number", "Ne", say(g.Ne), "1"],
      ["Current fraction", "ρ₊ = 1/(1 + Ne)", say(g.rho_plus), "1"],
      ["The same with R_int, small voltage", "(R_b + R_int)/(R_b (1 + Ne) + R_int)", say(g.ratio_small), "1"],
      ["What this cell shows", "i_ss/i₀", steady ? say(g.ratio) : "–", "1"],
      ["Voltage that one unit of ln m is worth", "V_c = (2RT/F)(1 − t₊⁰)χ", say(1e3 * g.K), "mV"],
      ["Salt where lithium dissolves, now", "c(0)", say(now.c[0] / 1e3), "mol/L"],
      ["Salt where lithium plates, now", "c(L)", say(now.c[n] / 1e3), "mol/L"],
      ["Velocity of both interfaces in the lab, now", "v_s", say(now.v_s / Words.speedUnit(Math.abs(now.v_s))[1]), Words.speedUnit(Math.abs(now.v_s))[0]],
      ["Time of diffusion", "L²/D", say(g.t_unit / Words.timeUnit(g.t_unit)[1]), Words.timeUnit(g.t_unit)[0]],
    ], (k) => k === 2);
    find("effort").textContent = `Solved in ${say(effort, 2)} ms: ${result.kept.length - 1} time steps on ${result.grid.n} cells. Velocities in the table: ${state.frame} frame.`;
    if (find("profiles").open) showProfile(now, n, p);
  }

  function showProfile(now, n, p) {
    const v = Solver.inFrame(now, state.frame), { unit, size } = across(), picked = [];
    for (let k = 0; k <= 10; k++) {
      const want = (k / 10) * p.thickness;
      let f = 0;
      while (f < n && Math.abs(now.x[f + 1] - want) <= Math.abs(now.x[f] - want)) f++;
      picked.push([now.x[f] / size, now.c[f] / 1e3, 1e10 * v.plus[f], 1e10 * v.minus[f], 1e10 * v.solvent[f]].map((value) => say(value)));
    }
    const head = document.createElement("tr");
    head.append(...[`x / ${unit}`, "c / (mol/L)", "v of Li⁺ / (Å/s)", "v of anion / (Å/s)", "v of solvent / (Å/s)"].map((text) => {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.className = "n";
      cell.textContent = text;
      return cell;
    }));
    find("profile-head").replaceChildren(head);
    rows(find("profile"), picked, () => true);
  }

  function start() {
    buildControls();
    if (location.hash && !location.hash.startsWith("#selftest")) readAddress();
    update(); // at once: a first frame may be long in coming on a busy machine
    rest();
  }

  return Object.freeze({ start, update, rest, state });
})();
