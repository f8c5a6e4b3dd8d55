"use strict";
// The page of a participant. Plain JavaScript: no library, nothing from elsewhere, no markup made from texts.
// The server keeps all that is to be kept; what this page alone knows is one answer that has not arrived yet.

const BEAT = 5000;  // ms between two signs of life
const ASLEEP = 3000;  // ms between two frames that no running page takes
const QUIET = 250;  // ms without a change of the window before pictures are shown again
const RETRY = [500, 1000, 2000, 4000, 8000];  // ms before a request is sent again
const CARD = [8.56, 5.398];  // cm, ISO/IEC 7810 ID-1
const PHOTOSENSITIVE = 3;  // changes a second above which people are warned
const GAP = 16;  // CSS px between pictures side by side
const LABEL = 24;  // CSS px below each, where places are asked for

const by = (id) => document.getElementById(id);
const whole = (count) => count.toLocaleString("en");
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const pause = (ms) => new Promise((go) => setTimeout(go, ms));
const frame = () => new Promise((go) => requestAnimationFrame(go));
const ratio = () => devicePixelRatio || 1;
const median = (values) => [...values].sort((one, other) => one - other)[values.length >> 1];
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

let told = { title: document.title };  // what state.json says
let session = null;  // what the server says of this participant
let stage = "";  // of the last turn
let round = 0;  // counts the ways through the questions: an earlier one does nothing more
let screenNow = null;  // what this screen was stated to be, in this page
let over = false;  // another tab goes on, or nothing can
let tab = "";
let framePace = [];  // ms between animation frames, the last of them

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Put a text as paragraphs: it is the study's own, and stays text. */
function prose(id, text) {
  by(id).replaceChildren(...text.split(/\n\s*\n/).filter((part) => part.trim()).map((part) => make("p", { textContent: part.trim() })));
}

function say(text) {
  by("told").textContent = text;
}

/** Show one section of the page, and read its heading aloud. */
function show(id) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== id;
  document.body.classList.toggle("grey", "grey" in by(id).dataset);
  if (id === "taken" || id === "problem" || id === "done") by("notice").hidden = true;
  const head = by(id).querySelector("h1");
  if (id !== "trial") {
    document.title = `${head.textContent} · ${told.title}`;
    scrollTo(0, 0);
    head.focus({ preventScroll: true });
  } else document.title = told.title;
}

/** Return when the next press of a button comes. */
const pressed = (...ids) => new Promise((go) => {
  const listening = new AbortController();
  for (const id of ids) by(id).addEventListener("click", () => { listening.abort(); go(id); }, { signal: listening.signal });
});

// --- the server ---

class Refused extends Error {
  constructor(error, text) {
    super(text || "The server refused this.");
    this.error = error;
  }
}

let waiting = 0;  // requests that are being sent again

/**
 * Ask until somebody answers; a lost connection and a server that is being started again are waited for. A fault of the
 * server (500) is not: it would be the same each time.
 */
async function persist(ask) {
  for (let tries = 0; ; tries++) {
    try {
      const answer = await ask();
      const says = answer.headers.get("Content-Type")?.startsWith("application/json");  // the study's server itself, not one in front of it
      if ((answer.status <= 500 && answer.status !== 429) || says) {
        if (tries) still(-1);
        return answer;
      }
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
    }
    if (!tries) still(1);
    await Promise.race([pause(RETRY[Math.min(tries, RETRY.length - 1)]), new Promise((go) => addEventListener("online", go, { once: true }))]);
    if (over) await new Promise(() => {});  // nobody waits for it any more
  }
}

function still(more) {
  waiting += more;
  by("waiting").hidden = !waiting;
  by("waiting").textContent = waiting ? `Waiting for the server.${kept() ? " Your answer is kept." : ""}` : "";
}

async function read(answer) {
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  if (answer.status < 500) throw new Refused(said.error || "gone", said.text);
  throw new Refused("closed", said.text || "The server met with a fault. Please load this page again; if that does not help, tell whoever invited you.");
}

async function post(name, body) {
  const sent = JSON.stringify(name === "join" ? body : { tab, ...body });
  const answer = await persist(async () => {
    const said = await fetch(name, { method: "POST", headers: { "Content-Type": "application/json" }, body: sent, cache: "no-store", signal: AbortSignal.timeout(20_000) });
    return new Response(await said.arrayBuffer(), { status: said.status, headers: said.headers });  // what breaks off is asked for again
  });
  return read(answer);
}

/** Say what the server refused, and stop; nothing is lost by it. */
function refuse(error) {
  if (!(error instanceof Refused)) throw error;
  over = true;
  trial.cease();
  if (error.error === "taken") return show("taken");
  by("problem-text").textContent = error.message;
  return show("problem");
}

const orRefuse = (doing) => doing.catch(refuse);

/** Tell of a time in which nobody looked. */
function gap(began, why) {
  if (session && !over) orRefuse(post("gap", { began: Math.round(began), ended: Date.now(), why }));
}

const KEPT = `answer ${location.pathname}`;
const kept = () => JSON.parse(sessionStorage.getItem(KEPT) || "null");

/** Send an answer until it has arrived; a page that is loaded again in between sends it first of all. */
async function deliver(answer) {
  sessionStorage.setItem(KEPT, JSON.stringify(answer));
  const turn = await post("answer", answer);
  sessionStorage.removeItem(KEPT);
  return turn;
}

// --- the way through ---

async function start() {
  told = await read(await persist(() => fetch("state.json", { cache: "no-store", signal: AbortSignal.timeout(20_000) })));
  document.documentElement.lang = told.language || "en";
  if (told.role === "invitation") return invite();
  return arrive();
}

function invite() {
  by("invitation-title").textContent = told.title;
  prose("consent", told.consent || "");
  show("invitation");
  by("join").addEventListener("submit", (event) => {
    event.preventDefault();
    join();
  });
}

function wrong(id, text) {
  by(`${id}-wrong`).textContent = text;
  by(`${id}-wrong`).hidden = !text;
  by(id).setAttribute("aria-invalid", String(Boolean(text)));
  if (text) by(id).focus();
}

