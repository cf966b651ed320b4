"use strict";
// Texts come into the page as text nodes and attributes only, so that nothing in them is ever markup.
const data = JSON.parse(document.getElementById("data").textContent);
const DASHES = ["solid", "dash", "dot"];
const dark = matchMedia("(prefers-color-scheme: dark)");
const byId = (id) => document.getElementById(id);

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const breakable = (name) => name.split(/(?<=_)/).flatMap((part) => [part, make("wbr")]);

function terms(list, entries) {
  for (const [name, value] of Object.entries(entries))
    list.append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
}

// ---- the table

let sorted = { column: data.sorted_by, ascending: false };

function cell(content, columns) {
  const shown = make("td", columns > 1 ? { colspan: columns, class: "failed" } : {}, ...breakable(content.text));
  if (content.interval) {
    const bar = make("i"), [low, high] = content.interval;
    bar.style.left = `${100 * low}%`;
    bar.style.right = `${100 * (1 - high)}%`;
    shown.append(make("span", { class: "bar" }, bar));
    shown.classList.add("interval");
  }
  if (content.below) shown.append(make("small", {}, content.below));
  return shown;
}

function compared(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);  // what has no figure comes last, either way
  const order = typeof a === "string" ? a.localeCompare(b, "en") : a - b;
  return sorted.ascending ? order : -order;
}

function fillTable() {
  const order = (row) => row[sorted.column]?.order ?? null;
  const rows = sorted.column === null ? data.table : [...data.table].sort((a, b) => compared(order(a), order(b)));
  const body = rows.map((row) => {
    const last = data.columns.length - row.length + 1;
    const cells = row.map((content, index) => cell(content, index === row.length - 1 ? last : 1));
    return make("tr", row[0].text === data.best_two[0] ? { class: "best" } : {}, ...cells);
  });
  const heads = data.columns.map((name, index) => {
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => sortBy(index));
    const direction = sorted.ascending ? "ascending" : "descending";
    return make("th", { scope: "col", "aria-sort": sorted.column === index ? direction : "none" }, button);
  });
  byId("table").replaceChildren(
    make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...body));
}

function sortBy(column) {
  const words = data.table.some((row) => typeof row[column]?.order === "string");
  sorted = { column, ascending: sorted.column === column ? !sorted.ascending : words };
  fillTable();
  byId("table").querySelectorAll("th button")[column].focus();
}

// ---- the curves

const names = [...new Set(data.curves.flatMap((chart) => chart.lines.map((line) => line.name)))];
const visible = new Set(names);
const charts = [];

function trace(line) {
  const number = names.indexOf(line.name), color = data.colors[number % data.colors.length];
  const kept = new Set(line.kept);
  return {
    name: line.name, x: line.values.map((_, epoch) => epoch + 1), y: line.values, mode: "lines+markers",
    text: line.values.map((_, epoch) => (kept.has(epoch + 1) ? " (kept)" : "")),
    line: { color, width: 2, dash: DASHES[Math.floor(number / data.colors.length) % DASHES.length] },
    marker: { color, size: line.values.map((_, epoch) => (kept.has(epoch + 1) ? 12 : 3)) },
    hovertemplate: "%{y:.3f}%{text}", visible: visible.has(line.name),
  };
}

function layout(title) {
  const style = getComputedStyle(document.documentElement), color = (name) => style.getPropertyValue(name).trim();
  const axis = { gridcolor: color("--line"), linecolor: color("--line"), zeroline: false, fixedrange: true };
  return {
    title: { text: title, font: { size: 14 }, x: 0.02, xanchor: "left" }, showlegend: false, dragmode: false,
    paper_bgcolor: color("--paper"), plot_bgcolor: color("--paper"), font: { color: color("--ink"), size: 12 },
    margin: { t: 40, r: 12, b: 44, l: 48 }, hovermode: "x unified",
    hoverlabel: { bgcolor: color("--panel"), bordercolor: color("--line"), font: { color: color("--ink") } },
    xaxis: { ...axis, title: { text: "epoch" }, rangemode: "tozero", unifiedhovertitle: { text: "epoch %{x}" } },
    yaxis: axis,
  };
}

function drawCharts() {
  charts.forEach(({ element, chart }) =>
    Plotly.react(element, chart.lines.map(trace), layout(chart.title), { displayModeBar: false, responsive: true }));
}

function showOnly(chosen) {
  visible.clear();
  chosen.forEach((name) => visible.add(name));
  document.querySelectorAll("#switches input").forEach((box) => { box.checked = visible.has(box.value); });
  drawCharts();
}

