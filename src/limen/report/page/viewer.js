"use strict";
// The viewer of a limen report. Plain JavaScript: no library, no request, no markup made from texts.
// What came from outside (answers, names) reaches the page through textContent only; the page's policy
// (Trusted Types) makes anything else throw.

const MODES = ["side", "flicker", "swipe", "difference", "single"];
const WORDS = { unreadable: "unreadable", same: "equals the reference, not asked", failed: "failed", open: "not asked yet", none: "not asked" };
const CLIP = 400; // characters of an answer shown before "more"

const look = (name) => document.getElementById(`look-${name}`);
const modes = () => look("drawn").querySelectorAll("input[name=look-m]"); // not the whole page is to be looked through
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Make an element; strings among the children become text. */
function make(tag, properties = {}, ...children) {
  const { style, ...others } = properties;
  const element = Object.assign(document.createElement(tag), others);
  for (const [name, value] of Object.entries(style || {})) element.style.setProperty(name, value);
  element.append(...children);
  return element;
}

// --- the data, which arrives while the page is still being read ---

let book = null; // what limen.report.viewer_data gives; talks and texts are added as distortions are opened
let talks = new Map(); // "lane series" -> talk
const opening = new Map(); // distortion -> the promise that its talks are there
const opened = new Set(); // distortions whose talks are there; the one that is shown always is
const packed = []; // blocks of talks, one a distortion, as far as they have arrived
const sources = []; // base64 of each picture, or its path beside the page, as far as they have arrived
let last = look("data"); // the last block that was taken in
let lacking = null; // numbers of the pair that is to be shown, while they have not arrived
let waiting = []; // [whether it can go on, how it goes on]

/** Tell whether nothing more will arrive. */
const ended = () => document.readyState !== "loading";
const here = (numbers) => numbers.every((number) => sources[number] !== undefined);

/** Go on as soon as it can be done. */
function when(can, go) {
  if (can()) go();
  else waiting.push([can, go]);
}

/** Take in the blocks that have arrived whole (something follows them, or the page has ended); go on with what waited. */
function arrive() {
  for (let next = last.nextElementSibling; next && (next.nextElementSibling || ended()); next = last.nextElementSibling) {
    last = next;
    if (next.className === "look-talks") packed.push(next);
    if (next.className === "look-pictures") sources.push(...next.textContent.split("\n"));
  }
  if (lacking && (here(lacking) || ended())) draw();
  const ready = waiting.filter(([can]) => can());
  waiting = waiting.filter((one) => !ready.includes(one));
  for (const [, go] of ready) go();
}

/** Unpack a block. Reading chunk by chunk waits for nothing else, where a Response would wait for the page to be read. */
async function inflate(block) {
  const signs = atob(block.textContent);
  const bytes = new Uint8Array(signs.length);
  for (let i = 0; i < signs.length; i++) bytes[i] = signs.charCodeAt(i);
  const { readable, writable } = new DecompressionStream("gzip");
  const writer = writable.getWriter();
  const written = Promise.all([writer.write(bytes), writer.close()]);
  const decoder = new TextDecoder();
  const reader = readable.getReader();
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += decoder.decode(part.value, { stream: true });
  await written;
  return JSON.parse(text + decoder.decode());
}

/** Open what was asked and said under a distortion, once. */
function open(d) {
  if (!opening.has(d)) opening.set(d, take(d));
  return opening.get(d);
}

async function take(d) {
  await new Promise((go) => when(() => packed.length > d || ended(), go));
  if (packed.length <= d) throw new Error("the page was cut off before them; get the whole file");
  const part = await inflate(packed[d]);
  const before = book.texts.length;
  book.texts = book.texts.concat(part.texts);
  for (const talk of part.talks) {
    if (talk.asked !== null) talk.asked += before;
    for (const probe of talk.probes) for (const trial of probe[5]) if (trial[1] !== null) trial[1] += before;
    talk.steps = talk.jnds.filter((jnd) => !jnd[3]);
    // An open series has no JNDs yet by the protocol; what it went on to compare with tells which it was at.
    const used = [...talk.probes, ...talk.waiting].filter((probe) => probe[0] < probe[1]).map((probe) => probe[0]);
    talk.references = talk.status === "complete" ? talk.steps.map((jnd) => jnd[1]) : [...new Set(used)];
    talks.set(`${talk.o} ${talk.s}`, talk);
  }
  book.talks = [...book.talks, ...part.talks].sort((one, other) => one.s - other.s);
  opened.add(d);
}