async function join() {
  const alias = by("alias").value.trim();
  wrong("alias", /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/.test(alias) ? "" : "This cannot be an alias. Letters from a to z without accents, digits, - and _ can; the first is a letter or a digit.");
  wrong("agreed", by("agreed").checked ? "" : "Tick this box if you take part. If you do not want to, close the page: nothing has been kept.");
  if (!by("agreed").checked || !by("alias-wrong").hidden) return;
  try {
    location.replace((await post("join", { alias, agreed: true })).address);
  } catch (error) {
    if (error instanceof Refused && error.error === "invalid") wrong("alias", error.message);
    else refuse(error);
  }
}

/** Begin, or go on, as the participant of this address. */
async function arrive() {
  session = await post("open", {});
  if (session.took_over) notice("This study was open in another tab or window. It goes on here; the other one has stopped.");
  const { background } = session.protocol;
  const ink = background > 117 ? "#000" : "#fff";  // whichever has the greater contrast (WCAG 2, 1.4.3)
  document.documentElement.style.setProperty("--background", `rgb(${background}, ${background}, ${background})`);
  document.documentElement.style.setProperty("--on-background", ink);
  if (kept()) {
    await deliver(kept()).then((turn) => Object.assign(session, { answered: turn.answered, stage: turn.stage }), (error) => {
      if (!(error instanceof Refused) || error.error === "taken") throw error;  // else it is sent once more below
    });
  }
  if (session.stage === "done" || session.stage === "rest") return end(session);
  return sit();
}

function notice(text) {
  by("notice").textContent = text;
  by("notice").hidden = false;
}

/** One sitting: the screen, what is to be done, then the questions. */
async function sit() {
  if (await calibrate()) return end(session);
  ready();
  await pressed("begin");
  by("notice").hidden = true;
  stage = session.stage;
  if (kept()) {
    try {
      return await take(await deliver(kept()));
    } catch (error) {
      if (!(error instanceof Refused) || !["gone", "invalid"].includes(error.error)) throw error;
      sessionStorage.removeItem(KEPT);  // the server knows no question that it belongs to
    }
  }
  return take(await post("next", {}));
}

/** Do what the server says comes next. */
async function take(turn) {
  const mine = ++round;
  for (;;) {
    if (over || mine !== round) return undefined;
    if (turn.feedback) await trial.feedback(turn.feedback);
    const practised = stage === "practice" && turn.stage === "trials";
    stage = turn.stage;
    if (stage === "rest" || stage === "done") return end(turn);
    progress(turn);
    if (!turn.turn) {
      trial.idle("The next question is being prepared …");
      await pause(turn.retry_ms || 500);
      turn = await post("next", {});
      continue;
    }
    trial.ahead(turn.turn, turn.ahead);
    if (practised) {
      show("practised");
      await pressed("practised-over");
    }
    if (turn.break) {
      by("break-far").textContent = far(turn);
      show("break");
      if (await pressed("break-over", "break-stop") === "break-stop") return leave();
    }
    const answer = await trial.ask(turn.turn);
    turn = answer === "lost" ? await post("next", {}) : await deliver(answer).catch(unusable);
  }
}

/** Say why the server cannot use an answer, and put the question again. */
async function unusable(error) {
  if (!(error instanceof Refused) || error.error !== "invalid") throw error;
  sessionStorage.removeItem(KEPT);
  trial.idle("");
  await trial.choose("This cannot be used as an answer", error.message, [trial.button("Answer again", ["Space"], "next")]);
  return post("next", {});
}

/** End the sitting, as the participant wishes; an answer that is on its way arrives first. */
async function leave() {
  round++;
  trial.cease();
  if (kept()) {
    await deliver(kept()).catch((error) => {
      if (!(error instanceof Refused) || error.error === "taken") throw error;
    });
  }
  return end(await post("stop", {}));
}

function far({ answered, expected, minutes_left: left }) {
  const time = left === null || left === undefined ? "" : left < 1 ? ", less than a minute left" : `, about ${whole(Math.ceil(left))} min left`;
  return `${whole(answered)} of about ${whole(Math.max(expected, answered))} answered${time}.`;
}

function progress(turn) {
  by("count").textContent = turn.stage === "practice" ? "Practice" : far(turn);
  by("bar").max = Math.max(1, turn.expected, turn.answered);
  by("bar").value = turn.answered;
  by("bar").hidden = turn.stage === "practice";
}

/** End a sitting, or the study. */
async function end(state) {
  trial.cease();
  if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  if (state.stage === "done") {
    prose("thanks", session.thanks || "Thank you for taking part.");
    return show("done");
  }
  const more = session.sitting < session.sittings;
  by("rest-far").textContent = `${far(state)} This was sitting ${session.sitting} of at most ${session.sittings}.`;
  by("rest-how").hidden = by("rest-over").hidden = !more;
  show("rest");
  await pressed("rest-over");
  session = await post("open", {});
  return session.stage === "done" ? end(session) : sit();
}

// --- the screen ---

/** Begin on a whole pixel of the screen: what is blended between two of them is no longer the pattern. */
function align(element) {
  Object.assign(element.style, { position: "relative", top: "0", left: "0" });
  const box = element.getBoundingClientRect();
  const missing = (length) => (Math.ceil(length * ratio() - 0.01) - length * ratio()) / ratio();
  Object.assign(element.style, { top: `${missing(box.top + scrollY)}px`, left: `${missing(box.left + scrollX)}px` });
}

/** Draw a field of grey levels, one a pixel of the screen. */
function field(canvas, width, height, level) {
  Object.assign(canvas, { width, height });
  Object.assign(canvas.style, { width: `${width / ratio()}px`, height: `${height / ratio()}px` });
  align(canvas);
  const context = canvas.getContext("2d");
  const drawn = context.createImageData(width, height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      drawn.data.fill(level(x, y), at, at + 3);
      drawn.data[at + 3] = 255;
    }
  }
  context.putImageData(drawn, 0, 0);
}

