"use strict";
// Names of runs and classes only pass through textContent and dataset: they are data, never markup.
(() => {
  const { runs, levels } = JSON.parse(document.getElementById("embedded").textContent);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const table = document.getElementById("table"), body = table.tBodies[0];

  // A head of a column sorts the rows: down, up, as they were; numbers down first.
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

  // The rows that have all the words, and what else is of these runs: entries of legends, lines of charts.
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
  const percent = (rate) => (100 * rate).toFixed(1);
  const points = (difference) => (difference < 0 ? "\u2212" : "+") + percent(Math.abs(difference));
  const element = (name, text = "", attributes = {}) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.textContent = text;
    return made;
  };

  function matrix(title, classes, average, fill) {
    const figure = element("figure"), scroll = element("div", "", { className: "scroll" });
    const made = element("table", "", { className: "matrix" });
    made.append(element("caption", title));
    const head = made.createTHead().insertRow();
    head.append(element("th", "from \u2193 to \u2192", { scope: "col", className: "corner" }));
    const named = (name, scope) => {
      const th = element("th", "", { scope, title: name });
      th.append(element("span", name));
      return th;
    };
    for (const target of classes) head.append(named(target, "col"));
    const rows = made.createTBody();
    for (const source of classes) {
      const tr = rows.insertRow();
      tr.append(named(source, "row"));
      for (const target of classes) fill(tr.insertCell(), source, target);
    }
    scroll.append(made);
    figure.append(scroll, element("p", average, { className: "average" }));
    return figure;
  }

  function draw() {
    const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
    const rate = chosen("rate"), kind = chosen("kind");
    const cellOf = (run, source, target) =>
      run.cells[kind][rate][run.classes.indexOf(source)]?.[run.classes.indexOf(target)];
    const averageOf = (run) => ["", "_low", "_high"].map((end) => run.averages[kind][rate + end]);
    const interval = ([, low, high]) => `${percent(low)}\u2013${percent(high)}`;
    const apart = ([, low, high], [, lowest, highest]) => high < lowest || highest < low;

    const what = `${rate.replace("_", " ")}, ${kind} styles: average`;

    const ofRun = (run) => {
      const average = averageOf(run);
      return matrix(run.name, run.classes, `${what} ${percent(average[0])} (${interval(average)})`, (td, source, target) => {
        const cell = cellOf(run, source, target);
        td.className = source === target ? "diagonal" : `s${Math.round(levels * cell[0])}`;
        td.append(element("b", percent(cell[0])), element("small", interval(cell)));
      });
    };
    const a = runs[one.value], b = other && runs[other.value];
    const figures = [ofRun(a)];
    if (b) {
      const classes = [...a.classes, ...b.classes.filter((name) => !a.classes.includes(name))];
      const difference = averageOf(b)[0] - averageOf(a)[0];
      const said = `${what} ${points(difference)}${apart(averageOf(a), averageOf(b)) ? "" : ", within the intervals"}`;
      figures.push(ofRun(b), matrix(`${b.name} \u2212 ${a.name}`, classes, said, (td, source, target) => {
        const [before, after] = [cellOf(a, source, target), cellOf(b, source, target)];
        if (!before || !after) return td.append("\u2013");
        const change = after[0] - before[0];
        td.className = source === target ? "diagonal" : change < 0 ? "less" : "more";
        td.style.setProperty("--share", Math.abs(change));
        td.append(element(apart(before, after) ? "b" : "span", points(change)));
      }));
    }
    drawn.replaceChildren(...figures);
  }
  for (const input of all("#matrices select, #matrices input")) input.addEventListener("change", draw);
  draw();
})();
