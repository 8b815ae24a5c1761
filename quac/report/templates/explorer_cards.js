// The cards of the explanations that are chosen: only those near the window are made.
const cards = (() => {
  const list = document.getElementById("cards"), SVG = "http://www.w3.org/2000/svg";
  const WIDTH = 168, GAP = 10, SPARE = 2; // least width of a card, and the rows above and below the window
  const VIEWS = ["query", "generated", "counterfactual"];
  let chosen = [], current = 0; // explanations, and the place of the card that Tab reaches
  let room = 0, columns = 1, width = WIDTH, height = 300;
  const made = new Map(); // place -> card
  const own = new Map(); // explanation -> its view, where it is not that of all
  const all = { view: "counterfactual", mask: true };
  const settings = (e) => ({ ...all, ...own.get(e) });
  const decimals = (number, digits = 2) => (typeof number === "number" ? number.toFixed(digits) : "\u2013");
  const percent = (share) => `${decimals(100 * share, 1)} %`;

  function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  // The change of P(target) over the mask size, and the size of the counterfactual's mask.
  function curve(e) {
    const changes = table.curve(e), low = Math.min(0, ...changes);
    const y = (change) => (100 * (1 - change)) / (1 - low), x = (share) => 100 * share;
    const svg = document.createElementNS(SVG, "svg");
    const add = (name, attributes) => {
      const part = svg.appendChild(document.createElementNS(SVG, name));
      for (const [key, text] of Object.entries(attributes)) part.setAttribute(key, text);
    };
    svg.setAttribute("class", "curve");
    svg.setAttribute("viewBox", "0 0 100 100");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "change of P(target) over the mask size");
    const size = x(table.value("mask_size", e));
    add("line", { class: "zero", x1: 0, x2: 100, y1: y(0), y2: y(0) });
    add("line", { class: "size", x1: size, x2: size, y1: 0, y2: 100 });
    const points = changes.map((change, n) => `${x(n / (changes.length - 1))} ${y(change).toFixed(1)}`);
    add("path", { d: `M${points.join("L")}` });
    return svg;
  }

  // A picture with its label.
  function tile(side) {
    const canvas = element("canvas");
    canvas.setAttribute("role", "img");
    return element("div", { className: "tile", side }, canvas, element("span"));
  }
  function paint(box, e) {
    const { view, mask } = settings(e), canvas = box.firstElementChild;
    box.lastElementChild.textContent = view;
    canvas.setAttribute("aria-label", `${view} of ${table.value("query", e)}`);
    return pictures.paint(canvas, e, view, mask, box.side);
  }

  function verdicts(e) {
    const get = (name) => table.value(name, e), target = get("target");
    const parts = [];
    if (!get("right")) parts.push(`query judged ${get("query_predicted")}`);
    if (get("counterfactual_predicted") !== target) parts.push(`called ${get("counterfactual_predicted")}`);
    for (const oracle of table.oracles) {
      const called = get(`counterfactual_predicted_by_${oracle}`);
      if (called !== target) parts.push(`${oracle}: ${called}`);
    }
    return parts.join("; ");
  }

  const title = (e) => `${table.value("source", e)} → ${table.value("target", e)}`;

  function make(place) {
    const e = chosen[place], get = (name) => table.value(name, e);
    const probability = ["query_p_target", "generated_p_target", "counterfactual_p_target"].map((name) => decimals(get(name)));
    const card = element(
      "article",
      { className: "explanation", title: get("query") },
      tile(160),
      element("p", { className: "title", textContent: title(e) }),
      element("p", { className: "numbers", textContent: `P ${probability[0]} → ${probability[2]} (gen. ${probability[1]})` }),
      element("p", { className: "numbers" }, `score ${decimals(get("quac_score"))} · mask ${percent(get("mask_size"))}`),
      element("p", { className: "numbers" }, `${get("method")} · ${get("kind")} · `, element("button", { type: "button", textContent: "details", tabIndex: -1 })),
      element("p", { className: "badge bad", textContent: verdicts(e) }),
      curve(e),
    );
    card.dataset.place = place;
    card.setAttribute("role", "listitem");
    card.setAttribute("aria-posinset", place + 1);
    card.setAttribute("aria-setsize", chosen.length);
    card.setAttribute("aria-label", `${title(e)}, ${get("method")}, QuAC score ${decimals(get("quac_score"))}`);
    paint(card.firstElementChild, e);
    return card;
  }

  function draw() {
    const top = -list.getBoundingClientRect().top, rows = Math.ceil(chosen.length / columns);
    const first = Math.max(0, Math.floor(top / height) - SPARE) * columns;
    const last = Math.min(rows, Math.ceil((top + innerHeight) / height) + SPARE) * columns;
    for (const [place, card] of made) {
      if ((place < first || place >= last) && !card.contains(document.activeElement)) {
        card.remove();
        made.delete(place);
      }
    }
    for (let place = first; place < Math.min(last, chosen.length); place++) show(place);
  }

  function show(place) {
    if (!made.has(place)) {
      const card = make(place), before = [...made.keys()].filter((other) => other < place);
      made.set(place, card); // in the order of the places, as a reader reads them
      if (before.length) made.get(Math.max(...before)).after(card);
      else list.prepend(card);
    }
    const card = made.get(place);
    card.tabIndex = place === current ? 0 : -1;
    card.style.width = `${width}px`;
    card.style.left = `${(place % columns) * (width + GAP)}px`;
    card.style.top = `${Math.floor(place / columns) * height}px`;
    return card;
  }

  function arrange() {
    room = list.clientWidth;
    columns = Math.max(2, Math.floor((room + GAP) / (WIDTH + GAP)));
    width = (room - GAP * (columns - 1)) / columns;
    if (chosen.length) height = show(0).offsetHeight + GAP;
    list.style.height = `${Math.ceil(chosen.length / columns) * height}px`;
    draw();
  }

  function choose(explanations) {
    for (const card of made.values()) card.remove();
    made.clear();
    [chosen, current] = [explanations, 0];
    arrange();
  }

  function focus(place) {
    const before = made.get(current);
    if (before) before.tabIndex = -1;
    current = Math.max(0, Math.min(chosen.length - 1, place));
    const card = show(current);
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }

  // Another view, of one explanation or of all.
  function set(change, e) {
    if (e === undefined) {
      Object.assign(all, change);
      own.clear();
    } else own.set(e, { ...settings(e), ...change });
    for (const [place, card] of made) if (e === undefined || chosen[place] === e) paint(card.firstElementChild, chosen[place]);
  }
  const next = (e) => set({ view: VIEWS[(VIEWS.indexOf(settings(e).view) + 1) % VIEWS.length] }, e);

  const placeOf = (target) => {
    const card = target.closest?.(".explanation");
    return card ? Number(card.dataset.place) : null;
  };
  let waiting = false;
  const later = () => {
    if (!waiting) requestAnimationFrame(() => ((waiting = false), draw()));
    waiting = true;
  };
  addEventListener("scroll", later, { passive: true });
  new ResizeObserver(() => list.clientWidth !== room && arrange()).observe(list);
  list.addEventListener("focusin", (event) => {
    const place = placeOf(event.target), before = made.get(current);
    if (before) before.tabIndex = -1;
    current = place;
    made.get(place).tabIndex = 0;
  });
  const moves = { ArrowRight: () => 1, ArrowLeft: () => -1, ArrowDown: () => columns, ArrowUp: () => -columns };
  Object.assign(moves, { Home: () => -chosen.length, End: () => chosen.length });
  list.addEventListener("keydown", (event) => {
    if (!(event.key in moves) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    focus(current + moves[event.key]());
  });
  return {
    choose, curve, tile, paint, set, next, settings, focus, placeOf, title, verdicts, decimals, percent, element,
    at: (place) => chosen[place],
    get chosen() { return chosen; },
  };
})();
