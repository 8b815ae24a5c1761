"use strict";
// Names of classes and files only pass through textContent and dataset: they are data, never markup.
(() => {
  const { classes, counts } = JSON.parse(document.getElementById("embedded").textContent);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const panels = all(".panel"), tabs = all("[role=tab]"), viewer = document.getElementById("viewer");
  const cellOf = (td) => td.firstElementChild; // what takes the focus
  const place = (td) => ({
    panel: td.closest(".panel"),
    row: Number(td.parentElement.dataset.row),
    column: td.cellIndex - 1,
  });

  // One panel at a time.
  function show() {
    const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
    const metric = tabs.find((tab) => tab.ariaSelected === "true").dataset.metric;
    for (const panel of panels) {
      const { split, kind } = panel.dataset;
      const shown = split === chosen("split") && kind === chosen("kind") && panel.dataset.metric === metric;
      panel.classList.toggle("shown", shown);
    }
  }
  function select(tab) {
    for (const other of tabs) {
      other.ariaSelected = String(other === tab);
      other.tabIndex = other === tab ? 0 : -1;
    }
    document.getElementById("panels").setAttribute("aria-labelledby", tab.id);
    show();
  }
  for (const [number, tab] of tabs.entries()) {
    tab.tabIndex = number ? -1 : 0;
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const last = tabs.length - 1;
      const to = { ArrowRight: number < last ? number + 1 : 0, ArrowLeft: number ? number - 1 : last, Home: 0, End: last };
      if (!(event.key in to)) return;
      event.preventDefault();
      select(tabs[to[event.key]]);
      tabs[to[event.key]].focus();
    });
  }
  for (const input of all(".choice input")) input.addEventListener("change", show);

  // The counts and the interval of a cell.
  function describe(td) {
    const { panel, row, column } = place(td);
    const { split, kind, unit, label } = panel.dataset;
    const cell = counts[`${split} ${kind}`][row * classes.length + column];
    const [expected, found, scored, tries, right, real] = cell.map((count) => count ?? "\u2013");
    const interval = td.dataset.interval ? ` (95 % interval ${td.dataset.interval})` : "";
    return (
      `${classes[row]} → ${classes[column]}: ${label} ${cellOf(td).textContent}${td.dataset.value && unit}${interval}. ` +
      `Queries: ${expected} expected, ${found} found, ${scored} scored, ${right} judged right before the conversion; ` +
      `${tries} tries; ${real} real images of the target.`
    );
  }

  // The cells of a matrix: Tab reaches one of them, arrow keys the others.
  for (const panel of panels) {
    const body = panel.querySelector("tbody"), readout = panel.querySelector(".readout");
    for (const [row, tr] of [...body.rows].entries()) {
      tr.dataset.row = row;
      for (const td of tr.querySelectorAll("td")) cellOf(td).tabIndex = row || td.cellIndex > 1 ? -1 : 0;
    }
    const showCounts = (event) => {
      const td = event.target.closest("td");
      readout.textContent = td ? describe(td) : readout.dataset.empty;
    };
    body.addEventListener("mouseover", showCounts);
    body.addEventListener("focusin", (event) => {
      for (const td of body.querySelectorAll("td")) cellOf(td).tabIndex = cellOf(td) === event.target ? 0 : -1;
      showCounts(event);
    });
    body.addEventListener("keydown", (event) => {
      const move = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      const td = event.target.closest("td");
      if (!move || !td) return;
      event.preventDefault();
      const next = body.rows[td.parentElement.sectionRowIndex + move[0]]?.cells[td.cellIndex + move[1]];
      if (next?.matches("td")) cellOf(next).focus();
    });
    body.addEventListener("click", (event) => {
      const td = event.target.closest("td");
      if (!td || !td.querySelector("a")) return;
      event.preventDefault();
      open(td);
    });
    sortable(panel);
    panel.querySelector(".copy").addEventListener("click", (event) => copy(csv(panel), event.target));
  }

  function open(td) {
    const { panel, row, column } = place(td);
    const { kind } = panel.dataset;
    const gallery = document.getElementById(`gallery-${row}-${column}`);
    const entries = all(`[data-kind=${kind}]`, gallery).map((part) => part.cloneNode(true));
    entries.push(...explained(row, column, kind));
    viewer.querySelector("h2").textContent = `${classes[row]} → ${classes[column]}`;
    viewer.querySelector(".readout").textContent = describe(td);
    viewer.querySelector(".body").replaceChildren(...(entries.length ? entries : ["No conversion shown."]));
    viewer.showModal();
    viewer.addEventListener("close", () => cellOf(td).focus(), { once: true });
  }
  // The explanations of a cell, and the way to all of them.
  const explorer = document.getElementById("explanations")?.dataset.explorer;
  const explorerLink = (row, column, filters, text) => {
    const hash = new URLSearchParams({ source: classes[row], target: classes[column], ...filters });
    return Object.assign(document.createElement("a"), { href: `${explorer}#${hash}`, textContent: text });
  };
  for (const table of all(".quac")) {
    for (const [row, tr] of [...table.tBodies[0].rows].entries()) {
      for (const td of all("td:not(.sNone)", tr)) {
        td.replaceChildren(explorerLink(row, td.cellIndex - 1, { ...table.dataset }, td.textContent));
      }
    }
  }
  function explained(row, column, kind) {
    const parts = [];
    if (!explorer) return parts;
    const examples = all(`.explained [data-pair="${row}-${column}"][data-kind=${kind}]`);
    if (examples.length) {
      parts.push(Object.assign(document.createElement("div"), { className: "explained" }));
      parts[0].append(...examples.map((figure) => figure.cloneNode(true)));
    }
    parts.push(Object.assign(document.createElement("p"), { className: "explorer" }));
    parts.at(-1).append(explorerLink(row, column, { kind }, "All explanations of this cell"));
    return parts;
  }
  viewer?.querySelector(".close").addEventListener("click", () => viewer.close());
  viewer?.addEventListener("click", (event) => event.target === viewer && viewer.close());

  // A link to the examples of a pair opens them.
  function unfold() {
    const target = document.getElementById(location.hash.slice(1));
    if (!target?.matches("details")) return;
    target.open = true;
    target.scrollIntoView();
  }
  addEventListener("hashchange", unfold);
  unfold();

  // The head of a column sorts the rows: largest first, smallest first, unsorted.
  function sortable(panel) {
    const heads = all("thead th", panel).slice(1), body = panel.querySelector("tbody");
    for (const [column, head] of heads.entries()) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.title = `sort by ${classes[column]}`;
      head.append(button);
      button.addEventListener("click", () => {
        const order = { descending: "ascending", ascending: "none" }[head.ariaSort] ?? "descending";
        for (const other of heads) other.ariaSort = "none";
        head.ariaSort = order;
        const sign = { descending: -1, ascending: 1 }[order] ?? 0;
        const value = (tr) => Number(tr.cells[column + 1].dataset.value || NaN);
        const compare = (a, b) => {
          const [x, y] = [value(a), value(b)];
          if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y); // no number: last
          return sign * (x - y);
        };
        const rows = [...body.rows].sort((a, b) => a.dataset.row - b.dataset.row);
        body.append(...(sign ? rows.sort(compare) : rows));
      });
    }
  }

  // The matrix, as in its CSV file.
  function csv(panel) {
    const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const rows = [...panel.querySelector("tbody").rows].sort((a, b) => a.dataset.row - b.dataset.row);
    const lines = rows.map((tr, row) => [quoted(classes[row]), ...all("td", tr).map((td) => td.dataset.value)]);
    return [["source", ...classes.map(quoted)], ...lines].map((line) => line.join(",") + "\n").join("");
  }
  async function copy(text, button) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea"); // if access to the clipboard is denied
      area.value = text;
      button.after(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy as CSV"), 1500);
  }
})();
