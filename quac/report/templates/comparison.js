"use strict";
// Names of runs and classes only pass through textContent and dataset: they are data, never markup.
(() => {
  const { runs, shades, differences } = JSON.parse(document.getElementById("embedded").textContent);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const table = document.getElementById("table"), body = table.tBodies[0];

  // The head of a column sorts the rows: down, up, unsorted; numbers down first.
  const heads = all("thead th", table);
  for (const [column, head] of heads.entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const first = head.classList.contains("number") ? "descending" : "ascending";
    const second = first === "descending" ? "ascending" : "descending";
    button.addEventListener("click", () => {
      const order = { [first]: second, [second]: "none" }[head.ariaSort] ?? first;
      for (const other of heads) other.ariaSort = "none";
      head.ariaSort = order;
      const sign = { descending: -1, ascending: 1 }[order] ?? 0;
      const value = (tr) => tr.cells[column].dataset.value;
      const compare = (a, b) => {
        if (!head.classList.contains("number")) return sign * value(a).localeCompare(value(b));
        const [x, y] = [Number(value(a)), Number(value(b))];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y); // no number: last
        return sign * (x - y);
      };
      const rows = [...body.rows].sort((a, b) => a.dataset.run - b.dataset.run);
      body.append(...(sign ? rows.sort(compare) : rows));
    });
  }

  // Show only the rows that contain all the words, and the legend entries and lines of their runs.
  const filter = document.getElementById("filter"), count = document.getElementById("count");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const tr of body.rows) {
      const text = tr.textContent.toLowerCase(), hidden = !words.every((word) => text.includes(word));
      const number = tr.dataset.run;
      for (const part of all(`[data-run="${number}"]`)) part.hidden = hidden;
      for (const line of all(`[id$="-run-${number}"]`)) line.style.display = hidden ? "none" : "";
      shown += !hidden;
    }
    count.textContent = words.length ? `${shown} of ${runs.length}` : "";
  });

  // Two matrices and their difference.
  const one = document.getElementById("one"), other = document.getElementById("other");
  const drawn = document.getElementById("drawn");
  const DASH = "\u2013"; // where there is no number
  const NONE = [null, null, null];
  const percent = (rate) => (rate == null ? DASH : (100 * rate).toFixed(1));
  const points = (difference) => (difference < 0 ? "\u2212" : "+") + percent(Math.abs(difference));
  const element = (name, text = "", attributes = {}) => {
    const created = Object.assign(document.createElement(name), attributes);
    created.textContent = text;
    return created;
  };

  function matrix(title, classes, average, fill) {
    const figure = element("figure"), scroll = element("div", "", { className: "scroll" });
    const table = element("table", "", { className: "matrix" });
    table.append(element("caption", title));
    const head = table.createTHead().insertRow();
    head.append(element("th", "from \u2193 to \u2192", { scope: "col", className: "corner" }));
    const named = (name, scope) => {
      const th = element("th", "", { scope, title: name });
      th.append(element("span", name));
      return th;
    };
    for (const target of classes) head.append(named(target, "col"));
    const rows = table.createTBody();
    for (const source of classes) {
      const tr = rows.insertRow();
      tr.append(named(source, "row"));
      for (const target of classes) fill(tr.insertCell(), source, target);
    }
    scroll.append(table);
    figure.append(scroll, element("p", average, { className: "average" }));
    return figure;
  }

  function draw() {
    const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
    const rate = chosen("rate"), kind = chosen("kind");
    const cellOf = (run, source, target) =>
      run.cells[kind]?.[rate][run.classes.indexOf(source)]?.[run.classes.indexOf(target)] ?? NONE;
    const averageOf = (run) => run.averages[kind]?.[rate] ?? NONE;
    const interval = ([, low, high]) => (low == null ? "" : `${percent(low)}${DASH}${percent(high)}`);
    const isKnown = ([rate]) => rate != null;
    const apart = ([, low, high]) => low != null && (low > 0 || high < 0);
    // The paired difference of two runs, by their numbers: that of a cell, or of the averages.
    const pairedOf = (one, other, source, target) => {
      const [i, j] = one < other ? [one, other] : [other, one];
      const found = differences[`${i} ${j}`]?.[kind]?.[rate];
      const place = (name) => runs[i].classes.indexOf(name);
      const limits = (source == null ? found?.average : found?.cells[place(source)]?.[place(target)]) ?? NONE;
      const [difference, low, high] = limits;
      return low == null || i === other ? limits : [-difference, -high, -low];
    };

    const title = `${rate.replace("_", " ")}, ${kind} styles: average`;

    const ofRun = (run) => {
      const average = averageOf(run);
      const limits = interval(average) && ` (${interval(average)})`;
      return matrix(run.name, run.classes, `${title} ${percent(average[0])}${limits}`, (td, source, target) => {
        const cell = cellOf(run, source, target);
        td.className = source === target || !isKnown(cell) ? "diagonal" : `s${Math.round(shades * cell[0])}`;
        td.append(element("b", percent(cell[0])), element("small", interval(cell)));
      });
    };
    const a = runs[one.value], b = other && runs[other.value];
    const figures = [ofRun(a)];
    if (b) {
      const classes = [...a.classes, ...b.classes.filter((name) => !a.classes.includes(name))];
      const [averageA, averageB] = [averageOf(a), averageOf(b)];
      const difference = isKnown(averageA) && isKnown(averageB) ? points(averageB[0] - averageA[0]) : DASH;
      const paired = pairedOf(Number(one.value), Number(other.value));
      const limits = paired[1] == null ? ", not paired by query" : ` (95 % interval, paired by query: ${points(paired[1])} to ${points(paired[2])})`;
      const caption = `${title} ${difference}${limits}`;
      figures.push(ofRun(b), matrix(`${b.name} \u2212 ${a.name}`, classes, caption, (td, source, target) => {
        const [before, after] = [cellOf(a, source, target), cellOf(b, source, target)];
        if (!isKnown(before) || !isKnown(after)) return td.append(DASH);
        const change = after[0] - before[0];
        td.className = source === target ? "diagonal" : change < 0 ? "less" : "more";
        td.style.setProperty("--share", Math.abs(change));
        const limits = pairedOf(Number(one.value), Number(other.value), source, target);
        if (limits[1] != null) td.title = `95 % interval, paired by query: ${points(limits[1])} to ${points(limits[2])}`;
        td.append(element(apart(limits) ? "b" : "span", points(change)));
      }));
    }
    drawn.replaceChildren(...figures);
  }
  for (const input of all("#matrices select, #matrices input")) input.addEventListener("change", draw);
  draw();
})();
