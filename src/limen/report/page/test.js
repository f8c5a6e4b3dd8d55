"use strict";
// The same test: pairs that a model has answered, put to the person in front of the page. Nothing leaves it.

const TRIALS = 30;
const IDENTICAL = 6;

const part = (name) => document.getElementById(`test-${name}`);

/** Return a generator of numbers in [0, 1) from a 32-bit seed (mulberry32). */
function numbers(seed) {
  let at = seed >>> 0;
  return () => {
    at = (at + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(at ^ (at >>> 15), at | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled(items, random) {
  const mixed = [...items];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
  }
  return mixed;
}

/** Return the 95 % Wilson interval of k of n. */
function wilson(k, n) {
  const z = 1.959963984540054;
  const middle = (k + (z * z) / 2) / (n + z * z);
  const half = (z / (n + z * z)) * Math.sqrt((k * (n - k)) / n + (z * z) / 4);
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/** Return every pair with pictures that this observer was asked about under this distortion, and what it said. */
function answeredPairs(o, d) {
  const pairs = [];
  book.series.forEach((series, s) => {
    const talk = series.d === d && series.pictures ? talkOf(o, s) : null;
    for (const [reference, level, drawn, flag] of talk ? talk.probes : []) {
      const there = series.pictures[reference] !== undefined && series.pictures[level] !== undefined;
      const readable = flag === "yes" || flag === "no";
      if (there && !drawn && readable) pairs.push({ s, reference, level, model: flag, near: nearness(talk, reference, level) });
    }
  });
  return pairs;
}

/** Return how far a level lies from the JND that follows its reference, in shares of that step; far where there is none. */
function nearness(talk, reference, level) {
  const jnd = talk.steps.find((one) => one[2] === reference);
  return jnd ? Math.abs(level - jnd[1]) / Math.max(1, jnd[1] - reference) : 2;
}

/** Choose pairs: identical ones, and different ones around the JNDs, the first JND's before later ones'. */
function choose(o, d, seed) {
  const random = numbers(seed);
  const all = answeredPairs(o, d);
  const same = shuffled(all.filter((pair) => pair.reference === pair.level), random).slice(0, IDENTICAL);
  const differ = shuffled(all.filter((pair) => pair.reference < pair.level), random);
  const rank = (pair) => (pair.reference ? 2 : 0) + (pair.near > 0.6 ? 1 : 0);
  // Yes and no of the model in equal parts where there are both, so that neither answer is the safe one.
  const sides = ["yes", "no"].map((flag) => differ.filter((pair) => pair.model === flag).sort((one, other) => rank(one) - rank(other)));
  const chosen = [];
  while (chosen.length < TRIALS - IDENTICAL && (sides[0].length || sides[1].length)) {
    const side = sides[chosen.length % 2].length ? sides[chosen.length % 2] : sides[(chosen.length + 1) % 2];
    chosen.push(side.shift());
  }
  return shuffled([...same, ...chosen], random);
}

const test = {
  seed: 0,
  pairs: [],
  said: [],
  shownAt: 0,

  listen() {
    this.fresh();
    part("fresh").addEventListener("click", () => this.fresh());
    part("seed").addEventListener("change", () => this.offer(part("seed").value));
    part("start").addEventListener("click", () => this.start());
    part("yes").addEventListener("click", () => this.answer("yes"));
    part("no").addEventListener("click", () => this.answer("no"));
    part("stop").addEventListener("click", () => this.end());
    part("run").addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
      const action = { y: () => this.answer("yes"), n: () => this.answer("no"), Escape: () => this.end() }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (action) { event.preventDefault(); action(); }
    });
    addEventListener("resize", () => part("run").hidden || this.layOut());
  },

  fresh() {
    this.offer(String(Math.floor(Math.random() * 4294967296)));
  },

  /** Take a seed; a test under way goes on. */
  offer(seed) {
    this.seed = /^\d{1,10}$/.test(seed || "") ? Number(seed) >>> 0 : this.seed;
    part("seed").value = String(this.seed);
  },

  start() {
    const { o, d } = state;
    const lane = book.lanes[o];
    this.o = o;
    this.d = d;
    this.pairs = lane.testable ? choose(o, d, this.seed) : [];
    this.said = [];
    part("end").hidden = true;
    part("note").textContent = "";
    if (!lane.testable) part("note").textContent = "This test is for questions whose yes says that two pictures differ.";
    else if (!this.pairs.some((pair) => pair.reference < pair.level)) part("note").textContent = `No pair of ${book.distortions[d].name} that ${lane.name} has answered has pictures in this page. Choose another distortion.`;
    if (part("note").textContent) return;
    remember(`#test/${new URLSearchParams({ o, d, s: this.seed })}`);
    part("question").textContent = `“${lane.wordings[d].replace(/ Please return.*| ?A\. Yes.*/s, "")}”`;
    part("bar").max = this.pairs.length;
    part("run").hidden = false;
    this.show();
    part("run").focus({ preventScroll: true });
    part("run").scrollIntoView({ block: "nearest" });
  },

  show() {
    const pair = this.pairs[this.said.length];
    const series = book.series[pair.s];
    part("a").src = source(series.pictures[pair.reference]);
    part("b").src = source(series.pictures[pair.level]);
    part("count").textContent = `Pair ${this.said.length + 1} of ${this.pairs.length}`;
    part("bar").value = this.said.length;
    this.shownAt = performance.now();
    Promise.all([part("a").decode(), part("b").decode()]).then(() => this.layOut(), () => {
      part("note").textContent = "A picture could not be loaded. Is the folder of stimuli beside the page?";
    });
  },

  layOut() {
    const zoom = zoomFor(part("a"), part("a").closest("figure").clientWidth, innerHeight * 0.6);
    for (const name of ["a", "b"]) fit(part(name), zoom);
  },

  answer(you) {
    if (part("run").hidden) return;
    const pair = this.pairs[this.said.length];
    this.said.push({ ...pair, you, seconds: Number(((performance.now() - this.shownAt) / 1000).toFixed(2)) });
    if (this.said.length < this.pairs.length) this.show();
    else this.end();
  },

  end() {
    part("run").hidden = true;
    if (!this.said.length) return part("start").focus();
    part("end").replaceChildren(...this.result());
    part("end").hidden = false;
    part("end").focus({ preventScroll: true });
    part("end").scrollIntoView({ block: "nearest" });
    return undefined;
  },

  // --- the result ---

  result() {
    const lane = book.lanes[this.o].name;
    const same = this.said.filter((trial) => trial.reference === trial.level);
    const differ = this.said.filter((trial) => trial.reference < trial.level);
    const agreed = this.said.filter((trial) => trial.you === trial.model);
    return [
      make("h4", { textContent: `You beside ${lane}: ${this.said.length} pairs of ${book.distortions[this.d].name}` }),
      table(["", "you", "model"], [
        ["differences noticed (hits)", share(differ, "you"), share(differ, "model")],
        ["yes to identical pairs (false alarms)", share(same, "you"), share(same, "model")],
      ]),
      make("p", { textContent: `The same answer on ${counted(agreed.length, this.said.length)}.` }),
      make("p", { className: "note", textContent: "In brackets: 95 % Wilson intervals. You are not a calibrated observer on a calibrated screen: distance, light, brightness and time decide what can be seen. The pairs were chosen around the model's thresholds, not yours, as many that it noticed as that it did not where there are both: its share of hits is by design." }),
      levels(differ),
      make("details", {}, make("summary", { textContent: "Every pair" }), table(["pair", "level", "compared with", "you", "model", "seconds", ""], this.said.map((trial, i) => this.row(trial, i)))),
      make("div", { className: "look-row" }, button("Save the answers (JSON)", () => this.save()), button("Once more", () => this.start())),
    ];
  },

  row(trial, i) {
    const { s, level, reference } = trial;
    const view = button("look", () => {
      change({ o: this.o, d: this.d, r: book.series[s].r, l: level, a: reference });
      look("title").scrollIntoView();
    }, "look-go");
    view.setAttribute("aria-label", `Look at pair ${i + 1}`);
    return [book.references[book.series[s].r], String(level), String(reference), trial.you, trial.model, String(trial.seconds), view];
  },

  save() {
    const content = {
      limen: book.limen,
      observer: book.lanes[this.o].name,
      distortion: book.distortions[this.d].name,
      question: book.lanes[this.o].wordings[this.d],
      seed: this.seed,
      trials: this.said.map(({ s, reference, level, you, model, seconds }) => ({ picture: book.references[book.series[s].r], reference, level, you, model, seconds })),
    };
    const url = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
    make("a", { href: url, download: `limen-test-${this.seed}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  },
};

function counted(k, n) {
  if (!n) return "none shown";
  const [low, high] = wilson(k, n);
  return `${k} of ${n} [${Math.round(low * 100)} to ${Math.round(high * 100)} %]`;
}

function share(trials, who) {
  return counted(trials.filter((trial) => trial[who] === "yes").length, trials.length);
}

function table(heads, rows) {
  const cells = (tag, items) => items.map((item, i) => {
    const cell = make(i || tag === "th" ? tag : "th", {}, item);
    if (cell.tagName === "TH") cell.scope = tag === "th" ? "col" : "row";
    return cell;
  });
  const head = make("thead", {}, make("tr", {}, ...cells("th", heads).map((cell) => (cell.textContent ? cell : make("td")))));
  const body = make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells("td", row))));
  const box = make("div", { className: "scroll look-bars", tabIndex: 0 }, make("table", {}, head, body));
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", `Table: ${heads.filter(Boolean).join(", ")}`);
  return box;
}

/** Return the shares of yes by level, you above the model, in up to eight groups of levels. */
function levels(trials) {
  const sorted = [...trials].sort((one, other) => one.level - other.level);
  const groups = Math.min(8, Math.max(1, Math.floor(sorted.length / 3)));
  const rows = [];
  for (let i = 0, from = 0; i < groups; i++) {
    let to = Math.round(((i + 1) * sorted.length) / groups);
    while (to < sorted.length && sorted[to].level === sorted[to - 1].level) to++; // a level is never split
    const group = sorted.slice(from, to);
    if (!group.length) continue;
    from = to;
    const ends = [group[0].level, group.at(-1).level];
    rows.push([ends[0] === ends[1] ? `${ends[0]}` : `${ends[0]} to ${ends[1]}`, bar(group, "you"), bar(group, "model")]);
  }
  return make("div", {}, make("p", { className: "small", textContent: "Yes by level, on different pairs:" }), table(["level", "you", "model"], rows));
}

function bar(trials, who) {
  const yes = trials.filter((trial) => trial[who] === "yes").length;
  const drawn = make("span", { className: `look-bar ${who}` }, make("i", { style: { "--share": yes / trials.length } }));
  drawn.setAttribute("aria-hidden", "true");
  return make("div", {}, drawn, make("span", { className: "small", textContent: `${yes} of ${trials.length}` }));
}
