"use strict";
// Draws the page from the data that it carries. Whatever a run says is shown as text, never read as HTML.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const runs = data.runs, page = document.getElementById("page");
  const CYCLE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a800", "#868e96"];
  const VIRIDIS = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]];
  const BANDS = 6; // runs at most whose spreads over seeds are drawn: more hide one another
  const MOST_TOLD = 8; // runs at most whose numbers are told at the pointer, the highest
  const SVG = "http://www.w3.org/2000/svg";
  runs.forEach((run, i) => { run.color = CYCLE[i % CYCLE.length]; run.dash = i < CYCLE.length ? "" : "5 3"; run.shown = true; });

  // ---- elements -------------------------------------------------------------------------------------------------
  function make(tag, attributes = {}, ...children) {
    const svg = attributes.svg; delete attributes.svg;
    const element = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter(child => child !== null));
    return element;
  }
  const draw = (tag, attributes = {}, ...children) => make(tag, { ...attributes, svg: true }, ...children);
  const isNumber = value => typeof value === "number" && isFinite(value);

  function format(value) {
    if (value === null || value === undefined) return "–";
    if (!isNumber(value)) return String(value);
    if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e15)) return String(Number(value.toPrecision(4)));
    return Number(Number.isInteger(value) ? value : value.toPrecision(5)).toLocaleString("en-US", { maximumFractionDigits: 6 });
  }
  function short(value) {
    for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
      if (Math.abs(value) >= size) return Number((value / size).toPrecision(4)) + letter;
    return String(Number(value.toPrecision(4)));
  }
  function section(title, ...children) {
    const kept = children.filter(child => child !== null);
    if (kept.length) page.append(make("h2", {}, title), ...kept);
  }

  // ---- tables ---------------------------------------------------------------------------------------------------
  function sortable(heads, rows, { rowOf = null, wide = false } = {}) {
    const body = make("tbody");
    const numeric = heads.map((_, i) => rows.some(row => isNumber(row[i])) && rows.every(row => row[i] === null || row[i] === undefined || isNumber(row[i])));
    const lines = rows.map((row, index) => {
      const line = make("tr", {}, ...row.map((value, i) => {
        const cell = make("td", numeric[i] ? { class: "number" } : {}, value instanceof Node ? value : format(value));
        if (heads[i] === "status") cell.className = "status-" + String(value).replace(/\W/g, "");
        return cell;
      }));
      if (rowOf) rowOf(line, index);
      return line;
    });
    const keyOf = value => value instanceof Node ? value.textContent : value;
    let order = null;
    const head = make("tr", {}, ...heads.map((name, i) => {
      const cell = make("th", { scope: "col", class: numeric[i] ? "number" : null });
      cell.append(make("button", { type: "button", onclick: () => {
        const down = cell.getAttribute("aria-sort") === "ascending";
        head.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
        cell.setAttribute("aria-sort", down ? "descending" : "ascending");
        order = lines.map((_, index) => index).sort((a, b) => {
          const [left, right] = [keyOf(rows[a][i]), keyOf(rows[b][i])];
          const missing = [left, right].map(value => value === null || value === undefined);
          if (missing[0] || missing[1]) return missing[0] - missing[1];
          const way = isNumber(left) && isNumber(right) ? left - right : String(left).localeCompare(String(right), "en", { numeric: true });
          return down ? -way : way;
        });
        body.append(...order.map(index => lines[index]));
      } }, name));
      return cell;
    }));
    body.append(...lines);
    return make("div", { class: "scroll" }, make("table", wide ? { class: "wide" } : {}, make("thead", {}, head), body));
  }
  const pairs = rows => make("div", { class: "scroll" }, make("table", {}, make("tbody", {}, ...rows.map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value instanceof Node ? value : format(value)))))));

  // ---- scales ---------------------------------------------------------------------------------------------------
  function ticks(low, high, count) {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find(factor => factor * power >= raw);
    const found = [];
    for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) found.push(at * step);
    return found;
  }
  // An axis for a column of values: numbers (by ratios where they span decades), or words in order of appearance.
  function axis(values) {
    const present = values.filter(value => value !== null && value !== undefined);
    if (present.length && present.every(isNumber)) {
      let low = Math.min(...present), high = Math.max(...present);
      if (low === high) { low -= Math.abs(low) / 2 || 1; high += Math.abs(high) / 2 || 1; }
      if (low > 0 && high / low >= 50) {
        const [from, to] = [Math.log10(low), Math.log10(high)];
        const marks = [];
        for (let power = Math.ceil(from - 1e-9); power <= to + 1e-9; power++) marks.push(10 ** power);
        return { at: value => isNumber(value) ? (Math.log10(value) - from) / (to - from) : null, marks: marks.length > 1 ? marks : [low, high] };
      }
      return { at: value => isNumber(value) ? (value - low) / (high - low) : null, marks: ticks(low, high, 5) };
    }
    const words = [...new Set(present.map(format))];
    if (words.every(word => !isNaN(Number(word)))) words.sort((a, b) => a - b);
    const place = new Map(words.map((word, i) => [word, words.length > 1 ? i / (words.length - 1) : .5]));
    return { at: value => value === null || value === undefined ? null : place.get(format(value)), marks: words, words: true };
  }
  function colorOf(share) {
    if (share === null || share === undefined) return "#868e96";
    const at = Math.min(.9999, Math.max(0, share)) * (VIRIDIS.length - 1), i = Math.floor(at), rest = at - i;
    return `rgb(${VIRIDIS[i].map((channel, k) => Math.round(channel + rest * (VIRIDIS[i + 1][k] - channel))).join(",")})`;
  }
  function tipFor(chart) {
    const tip = make("div", { class: "tip", hidden: "" });
    chart.append(tip);
    return {
      hide: () => { tip.hidden = true; },
      show: (event, lines) => {
        tip.replaceChildren(...lines);
        tip.hidden = false;
        const box = chart.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
        tip.style.left = Math.max(0, Math.min(x + 14, box.width - tip.offsetWidth - 4)) + "px";
        tip.style.top = Math.max(0, Math.min(y + 14, box.height - tip.offsetHeight)) + "px";
      },
    };
  }
  const swatch = color => { const mark = make("span", { class: "swatch" }); mark.style.background = color; return mark; };

  // ---- curves: drag to zoom all of them, double-click for the whole, hover for numbers -----------------------------
  const withCurves = runs.filter(run => run.curves.metrics);
  let zoom = null, everySeed = runs.length === 1;
  const charts = [];

  function mean(rows, i) {
    const values = rows.map(row => row[i]).filter(isNumber);
    return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
  }
  function curveChart(metric) {
    const chart = make("div", { class: "chart" }, make("h3", {}, metric));
    const svg = draw("svg", { role: "img", "aria-label": metric + " over environment steps" });
    chart.append(svg);
    const tip = tipFor(chart);
    const size = { left: 52, right: 8, top: 6, bottom: 22, height: 210 };
    const whole = () => {
      const steps = withCurves.flatMap(run => run.curves.steps);
      const low = Math.min(...steps), high = Math.max(...steps);
      return low === high ? [low - 1, high + 1] : [low, high];
    };
    let x, y, toStep, lowX, highX;

    function paint() {
      const width = Math.max(220, chart.clientWidth - 16);
      svg.setAttribute("viewBox", `0 0 ${width} ${size.height}`);
      svg.setAttribute("height", size.height);
      svg.replaceChildren();
      [lowX, highX] = zoom || whole();
      const shown = withCurves.filter(run => run.shown && run.curves.metrics[metric]);
      let low = Infinity, high = -Infinity;
      for (const run of shown) run.curves.steps.forEach((step, i) => {
        if (step < lowX || step > highX) return;
        for (const row of run.curves.metrics[metric]) if (isNumber(row[i])) { low = Math.min(low, row[i]); high = Math.max(high, row[i]); }
      });
      if (low > high) [low, high] = [0, 1];
      if (low === high) { low -= Math.abs(low) * .1 || 1; high += Math.abs(high) * .1 || 1; }
      const pad = (high - low) * .04; low -= pad; high += pad;
      const inner = width - size.left - size.right, tall = size.height - size.top - size.bottom;
      x = step => size.left + (step - lowX) / (highX - lowX) * inner;
      y = value => size.top + (high - value) / (high - low) * tall;
      toStep = at => lowX + (at - size.left) / inner * (highX - lowX);
      for (const mark of ticks(low, high, 4)) svg.append(
        draw("line", { class: "axis", x1: size.left, x2: width - size.right, y1: y(mark), y2: y(mark) }),
        draw("text", { x: size.left - 6, y: y(mark) + 4, "text-anchor": "end" }, short(mark)));
      for (const mark of ticks(lowX, highX, Math.max(3, Math.floor(inner / 70)))) svg.append(
        draw("text", { x: x(mark), y: size.height - 6, "text-anchor": "middle" }, short(mark)));
      const id = "clip" + charts.indexOf(paint);
      svg.append(draw("clipPath", { id }, draw("rect", { x: size.left, y: 0, width: inner, height: size.height })));
      const plot = draw("g", { "clip-path": `url(#${id})` });
      svg.append(plot);
      const path = (steps, valueAt) => {
        let text = "", pen = "M";
        steps.forEach((step, i) => {
          const value = valueAt(i);
          if (!isNumber(value)) { pen = "M"; return; }
          text += `${pen}${x(step).toFixed(1)} ${y(value).toFixed(1)}`; pen = "L";
        });
        return text;
      };
      for (const run of shown) {
        const { steps, metrics } = run.curves, rows = metrics[metric];
        if (rows.length > 1 && everySeed) for (const row of rows)
          plot.append(draw("path", { class: "thin", stroke: run.color, d: path(steps, i => row[i]) }));
        else if (rows.length > 1 && shown.length <= BANDS) {
          const kept = steps.map((_, i) => i).filter(i => rows.some(row => isNumber(row[i])));
          const edge = (pick, list) => list.map(i => `${x(steps[i]).toFixed(1)} ${y(pick(...rows.map(row => row[i]).filter(isNumber))).toFixed(1)}`);
          if (kept.length) plot.append(draw("path", { class: "band", fill: run.color, d: "M" + [...edge(Math.max, kept), ...edge(Math.min, [...kept].reverse())].join("L") + "Z" }));
        }
        plot.append(draw("path", { class: "line", stroke: run.color, "stroke-width": 1.6, "stroke-dasharray": run.dash, "data-run": runs.indexOf(run), d: path(steps, i => mean(rows, i)) }));
        if (steps.length < 3) steps.forEach((step, i) => { const value = mean(rows, i); if (isNumber(value)) plot.append(draw("circle", { cx: x(step), cy: y(value), r: 3, fill: run.color })); });
      }
      const brush = draw("rect", { class: "brush", y: size.top, height: tall, width: 0, visibility: "hidden" });
      const rule = draw("line", { class: "rule", y1: size.top, y2: size.top + tall, visibility: "hidden" });
      const hit = draw("rect", { class: "hit", x: size.left, y: size.top, width: inner, height: tall });
      svg.append(rule, brush, hit);
      const position = event => Math.min(width - size.right, Math.max(size.left, (event.clientX - svg.getBoundingClientRect().left) * width / svg.getBoundingClientRect().width));
      let from = null;
      hit.addEventListener("pointerdown", event => { from = position(event); hit.setPointerCapture(event.pointerId); });
      hit.addEventListener("pointerup", event => {
        const ends = [from, position(event)].sort((a, b) => a - b);
        from = null;
        if (ends[1] - ends[0] > 6) setZoom([toStep(ends[0]), toStep(ends[1])]);
      });
      hit.addEventListener("dblclick", () => setZoom(null));
      hit.addEventListener("pointerleave", () => { rule.setAttribute("visibility", "hidden"); tip.hide(); });
      hit.addEventListener("pointermove", event => {
        const at = position(event);
        if (from !== null) {
          brush.setAttribute("x", Math.min(from, at)); brush.setAttribute("width", Math.abs(at - from)); brush.setAttribute("visibility", "visible");
        }
        const near = shown.filter(run => {
          const steps = run.curves.steps, spacing = (steps.at(-1) - steps[0]) / Math.max(1, steps.length - 1) || 1;
          return toStep(at) >= steps[0] - spacing && toStep(at) <= steps.at(-1) + spacing;
        }).map(run => {
          const steps = run.curves.steps;
          const i = steps.reduce((best, step, k) => Math.abs(step - toStep(at)) < Math.abs(steps[best] - toStep(at)) ? k : best, 0);
          return { run, i, step: steps[i], value: mean(run.curves.metrics[metric], i) };
        });
        if (!near.length) return;
        const nearest = near.reduce((best, one) => Math.abs(one.step - toStep(at)) < Math.abs(best.step - toStep(at)) ? one : best);
        for (const end of ["x1", "x2"]) rule.setAttribute(end, x(nearest.step));
        rule.setAttribute("visibility", "visible");
        near.sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
        tip.show(event, [make("div", {}, short(nearest.step) + " steps"), ...near.slice(0, MOST_TOLD).map(one => make("div", {}, swatch(one.run.color), `${format(one.value)}  ${runs.length > 1 ? one.run.label : ""}`)),
          ...(near.length > MOST_TOLD ? [make("div", {}, `and ${near.length - MOST_TOLD} more`)] : [])]);
      });
    }
    charts.push(paint);
    return chart;
  }
  function setZoom(range) { zoom = range; repaint(); }
  function repaint() { charts.forEach(paint => paint()); }

  function curves() {
    if (!withCurves.length) return;
    const metrics = [...new Set(withCurves.flatMap(run => Object.keys(run.curves.metrics)))];
    const legend = make("div", { class: "bar" });
    if (runs.length > 1) withCurves.forEach(run => {
      const key = make("button", { type: "button", class: "key", "aria-pressed": "true", onclick: () => {
        run.shown = !run.shown; key.setAttribute("aria-pressed", run.shown); repaint();
      }, onpointerenter: () => light(runs.indexOf(run), true), onpointerleave: () => light(runs.indexOf(run), false) }, swatch(run.color), run.label);
      legend.append(key);
    });
    const manySeeds = withCurves.some(run => Object.values(run.curves.metrics)[0].length > 1);
    const grid = make("div", { class: "grid" }, ...metrics.slice(0, 6).map(curveChart));
    const more = metrics.length > 6 ? make("button", { type: "button", onclick: () => {
      grid.append(...metrics.slice(6).map(curveChart)); more.remove(); repaint();
    } }, `show ${metrics.length - 6} more`) : null;
    const seeds = manySeeds ? make("label", {}, make("input", { type: "checkbox", ...(everySeed ? { checked: "" } : {}), onchange: event => {
      everySeed = event.target.checked; repaint();
    } }), " each seed") : null;
    section("Training", make("div", { class: "bar" }, make("button", { type: "button", onclick: () => setZoom(null) }, "whole range"), seeds,
      make("span", {}, "Drag across a chart to zoom, double-click for the whole range. ", manySeeds ? withCurves.length <= BANDS ? "Lines are means over seeds, bands go from the least to the greatest." : "Lines are means over seeds." : "")),
      legend, grid, more);
  }

  // ---- parallel coordinates and scatter over the keys in which runs differ ------------------------------------------
  const keys = Object.keys(runs[0]?.keys || {}).filter(key => new Set(runs.map(run => format(run.keys[key]))).size > 1);
  const resultNames = [...new Set(runs.flatMap(run => Object.keys(run.results)))];
  const telling = resultNames.filter(name => runs.some(run => isNumber(run.results[name])) && new Set(runs.map(run => run.results[name])).size > 1);
  const machine = name => /( s|\/s)$/.test(name) || ["steps", "episodes", "best seed", "devices", "processes"].includes(name);
  telling.sort((a, b) => machine(a) - machine(b));
  const columns = [...keys, ...telling];
  const valueOf = (run, name) => keys.includes(name) ? run.keys[name] : run.results[name];
  let rowLines = [];

  function choice(options, value, onchange, label) {
    return make("label", {}, label + " ", make("select", { onchange: event => onchange(event.target.value) },
      ...options.map(option => make("option", option === value ? { selected: "" } : {}, option))));
  }
  function light(index, on) {
    document.querySelectorAll(`[data-run="${index}"]`).forEach(element => {
      if (element.tagName === "tr" || element.tagName === "TR") element.classList.toggle("on", on);
      else element.setAttribute(element.tagName === "circle" ? "r" : "stroke-width", element.tagName === "circle" ? (on ? 8 : 5) : (on ? 4 : 1.6));
    });
  }
  const describe = run => [make("div", {}, run.label), ...keys.slice(0, 6).map(key => make("div", {}, `${key} ${format(run.keys[key])}`)), ...telling.slice(0, 3).map(name => make("div", {}, `${name} ${format(run.results[name])}`))];

  function explore() {
    if (runs.length < 3 || !keys.length || !telling.length) return;
    let metric = ["hold", "return mean"].find(name => telling.includes(name)) || telling[0];
    let along = keys[0], up = keys[1] || metric;
    const ranges = new Map();
    const parallel = make("div", { class: "chart" }), scatter = make("div", { class: "chart" });
    const kept = run => [...ranges].every(([name, [low, high]]) => { const at = axis(runs.map(one => valueOf(one, name))).at(valueOf(run, name)); return at !== null && at >= low && at <= high; });

    function paint() {
      paintParallel(); paintScatter();
      rowLines.forEach((line, i) => line.classList.toggle("dim", !kept(runs[i])));
    }
    function paintParallel() {
      const names = [...keys.slice(0, 8), metric], width = Math.max(120 * names.length, parallel.clientWidth - 16), height = 300;
      const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": "parallel coordinates" });
      const top = 42, bottom = height - 14, x = i => 70 + i * (width - 160) / Math.max(1, names.length - 1);
      const axes = names.map(name => axis(runs.map(run => valueOf(run, name))));
      const y = share => bottom - share * (bottom - top), tint = axis(runs.map(run => valueOf(run, metric)));
      svg.style.minWidth = 120 * names.length + "px";
      const scroll = make("div", { class: "scroll" }, svg);
      parallel.replaceChildren(scroll);
      const tip = tipFor(parallel);
      runs.forEach((run, index) => {
        const points = axes.map((one, i) => [x(i), one.at(valueOf(run, names[i]))]);
        if (points.filter(point => point[1] !== null).length < 2) return;
        let text = "", pen = "M";
        for (const [at, share] of points) { if (share === null) { pen = "M"; continue; } text += `${pen}${at} ${y(share).toFixed(1)}`; pen = "L"; }
        svg.append(draw("path", { d: text, fill: "none", "stroke-width": 1.6, stroke: colorOf(tint.at(valueOf(run, metric))), opacity: kept(run) ? .9 : .08, "data-run": index,
          onpointermove: event => { light(index, true); tip.show(event, describe(run)); }, onpointerleave: () => { light(index, false); tip.hide(); } }));
      });
      names.forEach((name, i) => {
        svg.append(draw("line", { class: "axis", x1: x(i), x2: x(i), y1: top, y2: bottom, "stroke-width": 2 }),
          draw("text", { class: "name", x: x(i), y: i % 2 ? 12 : 27, "text-anchor": "middle" }, name));
        const marks = axes[i].marks.length > 12 ? [axes[i].marks[0], axes[i].marks.at(-1)] : axes[i].marks;
        for (const mark of marks) svg.append(draw("text", { x: x(i) + 6, y: y(axes[i].at(mark)) + 4 }, axes[i].words ? String(mark).slice(0, 14) : short(mark)));
        const range = ranges.get(name);
        if (range) svg.append(draw("rect", { class: "brush", x: x(i) - 8, width: 16, y: y(range[1]), height: y(range[0]) - y(range[1]) }));
        const shareAt = event => { const box = svg.getBoundingClientRect(); return Math.min(1, Math.max(0, (bottom - (event.clientY - box.top) * height / box.height) / (bottom - top))); };
        let from = null;
        const hit = draw("rect", { class: "hit", x: x(i) - 12, width: 24, y: top - 6, height: bottom - top + 12,
          onpointerdown: event => { from = shareAt(event); hit.setPointerCapture(event.pointerId); },
          onpointerup: event => {
            const ends = [from, shareAt(event)].sort((a, b) => a - b);
            if (ends[1] - ends[0] < .02) ranges.delete(name); else ranges.set(name, ends);
            paint();
          } });
        svg.append(hit);
      });
    }
    function paintScatter() {
      const width = Math.max(260, scatter.clientWidth - 16), height = 300, [left, right, top, bottom] = [70, width - 16, 12, height - 40];
      const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": `${up} over ${along}` });
      scatter.replaceChildren(svg);
      const tip = tipFor(scatter), [ax, ay, tint] = [along, up, metric].map(name => axis(runs.map(run => valueOf(run, name))));
      const x = share => left + 10 + share * (right - left - 20), y = share => bottom - 10 - share * (bottom - top - 20);
      ax.marks.slice(0, 12).forEach(mark => svg.append(draw("text", { x: x(ax.at(mark)), y: bottom + 16, "text-anchor": "middle" }, ax.words ? String(mark).slice(0, 12) : short(mark))));
      ay.marks.slice(0, 12).forEach(mark => svg.append(draw("line", { class: "axis", x1: left, x2: right, y1: y(ay.at(mark)), y2: y(ay.at(mark)) }),
        draw("text", { x: left - 6, y: y(ay.at(mark)) + 4, "text-anchor": "end" }, ay.words ? String(mark).slice(0, 10) : short(mark))));
      svg.append(draw("text", { class: "name", x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, along),
        draw("text", { class: "name", x: 12, y: (top + bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(top + bottom) / 2})` }, up));
      runs.forEach((run, index) => {
        const [atX, atY] = [ax.at(valueOf(run, along)), ay.at(valueOf(run, up))];
        if (atX === null || atY === null || atX === undefined || atY === undefined) return;
        svg.append(draw("circle", { cx: x(atX), cy: y(atY), r: 5, fill: colorOf(tint.at(valueOf(run, metric))), stroke: "var(--ink)", "stroke-width": .5, opacity: kept(run) ? .9 : .1, "data-run": index,
          onpointermove: event => { light(index, true); tip.show(event, describe(run)); }, onpointerleave: () => { light(index, false); tip.hide(); } }));
      });
    }
    const again = assign => value => { assign(value); paint(); };
    section("Keys and results", make("div", { class: "bar" }, choice(telling, metric, again(value => { metric = value; }), "result"),
      make("button", { type: "button", onclick: () => { ranges.clear(); paint(); } }, "clear selection"), make("span", {}, "Drag along an axis to select runs. Colour is the result.")),
      parallel, make("div", { class: "bar" }, choice(columns, along, again(value => { along = value; }), "x"), choice(columns, up, again(value => { up = value; }), "y")), scatter);
    explorers.push(paint);
  }
  const explorers = [];

  // ---- pictures, and each run in full -----------------------------------------------------------------------------
  const gallery = pictures => {
    const there = pictures.filter(picture => data.images[picture.image]);
    return there.length ? make("div", { class: "pictures" }, ...there.map(picture => make("figure", {}, make("figcaption", {}, picture.name),
      make("img", { src: data.images[picture.image], alt: picture.name, loading: "lazy", onclick: event => event.target.classList.toggle("large") })))) : null;
  };
  const config = run => run.config ? make("details", {}, make("summary", {}, "Configuration"), make("pre", {}, run.config)) : null;
  const artifacts = run => run.artifacts.length ? make("details", {}, make("summary", {}, "Artifacts"), sortable(["name", "size", "what it is"], run.artifacts)) : null;
  const changes = run => run.changes.length ? sortable(["key", "declared", "here"], run.changes) : null;
  const results = run => Object.keys(run.results).length ? pairs(Object.entries(run.results)) : null;

  page.replaceChildren(make("h1", {}, data.title));
  data.notes.forEach(note => page.append(make("p", { class: "note" }, note)));
  if (runs.length === 1) {
    const run = runs[0];
    page.append(make("p", { class: "note" }, [run.status, run.started, ...run.facts.filter(([name]) => name === "typed").map(([, value]) => value)].join(" · ")));
    if (run.error) page.append(make("p", { class: "status-failed" }, run.error));
    section("Results", results(run));
    curves();
    section("Pictures", gallery(run.pictures));
    section("Differs from what the files declare", changes(run));
    section("Provenance", pairs(run.facts), config(run), artifacts(run));
  } else {
    const varied = resultNames.filter(name => !runs.every(run => run.results[name] === undefined));
    varied.sort((a, b) => machine(a) - machine(b));
    section(`${runs.length} runs`, sortable(["run", "status", ...keys.slice(0, 8), ...varied, "started"],
      runs.map(run => [run.name, run.status, ...keys.slice(0, 8).map(key => run.keys[key] ?? null), ...varied.map(name => run.results[name] ?? null), run.started]), {
        wide: true,
        rowOf: (line, index) => {
          line.dataset.run = index; rowLines[index] = line;
          line.addEventListener("pointerenter", () => light(index, true)); line.addEventListener("pointerleave", () => light(index, false));
        },
      }));
    explore();
    section("Pictures of all", gallery(data.pictures));
    curves();
    if (keys.length) section("In what they differ", sortable(["key", ...runs.slice(0, 20).map(run => run.name)], keys.map(key => [key, ...runs.slice(0, 20).map(run => run.keys[key] ?? null)]), { wide: true }),
      runs.length > 20 ? make("p", { class: "note" }, "The first 20 runs.") : null);
    section("Each run", ...runs.map(run => make("details", {}, make("summary", {}, `${run.name}${run.label !== run.name ? " · " + run.label : ""} · ${run.status}`),
      run.error ? make("p", { class: "status-failed" }, run.error) : null, pairs(run.facts), results(run), changes(run), gallery(run.pictures), config(run), artifacts(run))));
  }
  const paintAll = () => { repaint(); explorers.forEach(paint => paint()); };
  paintAll();
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(paintAll, 100); });
})();