const idle = window.requestIdleCallback ? (go) => requestIdleCallback(go, { timeout: 200 }) : (go) => setTimeout(go, 20);

/** Open the distortions that are not yet, one after the other while nothing else is to be done. */
function openRest() {
  search.ready();
  const next = book.distortions.findIndex((_, d) => !opened.has(d));
  if (next >= 0) idle(() => open(next).then(openRest, (error) => search.fail(error)));
}

let wanted = 0; // the distortion that was chosen last

/** Go on with a distortion as soon as it is open, unless another was chosen meanwhile. */
function within(d, go) {
  wanted = d;
  if (opened.has(d)) return go();
  const about = book.distortions[d].name;
  look("now").textContent = `Opening the answers about ${about} …`;
  return open(d).then(
    () => wanted === d && go(),
    (error) => { look("now").textContent = `The answers about ${about} could not be opened: ${error.message}.`; },
  );
}

const seriesOf = (d, r) => book.series.findIndex((series) => series.d === d && series.r === r);
const talkOf = (o, s) => talks.get(`${o} ${s}`);
const levelsOf = (d) => book.distortions[d].strengths.length;

function source(number) {
  return book.beside ? sources[number] : `data:image/${book.kind};base64,${sources[number]}`;
}

/** Return the number of the picture of a level: as sent, or as this observer sees it. */
function pictureOf(series, level, lane, seen) {
  const from = seen ? (series.seen || {})[lane] : series.pictures;
  return from ? from[level] : undefined;
}

/** Return the reference in force at a level: the last JND below it, as the procedure had it. */
function inForce(talk, level) {
  return Math.max(0, ...talk.references.filter((one) => one < level));
}

/** Return the probes at a level, the one that the ladder shows first. */
function probesAt(talk, level) {
  const force = inForce(talk, level);
  const rank = (probe) => (probe[0] === force ? 0 : 2) + (probe[2] ? 1 : 0) + (probe[0] === level && level ? 8 : 0);
  return talk.probes.filter((probe) => probe[1] === level).sort((one, other) => rank(one) - rank(other));
}

/** Return what became of a level: a word of WORDS. */
function became(talk, level) {
  const [probe] = probesAt(talk, level);
  const open = talk.waiting.find((one) => one[1] === level);
  if (open && (!probe || open[0] === inForce(talk, level))) return open[3] ? "failed" : "open";
  return probe && (probe[0] !== level || !level) ? probe[3] : "none";
}

// --- the state, and its link ---

const state = { o: 0, d: 0, r: 0, l: 0, a: null, m: "side", z: 0, g: 3, h: 2, w: 50, p: "sent" };
let flickering = false;

/** Return the distortion that a link names, or else the one that is shown. */
function distortionOf(hash) {
  const named = new URLSearchParams(hash.slice(hash.indexOf("/") + 1)).get("d");
  return /^\d{1,6}$/.test(named ?? "") && Number(named) < book.distortions.length ? Number(named) : state.d;
}

/** Read a link; what is not there or cannot be stays as it was. */
function restore(hash) {
  const given = new URLSearchParams(hash.slice(hash.indexOf("/") + 1));
  const whole = (name, most) => {
    const value = given.get(name);
    if (value !== null && /^\d{1,6}$/.test(value) && Number(value) <= most) state[name] = Number(value);
  };
  whole("o", book.lanes.length - 1);
  state.d = distortionOf(hash);
  whole("r", book.references.length - 1);
  settle();
  whole("l", levelsOf(state.d));
  state.a = null;
  whole("a", levelsOf(state.d));
  whole("z", 16);
  whole("g", 6);
  whole("w", 100);
  if (MODES.includes(given.get("m"))) state.m = given.get("m");
  if (["sent", "seen"].includes(given.get("p"))) state.p = given.get("p");
  if (Number(given.get("h")) >= 1 && Number(given.get("h")) <= 5) state.h = Number(given.get("h"));
}

function link() {
  const { o, d, r, l, a, m, z, g, h, w, p } = state;
  const kept = { o, d, r, l, ...(a === null ? {} : { a }), m, ...(z ? { z } : {}), ...(p === "seen" ? { p } : {}) };
  const own = { flicker: { h }, swipe: { w }, difference: { g } }[m] || {};
  return `#view/${new URLSearchParams({ ...kept, ...own })}`;
}

