"use strict";
// What every page can do: sort and filter tables, take tables and figures away as files, flicker the first pair.

/** Return an element of this kind with these properties, holding these parts. */
function element(kind, properties = {}, ...parts) {
  const one = Object.assign(document.createElement(kind), properties);
  one.append(...parts);
  return one;
}

function pressable(text, label, action) {
  const button = element("button", { type: "button", textContent: text });
  if (label) button.setAttribute("aria-label", label);
  button.addEventListener("click", action);
  return button;
}

const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "limen";

/** Give the person a file. */
function give(name, content) {
  const link = element("a", { download: name, href: URL.createObjectURL(content) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// --- tables ---

/** Write equal first cells of rows that follow each other out again, so that each row stands for itself. */
function apart(table) {
  if (table.dataset.apart) return;
  table.dataset.apart = "yes";
  for (const row of [...table.tBodies[0].rows]) {
    const head = row.cells[0];
    const span = head.rowSpan;
    head.rowSpan = 1;
    row.classList.add("new");
    for (let next = row.nextElementSibling, i = 1; i < span; next = next.nextElementSibling, i++) next.prepend(head.cloneNode(true));
  }
}

/** Return what a cell sorts by: its first number, one beyond a bound above the bound itself, no number last. */
function rank(text) {
  const found = text.match(/^\s*([<>]?=?)\s*([-+\u2212]?[\d,]*\.?\d+)/);
  if (!found) return null;
  const number = Number(found[2].replace(/,/g, "").replace("\u2212", "-"));
  return number + (found[1].startsWith(">") ? 1e-6 : found[1].startsWith("<") ? -1e-6 : 0);
}

function sort(table, column) {
  apart(table);
  const head = table.tHead.rows[0].cells[column];
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].map((row, place) => ({ row, place, text: row.cells[column].textContent.trim() }));
  const numeric = rows.some(({ text }) => rank(text) !== null) && rows.every(({ text }) => rank(text) !== null || /^[-?]?$/.test(text));
  const order = (a, b) => {
    if (!numeric) return a.text.localeCompare(b.text);
    const [first, second] = [rank(a.text), rank(b.text)];
    if (first === null || second === null) return down ? (first === null) - (second === null) === 0 ? 0 : first === null ? -1 : 1 : (first === null) - (second === null);
    return first - second;
  };
  rows.sort((a, b) => (down ? -1 : 1) * order(a, b) || a.place - b.place);
  table.tBodies[0].append(...rows.map(({ row }) => row));
}

const ESTIMATE = /^([<>]?=?[-+]?[\d.,]+)(?: ?%)? \[([^\],]*), ([^\]]*)\]$/;

