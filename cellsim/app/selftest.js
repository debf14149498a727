// What the tests ask: settings solved and read off at times of the solver's own choice. The page does this for all corners
// of the slider ranges when its address ends in #selftest, and writes the answer into the document.
"use strict";

const Selftest = (() => {
  // Profiles at `count` times, from the first change of the current to the end, at every `stride`-th face.
  function probe(setting, count, stride) {
    const result = Solver.solve(setting), g = result.closed, end = 0.999 * result.t_end, profiles = [];
    const first = Math.min((0.03 * g.t_unit) / Math.max(g.B, g.J_0, 1) ** 2, 0.1 * end);
    const list = (a) => Array.from(a).filter((_, k) => k % stride === 0 || k === a.length - 1);
    for (let k = 0; k < count; k++) {
      const p = Solver.at(result, end * (first / end) ** (1 - k / (count - 1)));
      const lab = Solver.inFrame(p, "lab"), solvent = Solver.inFrame(p, "solvent");
      profiles.push({ time: p.time, i: p.i, x: list(p.x), c: list(p.c), plus: list(p.plus), minus: list(p.minus), solvent: list(p.solvent),
        lab: list(lab.solvent), relative: list(solvent.minus) });
    }
    return { setting, status: result.status, t_end: result.t_end, drift: Solver.saltDrift(result), steps: result.kept.length - 1,
      cells: result.grid.n, closed: result.closed, profiles };
  }

  // All combinations of least and greatest values, with and without solvent motion.
  function corners() {
    const names = Settings.SLIDERS.map((s) => s.name), out = [];
    for (let bits = 0; bits < 2 ** (names.length + 1); bits++) {
      const setting = { motion: (bits & 1) === 0 };
      Settings.SLIDERS.forEach((s, k) => { setting[s.name] = (bits >> (k + 1)) & 1 ? s.high : s.low; });
      out.push(setting);
    }
    return out;
  }

  // Milliseconds a solve takes, the best of three.
  function timed(settings) {
    return settings.map((setting) => {
      let best = Infinity;
      for (let k = 0; k < 3; k++) {
        const before = performance.now();
        Solver.solve(setting);
        best = Math.min(best, performance.now() - before);
      }
      return best;
    });
  }

  // Where the parts that a lecturer needs at once end [px from the top], and the height there is.
  function places() {
    const ends = {};
    for (const id of ["R_int", "plot-cell", "plot-current", "plot-salt", "play"]) {
      ends[id] = Math.ceil(document.getElementById(id === "R_int" ? "s-R_int" : id).getBoundingClientRect().bottom + scrollY);
    }
    return { ends, height: innerHeight };
  }

  // Milliseconds that a frame of a drag takes: every slider moved from end to end in `count` steps.
  function dragged(count) {
    const took = [];
    for (const s of Settings.SLIDERS) {
      const input = document.getElementById("s-" + s.name), before = input.value;
      for (let k = 0; k <= count; k++) {
        input.value = k < count ? String((1000 * k) / (count - 1)) : before;
        input.dispatchEvent(new Event("input"));
        const began = performance.now();
        Page.update();
        took.push(performance.now() - began);
        document.body.getBoundingClientRect(); // the browser's own layout is no script of ours
      }
    }
    return took;
  }

  // In a browser: corners (all, or every `every`-th) probed, what went wrong, was asked from outside, overflows.
  function run(errors, every) {
    const some = corners().filter((_, k) => k % every === 0), page = document.documentElement;
    const requests = performance.getEntriesByType("resource").map((entry) => entry.name);
    return { errors, requests, width: innerWidth, overflow: page.scrollWidth - page.clientWidth, ...places(),
      corners: some.map((setting) => probe(setting, 6, 12)) };
  }

  return Object.freeze({ probe, corners, timed, dragged, run });
})();