let writing = 0;
function remember(hash = link()) {
  clearTimeout(writing); // browsers allow few changes a second
  writing = setTimeout(() => history.replaceState(null, "", hash), 250);
}

/** Make the state one that exists: a reference that has this distortion, a lane that was asked about it. */
function settle() {
  if (seriesOf(state.d, state.r) < 0) state.r = preferred(state.d);
  const series = seriesOf(state.d, state.r);
  if (!talkOf(state.o, series)) {
    const lane = book.lanes.findIndex((_, o) => talkOf(o, series));
    if (lane >= 0) state.o = lane;
  }
  state.l = clamp(state.l, 0, levelsOf(state.d));
}

function preferred(d) {
  const all = book.series.filter((series) => series.d === d);
  return (all.find((series) => series.pictures && Object.keys(series.pictures).length > 1) || all[0]).r;
}

/** Go where there is most to see: the first JND, else what is still open, else the last level asked about. */
function atJnd() {
  const talk = talkOf(state.o, seriesOf(state.d, state.r));
  const [jnd, open] = talk ? [talk.steps[0], talk.waiting[0]] : [];
  const asked = talk ? talk.probes.map((probe) => probe[1]) : [];
  state.l = jnd ? jnd[1] : open ? open[1] : Math.max(0, ...asked);
  state.a = null;
}

/** Change the state, draw it, keep it in the address. */
function change(changes) {
  Object.assign(state, changes);
  settle();
  draw();
  remember();
}

// --- drawing ---

function draw() {
  const series = book.series[seriesOf(state.d, state.r)];
  const talk = talkOf(state.o, seriesOf(state.d, state.r));
  drawChoices();
  drawLadders();
  drawLevel(talk);
  drawPictures(series, talk);
  drawAnswers(talk);
  test.plan();
}

function options(select, entries, chosen) {
  const same = select.options.length === entries.length && entries.every(([value, text], i) => select.options[i].value === String(value) && select.options[i].text === text);
  if (!same) select.replaceChildren(...entries.map(([value, text]) => make("option", { value, textContent: text })));
  select.value = String(chosen);
}

function drawChoices() {
  const short = (text) => (text.length > 60 ? `${text.slice(0, 59)}…` : text);
  options(look("o"), book.lanes.map((lane, i) => [i, short(lane.name)]), state.o);
  options(look("d"), book.distortions.map((kind, i) => [i, short(kind.name)]), state.d);
  const here = book.series.filter((series) => series.d === state.d).sort((one, other) => one.r - other.r);
  const pictured = (series) => series.pictures && Object.keys(series.pictures).length > 1;
  options(look("r"), here.map((series) => [series.r, short(book.references[series.r]) + (pictured(series) ? "" : " (no pictures)")]), state.r);
  const kind = book.distortions[state.d];
  const lane = book.lanes[state.o];
  const talk = talkOf(state.o, seriesOf(state.d, state.r));
  const item = talk && talk.asked !== null ? book.texts[talk.asked][0] : null;
  look("asked").textContent = `Asked: “${item ?? lane.wordings[state.d]}”${lane.alone ? " (each picture alone)" : lane.order === "reference-first" ? "" : ` (shown ${lane.order})`}`;
  for (const flag of ["yes", "no"]) look(flag).textContent = said(flag);
  look("l").max = kind.strengths.length;
}

function drawLadders() {
  const s = seriesOf(state.d, state.r);
  const lanes = book.lanes.map((lane, o) => ({ lane, o, talk: talkOf(o, s) })).filter(({ talk }) => talk);
  const near = lanes.length > 6 ? lanes.filter(({ o }) => o === state.o) : lanes;
  look("ladders").replaceChildren(...near.map(({ lane, o, talk }) => ladder(lane, o, talk)));
}