/** Return a table as CSV, a row a line; a number with its interval becomes three columns. */
function csv(table) {
  const lines = [...table.tBodies[0].rows].map(() => []);
  const spans = [];
  [...table.tBodies[0].rows].forEach((row, i) => {
    let column = 0;
    for (const cell of row.cells) {
      while (spans[column] > i) lines[i].push(lines[i - 1][column++]);
      if (cell.rowSpan > 1) spans[column] = i + cell.rowSpan;
      lines[i].push(cell.textContent.trim());
      column += 1;
    }
  });
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
  const header = [];
  const picked = [];
  names.forEach((name, i) => {
    const split = lines.some((line) => ESTIMATE.test(line[i])) && lines.every((line) => ESTIMATE.test(line[i]) || !/\[/.test(line[i]));
    const plain = name.replace(/ \[95 %[^\]]*\]/, "");
    header.push(...(split ? [plain, `${plain} low`, `${plain} high`] : [name]));
    picked.push((line) => {
      if (!split) return [line[i]];
      const found = line[i].match(ESTIMATE);
      return found ? found.slice(1) : [line[i], "", ""];
    });
  });
  const safe = (text) => (/^[=@\t\r]|^[-+](?![\d.])/.test(text) && text !== "-" ? `'${text}` : text);
  const quoted = (text) => (/[",\n]/.test(safe(text)) ? `"${safe(text).replace(/"/g, '""')}"` : safe(text));
  return [header, ...lines.map((line) => picked.flatMap((pick) => pick(line)))].map((line) => line.map(quoted).join(",")).join("\n") + "\n";
}

/** Let a person choose of which part of the data set the columns are shown. */
function parts(table, tools) {
  const of = table.dataset.parts.split(",");
  const kinds = [...new Set(of.filter(Boolean))];
  const buttons = ["all", ...kinds].map((kind) => pressable(kind, `Show ${kind === "all" ? "all distortions" : `distortions of the part ${kind}`}`, () => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.textContent === kind));
    for (const row of table.rows) [...row.cells].forEach((cell, i) => { cell.hidden = kind !== "all" && Boolean(of[i]) && of[i] !== kind; });
    cue(table.closest(".scroll"));
  }));
  buttons[0].setAttribute("aria-pressed", "true");
  tools.append("show ", ...buttons);
}

/** Say that there is more to the right. */
function cue(box) {
  box.parentElement.classList.toggle("more", box.scrollWidth - box.clientWidth - box.scrollLeft > 4);
}

function equip(table) {
  const box = table.closest(".scroll");
  const title = table.caption.textContent.trim();
  const tools = element("div", { className: "tools" });
  if (table.dataset.parts) parts(table, tools);
  tools.append(pressable("CSV", `Download the table as CSV: ${title}`, () => give(`${slug(title)}.csv`, new Blob([csv(table)], { type: "text/csv" }))));
  box.parentElement.after(tools);
  if (table.tBodies[0].rows.length > 1) {
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      const button = pressable(cell.textContent, "", () => sort(table, column));
      button.className = "sort";
      button.title = "Sort by this column";
      cell.replaceChildren(button);
    });
  }
  box.addEventListener("scroll", () => cue(box), { passive: true });
  new ResizeObserver(() => cue(box)).observe(box);
}

// --- figures ---

/** Return the figure that is shown as an SVG file of its own, in the colours of a light page. */
function drawing(figure) {
  const shown = [...figure.querySelectorAll("svg")].find((svg) => svg.getClientRects().length) || figure.querySelector("svg");
  const light = document.styleSheets[0].cssRules[0].style;
  const copy = shown.cloneNode(true);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const [width, height] = [shown.width.baseVal.value, shown.height.baseVal.value];
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ width, height, fill: "#fff" })) ground.setAttribute(name, value);
  copy.prepend(ground);
  const text = new XMLSerializer().serializeToString(copy);
  const painted = text.replace(/var\((--[a-z0-9-]+)\)/g, (_, name) => light.getPropertyValue(name).trim()).replace(/currentColor/g, light.getPropertyValue("--ink").trim());
  return { text: painted, width, height, title: shown.getAttribute("aria-label") || "figure" };
}

function asPng({ text, width, height, title }) {
  const picture = new Image();
  picture.addEventListener("load", () => {
    const canvas = element("canvas", { width: width * 2, height: height * 2 });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => give(`${slug(title)}.png`, blob));
  });
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
}

function furnish(figure) {
  const title = figure.querySelector("svg").getAttribute("aria-label") || "figure";
  const svg = pressable("SVG", `Download the figure as SVG: ${title}`, () => give(`${slug(title)}.svg`, new Blob([drawing(figure).text], { type: "image/svg+xml" })));
  const png = pressable("PNG", `Download the figure as PNG: ${title}`, () => asPng(drawing(figure)));
  figure.append(element("div", { className: "tools" }, svg, png));
}

// --- the first screen ---

let turning = 0;

/** Show both pictures of the pair in one place, in turn. */
function turn(figure, button) {
  const stimulus = figure.querySelectorAll(".two > div")[1];
  const on = !figure.classList.contains("stacked");
  figure.classList.toggle("stacked", on);
  clearInterval(turning);
  stimulus.classList.remove("out");
  button.textContent = on ? "Side by side" : "Flicker";
  if (on) turning = setInterval(() => stimulus.classList.toggle("out"), 600);
}

function first() {
  const figure = document.getElementById("pair");
  if (figure) {
    const button = pressable("Flicker", "", () => turn(figure, button));
    figure.insertBefore(element("div", { className: "tools" }, button), figure.querySelector("figcaption"));
  }
  for (const quote of document.querySelectorAll("header blockquote")) {
    const text = quote.textContent.trim();
    const button = pressable("Copy", "Copy the sentence to quote", async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(quote);
        button.textContent = "Selected: copy it";
      }
    });
    button.className = "copy";
    quote.append(" ", button);
  }
}

/** Open what is folded around the place that the address names. */
function unfold() {
  const place = document.getElementById(location.hash.slice(1)); // names of places need no decoding
  for (let around = place && place.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
}

// What is above this script is there; what is below it is data.
for (const table of document.querySelectorAll(".scroll > table")) equip(table);
for (const figure of document.querySelectorAll("main figure")) if (figure.querySelector("svg") && !figure.closest(".lane, #look")) furnish(figure);
first();
unfold();
addEventListener("hashchange", unfold);
addEventListener("beforeprint", () => { for (const folded of document.querySelectorAll("details")) folded.open = true; });
