// The explanations as a table: explanation e is of the conversion floor(e / methods.length), by one of the methods.
const table = (() => {
  const data = JSON.parse(document.getElementById("embedded").textContent);
  const { methods, order, points } = data;
  const decoded = (columns) =>
    Object.fromEntries(
      Object.entries(columns).map(([name, values]) => [
        name,
        Array.isArray(values) ? values : values.codes.map((code) => values.texts[code]),
      ]),
    );
  const each = decoded(data.conversions), every = decoded(data.explanations);
  const conversion = (e) => Math.floor(e / methods.length);

  // What a cell of the table holds.
  function value(name, e) {
    if (name === "method") return methods[e % methods.length];
    return name in every ? every[name][e] : each[name]?.[conversion(e)];
  }
  // A function from an explanation to its value in a column, without a search for the column.
  function column(name) {
    if (name === "method") return (e) => methods[e % methods.length];
    if (name in every) return (e) => every[name][e];
    const values = each[name] ?? [];
    return (e) => values[conversion(e)];
  }
  return {
    ...data,
    value,
    column,
    conversion,
    count: data.tiles.length * methods.length,
    groups: [...new Set(each.group ?? [])].filter(Boolean),
    curve: (e) => data.curves.slice(e * points, (e + 1) * points).map((change) => change / 100),
    row: (e) => Object.fromEntries(order.map((name) => [name, value(name, e)])),
  };
})();