function ladder(lane, o, talk) {
  const most = levelsOf(state.d);
  const place = (level) => ({ "--at": level / most, "--step": 1 / most });
  const strip = make("div", { className: "look-ladder" });
  strip.setAttribute("role", "img");
  strip.setAttribute("aria-label", inWords(talk, most));
  for (let level = 0; level <= most; level++) {
    const what = became(talk, level);
    strip.append(make("i", { className: `look-cell ${what === "open" ? "none" : what}`, style: place(level) }));
  }
  let last = -1;
  for (const [order, level, , , confirmed] of talk.steps) {
    const room = (level / most - last) * (look("body").clientWidth || 900) > 13;
    strip.append(make("b", { className: "look-jnd", style: place(level) }, room ? String(order) : "", make("br"), confirmed ? "◆" : "◇"));
    if (room) last = level / most;
  }
  strip.append(make("b", { className: "look-here", style: place(state.l) }));
  const levelAt = (event) => {
    const box = strip.getBoundingClientRect();
    return clamp(Math.round(((event.clientX - box.left - 8) / (box.width - 16)) * most), 0, most);
  };
  strip.addEventListener("click", (event) => change({ o, l: levelAt(event), a: null }));
  const box = make("div", { className: o === state.o ? "look-lane on" : "look-lane" }, make("span", { textContent: `${lane.name}: ${result(talk)}` }), strip);
  strip.addEventListener("pointermove", (event) => event.pointerType !== "touch" && point(box, strip, o, talk, levelAt(event)));
  strip.addEventListener("pointerleave", () => point(box, strip, o, talk, null));
  return box;
}

/** Tell what a level under the pointer is, beside a line at it; the slider and the line below tell keyboards the same. */
function point(box, strip, o, talk, level) {
  for (const old of box.querySelectorAll(".look-tip, .look-hover")) old.remove();
  if (level === null) return;
  const at = level / levelsOf(state.d);
  strip.append(make("b", { className: "look-hover", style: { "--at": at } }));
  const tip = make("div", { className: "look-tip", textContent: readout(o, talk, level) });
  tip.setAttribute("aria-hidden", "true");
  box.append(tip);
  const left = clamp(8 + (strip.clientWidth - 16) * at - tip.offsetWidth / 2, 0, Math.max(0, strip.clientWidth - tip.offsetWidth));
  tip.style.setProperty("left", `${left}px`);
}

function readout(o, talk, level) {
  const kind = book.distortions[state.d];
  const [probe] = probesAt(talk, level);
  const jnd = talk.steps.find((one) => one[1] === level);
  const p = probe?.[5].find((trial) => trial[2] !== null)?.[2];
  return [
    level ? `level ${level}: ${kind.strengths[level - 1]}` : "level 0, the reference",
    said(became(talk, level), o),
    p === undefined ? "" : `p(yes) ${p}`,
    probe?.[4] ?? "",
    probe && probe[0] !== level ? `against level ${probe[0]}` : "",
    jnd ? `JND ${jnd[0]}${jnd[4] ? "" : ", unconfirmed"}` : "",
  ].filter(Boolean).join(" · ");
}

function result(talk) {
  if (talk.status !== "complete") return talk.status;
  if (talk.fits.length) return `fitted threshold ${talk.fits[0]}${talk.fits[0].includes("[") ? " (95 %)" : ""}`;
  if (!talk.steps.length) return talk.jnds.length ? `no JND up to level ${talk.jnds[0][1]}` : "looked for no JND";
  const shown = talk.steps.slice(0, 12).map((jnd) => `${jnd[1]}${jnd[4] ? "" : "?"}`).join(", ");
  return `JND${talk.steps.length > 1 ? "s" : ""} at ${shown}${talk.steps.length > 12 ? ", …" : ""}`;
}

function inWords(talk, most) {
  const counts = {};
  for (let level = 0; level <= most; level++) counts[became(talk, level)] = (counts[became(talk, level)] || 0) + 1;
  const told = Object.entries(counts).map(([what, count]) => `${count} ${said(what, talk.o)}`);
  return `Ladder of ${most} levels: ${told.join(", ")}. ${result(talk)}.`;
}

function drawLevel(talk) {
  const kind = book.distortions[state.d];
  const strength = state.l ? `: ${kind.strengths[state.l - 1]}` : ", the reference itself";
  const jnd = talk && talk.steps.find((one) => one[1] === state.l);
  const what = talk ? said(became(talk, state.l)) : "not asked";
  const words = `Level ${state.l} of ${kind.strengths.length}${strength}. Answer: ${what}.${jnd ? ` JND number ${jnd[0]}${jnd[4] ? "" : ", unconfirmed"}.` : ""}`;
  look("now").setAttribute("aria-live", document.activeElement === look("l") ? "off" : "polite"); // the slider speaks
  look("now").textContent = words;
  look("l").value = state.l;
  look("l").setAttribute("aria-valuetext", words);
  look("less").disabled = state.l === 0;
  look("more").disabled = state.l === kind.strengths.length;
  look("next").disabled = !talk || !talk.steps.some((one) => one[1] > state.l);
  look("last").disabled = !talk || !talk.steps.some((one) => one[1] < state.l);
  const references = [...new Set([0, ...(talk ? talk.probes.map((probe) => probe[0]) : [])])].sort((one, other) => one - other);
  if (state.a !== null && !references.includes(state.a)) references.push(state.a);
  const named = (level) => (level ? `level ${level}` : "level 0, the original");
  options(look("a"), [["", `as it was asked (${named(against(talk))})`], ...references.map((level) => [level, named(level)])], state.a === null ? "" : state.a);
}