/** Return the size of fields that fit beside each other, in pixels of the screen. */
const fieldSize = (canvas, most) => Math.floor(Math.min(most, canvas.parentElement.clientWidth) * ratio() / 4) * 4;

const sizing = {
  perCm: 0,  // pixels of the screen
  line: false,

  /** Return what is laid against the screen: how long and high, in cm. */
  thing() {
    const room = by("card-room").clientWidth - 30;
    if (this.line) return [room > 480 ? 10 : 5, 1.6];
    return room > 480 ? CARD : [CARD[1], CARD[0]];
  },

  draw() {
    const [long, high] = this.thing();
    const room = (by("card-room").clientWidth - 30) * ratio();
    const slider = by("size");
    Object.assign(slider, { min: Math.ceil(12 * long), max: Math.floor(room) });
    this.perCm = clamp(this.perCm, slider.min / long, slider.max / long);
    slider.value = Math.round(this.perCm * long);
    const said = `${this.perCm.toFixed(1)} pixels of the screen a centimetre`;
    slider.setAttribute("aria-valuetext", said);
    by("card-told").textContent = `The ${this.line ? "line" : "outline"} is ${slider.value} pixels of the screen ${this.line ? "long" : "wide"}: ${said}.`;
    Object.assign(by("outline").style, { width: `${slider.value / ratio()}px`, height: this.line ? "5.5rem" : `${high * this.perCm / ratio()}px` });
    by("outline").className = this.line ? "line" : "";
    by("outline-name").textContent = this.line ? `${long} cm` : "card";
    by("card-how").textContent = this.line
      ? `Hold a ruler, or anything that you know the length of, against the screen. Make the line exactly ${long} cm long: drag its end, move the slider, or press + and −.`
      : "Hold a bank card, or any card of that size (85.6 × 54 mm: a driving licence, a library card), against the screen. Make the outline exactly as large: drag its corner, move the slider, or press + and −.";
    by("ruler").textContent = this.line ? "I have a card after all" : "I have no card, but a ruler";
  },

  /** Set the length of what is drawn, in pixels of the screen. */
  set(length) {
    this.perCm = length / this.thing()[0];
    this.draw();
  },

  step(by_) {
    this.set(Number(by("size").value) + by_);
  },

  listen() {
    by("size").addEventListener("input", () => this.set(Number(by("size").value)));
    by("smaller").addEventListener("click", () => this.step(-1));
    by("larger").addEventListener("click", () => this.step(1));
    by("ruler").addEventListener("click", () => {
      this.line = !this.line;
      this.draw();
    });
    const handle = by("handle");
    handle.addEventListener("pointerdown", (event) => {
      const [from, length] = [event.clientX, Number(by("size").value)];
      handle.setPointerCapture(event.pointerId);
      handle.onpointermove = (move) => this.set(Math.round(length + (move.clientX - from) * ratio()));
    });
    handle.addEventListener("lostpointercapture", () => { handle.onpointermove = null; });
    document.addEventListener("keydown", (event) => {
      if (by("card").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
      const ways = { "+": 1, "=": 1, "-": -1, ...(event.target === handle ? { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 } : {}) };
      if (!(event.key in ways)) return;
      event.preventDefault();
      this.step(ways[event.key] * (event.shiftKey && event.key.startsWith("Arrow") ? 10 : 1));
    });
    addEventListener("resize", () => by("card").hidden || this.draw());
  },
};

/** Ask how large the screen is; return pixels of the screen a centimetre. */
async function measure() {
  sizing.perCm = (96 / 2.54) * ratio();  // what a CSS inch is meant to be
  by("card-distance").textContent = `${capital(sitAt())} Stay at that distance all the time.`;
  show("card");
  sizing.draw();
  await pressed("card-done");
  return sizing.perCm;
}

const sitAt = () => `sit so that your eyes are ${session.protocol.distance_cm} cm away from the screen.`;

/** Ask whether single pixels reach the eye; say whether the screen is to be measured again. */
async function check(again) {
  by("checker-step").hidden = again;
  by("checker-again").hidden = by("checker-other").hidden = !again;
  by("checker-help").hidden = true;
  by("checker-bad").setAttribute("aria-expanded", "false");
  const draw = () => {
    const other = screenNow && Math.abs(screenNow.ratio - ratio()) > 0.001;
    by("checker-ratio").hidden = !other;
    by("checker-ratio").textContent = other ? zoomed() : "";
    const canvas = by("checker-field");
    const width = fieldSize(canvas, 560);
    // 0.5 of white's light at a usual gamma of 2.2: a plain grey about as light as the dots
    field(canvas, width, Math.round(width / 4) * 2, (x, y) => (x < width / 2 ? ((x + y) & 1) * 255 : 186));
  };
  show("checker");
  draw();
  const changing = new AbortController();
  addEventListener("resize", draw, { signal: changing.signal });
  for (;;) {
    const said = await pressed("checker-done", "checker-bad", "checker-other");
    if (said !== "checker-bad") {
      changing.abort();
      return said === "checker-other";
    }
    by("checker-help").hidden = false;
    by("checker-bad").setAttribute("aria-expanded", "true");
    by("checker-help").querySelector("h2").focus();
  }
}

/** Match a grey to lines of half black and half white; return the display's gamma, null where it was skipped. */
async function matchGamma() {
  const canvas = by("gamma-field");
  const slider = by("grey");
  const gamma = () => Math.log(0.5) / Math.log(slider.value / 255);
  const draw = () => {
    const side = fieldSize(canvas, 320), [from, to] = [side / 4, side * 3 / 4];
    const inside = (at) => at >= from && at < to;
    field(canvas, side, side, (x, y) => (inside(x) && inside(y) ? Number(slider.value) : (y & 1) * 255));
    by("gamma-told").textContent = `Grey ${slider.value} of 255: a gamma of ${gamma().toFixed(2)}.`;
    slider.setAttribute("aria-valuetext", `grey ${slider.value} of 255`);
  };
  slider.value = 90 + Math.floor(Math.random() * 140);  // so that the way to the match is not always the same
  show("gamma");
  draw();
  const listening = new AbortController();
  const step = (by_) => {
    slider.value = Number(slider.value) + by_;
    draw();
  };
  slider.addEventListener("input", draw, { signal: listening.signal });
  by("darker").addEventListener("click", () => step(-1), { signal: listening.signal });
  by("lighter").addEventListener("click", () => step(1), { signal: listening.signal });
  addEventListener("resize", draw, { signal: listening.signal });
  const said = await pressed("gamma-done", "gamma-skip");
  listening.abort();
  return said === "gamma-done" ? Number(gamma().toFixed(3)) : null;
}

/** State what the screen is, measured or confirmed; say whether the study ends here. */
async function calibrate() {
  let before = screenNow || session.screen;
  for (;;) {
    if (before) screenNow = before;
    let [perCm, gamma] = before ? [before.pixels_per_cm, before.gamma] : [await measure(), null];
    if (await check(Boolean(before))) {
      before = screenNow = null;
      continue;
    }
    if (!before) gamma = await matchGamma();
    screenNow = {
      pixels_per_cm: Number(perCm.toFixed(3)), distance_cm: session.protocol.distance_cm, ratio: ratio(),
      width: Math.round(screen.width * ratio()), height: Math.round(screen.height * ratio()), gamma, depth: screen.colorDepth,
      gamut: ["rec2020", "p3"].find((name) => matchMedia(`(color-gamut: ${name})`).matches) || "srgb",
      hdr: matchMedia("(dynamic-range: high)").matches, checker: true, touch: navigator.maxTouchPoints > 0, refresh_hz: await refresh(),
    };
    try {
      session = { ...session, ...await post("screen", { screen: screenNow }), took_over: session.took_over };
      return session.stage === "done" || session.stage === "rest";
    } catch (error) {
      if (!(error instanceof Refused) || error.error !== "screen") throw error;
      before = screenNow = null;
      notice(error.message);
    }
  }
}

/** Return how often the screen is drawn anew, a second. */
async function refresh() {
  framePace = [];
  for (let i = 0, last = await frame(); i < 40; i++) {
    const now = await frame();
    framePace.push(now - last);
    last = now;
  }
  return Number((1000 / Math.max(1, median(framePace))).toFixed(1));
}

const zoomed = () => `The zoom of this page, or the screen that it is on, is not what it was when the screen was measured (${+ratio().toFixed(3)} pixels a unit, then ${+screenNow.ratio.toFixed(3)}). Set the zoom back: hold Ctrl (on a Mac Cmd) and press 0, or move the window back.`;

// --- what is to be done ---

function usual() {
  const { presentation, show_ms: ms } = session.protocol;
  const several = session.pictures > 1;
  const how = {
    "side-by-side": several ? "You see pictures side by side" : "You see a picture",
    "in-turns": several ? "You see pictures one after the other, in the same place" : "You see a picture",
    flicker: "You see pictures that take turns in the same place, quickly",
  }[presentation];
  const long = ms ? `, for ${+(ms / 1000).toFixed(2)} seconds${presentation === "in-turns" && several ? " each" : ""}` : presentation === "in-turns" && several ? ": press the space bar, or the button, for the next" : ", for as long as you like";
  return `${how}${long}. Look at them, then answer the question above them with a key or a button. There is no need to hurry. If you cannot tell, answer as well as you can.`;
}

function ready() {
  const { presentation, flicker_hz: hz, confidence, minutes } = session.protocol;
  const flickers = presentation === "flicker" && session.pictures > 1;
  prose("instructions", session.instructions || usual());
  by("ready-step").textContent = session.sitting > 1 ? `Sitting ${session.sitting} of at most ${session.sittings}` : "";
  by("flickers").hidden = !flickers;
  by("flickers").textContent = flickers ? `The pictures flicker: they change ${hz} times a second.${hz > PHOTOSENSITIVE ? " Flickering light can cause seizures in people with photosensitive epilepsy. If you have ever had a seizure, or flickering light makes you unwell, do not take part: close this page. Stop at once if you feel unwell." : ""}` : "";
  by("ready-plan").textContent = [
    session.stage === "practice" ? "First come some questions for practice; after each you are told whether you were right." : "",
    confidence.length ? "After each answer you are asked how sure you are." : "",
    minutes ? `This takes about ${whole(Math.max(1, Math.ceil(session.minutes_left ?? minutes)))} min.` : "",
    `You can stop at any time: what you have answered is kept. ${capital(sitAt())}`,
  ].filter(Boolean).join(" ");
  show("ready");
  const roomy = () => {
    const short = trial.lacking(trial.needs(Array.from({ length: session.pictures }, () => session.largest), true));
    by("ready-room").hidden = !short;
    by("ready-room").textContent = short;
  };
  roomy();
  const listening = new AbortController();
  addEventListener("resize", () => (by("ready").hidden ? listening.abort() : roomy()), { signal: listening.signal });
}

// --- the questions ---

const trial = {
  presented: null,
  images: [],
  places: [],  // labels below pictures
  fetched: new Map(),  // id -> promise of images
  run: 0,  // counts showings: frames of an earlier one do nothing
  showing: false,  // pictures are due, and no answer has been given
  open: false,  // an answer is taken
  given: null,
  settle: null,  // ends the promise of the answer
  steps: null,  // while buttons ask for something else than the question: what a key does
  turned: false,  // the participant went on to the next picture
  next: () => {},
  pointer: null,  // where and when a pointer went down last

  /** Fetch and decode the pictures of a question, once. */
  fetch(presented) {
    if (!this.fetched.has(presented.id)) {
      const load = async ({ address, width, height }, i) => {
        const answer = await persist(async () => {
          const said = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(60_000) });
          return new Response(await said.arrayBuffer(), { status: said.status, headers: said.headers });
        });
        if (!answer.ok) throw new Refused("gone", "A picture is not there.");
        const image = make("img", { alt: `Picture ${i + 1} of ${presented.pictures.length}`, draggable: false, src: URL.createObjectURL(await answer.blob()) });
        await image.decode();
        if (image.naturalWidth !== width || image.naturalHeight !== height) throw new Refused("gone", "A picture is not of the size that it should have.");
        return image;
      };
      this.fetched.set(presented.id, Promise.all(presented.pictures.map(load)));
    }
    return this.fetched.get(presented.id);
  },

  /** Fetch the pictures that are due, then those that come after them; let go of all others. */
  ahead(due, next) {
    for (const id of this.fetched.keys()) if (id !== due.id && id !== next?.id) this.forget(id);
    this.fetch(due).then(() => next && this.fetch(next).catch(() => this.forget(next.id)), () => {});
  },

  forget(id) {
    this.fetched.get(id)?.then((images) => images.forEach((image) => URL.revokeObjectURL(image.src)), () => {});
    this.fetched.delete(id);
  },

  /** Put a question, its pictures under the cover; the answer comes when one is given. */
  async ask(presented) {
    const mine = round;
    this.presented = presented;
    this.given = null;
    this.idle(presented.text);
    this.put(presented.text, this.form(presented.form));
    this.hold(true);
    try {
      this.images = await this.fetch(presented);
      await Promise.all(this.images.map((image) => image.decode()));  // browsers forget what they do not show
    } catch (error) {
      this.forget(presented.id);
      if (!(error instanceof Refused) && !(error instanceof DOMException)) throw error;
      this.hint("A picture could not be loaded. The question is asked for again …");
      await pause(1000);
      return "lost";  // the server says what is shown instead
    }
    if (over || mine !== round) return new Promise(() => {});
    const labels = presented.form.kind === "places" && session.protocol.presentation === "side-by-side";
    this.places = labels ? this.images.map((_, i) => make("p", { className: "place", textContent: String(i + 1) })) : [];
    by("stage").replaceChildren(by("cover"), ...this.images, ...this.places);
    const answered = new Promise((go) => { this.settle = go; });
    this.showing = true;
    this.begin();
    const answer = await answered;
    this.showing = false;
    this.forget(presented.id);
    return answer;
  },

  /** Show the section of questions with nothing to look at. */
  idle(text) {
    this.run++;
    this.showing = this.open = false;
    this.images = [];
    by("stage").replaceChildren(by("cover"));
    if (by("trial").hidden && by("stopping").hidden) show("trial");
    this.put(text, []);
  },

  put(text, controls, asking = false) {
    this.steps = null;
    by("trial").classList.toggle("asking", asking);
    const question = by("question");
    if (question.textContent !== text) question.textContent = text;
    by("answers").replaceChildren(...controls);
    this.hint("");
    question.tabIndex = question.scrollHeight > question.clientHeight + 1 ? 0 : -1;
    question.focus({ preventScroll: true });
  },

  hint(text) {
    if (by("hint").textContent !== text) by("hint").textContent = text;
  },

  /** Take no answer yet; a button that is disabled would lose the focus. */
  hold(wait) {
    this.open = !wait;
    for (const one of by("answers").querySelectorAll("button, input")) if (one.id !== "turn-next") one.setAttribute("aria-disabled", String(wait));
  },

  cease() {
    this.run++;
    this.showing = this.open = false;
    this.images = this.places = [];
    by("stage").replaceChildren(by("cover"));
  },

  // --- forms of answers ---

  button(label, keys, value, name) {
    const made = make("button", { type: "button" }, ...keys.map((key) => make("kbd", { textContent: key })), label);
    made.dataset.value = value;
    if (keys.length) made.dataset.key = keys[0].toLowerCase();
    if (name) made.setAttribute("aria-label", name);
    return made;
  },

  form(form) {
    if (form.kind === "buttons") return form.options.map(({ value, label, key }) => this.button(label, key ? [key.toUpperCase()] : [], value));
    if (form.kind === "places") {
      if (form.count === 2) return ["the first", "the second"].map((name, i) => this.button(name, [String(i + 1)], String(i + 1)));
      return Array.from({ length: form.count }, (_, i) => {
        const made = this.button(String(i + 1), [], String(i + 1), `number ${i + 1}`);
        if (i < 9) made.dataset.key = String(i + 1);  // the label is the key
        return made;
      });
    }
    if (form.kind === "cell") {
      const cells = make("div", { className: "cells" });
      cells.style.gridTemplateColumns = `repeat(${form.columns}, auto)`;
      for (let row = 1; row <= form.rows; row++) {
        for (let column = 1; column <= form.columns; column++) cells.append(this.button(`${row},${column}`, [], `${row},${column}`, `${row},${column}: row ${row}, column ${column}`));
      }
      cells.addEventListener("keydown", (event) => this.walk(event, form.columns));
      return [cells];
    }
    const field = make("input", { type: "text", id: "typed", maxLength: 200, autocomplete: "off", spellcheck: false, inputMode: form.kind === "number" ? "decimal" : "text" });
    const made = make("form", { noValidate: true }, make("label", { htmlFor: "typed", textContent: form.kind === "number" ? "A number" : "Your answer" }), field, make("button", { type: "submit", textContent: "Answer" }));
    made.addEventListener("submit", (event) => {
      event.preventDefault();
      const typed = field.value.trim();
      const good = form.kind === "number" ? typed !== "" && Number.isFinite(Number(typed.replace(",", "."))) : typed !== "";
      if (good) this.give(typed, event.timeStamp);
      else if (this.open) this.hint(form.kind === "number" ? "Type a number, then press Enter." : "Type your answer, then press Enter.");
    });
    return [made];
  },

  /** Go about a grid of cells with the arrow keys. */
  walk(event, columns) {
    const ways = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const cells = [...event.currentTarget.children];
    const to = cells[cells.indexOf(event.target) + ways[event.key]];
    if (!to) return;
    event.preventDefault();
    to.focus();
  },

  /** Ask for something else than the question, with the same buttons and keys; return the value and when it came. */
  choose(text, hint, buttons) {
    this.put(text, buttons, true);
    this.hint(hint);
    this.hold(false);
    return new Promise((go) => { this.steps = (value, at) => { this.steps = null; this.open = false; go({ value, at }); }; });
  },

  async feedback({ right, text }) {
    if (over) return;
    this.idle("");
    await this.choose(right ? "✓ Right" : "✗ Not right", text || "", [this.button("Next", ["Space"], "next")]);
  },

  // --- where pictures stand ---

  /** Return the room that pictures take, in pixels of the screen, and how many stand in a row. */
  needs(sizes, labelled = this.places.length > 0) {
    const { zoom, presentation } = session.protocol;
    const [width, height] = [0, 1].map((i) => Math.max(0, ...sizes.map((size) => size[i])) * zoom);
    const count = presentation === "side-by-side" ? sizes.length : 1;
    const columns = count > 3 ? Math.ceil(Math.sqrt(count)) : count;  // the same in every window: it is part of what is seen
    const rows = Math.ceil(count / columns), gap = Math.round(GAP * ratio());
    const label = labelled && presentation === "side-by-side" ? Math.ceil(LABEL * ratio()) : 0;
    return { width, height, columns, gap, label, whole: [columns * width + (columns - 1) * gap, rows * (height + label) + (rows - 1) * gap] };
  },

  /** Return the room there is, in pixels of the screen: from the first whole one to the last. */
  room() {
    const hidden = by("trial").hidden;
    by("trial").hidden = false;  // laid out and not drawn: no frame comes between
    const box = by("stage").getBoundingClientRect();
    by("trial").hidden = hidden;
    const [left, top, right, bottom] = [box.left, box.top, box.right, box.bottom].map((length) => length * ratio());
    const first = (length) => Math.ceil(length - 0.01);
    return { left: first(left), top: first(top), width: Math.floor(right + 0.01) - first(left), height: Math.floor(bottom + 0.01) - first(top), box };
  },

  /** Return what is said where pictures do not fit; "" where they do. */
  lacking({ whole: [width, height] }) {
    const empty = !by("answers").childElementCount;
    if (empty) by("answers").append(this.button("…", [], ""));  // a row that will be there
    const room = this.room();
    if (empty) by("answers").replaceChildren();
    if (width <= room.width && height <= room.height) return "";
    const wide = width <= screen.width * ratio() && height <= (screen.height - 150) * ratio();
    const what = wide ? "Make the window larger, or choose full screen." : screen.width < screen.height && width > height && width <= screen.height * ratio() ? "Turn the device, and choose full screen." : "This screen is too small for them even in full: please use a larger one.";
    return `The pictures need ${whole(width)} × ${whole(height)} pixels of the screen, and this window has room for ${whole(Math.max(0, room.width))} × ${whole(Math.max(0, room.height))}. They are never made smaller, because that would change them. ${what}`;
  },

  /** Return why pictures cannot be shown as they are now; null where they can. */
  obstacle() {
    if (Math.abs((window.visualViewport?.scale ?? 1) - 1) > 0.001) return ["The page is enlarged", "Pinch until nothing is enlarged: pictures are shown at their own size only."];
    if (Math.abs(screenNow.ratio - ratio()) > 0.001) return ["The zoom has changed", zoomed()];
    const short = this.lacking(this.needs(this.images.map((image) => [image.naturalWidth, image.naturalHeight])));
    return short ? ["The window is too small", short] : null;
  },

  /** Put every picture on whole pixels of the screen; say whether all of them are. */
  layOut() {
    const { zoom } = session.protocol;
    const needs = this.needs(this.images.map((image) => [image.naturalWidth, image.naturalHeight]));
    const room = this.room();
    const origin = [room.left + Math.floor((room.width - needs.whole[0]) / 2), room.top + Math.floor((room.height - needs.whole[1]) / 2)];
    const place = (element, left, top) => Object.assign(element.style, { left: `${left / ratio() - room.box.left}px`, top: `${top / ratio() - room.box.top}px` });
    this.images.forEach((image, i) => {
      const at = session.protocol.presentation === "side-by-side" ? i : 0;
      const left = origin[0] + (at % needs.columns) * (needs.width + needs.gap);
      const top = origin[1] + Math.floor(at / needs.columns) * (needs.height + needs.gap + needs.label);
      const size = [image.naturalWidth * zoom, image.naturalHeight * zoom];
      Object.assign(image.style, { width: `${size[0] / ratio()}px`, height: `${size[1] / ratio()}px` });
      place(image, left + Math.floor((needs.width - size[0]) / 2), top + Math.floor((needs.height - size[1]) / 2));
      const label = this.places[i];
      if (!label) return;
      place(label, left, top + needs.height + 2 * ratio());
      label.style.width = `${needs.width / ratio()}px`;
    });
    this.layout = this.signature();
    const near = (length) => Math.abs(length * ratio() - Math.round(length * ratio())) < 0.1;
    return this.images.every((image) => {
      const box = image.getBoundingClientRect();
      return [box.left, box.top, box.width, box.height].every(near) && Math.round(box.width * ratio()) === image.naturalWidth * zoom;
    });
  },

  /** Return all that decides where pictures stand on the screen. */
  signature() {
    const view = window.visualViewport, box = by("stage").getBoundingClientRect();
    return [innerWidth, innerHeight, ratio(), scrollX, scrollY, view?.scale, view?.offsetLeft, view?.offsetTop, box.left, box.top, box.width, box.height].map((one) => one ?? 0);
  },

  /** Say whether pictures do not stand any more where they were put; a box of the same size may come out 1/128 px larger. */
  moved() {
    return this.signature().some((one, i) => Math.abs(one - this.layout[i]) > 0.05);
  },

  // --- time ---

  /** Return what is shown, step by step: for how long, and what ends it otherwise. */
  plan() {
    const { presentation, show_ms: ms, blank_ms: blank, flicker_hz: hz } = session.protocol;
    const all = this.images.map((_, i) => i);
    const long = ms || Infinity;
    const after = { ms: Infinity, shown: () => [], over: true };
    if (presentation === "in-turns" && all.length > 1) {
      const turns = all.flatMap((i) => [{ ms: blank, shown: () => [] }, { ms: long, shown: () => [i], next: !ms }]);
      return ms ? [...turns, after] : turns;  // which go round until the answer
    }
    if (presentation === "flicker") return [{ ms: blank, shown: () => [] }, { ms: long, shown: (since) => [Math.floor((since + this.half()) * hz / 1000) % all.length] }, after];
    return [{ ms: blank, shown: () => [] }, { ms: long, shown: () => all }, after];
  },

  /** Return when the frame began that is being made: where a busy computer calls late, it is a later one than the stamp's. */
  due(stamp) {
    const pace = 2 * this.half();
    return stamp + Math.max(0, Math.floor((performance.now() - stamp) / pace)) * pace;
  },

  half: () => (framePace.length ? median(framePace) / 2 : 8),

  cover() {
    for (const image of this.images) image.classList.remove("shown");
    for (const label of this.places) label.hidden = true;
  },

  /** Show the pictures from the beginning, with a fresh clock. */
  async begin() {
    const run = ++this.run;
    const plan = this.plan();
    this.cover();
    this.hold(true);
    this.turned = false;
    this.askNext(plan[0], false);  // all that takes room is there before the pictures are laid out
    if (!by("stopping").hidden) return undefined;  // it begins when that is settled
    if (by("trial").hidden) show("trial");
    if (document.hidden) return this.pauseBy("Paused", "This page was hidden.", false);
    const obstacle = this.obstacle();
    if (obstacle) return this.pauseBy(...obstacle, true);
    if (!this.layOut()) return this.pauseBy("The pictures cannot be shown as they are", "They would not stand on whole pixels of this screen. Set the zoom of the page to 100 % (hold Ctrl, on a Mac Cmd, and press 0).", true);
    await frame();  // in which they are drawn, under the cover
    await frame();
    if (run !== this.run) return undefined;
    return this.watch(run, plan);
  },

  watch(run, plan) {
    const met = new Set();
    const clock = { first: null, visible: 0, frames: 0, from: null };
    let [step, began, last, before] = [0, null, null, []];
    this.given = null;
    this.clock = clock;
    const tick = (stamp) => {
      if (run !== this.run) return undefined;
      const now = this.due(stamp);
      if (clock.from !== null) clock.frames++;
      if (this.given) return this.finish(now);
      if (last !== null) {
        if (now - last > ASLEEP) return this.disturb("asleep", Date.now() - (now - last));
        framePace.push(now - last);
        if (framePace.length > 240) framePace.shift();
      }
      last = now;
      if (this.moved()) return this.disturb("resized", Date.now());
      began ??= now;
      const half = this.half();
      const since = now - began;
      if (since >= plan[step].ms - half || this.turned) {
        this.turned = false;
        step = (step + 1) % plan.length;
        began = now;
        if (!plan[step].ms) step = (step + 1) % plan.length;
        if (plan[step].over && met.size < this.images.length) return this.begin();  // too few frames came to show all of them
        this.askNext(plan[step], met.size === this.images.length);
      }
      const shown = plan[step].shown(now - began);
      if (shown.join() !== before.join()) {
        this.images.forEach((image, i) => image.classList.toggle("shown", shown.includes(i)));
        for (const label of this.places) label.hidden = !shown.length;
        if (shown.length && clock.from === null) clock.from = now;
        if (!shown.length && clock.from !== null) {
          clock.visible += now - clock.from;
          clock.from = null;
        }
        if (shown.length) clock.first ??= now;
        before = shown;
        for (const i of shown) met.add(i);
      }
      if (!this.open && met.size === this.images.length && step) {
        clock.first ??= now;  // of a question without pictures
        this.hold(false);
        this.hint("");
        if (matchMedia("(hover: hover)").matches) by("typed")?.focus({ preventScroll: true });  // else a keyboard would cover the screen
        say("Answer now.");
      }
      return requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  },

  /** Offer to go to the next picture, where people go at their own pace. */
  askNext(step, all) {
    const button = by("turn-next");
    const wait = this.images.length > 1 && !all ? "Look at each picture, then answer." : "";
    if (session.protocol.presentation === "in-turns" && !session.protocol.show_ms && this.images.length > 1) {
      if (!button) by("answers").prepend(Object.assign(this.button("Show the next", ["Space"], "next"), { id: "turn-next" }));
      by("turn-next").setAttribute("aria-disabled", String(!step.next));
      this.next = step.next ? () => { this.turned = true; } : () => {};
    }
    this.hint(wait);
  },

  /** Take an answer, if it is time for one; the pictures are covered in the next frame. */
  give(value, at) {
    if (this.steps) return this.steps(value, at);
    if (!this.open || this.given || !this.showing) return undefined;
    this.given = { value, at };
    this.hold(true);
    return undefined;
  },

  /** Cover the pictures and hand the answer over; `now` is the frame in which they go, or the last moment before the page was hidden. */
  async finish(now = performance.now()) {
    const { clock, given, presented } = this;
    this.run++;
    this.showing = this.open = false;
    if (clock.from !== null) clock.visible += now - clock.from;
    this.cover();
    const { confidence } = session.protocol;
    const answer = {
      id: presented.id, value: given.value, confidence: null, shown_at: Math.round(Date.now() - (performance.now() - clock.first)), ms_shown: Number(clock.visible.toFixed(2)),
      reaction_time_ms: Number(Math.max(0, given.at - clock.first).toFixed(2)), frames: clock.frames, frame_ms: Number((this.half() * 2).toFixed(3)),
    };
    if (confidence.length) {
      sessionStorage.setItem(KEPT, JSON.stringify(answer));  // if the page is loaded again now, the answer stands
      const { value } = await this.choose("How sure are you?", "", confidence.map((name, i) => this.button(name, [String(i + 1)], String(i))));
      answer.confidence = Number(value);
    }
    say("");
    this.settle(answer);
  },

  // --- what comes between ---

  /** Cover what is shown, tell of the gap, and begin again when it is over. */
  async disturb(why, began) {
    const run = ++this.run;
    this.cover();
    this.hold(true);
    if (why === "asleep") {
      gap(began, why);
      return this.pauseBy("Welcome back", "The computer or this page was asleep. The question begins again.", false);
    }
    for (let before = ""; before !== this.signature().join();) {
      before = this.signature().join();
      await pause(QUIET);
    }
    gap(began, why);
    if (run === this.run && this.showing) return this.begin();
    return undefined;
  },

  /** Say why nothing is shown, until the participant goes on. */
  async pauseBy(title, text, obstructed) {
    const run = ++this.run;
    by("paused-title").textContent = title;
    by("paused-text").textContent = text;
    by("check-again").hidden = title !== "The zoom has changed";
    show("paused");
    const listening = new AbortController();
    const look = () => {
      const still = this.obstacle();
      by("paused-text").textContent = still ? still[1] : "That is right now. The question begins again.";
    };
    if (obstructed) for (const [whose, name] of [[window, "resize"], [window.visualViewport, "resize"], [document, "fullscreenchange"]]) whose?.addEventListener(name, () => setTimeout(look, 50), { signal: listening.signal });
    const said = await pressed("go-on", "check-again");
    listening.abort();
    if (run !== this.run || over) return undefined;
    return said === "check-again" ? orRefuse(this.checkAgain()) : this.begin();
  },

  async checkAgain() {
    screenNow = null;
    return await calibrate() ? end(session) : this.begin();
  },

  async askToStop() {
    if (!this.showing && !this.steps) return leave();  // nothing is asked that would be lost
    const asking = this.steps;
    this.run++;
    this.cover();
    this.open = false;
    show("stopping");
    if (await pressed("stop-no", "stop-yes") === "stop-yes") return leave();
    show("trial");
    if (asking) this.open = true;
    else if (this.showing) this.begin();
    return undefined;
  },

  listen() {
    by("stop").addEventListener("click", () => orRefuse(this.askToStop()));
    by("answers").addEventListener("pointerdown", (event) => { this.pointer = { on: event.target.closest("button"), at: event.timeStamp }; });
    by("answers").addEventListener("click", (event) => {
      const button = event.target.closest("button[data-value]");
      // What keys do is heard below, when they go down; some browsers send a click after it. Others' clicks of no detail
      // come from a voice or a screen reader, and count.
      if (!button || (!event.detail && event.timeStamp - this.keyed < 1000)) return;
      by("question").focus({ preventScroll: true });  // else the space bar would press it again
      const at = this.pointer?.on === button ? this.pointer.at : event.timeStamp;
      this.press(button, at);
    });
    document.addEventListener("keydown", (event) => {
      if (by("trial").hidden || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
      const focused = event.target instanceof Element ? event.target.closest("button, input") : null;
      if (focused?.tagName === "INPUT" || focused?.id === "stop") return;
      this.keyed = event.timeStamp;
      const confirm = event.key === " " || event.key === "Enter";
      if (confirm && focused?.dataset.value !== undefined) {
        event.preventDefault();
        return this.press(focused, event.timeStamp);
      }
      const key = event.key === " " ? "space" : event.key.toLowerCase();
      const button = [...by("answers").querySelectorAll("button[data-key]")].find((one) => one.dataset.key === key || (key === "enter" && one.dataset.value === "next" && one.id !== "turn-next"));
      if (!button) return;
      event.preventDefault();
      this.press(button, event.timeStamp);
    });
  },

  press(button, at) {
    if (button.id === "turn-next") this.next();
    else this.give(button.dataset.value, at);
  },

  keyed: -Infinity,  // when a key was last pressed, as events count
};

// --- the tab ---

/** Return the name of this tab: kept while the page is loaded again, and never shared with a copy of the tab. */
function ownTab() {
  const before = sessionStorage.getItem("tab");
  sessionStorage.removeItem("tab");
  addEventListener("pagehide", () => sessionStorage.setItem("tab", tab));
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  return before || Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

let hiddenSince = null;

function watchTab() {
  document.addEventListener("visibilitychange", () => {
    if (!session || over) return;
    beat();
    if (document.hidden) {
      hiddenSince = Date.now();
      if (trial.given && trial.showing) trial.finish();
      else if (trial.showing && by("paused").hidden && by("stopping").hidden) {
        trial.pauseBy("Welcome back", "This page was hidden. The question begins again.", false);
        trial.cover();
      }
    } else if (hiddenSince !== null) {
      gap(hiddenSince, "hidden");
      hiddenSince = null;
    }
  });
  let last = Date.now(), seen = !document.hidden;
  setInterval(() => {  // frames stop with the computer; where none are counted, this is how it is noticed
    const jump = Date.now() - last;
    if (jump > ASLEEP + 1000 && seen && !document.hidden && !trial.showing) gap(last, "asleep");
    [last, seen] = [Date.now(), !document.hidden];
  }, 1000);
  setInterval(beat, BEAT);
}

async function beat() {
  if (!session || over || beat.under) return;
  beat.under = true;
  try {
    const said = await fetch("beat", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ tab, hidden: document.hidden }), cache: "no-store", signal: AbortSignal.timeout(4000) });
    if (said.status === 409) await read(said);
  } catch (error) {
    if (error instanceof Refused && error.error === "taken" && !over) refuse(error);
  } finally {
    beat.under = false;
  }
}

function wholeScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen({ navigationUI: "hide" }).catch(() => {});
}

for (const button of document.querySelectorAll(".whole")) {
  button.hidden = !document.fullscreenEnabled;
  button.addEventListener("click", wholeScreen);
}
document.addEventListener("fullscreenchange", () => {
  for (const button of document.querySelectorAll(".whole")) button.textContent = document.fullscreenElement ? "Leave full screen" : "Full screen";
});
by("take-back").addEventListener("click", () => location.reload());
by("problem-again").addEventListener("click", () => location.reload());
// The policy allows no icon that is written down in the page, and without one the browser asks the server's root for it.
document.head.append(make("link", { rel: "icon", href: URL.createObjectURL(new Blob(['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 1"><path d="M0 0h1v1H0z" fill="#555"/><path d="M1 0h1v1H1z" fill="#aaa"/></svg>'], { type: "image/svg+xml" })) }));
tab = ownTab();
sizing.listen();
trial.listen();
watchTab();
orRefuse(start());
