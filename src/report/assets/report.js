"use strict";
// Draws the charts of a report with uPlot, so that they can be read closely: a line that follows the pointer or the
// arrow keys, values in the legend, a closer look by dragging. The numbers are in the page; nothing is fetched.
// Without this script, and on paper, the same charts stand there as SVG.
(() => {
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const FONT = "12px system-ui, sans-serif";
  const SHARES = [[0, "0 %"], [Math.LOG10E * Math.LN2, "50 %"], [1, "90 %"], [2, "99 %"], [3, "99.9 %"], [4, "99.99 %"], [5, "99.999 %"], [6, "99.9999 %"]];
  const SECONDS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400];
  const drawn = [];

  const colour = (tone) => getComputedStyle(document.documentElement).getPropertyValue("--" + tone).trim();

  function clock(seconds) {
    const whole = Math.floor(seconds), two = (n) => String(n).padStart(2, "0");
    const fraction = seconds > whole ? (seconds - whole).toFixed(1).slice(1) : "";
    const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    return (hours ? hours + ":" + two(minutes) : minutes) + ":" + two(whole % 60) + fraction;
  }

  function number(value) {
    if (value == null) return "\u2013";
    if (value >= 10000 && value % 1000 === 0) return value / 1000 + "k";
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  }

  // Lines of a logarithmic axis: decades, and where there are few of them what lies between.
  function decades(u, splits) {
    const { min, max } = u.scales.y;
    const wanted = max / min > 100 ? [1] : [1, 2, 5];
    return splits.map((value) => wanted.includes(Math.round(value / Math.pow(10, Math.floor(Math.log10(value) + 1e-9)))) ? value : null);
  }

  function share(nines) {
    const percent = 100 * (1 - Math.pow(10, -nines));
    return percent.toFixed(Math.max(0, Math.ceil(nines) - 1) + (nines % 1 ? 1 : 0)) + " %";
  }

  // Values as they are drawn: steps need one more to end the last one, layers stand on each other.
  function columns(plot) {
    if (plot.kind === "map") return [plot.x, plot.x.map(() => 0)];
    // A share of failures that is nothing has no line: along the bottom of a small chart it would look like one.
    const shown = (one) => plot.kind === "share" && one.tone === "bad" ? one.values.map((value) => value === 0 ? null : value) : one.values;
    const closed = plot.series.map((one) =>
      one.values.length < plot.x.length ? shown(one).concat(shown(one).slice(-1)) : shown(one));
    let below = plot.x.map(() => 0);
    const stacked = closed.map((values, at) => {
      if (!plot.series[at].layer) return values;
      below = below.map((sum, i) => sum + (values[i] ?? 0));
      return below;
    });
    // The highest layer first, so that the lower ones are drawn over it.
    return [plot.x, ...order(plot).map((at) => stacked[at])];
  }

  function order(plot) {
    const all = plot.series.map((_, at) => at);
    const layers = all.filter((at) => plot.series[at].layer).reverse();
    return layers.concat(all.filter((at) => !plot.series[at].layer));
  }

  // Level over each step, up to where the next one begins, also before a gap and when a step stands alone; uPlot's own
  // steps end where the last value before a gap begins.
  function steps(u, series, from, to) {
    const across = u.data[0], values = u.data[series];
    const x = (at) => u.valToPos(across[at], "x", true), y = (value) => u.valToPos(value, "y", true);
    const stroke = new Path2D(), fill = new Path2D(), floor = u.bbox.top + u.bbox.height;
    let start = null;
    for (let at = Math.max(from - 1, 0); at <= Math.min(to, across.length - 2); at++) {
      const value = values[at];
      if (value == null || u.scales.y.distr === 3 && value <= 0) { start = null; continue; }
      const left = x(at), right = x(at + 1), up = y(value);
      if (start == null) stroke.moveTo(left, up); else stroke.lineTo(left, up);
      stroke.lineTo(right, up);
      fill.rect(left, Math.min(up, floor), right - left + 0.3, Math.abs(floor - up));
      start = left;
    }
    return { stroke, fill: u.series[series].fill ? fill : null, clip: null, band: null, gaps: null, flags: 1 };
  }

  function line(plot, one) {
    const stroke = colour(one.tone);
    const paths = plot.kind === "curve" ? uPlot.paths.linear() : steps;
    const small = plot.kind === "share";
    const alone = (u, series, at) => { const of = u.data[series]; return of[at] != null && of[at - 1] == null && of[at + 1] == null; };
    const points = plot.kind === "curve"
      ? { show: true, size: 5, filter: (u, series) => u.data[0].map((_, at) => at).filter((at) => alone(u, series, at)) }
      : { show: false };
    const look = one.layer ? { fill: stroke, width: 0 } : { width: small ? 1.5 : 2, dash: small ? [] : one.dash };
    if (small && one.tone === "bad") look.fill = stroke + "66";
    return { label: one.label, stroke, paths, points, ...look };
  }

  function axes(plot) {
    const own = { stroke: colour("soft"), font: FONT, grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1, size: 4 } };
    if (plot.kind === "share") {
      const small = { ...own, font: "10px system-ui, sans-serif", gap: 2, ticks: { show: false } };
      return [
        { ...small, incrs: SECONDS, space: 60, size: 18, values: (_, at) => at.map(clock), grid: { show: false } },
        { ...small, splits: () => [0, 50, 100], values: () => ["0 %", "", "100 %"], size: 38 },
      ];
    }
    const across = plot.kind === "curve"
      ? { splits: (u) => SHARES.map(([at]) => at).filter((at) => at <= u.scales.x.max + 1e-9 && (u.width > 560 || at % 1 === 0)), values: (_, at) => at.map((one) => SHARES.find(([known]) => known === one)?.[1] ?? "") }
      : { incrs: SECONDS, space: 70, values: (_, at) => at.map(clock) };
    const log = plot.log ? { filter: decades, ticks: { ...own.ticks, filter: decades }, grid: { ...own.grid, filter: decades } } : {};
    const up = plot.kind === "map" ? { show: false } : { ...log, size: 68, values: (_, at) => at.map((value) => value == null ? "" : number(value) + plot.unit) };
    return [{ ...own, ...across, size: 34, grid: { show: plot.kind === "curve", stroke: colour("line"), width: 1 } }, { ...own, ...up }];
  }

  function upright(plot) {
    if (plot.kind === "share") return { range: [-2, 102] };
    if (plot.kind === "map") return { range: [0, plot.map.rows.length], dir: -1 };
    if (plot.log) return { distr: 3, range: (_, least, most) => least == null ? [0.1, 1] : uPlot.rangeLog(least, most, 10, true) };
    return { range: (_, __, most) => [0, most > 0 ? uPlot.rangeNum(0, most, 0.1, true)[1] : 1] };
  }

  // Stretches of a map: as strong as the share of the row's agents.
  function paintMap(plot) {
    return (u) => {
      const ctx = u.ctx;
      const tall = u.bbox.height / plot.map.rows.length;
      ctx.save();
      for (const [row, from, until, series, strength] of plot.map.cells) {
        const left = Math.max(u.valToPos(from, "x", true), u.bbox.left);
        const right = Math.min(u.valToPos(until, "x", true), u.bbox.left + u.bbox.width);
        if (right <= left) continue;
        ctx.globalAlpha = 0.4 + 0.6 * strength;
        ctx.fillStyle = colour(plot.series[series].tone);
        ctx.fillRect(left, u.bbox.top + row * tall, Math.max(right - left, 1), Math.max(tall - 0.6 * devicePixelRatio, 1));
      }
      ctx.restore();
    };
  }

  // What the pointer or the arrow keys stand on: the place across, and a text for each series.
  function reading(plot, u) {
    const { idx, left, top } = u.cursor;
    if (idx == null || left < 0) return null;
    if (plot.kind === "map") {
      const row = Math.min(Math.max(Math.floor(top / u.over.clientHeight * plot.map.rows.length), 0), plot.map.rows.length - 1);
      const seconds = u.posToVal(left, "x");
      const cell = plot.map.cells.find((one) => one[0] === row && one[1] <= seconds && seconds < one[2]);
      const state = cell ? plot.series[cell[3]].label : "no loop";
      return { at: clock(seconds), values: [], text: plot.map.rows[row] + ": " + state };
    }
    const at = Math.min(idx, Math.max(...plot.series.map((one) => one.values.length)) - 1);
    const values = plot.series.map((one) => number(one.values[Math.min(at, one.values.length - 1)]) + plot.unit);
    const where = plot.kind === "curve" ? share(plot.x[at]) : clock(plot.x[at]);
    return { at: where, values, text: plot.series.map((one, n) => one.label + " " + values[n]).join(", ") };
  }

  function tell(view) {
    const read = reading(view.plot, view.chart);
    view.read.textContent = read ? read.at + "  " + read.text : view.read.dataset.hint;
    view.place.setAttribute("aria-valuetext", read ? read.at + ": " + read.text : "");
    if (read) view.place.setAttribute("aria-valuenow", String(view.chart.cursor.idx));
  }

  function options(view) {
    const { plot, place } = view;
    const timed = plot.kind !== "curve";
    return {
      width: place.clientWidth,
      height: height(plot),
      legend: { show: false },
      padding: plot.kind === "share" ? [4, 8, 0, 0] : [10, 26, 0, plot.kind === "map" ? 20 : 0],
      cursor: { y: plot.kind === "map", points: { show: plot.kind !== "map" && plot.kind !== "stack", size: 7 }, sync: timed ? { key: "time", setSeries: false } : undefined, drag: { x: true, y: false } },
      scales: { x: { time: false, range: (_, least, most) => [least, most > least ? most : least + 1] }, y: upright(plot) },
      axes: axes(plot),
      series: [{}, ...(plot.kind === "map" ? [{ show: true, points: { show: false }, paths: () => null }] : order(plot).map((at) => line(plot, plot.series[at])))],
      hooks: { setCursor: [() => tell(view)], draw: plot.kind === "map" ? [paintMap(plot)] : [] },
    };
  }

  function height(plot) {
    if (plot.kind === "share") return 104;
    if (plot.kind === "map") return Math.min(Math.max(plot.map.rows.length * 12, 36), 360) + 50;
    return 236;
  }

  function step(view, event) {
    const { chart, plot } = view;
    const last = plot.kind === "map" ? 120 : plot.x.length - 1;
    const keys = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10, Home: -last, End: last };
    const rows = { ArrowUp: -1, ArrowDown: 1 };
    if (event.key === "Escape") {
      chart.setScale("x", { min: plot.x[0], max: plot.x[plot.x.length - 1] });
      return;
    }
    if (plot.kind === "map" && event.key in rows) view.row = Math.min(Math.max((view.row ?? 0) + rows[event.key], 0), plot.map.rows.length - 1);
    else if (event.key in keys) view.at = Math.min(Math.max((view.at ?? -1) + keys[event.key], 0), last);
    else return;
    event.preventDefault();
    const x = plot.kind === "map" ? (view.at ?? 0) / last * plot.x[1] : plot.x[view.at];
    const top = plot.kind === "map" ? ((view.row ?? 0) + 0.5) / plot.map.rows.length * chart.over.clientHeight : 0;
    chart.setCursor({ left: Math.min(Math.max(chart.valToPos(x, "x"), 0.5), chart.over.clientWidth - 0.5), top });
  }

  // A place becomes something that a keyboard can read: like a slider, whose value is what stands there.
  function prepare(view) {
    const { place, plot } = view;
    const set = { role: "slider", tabindex: "0", "aria-label": place.dataset.title + ": read values with the arrow keys", "aria-valuemin": "0", "aria-valuemax": String(plot.x.length - 1), "aria-valuenow": "0", "aria-valuetext": "" };
    for (const [name, value] of Object.entries(set)) place.setAttribute(name, value);
    place.addEventListener("keydown", (event) => step(view, event));
  }

  function draw(view) {
    view.chart?.destroy();
    view.chart = new uPlot(options(view), columns(view.plot), view.place);
  }

  for (const plot of plots) {
    const place = document.querySelector('[data-plot="' + plot.id + '"]');
    const figure = place?.closest("figure");
    if (!place) continue;
    const view = { plot, place, read: figure.querySelector(".read") };
    if (drawn.length) view.read.dataset.hint = "";
    view.read.textContent = view.read.dataset.hint;
    figure.classList.add("drawn");
    prepare(view);
    draw(view);
    drawn.push(view);
  }

  // A text that is meant for a mail can be taken with one press.
  for (const text of document.querySelectorAll(".copy")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "taken";
    button.textContent = "Copy this text";
    button.addEventListener("click", () => {
      getSelection().selectAllChildren(text);
      button.textContent = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl-C";
    });
    text.after(button);
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
  let wide = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === wide) return;
    wide = innerWidth;
    for (const view of drawn) view.chart.setSize({ width: view.place.clientWidth, height: height(view.plot) });
  });
})();