/** Return the level that the stimulus is compared with. */
function against(talk) {
  if (state.a !== null) return state.a;
  const [probe] = talk ? probesAt(talk, state.l) : [];
  return probe ? probe[0] : talk ? inForce(talk, state.l) : 0;
}

// --- pictures ---

function drawPictures(series, talk) {
  const other = state.a === null ? against(talk) : state.a;
  const hasSeen = Object.keys((series.seen || {})[state.o] || {}).length > 0;
  const seen = state.p === "seen" && hasSeen;
  const pair = [pictureOf(series, other, state.o, seen), pictureOf(series, state.l, state.o, seen)];
  const drawn = pair.every((number) => number !== undefined);
  const there = drawn && here(pair);
  lacking = drawn && !there ? pair : null;
  look("drawn").hidden = !series.pictures || Object.keys(series.pictures).length < 2;
  look("stage").hidden = !there;
  look("seen").hidden = !hasSeen;
  look("pixels").hidden = !there;
  look("p").value = seen ? "seen" : "sent";
  look("why").textContent = why(series, there, other);
  for (const input of modes()) input.checked = input.value === state.m;
  for (const own of look("drawn").querySelectorAll(".look-own")) own.hidden = own.dataset.own !== state.m;
  look("stage").className = `look-stage ${state.m}`;
  look("z").value = String([0, 1, 2, 4, 8, 16].includes(state.z) ? state.z : 0);
  look("h").value = state.h;
  look("hz").textContent = `${state.h}`;
  look("w").value = state.w;
  look("stack").style.setProperty("--border", `${state.w}%`);
  look("g").value = state.g;
  look("gain").textContent = `${2 ** state.g}×`;
  look("g").setAttribute("aria-valuetext", `${2 ** state.g} times`);
  look("stack").style.setProperty("--gain", 2 ** state.g);
  if (there) show(series, other, pair.map(source));
  drawPixels(series, seen, pair);
  flicker(flickering && state.m === "flicker" && there);
}

function show(series, other, [reference, stimulus]) {
  const name = book.references[series.r];
  const kind = book.distortions[series.d].name;
  const called = (level) => (level ? `${kind} at level ${level}` : "the reference");
  for (const [image, url, level] of [["ref", reference, other], ["under", reference, other], ["over", stimulus, state.l]]) {
    if (look(image).getAttribute("src") !== url) look(image).src = url;
    look(image).alt = `${name}, ${called(level)}`;
  }
  look("cap-a").textContent = `compared with: ${called(other)}`;
  const caption = {
    side: called(state.l),
    single: called(state.l),
    swipe: `left: ${called(other)}; right: ${called(state.l)}`,
    difference: `what differs between ${called(other)} and ${called(state.l)}, ${2 ** state.g} times brighter (black: equal)`,
  };
  look("cap-b").textContent = caption[state.m] || "";
  Promise.all([look("under").decode(), look("over").decode()]).then(layOut, () => {
    look("pixels").textContent = "A picture could not be loaded. Is the folder of stimuli beside the page?";
  });
}

function why(series, there, other) {
  if (series.why) return `No pictures: ${series.why}`;
  if (!series.pictures || Object.keys(series.pictures).length < 2) return `No pictures of this series. ${book.held.text || "Make the report with a larger --embed, or with --stimuli-beside."}`;
  if (there) return "";
  if (lacking && !ended()) return "The pictures of this pair are still being loaded.";
  if (lacking) return "The pictures of this pair are not there: the page was cut off before them. Get the whole file.";
  const kept = Object.keys(series.pictures).map(Number);
  const near = kept.reduce((best, level) => (Math.abs(level - state.l) < Math.abs(best - state.l) ? level : best), kept[0]);
  const missing = series.pictures[state.l] === undefined ? state.l : other;
  const asked = book.talks.some((talk) => book.series[talk.s] === series && talk.probes.some((probe) => probe[0] === missing || probe[1] === missing));
  return `Level ${missing} is not among this page's pictures: ${asked ? "it has reached its size" : "nothing was asked about it"}. The nearest to level ${state.l} that is: level ${near}.`;
}

