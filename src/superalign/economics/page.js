// Numbers by name go in, outcomes by name come out; what is given goes on in place of what follows.
const positive = x => x > 0 ? 1 : 0;

function workedOut(inputs, given, readings) {
  const v = {...inputs};
  for (const [name, formulas] of Object.entries(FORMULAS)) {
    const formula = formulas[name in READ_BY ? readings[READ_BY[name]] : ""];
    v[name] = name in given ? given[name] : formula(v);
  }
  return v;
}

// Three digits, as the tables of the terminal have them.
function short(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) {
    const [mantissa, power] = value.toExponential(2).split("e");
    return `${Number(mantissa)}e${Number(power)}`.replace("-", "−");
  }
  return Number(value.toPrecision(3)).toLocaleString("en", {maximumFractionDigits: 6}).replace("-", "−");
}

function start() {
  const STEPS = 1000, POINTS = 80, NS = "http://www.w3.org/2000/svg";
  const data = JSON.parse(document.getElementById("data").textContent);
  const byName = Object.fromEntries([...data.inputs, ...data.given].map(one => [one.name, one]));
  const readings = {...data.readings};
  const values = list => Object.fromEntries(list.map(one => [one.name, one.value]));
  const outcomes = changed => workedOut(
    {...values(data.inputs), ...changed},
    Object.fromEntries(data.given.map(one => [one.name, changed[one.name] ?? one.value])), readings);
  const along = (one, share) =>
    one.linear ? one.low + share * (one.high - one.low) : one.low * (one.high / one.low) ** share;
  const place = one =>
    one.linear ? (one.value - one.low) / (one.high - one.low) : Math.log(one.value / one.low) / Math.log(one.high / one.low);

  function draw() {
    const found = outcomes({});
    for (const cell of document.querySelectorAll("[data-outcome]"))
      cell.textContent = short(found[cell.dataset.outcome]);
    sweep(found);
  }

  function sweep(found) {
    const one = byName[document.getElementById("across").value], name = document.getElementById("up").value;
    const at = Array.from({length: POINTS + 1}, (_, i) => along(one, i / POINTS));
    const points = at.map(x => [x, outcomes({[one.name]: x})[name]]).filter(point => Number.isFinite(point[1]));
    const plot = document.getElementById("sweep");
    const box = {left: 70, right: 545, top: 16, bottom: 250};
    const logY = points.length > 0 && points.every(point => point[1] > 0);
    const scale = (list, log, from, to) => {
      const of = log ? Math.log10 : x => x;
      let low = Math.min(...list.map(of)), high = Math.max(...list.map(of));
      if (high - low < 1e-9) { low -= .5; high += .5; }
      const map = x => from + (of(x) - low) / (high - low) * (to - from);
      const ticks = [0, 1, 2, 3, 4].map(i => low + i / 4 * (high - low)).map(x => log ? 10 ** x : x);
      return {map, ticks};
    };
    plot.replaceChildren();
    const add = (tag, attributes, words) => {
      const made = document.createElementNS(NS, tag);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      if (words !== undefined) made.textContent = words;
      plot.append(made);
    };
    add("title", {}, `${name} against ${one.name}`);
    if (!points.length) return add("text", {x: 80, y: 130}, "no finite value here");
    const x = scale(points.map(p => p[0]), !one.linear, box.left, box.right);
    const y = scale(points.map(p => p[1]), logY, box.bottom, box.top);
    for (const tick of y.ticks) {
      add("line", {x1: box.left, x2: box.right, y1: y.map(tick), y2: y.map(tick), class: "grid"});
      add("text", {x: box.left - 7, y: y.map(tick) + 4, "text-anchor": "end", class: "tick"}, short(tick));
    }
    for (const tick of x.ticks)
      add("text", {x: x.map(tick), y: box.bottom + 18, "text-anchor": "middle", class: "tick"}, short(tick));
    add("text", {x: (box.left + box.right) / 2, y: box.bottom + 38, "text-anchor": "middle", class: "tick"}, one.name);
    const path = points.map(p => `${x.map(p[0]).toFixed(2)} ${y.map(p[1]).toFixed(2)}`).join("L");
    add("path", {d: "M" + path, class: "mark curve", fill: "none", stroke: "var(--student)", "stroke-width": 2.2});
    if (one.value >= points[0][0] && one.value <= points.at(-1)[0] && Number.isFinite(found[name])) {
      const height = Math.max(box.top, Math.min(box.bottom, y.map(logY ? Math.max(found[name], 1e-300) : found[name])));
      add("circle", {cx: x.map(one.value), cy: height, r: 5, class: "mark", fill: "var(--organism)"});
    }
  }

  for (const row of document.querySelectorAll("[data-input]")) {
    const one = byName[row.dataset.input], [slider, field] = row.querySelectorAll("input");
    const show = () => { slider.value = Math.round(STEPS * place(one)); };
    field.value = one.value.toPrecision(4) * 1;
    show();
    slider.addEventListener("input", () => {
      one.value = along(one, slider.value / STEPS);
      field.value = one.value.toPrecision(3) * 1;
      draw();
    });
    field.addEventListener("input", () => {
      const wanted = Number(field.value);
      if (!(one.linear ? wanted >= 0 && wanted <= 1 : wanted > 0) || field.value === "") return;
      one.value = wanted;
      show();
      draw();
    });
  }
  for (const choice of document.querySelectorAll("input[type=radio]")) {
    choice.checked = readings[choice.name] === choice.value;
    choice.addEventListener("change", () => { readings[choice.name] = choice.value; draw(); });
  }
  const options = (id, names, chosen) => {
    const list = document.getElementById(id);
    for (const name of names) list.add(new Option(name.replaceAll("_", " "), name, false, name === chosen));
    list.addEventListener("change", draw);
  };
  options("across", Object.keys(byName), "minutes_per_result" in byName ? "minutes_per_result" : "tokens_per_researcher_second");
  options("up", Object.keys(data.units), data.drives);
  draw();
}

if (typeof document !== "undefined" && document.getElementById("data")) start();
