// Filters, keys, the details of an explanation, and the export of what is chosen.
(() => {
  const form = document.getElementById("filters"), viewer = document.getElementById("viewer");
  const { element, decimals, percent } = cards;
  const fields = [...form.elements].filter((field) => field.name);
  const get = (name) => form.elements.namedItem(name).value;

  for (const group of table.groups) form.elements.group.append(element("option", { textContent: group, value: group }));
  document.getElementById("groups").hidden = !table.groups.length;

  // The tests of the filters that are set: explanation -> whether it passes.
  function tests() {
    const found = [];
    const equal = (name, wanted) => {
      const column = table.column(name);
      if (wanted) found.push((e) => column(e) === wanted);
    };
    for (const name of ["source", "target", "kind", "group"]) equal(name, get(name));
    const right = table.column("right"), best = table.column("best"), target = table.column("target");
    if (get("method") === "best") found.push(best);
    else equal("method", get("method"));
    if (get("query")) found.push((e) => right(e) === (get("query") === "right"));
    for (const oracle of table.oracles) {
      const wanted = get(`oracle-${oracle}`), called = table.column(`counterfactual_predicted_by_${oracle}`);
      if (wanted) found.push((e) => (called(e) === target(e)) === (wanted === "agrees"));
    }
    const ranges = { score: "quac_score", before: "query_p_target", after: "counterfactual_p_target" };
    for (const [name, of] of Object.entries(ranges)) {
      const column = table.column(of), [low, high] = ["min", "max"].map((end) => get(`${name}-${end}`));
      if (low !== "") found.push((e) => column(e) >= Number(low));
      if (high !== "") found.push((e) => column(e) <= Number(high));
    }
    return found;
  }

  function sorted(explanations) {
    const [, name, sign] = get("sort").match(/(.*)([+-])/), column = table.column(name);
    const factor = sign === "+" ? 1 : -1;
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    return explanations.sort((a, b) => factor * compare(column(a), column(b)) || a - b);
  }

  function choose() {
    const passed = [], conditions = tests();
    for (let e = 0; e < table.count; e++) if (conditions.every((holds) => holds(e))) passed.push(e);
    cards.choose(sorted(passed));
    for (const field of fields) field.classList.toggle("changed", !isDefault(field));
    const number = (count) => count.toLocaleString("en");
    const shown = `${number(passed.length)} of ${number(table.count)} explanations`;
    document.getElementById("count").textContent = `${shown}${ofPair()}`;
    const none = document.getElementById("none");
    none.hidden = passed.length > 0 || !table.count;
    none.firstElementChild.textContent = pairTotal() ? "No explanation passes the filters." : "No query of this pair was converted.";
  }

  // How many conversions of the chosen pair were explained, here or not.
  function pairTotal() {
    const wanted = ["kind", "source", "target"].map(get);
    const counts = table.totals.filter((total) => wanted.every((name, n) => !name || total[n] === name));
    return counts.reduce((sum, total) => sum + total[3], 0);
  }
  function ofPair() {
    if (!get("source") || !get("target")) return "";
    const [source, target, kind] = ["source", "target", "kind"].map(table.column), step = table.methods.length;
    let here = 0;
    for (let e = 0; e < table.count; e += step) {
      const isKind = !get("kind") || kind(e) === get("kind");
      if (isKind && source(e) === get("source") && target(e) === get("target")) here += 1;
    }
    return here < pairTotal() ? `; ${here} of ${pairTotal()} conversions of this pair are in this page` : "";
  }

  // The filters are in the address, so a selection can be linked to and kept.
  const isChoice = (field) => field.type === "radio" || field.type === "checkbox";
  function isDefault(field) {
    if (isChoice(field)) return field.checked === field.defaultChecked;
    if (field.options) return field.value === ([...field.options].find((o) => o.defaultSelected) ?? field.options[0]).value;
    return field.value === field.defaultValue;
  }
  function address() {
    const parts = new URLSearchParams();
    for (const field of fields) {
      if (isDefault(field) || (field.type === "radio" && !field.checked)) continue;
      parts.set(field.name, field.type === "checkbox" ? (field.checked ? "on" : "off") : field.value);
    }
    return parts.toString();
  }
  function read() {
    form.reset();
    for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
      const field = form.elements.namedItem(name);
      if (!field) continue;
      if (field.type === "checkbox") field.checked = value !== "off";
      else if (!field.options || [...field.options].some((option) => option.value === value)) field.value = value;
    }
    show();
  }
  function view() {
    const wanted = { view: get("view"), mask: form.elements.mask.checked }, now = cards.settings();
    if (wanted.view !== now.view || wanted.mask !== now.mask) cards.set(wanted);
  }
  function show() {
    view();
    choose();
    const numbers = ["source", "target"].map((name) => table.classes.indexOf(get(name)));
    const back = document.getElementById("back");
    back.hash = numbers.includes(-1) || numbers[0] === numbers[1] ? "explanations" : `gallery-${numbers.join("-")}`;
  }
  function write() {
    if (address() !== location.hash.slice(1)) history.replaceState(null, "", `#${address()}`);
  }
  form.addEventListener("input", (event) => {
    if (["view", "mask"].includes(event.target.name)) view();
    else show();
    write();
  });
  document.getElementById("defaults").addEventListener("click", () => {
    history.replaceState(null, "", "#");
    read();
  });
  document.querySelector("#none button").addEventListener("click", () => {
    for (const field of fields) if (!isChoice(field) && field.name !== "sort") field.value = "";
    show();
    write();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", read);

  // The details of an explanation.
  let shown = 0; // its place among the cards
  function details(e) {
    const value = (name) => table.value(name, e), target = value("target");
    const box = cards.tile(352);
    box.tabIndex = 0;
    const judges = ["", ...table.oracles.map((name) => `_by_${name}`)];
    const head = element("tr", {}, ...["", "classifier", ...table.oracles].map((textContent) => element("th", { textContent, scope: "col" })));
    const rows = ["query", "generated", "counterfactual"].map((name) => {
      const cells = judges.map((judge) => `${value(`${name}_predicted${judge}`)} · ${decimals(value(`${name}_p_target${judge}`), 3)}`);
      return element("tr", {}, element("th", { textContent: name, scope: "row" }), ...cells.map((textContent) => element("td", { textContent })));
    });
    const caption = element("caption", { textContent: `Called, and probability of ${target}` });
    const numbers = {
      "QuAC score": decimals(value("quac_score"), 3), mask: percent(value("mask_size")), threshold: decimals(value("threshold")),
      COUT: decimals(value("cout"), 3), "AUPC of the target": decimals(value("aupc_target"), 3), styles: value("kind"),
      style: value("style"), query: value("query"), group: value("group"), files: `${value("kind")}/${value("method")}/${value("file")}`,
    };
    const facts = Object.entries(numbers).filter(([, text]) => text !== "" && text !== undefined);
    const first = e - (e % table.methods.length);
    const others = table.methods.map((name, number) => {
      const button = element("button", { type: "button", className: "close", textContent: `${name} ${decimals(table.value("quac_score", first + number))}` });
      button.ariaPressed = String(first + number === e);
      button.addEventListener("click", () => details(first + number));
      return button;
    });
    const pair = element("a", { textContent: "this pair in the report", href: back(e) });
    viewer.querySelector("h2").textContent = cards.title(e);
    viewer.querySelector(".body").replaceChildren(
      element("div", {}, box, cards.curve(e), element("p", { className: "note", textContent: "Change of P(target) over the mask size; dashed: the counterfactual's mask." })),
      element("div", {}, element("p", { className: "methods" }, ...others),
        element("div", { className: "scroll" }, element("table", {}, caption, element("thead", {}, head), element("tbody", {}, ...rows))),
        element("p", { className: "bad", textContent: cards.verdicts(e) }),
        element("dl", {}, ...facts.flatMap(([name, text]) => [element("dt", { textContent: name }), element("dd", { textContent: text })])),
        element("p", {}, pair)),
    );
    box.addEventListener("click", () => toggle(e));
    cards.paint(box, e);
    viewer.explanation = e;
    if (!viewer.open) viewer.showModal();
    box.focus();
  }
  function back(e) {
    const numbers = ["source", "target"].map((name) => table.classes.indexOf(table.value(name, e)));
    return `${document.getElementById("back").getAttribute("href").split("#")[0]}#gallery-${numbers.join("-")}`;
  }
  function toggle(e, change) {
    if (change) cards.set(change, e);
    else cards.next(e);
    if (viewer.open) cards.paint(viewer.querySelector(".tile"), e);
  }
  const list = document.getElementById("cards");
  list.addEventListener("click", (event) => {
    const place = cards.placeOf(event.target);
    if (place === null) return;
    cards.focus(place);
    if (event.target.closest(".tile")) toggle(cards.at(place));
    else if (event.target.closest("button")) open(place);
  });
  viewer.addEventListener("click", (event) => {
    const move = event.target.dataset.move;
    if (move) step(Number(move));
    else if (event.target === viewer || "close" in event.target.dataset) viewer.close();
  });
  viewer.addEventListener("close", () => cards.focus(shown));
  function open(place) {
    shown = Math.max(0, Math.min(cards.chosen.length - 1, place));
    details(cards.at(shown));
  }
  const step = (by) => open(shown + by);

  const VIEWS = { q: "query", g: "generated", c: "counterfactual", 1: "query", 2: "generated", 3: "counterfactual" };
  addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (target.matches?.("select, input:not([type=radio], [type=checkbox])")) return;
    const place = cards.placeOf(target), e = viewer.open ? viewer.explanation : place === null ? undefined : cards.at(place);
    if (key.toLowerCase() in VIEWS) change({ view: VIEWS[key.toLowerCase()] }, e);
    else if (key.toLowerCase() === "m") change({ mask: !(e === undefined ? form.elements.mask.checked : cards.settings(e).mask) }, e);
    else if (key === " " && e !== undefined && !target.matches("button, summary, input")) {
      event.preventDefault();
      toggle(e);
    } else if (key === "Enter" && place !== null && !viewer.open && !target.matches("button")) open(place);
    else if (viewer.open && (key === "ArrowRight" || key === "ArrowLeft")) step(key === "ArrowRight" ? 1 : -1);
  });
  function change(what, e) {
    if (e !== undefined) return toggle(e, what);
    if ("view" in what) form.elements.namedItem("view").value = what.view;
    else form.elements.mask.checked = what.mask;
    cards.set({ view: get("view"), mask: form.elements.mask.checked }); // also of cards that show another one
    write();
  }

  // What is chosen, as it is sorted. In the CSV no cell is a formula for a spreadsheet, see quac/system/spreadsheets.py.
  const formats = {
    csv() {
      const cell = (value) => {
        const text = typeof value === "string" && /^'*[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
        return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
      };
      const lines = cards.chosen.map((e) => table.order.map((name) => cell(table.value(name, e))));
      return [table.order.map(cell), ...lines].map((line) => line.join(",") + "\n").join("");
    },
    json() {
      const filters = Object.fromEntries(new FormData(form));
      const explanations = cards.chosen.map(table.row);
      return JSON.stringify({ run: table.run, split: table.split, filters, explanations }, null, 1) + "\n";
    },
  };
  form.addEventListener("click", (event) => {
    const { format } = event.target.dataset;
    if (!format) return;
    const type = { csv: "text/csv", json: "application/json" }[format];
    const href = URL.createObjectURL(new Blob([formats[format]()], { type: `${type};charset=utf-8` }));
    element("a", { href, download: `${table.run}-explanations.${format}` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10000);
  });

  if (innerWidth < 640) document.getElementById("more").open = false;
  read();
})();