/** Size the pictures in whole screen pixels: one picture pixel is always a square of equal ones, or exactly one. */
function layOut() {
  const image = look("over");
  if (!image.naturalWidth || look("stage").hidden) return;
  const zoom = zoomFor(image, look("frame-b").parentElement.clientWidth, innerHeight * 0.7);
  for (const name of ["ref", "under", "over"]) fit(look(name), zoom);
  align(image, look("stage"), scrollX, scrollY);
  const told = zoom < 1 ? "scaled down to fit: choose 1:1 for its own pixels" : `each of its pixels is ${zoom} × ${zoom} of the screen's`;
  look("pixels").dataset.zoom = zoom;
  look("pixels").textContent = `${look("pixels").dataset.facts} Here ${told}.`;
}

/** Begin on a whole screen pixel: what is clipped or blended between two of them is no longer the picture. */
function align(image, moved, right = 0, down = 0) {
  Object.assign(moved.style, { position: "relative", top: "0", left: "0" });
  const screen = devicePixelRatio || 1;
  const box = image.getBoundingClientRect();
  const missing = (length) => (Math.ceil(length * screen - 0.01) - length * screen) / screen;
  Object.assign(moved.style, { top: `${missing(box.top + down)}px`, left: `${missing(box.left + right)}px` });
}

function zoomFor(image, width, height, chosen = state.z) {
  const screen = devicePixelRatio || 1;
  if (chosen) return chosen;
  const room = Math.min((width * screen) / image.naturalWidth, (height * screen) / image.naturalHeight);
  return room < 1 ? room : clamp(Math.floor(room), 1, 16);
}

function fit(image, zoom) {
  const size = (image.naturalWidth * zoom) / (devicePixelRatio || 1);
  image.style.setProperty("width", `${size}px`);
  image.style.setProperty("height", `${(size * image.naturalHeight) / image.naturalWidth}px`);
  image.classList.toggle("soft", zoom < 1);
}

function drawPixels(series, seen, pair) {
  if (!series.size) return;
  const [width, height] = series.size;
  let facts = `${width} × ${height} px, exactly as sent.`;
  if (series.scaled) facts = `Sent at ${width} × ${height} px; scaled down for this page, which hides fine detail.`;
  if (seen) {
    const same = [state.l, against(talkOf(state.o, seriesOf(state.d, state.r)))].every((level, i) => pair[1 - i] === series.pictures[level]);
    facts = `As the model sees it (${book.lanes[state.o].seen})${same ? ": the very pixels that were sent." : "."}`;
  }
  look("pixels").dataset.facts = facts;
  look("pixels").textContent = facts;
}

let ticking = 0;
function flicker(on) {
  clearInterval(ticking);
  flickering = on;
  look("run").textContent = on ? "Stop" : "Start";
  look("run").setAttribute("aria-pressed", String(on));
  if (on) ticking = setInterval(swap, 1000 / state.h);
  if (!on) look("over").classList.remove("out");
  if (state.m === "flicker") look("cap-b").textContent = on ? "reference and stimulus in turn" : calm.matches ? "stopped: motion is reduced on this device" : "stopped: press Start";
}

function swap() {
  look("over").classList.toggle("out");
}

// --- answers ---

function drawAnswers(talk) {
  const box = look("said");
  if (!talk) return box.replaceChildren(make("p", { className: "note", textContent: "This observer was not asked about this series." }));
  const probes = probesAt(talk, state.l);
  const open = talk.waiting.filter((one) => one[1] === state.l);
  const parts = [...probes.map((probe) => answered(probe, probe[0] === against(talk))), ...open.map(unanswered)];
  if (!parts.length) {
    const asked = talk.probes.map((probe) => probe[1]);
    const near = asked.reduce((best, level) => (Math.abs(level - state.l) < Math.abs(best - state.l) ? level : best), asked[0]);
    parts.push(make("p", { className: "note", textContent: `Nothing was asked about level ${state.l}.${asked.length ? ` The nearest level that was: ${near}.` : ""}` }));
  }
  return box.replaceChildren(...parts);
}

/** Return a verdict in the words of an observer's question. */
function said(flag, o = state.o) {
  return book.lanes[o].words[flag] || WORDS[flag];
}