function fillCurves() {
  for (const chart of data.curves.filter((one) => one.lines.length)) {
    const element = make("div", { class: "chart" });
    byId("charts").append(element);
    charts.push({ element, chart });
  }
  byId("courses").hidden = !charts.length;
  names.forEach((name, number) => {
    const box = make("input", { type: "checkbox", value: name, checked: "" }), dot = make("i");
    dot.style.background = data.colors[number % data.colors.length];
    box.addEventListener("change", () => {
      visible[box.checked ? "add" : "delete"](name);
      drawCharts();
    });
    byId("switches").append(make("label", {}, box, dot, name));
  });
  const choices = [["all", names]];
  if (data.best_two.length === 2 && names.length > 2) choices.push(["the best two", data.best_two]);
  for (const [text, chosen] of choices) {
    const button = make("button", { type: "button" }, text);
    button.addEventListener("click", () => showOnly(chosen));
    byId("switches").append(button);
  }
  drawCharts();
  dark.addEventListener("change", drawCharts);
}

// ---- the confusion matrices

function matrix({ name, counts }) {
  const lines = counts.map((row, index) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    const cells = row.map((count) => {
      const share = total ? count / total : 0;
      const shown = total ? `${(100 * share).toFixed(0)}%` : "no rows";
      const one = make("td", share > 0.6 ? { class: "strong" } : {}, make("b", {}, String(count)), shown);
      one.style.background = `rgba(var(--shade), ${share.toFixed(3)})`;
      return one;
    });
    return make("tr", {}, make("th", { scope: "row" }, data.labels[index]), ...cells);
  });
  const heads = data.labels.map((label) => make("th", { scope: "col" }, label));
  const table = make("table", {}, make("tr", {}, make("td"), ...heads), ...lines);
  return make("div", { class: "matrix" }, make("h3", {}, ...breakable(name)), table);
}

function fillMatrices() {
  byId("matrices").hidden = !data.matrices.length;
  byId("summed").textContent = data.summed ? ` ${data.summed}` : "";
  const grid = document.querySelector("#matrices .grid");
  grid.style.setProperty("--width", `${5 + 3.4 * data.labels.length}rem`);
  grid.append(...data.matrices.map(matrix));
}

// ---- the rows on which they disagree

const ANY = "any two";

function verdictOf(row, name) {
  const [answer, share] = row.answers[name], right = answer === row.label;
  return make("span", { class: right ? "right" : "wrong" }, `${right ? "✓" : "✗"} ${answer} ${share.toFixed(2)}`);
}

// Where no row has an image, none is missed.
const withImages = (data.disagreements?.rows ?? []).some((row) => row.posts.some((one) => one.image));

function post({ id, text, image }) {
  const picture = image
    ? make("img", { src: image, alt: "", loading: "lazy" }) : make("span", { class: "none" }, "no image");
  return make("div", { class: "post" }, ...(withImages ? [picture] : []),
    make("p", {}, make("small", {}, id), text || make("span", { class: "hint" }, "(no text)")));
}

function disputed(row, pair) {
  const all = Object.keys(row.answers), right = all.filter((name) => row.answers[name][0] === row.label);
  const said = pair ? pair.map((name) => make("span", {}, `${name}: `, verdictOf(row, name)))
    : [make("span", {}, `${right.length} of ${all.length} right`)];
  const summary = make("summary", {}, make("span", {}, `row ${row.row + 1}, true: `, make("b", {}, row.label)), ...said);
  const lines = all.map((name) => make("tr", {}, make("td", {}, ...breakable(name)), make("td", {}, verdictOf(row, name))));
  const body = make("div", { class: "body" },
    make("div", { class: "posts" }, ...row.posts.map(post)), make("table", { class: "answers" }, ...lines));
  return make("details", {}, summary, body);
}

function fillDisagreements() {
  const found = data.disagreements;
  if (!found || !found.by_pair.length) return;
  byId("disagreements").hidden = false;
  const variants = [...new Set(found.by_pair.flatMap(([a, b]) => [a, b]))];
  const menus = [[ANY, ...variants], variants].map((options, index) => {
    const menu = make("select", { "aria-label": index ? "and" : "between" },
      ...options.map((name) => make("option", { value: name }, name)));
    menu.value = data.best_two[index] ?? options[0];
    menu.addEventListener("change", show);
    return menu;
  });
  const second = make("span", {}, "and ", menus[1]);
  byId("choice").append("between ", menus[0], second);

  function show() {
    const [a, b] = menus.map((menu) => menu.value), any = a === ANY;
    second.hidden = any;
    const rows = found.rows.filter((row) => any || row.answers[a][0] !== row.answers[b][0]);
    const pair = found.by_pair.find((one) => one.includes(a) && one.includes(b));
    const total = any ? found.total : a === b ? 0 : pair[2];
    const here = total === 0 ? "There is none." : rows.length === total ? "All are shown." : `${rows.length} are shown.`;
    byId("shown").textContent = `${total} of ${found.test_rows} test rows are answered differently. ${here}`;
    byId("rows").replaceChildren(...rows.map((row) => disputed(row, any ? null : [a, b])));
  }
  show();
}

byId("generated").hidden = !data.generated;
byId("verdict").append(...data.verdict.map((sentence) => make("p", {}, sentence)));
terms(byId("facts"), data.facts);
terms(document.querySelector("#explained dl"), data.explained);
fillTable();
fillCurves();
fillMatrices();
fillDisagreements();