function answered([reference, level, drawn, flag, fault, trials], chosen) {
  const pair = reference === level ? `level ${level} with itself` : `level ${level} against level ${reference}`;
  const box = make("div", { className: chosen ? "look-talk on" : "look-talk" });
  const head = make("p", {}, make("b", { textContent: `${pair[0].toUpperCase()}${pair.slice(1)}${drawn ? `, draw ${drawn + 1}` : ""}: ${said(flag)}` }), " ");
  if (fault) head.append(make("span", { className: "look-tag", textContent: fault }));
  if (!chosen) head.append(button("Show this pair", () => change({ a: reference }), "look-go"));
  box.append(head);
  for (const trial of trials) box.append(...told(trial));
  return box;
}

function told([again, text, yes, neither, finish, into, out, seconds, model, side, reworded]) {
  const [ending, by] = [book.words[finish], book.words[model]];
  const facts = [
    side === undefined ? "" : side ? "of the stimulus" : "of the reference",
    again ? "asked again in other words" : "",
    yes === null ? "" : `p(yes) ${yes}`,
    neither === null ? "" : `p(neither) ${neither}`,
    into === null && out === null ? "" : `${into ?? "?"} + ${out ?? "?"} tokens`,
    seconds ? `${seconds} s` : "",
    ending && ending !== "stop" ? `ended: ${ending}` : "",
    by,
  ].filter(Boolean);
  const line = make("p", { className: "small", textContent: facts.join(" · ") });
  if (reworded?.length) line.append(make("span", { className: "look-reworded" }, " asked: ", ...reworded.map(([piece, mark]) => (mark ? make("mark", { textContent: piece }) : piece))));
  if (text === null) return [line, make("p", { className: "note", textContent: "The text is in the run, and not in this page, which has reached its size." })];
  return [line, clipped(...book.texts[text])];
}

/** Show a text, cut where it is long; a button shows the rest. */
function clipped(text, length = text.length) {
  const shown = make("div", { className: "look-text", dir: "auto", tabIndex: text.length > CLIP ? 0 : -1 });
  const cut = (most) => (text.length > most ? `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…` : text);
  shown.textContent = cut(CLIP) || "(empty)";
  if (text.length <= CLIP) return shown;
  shown.setAttribute("role", "region");
  shown.setAttribute("aria-label", "Answer");
  const more = button("More", () => {
    const closed = more.getAttribute("aria-expanded") === "false";
    more.setAttribute("aria-expanded", String(closed));
    more.textContent = closed ? "Less" : "More";
    shown.textContent = closed ? text : cut(CLIP);
  }, "look-go");
  more.setAttribute("aria-expanded", "false");
  const rest = length > text.length ? ` of ${length.toLocaleString("en")} characters, ${text.length.toLocaleString("en")} of them in this page` : ` of ${length.toLocaleString("en")} characters`;
  return make("div", {}, shown, more, make("span", { className: "small", textContent: rest }));
}

function unanswered([reference, level, , failures]) {
  const told = failures ? `failed: attempts in this series ended with ${failures}` : "not asked yet";
  return make("p", { className: "look-talk", textContent: `Level ${level} against level ${reference}: ${told}. The series is open: measure again to go on.` });
}

function button(text, action, className = "") {
  const made = make("button", { type: "button", textContent: text, className });
  made.addEventListener("click", action);
  return made;
}

// --- what a person does ---

function jump(forward) {
  const talk = talkOf(state.o, seriesOf(state.d, state.r));
  const levels = (talk ? talk.steps : []).map((jnd) => jnd[1]).filter((level) => (forward ? level > state.l : level < state.l));
  if (levels.length) change({ l: forward ? Math.min(...levels) : Math.max(...levels), a: null });
}

function step(by) {
  change({ l: clamp(state.l + by, 0, levelsOf(state.d)), a: null });
}

function listen() {
  const on = (name, what, action) => look(name).addEventListener(what, action);
  on("o", "change", (event) => change({ o: Number(event.target.value), a: null }));
  const enter = (changes) => {
    Object.assign(state, changes);
    settle();
    atJnd();
    change({});
  };
  on("d", "change", (event) => {
    const d = Number(event.target.value);
    within(d, () => enter({ d }));
  });
  on("r", "change", (event) => enter({ r: Number(event.target.value) }));
  on("l", "input", (event) => change({ l: Number(event.target.value), a: null }));
  on("a", "change", (event) => change({ a: event.target.value === "" ? null : Number(event.target.value) }));
  on("z", "change", (event) => change({ z: Number(event.target.value) }));
  on("p", "change", (event) => change({ p: event.target.value }));
  for (const name of ["h", "g", "w"]) on(name, "input", (event) => change({ [name]: Number(event.target.value) }));
  for (const input of modes()) input.addEventListener("change", () => change({ m: input.value }));
  on("less", "click", () => step(-1));
  on("more", "click", () => step(1));
  on("next", "click", () => jump(true));
  on("last", "click", () => jump(false));
  on("run", "click", () => flicker(!flickering));
  on("link", "click", copy);
  document.getElementById("look").addEventListener("keydown", key);
  look("stack").addEventListener("pointerdown", swipe);
  look("stack").addEventListener("pointermove", (event) => event.buttons && swipe(event));
  look("stack").addEventListener("dragstart", (event) => event.preventDefault());
  for (const [from, to] of [["frame-a", "frame-b"], ["frame-b", "frame-a"]]) {
    on(from, "scroll", () => Object.assign(look(to), { scrollLeft: look(from).scrollLeft, scrollTop: look(from).scrollTop }));
  }
  addEventListener("resize", () => requestAnimationFrame(() => { drawLadders(); layOut(); }));
  addEventListener("hashchange", follow);
}

function swipe(event) {
  if (state.m !== "swipe") return;
  const box = look("stack").getBoundingClientRect();
  change({ w: clamp(Math.round(((event.clientX - box.left) / box.width) * 100), 0, 100) });
}

function key(event) {
  const target = event.target;
  if (event.ctrlKey || event.altKey || event.metaKey || target.closest("select, input[type=text], input[type=search], #look-test")) return;
  const own = target.matches("input"); // sliders and radio buttons move by themselves
  const scrolls = target.closest(".look-frame") && target.scrollWidth > target.clientWidth;
  const zooms = [0, 1, 2, 4, 8, 16];
  const actions = {
    j: () => jump(true),
    k: () => jump(false),
    z: () => change({ z: zooms[(zooms.indexOf(state.z) + 1) % zooms.length] }),
    ...Object.fromEntries(MODES.map((m, i) => [String(i + 1), () => change({ m })])),
    ...(own || scrolls ? {} : { ArrowLeft: () => step(-1), ArrowRight: () => step(1) }),
    ...(own ? {} : { Home: () => step(-1000), End: () => step(1000) }),
    ...(target.closest(".look-frame") && state.m === "flicker" ? { " ": () => flicker(!flickering) } : {}),
  };
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

async function copy() {
  clearTimeout(writing);
  history.replaceState(null, "", link());
  try {
    await navigator.clipboard.writeText(location.href);
    look("copied").textContent = "Copied.";
  } catch {
    look("copied").textContent = "This browser does not let a page copy: take the link from the address bar.";
  }
}

/** Go where the address says, if it speaks of the viewer, of a search or of a test. */
function follow() {
  const hash = location.hash;
  const show = (then) => within(distortionOf(hash), () => {
    restore(hash);
    draw();
    then();
  });
  if (hash.startsWith("#view/")) {
    show(() => document.getElementById("look").scrollIntoView());
  } else if (hash.startsWith("#test/")) {
    show(() => {
      test.follow(new URLSearchParams(hash.slice(6)));
      look("test-title").scrollIntoView();
    });
  } else if (hash.startsWith("#find/")) {
    search.restore(hash);
    document.getElementById("find-title").scrollIntoView();
  }
}

async function begin() {
  if (typeof DecompressionStream === "undefined") {
    look("wait").textContent = "This browser is too old for the viewer (it has no DecompressionStream). Everything else on this page works.";
    return;
  }
  book = { ...(await inflate(look("data"))), talks: [], texts: [] };
  look("held").textContent = book.held.text;
  if (book.empty) {
    look("wait").textContent = "This run holds no answers yet.";
    return;
  }
  if (/^#(view|test)\//.test(location.hash)) state.d = distortionOf(location.hash);
  await open(state.d);
  look("wait").hidden = true;
  look("body").hidden = false;
  state.r = preferred(state.d);
  settle();
  atJnd();
  draw();
  listen();
  search.listen();
  test.listen();
  follow();
  openRest();
}

look("wait").textContent = "Loading …";
const arrivals = new MutationObserver(arrive);
arrivals.observe(document.body, { childList: true });
arrive();
addEventListener("DOMContentLoaded", () => {
  arrivals.disconnect();
  arrive();
});
begin().catch((error) => {
  look("wait").hidden = false;
  look("wait").textContent = `The viewer could not start (${error.message}). Everything else on this page works.`;
});
