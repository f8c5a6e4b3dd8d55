"use strict";
// The same test: pairs that a model has answered, put to the person in front of the page. Nothing leaves it.
// The file that it saves is read by `limen import test=FILE` (limen.imports.test), which checks all of it.

const TRIALS = 30;
const IDENTICAL = 6;
const VERSION = 2; // of the saved file; those before had none
const PACE = 3; // seconds that a pair takes, about
const SEED = /^\d{1,10}$/;
const ALIAS = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/; // as in limen.participant

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

/** Return every pair that this observer was asked about under this distortion, what it said, and whether it is drawn. */
function askedPairs(o, d) {
  const pairs = [];
  const usual = book.lanes[o].order === "swapped" ? 0 : 1;
  book.series.forEach((series, s) => {
    const talk = series.d === d ? talkOf(o, s) : null;
    for (const [reference, level, draw, flag, , , place] of talk ? talk.probes : []) {
      const drawn = [reference, level].every((one) => series.pictures?.[one] !== undefined);
      if (flag !== "same") pairs.push({ s, reference, level, draw, drawn, model: flag, place: place ?? usual, near: nearness(talk, reference, level) });
    }
  });
  return pairs;
}

const readable = ({ model }) => model === "yes" || model === "no";

/** Return the pairs with pictures that a short test is chosen from. */
function answeredPairs(o, d) {
  return askedPairs(o, d).filter((pair) => pair.drawn && !pair.draw && readable(pair));
}

/** Return all pairs of some whole series, mixed; how many series there are; how many of their pairs have no pictures. */
function wholeSeries(o, kinds, most, seed) {
  const random = numbers(seed);
  const asked = kinds.flatMap((d) => askedPairs(o, d)).filter((pair) => book.series[pair.s].row);
  const drawn = asked.filter((pair) => pair.drawn);
  const all = [...new Set(drawn.filter((pair) => pair.reference < pair.level).map((pair) => pair.s))];
  const chosen = new Set(shuffled(all, random).slice(0, most));
  const own = (pair) => chosen.has(pair.s);
  return { pairs: shuffled(drawn.filter(own), random), series: chosen.size, of: all.length, lacking: asked.filter(own).filter((pair) => !pair.drawn).length };
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
  whole: false, // whether all pairs of whole series are put
  several: false, // whether they are of several distortions
  planned: "", // what the number of questions was said of
  alias: "",
  shownAt: 0,
  way: null, // "side" or "turns" where the person has chosen
  turn: 0, // which picture is shown where they are shown one at a time
  met: new Set(), // those of this pair that have been on the screen
  due: 0, // counts the tests that were asked for: the last is started when its pictures have arrived

  listen() {
    this.fresh();
    this.alias = `reader-${Math.floor(Math.random() * 36 ** 6).toString(36)}`; // so that nobody has to think of one
    part("fresh").addEventListener("click", () => this.fresh());
    part("seed").addEventListener("change", () => this.offer(part("seed").value));
    part("seed").addEventListener("input", () => {
      if (!SEED.test(part("seed").value)) return; // while it is typed
      this.seed = Number(part("seed").value) >>> 0;
      this.plan();
    });
    for (const name of ["kind", "many", "of"]) part(name).addEventListener("change", () => this.plan());
    part("start").addEventListener("click", () => this.start());
    part("stop").addEventListener("click", () => this.end());
    part("turn").addEventListener("click", () => this.next());
    part("way").addEventListener("click", (event) => {
      if (event.detail) part("run").focus({ preventScroll: true }); // the space bar turns the pictures
      this.way = this.turns ? "side" : "turns";
      this.layOut();
    });
    part("run").addEventListener("keydown", (event) => this.key(event));
    part("run").addEventListener("cancel", (event) => {
      event.preventDefault();
      this.end();
    });
    part("run").addEventListener("close", () => this.cover(false));
    addEventListener("resize", () => part("run").open && this.layOut());
  },

  /** Let the page below scroll, or not (a class, as :has() would be looked at for all that is added to the page). */
  cover(covered) {
    document.documentElement.classList.toggle("look-testing", covered);
  },

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    const places = this.lane.picks ? this.shown.map((_, i) => [String(i + 1), () => this.answer(i)]) : [];
    const words = { y: () => this.answer("yes"), n: () => this.answer("no"), ArrowLeft: () => this.answer("yes"), ArrowRight: () => this.answer("no") };
    const turn = this.turns && event.target.tagName !== "BUTTON" ? { " ": () => this.next() } : {};
    const action = { ...turn, ...(this.lane.picks ? Object.fromEntries(places) : words) }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action) { event.preventDefault(); action(); }
  },

  fresh() {
    this.offer(String(Math.floor(Math.random() * 4294967296)));
  },

  /** Take what a link says of a test. */
  follow(given) {
    const { many, of, kind } = { many: part("many"), of: part("of"), kind: part("kind") };
    kind.value = given.has("n") ? "whole" : "short";
    if ([...many.options].some((one) => one.value === given.get("n"))) many.value = given.get("n");
    of.value = given.get("of") === "all" ? "all" : "one";
    this.offer(given.get("s"));
  },

  /** Take a seed; a test under way goes on. */
  offer(seed) {
    this.seed = SEED.test(seed || "") ? Number(seed) >>> 0 : this.seed;
    part("seed").value = String(this.seed);
    this.plan();
  },

  /** Say beforehand what a test of whole series would be: of the observer and distortion that are shown. */
  plan() {
    const whole = part("kind").value === "whole";
    for (const one of look("test").querySelectorAll(".test-whole")) one.hidden = !whole;
    part("of").closest("label").hidden = !whole || book.distortions.length < 2;
    const asked = [state.o, state.d, this.seed, part("many").value, part("of").value, opened.size].join(" ");
    if (!whole || asked === this.planned) return;
    this.planned = asked;
    part("plan").textContent = this.told(state.o, state.d);
    const closed = this.kinds(state.d).filter((d) => !opened.has(d));
    if (closed.length) Promise.all(closed.map(open)).then(() => this.plan(), () => {}); // why not is said at the start
  },

  /** Return which distortions a test of whole series is about. */
  kinds(d) {
    return part("of").value === "all" ? book.distortions.map((_, i) => i) : [d];
  },

  told(o, d) {
    const lane = book.lanes[o];
    const kinds = this.kinds(d);
    if (!lane.testable) return "This question was asked about each picture alone: no pair can be put.";
    if (!lane.picks && !lane.says.yes) return "This question has more answers than one for yes and one for no: only the short test can be taken.";
    if (!kinds.every((one) => opened.has(one))) return "The answers are still being opened …";
    const { pairs, series, of, lacking } = wholeSeries(o, kinds, Number(part("many").value), this.seed);
    const about = kinds.length > 1 ? "" : ` of ${book.distortions[d].name}`;
    if (!pairs.length) return `No series${about} that ${lane.name} has answered has its pictures in this page, unscaled.`;
    const minutes = Math.max(1, Math.round((pairs.length * PACE) / 60));
    const same = pairs.filter((pair) => pair.reference === pair.level).length;
    const left = lacking ? ` ${lacking} more were asked about levels whose pictures are not in this page.` : "";
    return `${plural(pairs.length, "question")}, ${same} of them about identical pairs: all that ${lane.name} was asked in ${series} of ${of} series${about}, mixed. About ${plural(minutes, "minute")}, ${PACE} seconds each.${left}`;
  },

  start(o = state.o, d = state.d, whole = part("kind").value === "whole") {
    const due = ++this.due;
    this.lane = book.lanes[o];
    this.o = o;
    this.d = d;
    this.whole = whole;
    part("end").hidden = true;
    part("note").textContent = "";
    if (whole && !this.kinds(d).every((one) => opened.has(one))) {
      part("note").textContent = "The answers are still being opened: the test starts as soon as they are.";
      Promise.all(this.kinds(d).map(open)).then(() => due === this.due && this.start(o, d, whole), (error) => {
        part("note").textContent = `The answers could not be opened: ${error.message}.`;
      });
      return;
    }
    const puts = this.lane.testable && (!whole || this.lane.picks || this.lane.says.yes);
    this.pairs = !puts ? [] : whole ? wholeSeries(o, this.kinds(d), Number(part("many").value), this.seed).pairs : choose(o, d, this.seed);
    this.several = new Set(this.pairs.map((pair) => book.series[pair.s].d)).size > 1;
    this.said = [];
    if (!this.lane.testable) part("note").textContent = "This question was asked about each picture alone: nobody was asked whether two differ, so there is no such test of it.";
    else if (!puts || (whole && !this.pairs.length)) part("note").textContent = this.told(o, d);
    else if (!this.pairs.some((pair) => pair.reference < pair.level)) part("note").textContent = `No pair of ${book.distortions[d].name} that ${this.lane.name} has answered has pictures in this page. Choose another distortion.`;
    if (part("note").textContent) return;
    const needed = this.pairs.flatMap(({ s, reference, level }) => [reference, level].map((one) => book.series[s].pictures[one]));
    if (!here(needed)) {
      part("note").textContent = ended()
        ? "Not all pictures of this test are there: the page was cut off before them. Get the whole file."
        : "The pictures of this test are still being loaded: it starts as soon as they are here.";
      if (!ended()) when(() => here(needed) || ended(), () => due === this.due && this.start(o, d, whole));
      return;
    }
    remember(`#test/${new URLSearchParams({ o, d, s: this.seed, ...(whole ? { n: part("many").value, ...(part("of").value === "all" ? { of: "all" } : {}) } : {}) })}`);
    part("answers").replaceChildren(...this.answers());
    part("turn").textContent = "Show the next"; // so that it has its height
    part("bar").max = this.pairs.length;
    part("run").showModal();
    this.cover(true);
    this.show();
    part("run").focus({ preventScroll: true });
  },

  answers() {
    const labelled = (keys, text, given) => {
      const made = button("", (event) => {
        if (event.detail) part("run").focus({ preventScroll: true }); // else the space bar would answer again
        this.answer(given);
      });
      made.append(...keys.flatMap((key) => [make("kbd", { textContent: key }), " "]), text);
      return made;
    };
    if (this.lane.picks) return Array.from({ length: this.lane.shows }, (_, i) => labelled([String(i + 1)], this.lane.shows === 2 ? ["the first", "the second"][i] : "", i));
    return [labelled(["Y", "←"], "Yes, they differ", "yes"), labelled(["N", "→"], "No", "no")];
  },

  show() {
    const pair = this.pairs[this.said.length];
    const { pictures, d } = book.series[pair.s];
    part("question").textContent = asks(this.lane, d);
    this.shown = Array.from({ length: this.lane.shows }, (_, i) => pictures[i === pair.place ? pair.level : pair.reference]);
    this.turn = 0;
    this.met = new Set();
    this.hold(true);
    part("stage").replaceChildren(...this.shown.map((number, i) => {
      const called = this.shown.length === 2 ? ["first", "second"][i] : String(i + 1);
      return make("figure", {}, make("figcaption", { textContent: called }), make("img", { src: source(number), alt: `Picture ${i + 1} of ${this.shown.length}` }));
    }));
    part("count").textContent = `Pair ${this.said.length + 1} of ${this.pairs.length}`;
    part("bar").value = this.said.length;
    const drawn = [...part("stage").querySelectorAll("img")];
    Promise.all(drawn.map((image) => image.decode())).then(() => {
      if (!drawn[0].isConnected) return;
      this.shownAt = performance.now();
      this.layOut();
    }, () => {
      if (drawn[0].isConnected) part("scale").textContent = "A picture could not be loaded. Is the folder of stimuli beside the page?";
    });
  },

  /** Show the pictures as large as they fit, in whole screen pixels: side by side, one below the other, or in turns. */
  layOut() {
    const figures = [...part("stage").children];
    const images = figures.map((figure) => figure.querySelector("img"));
    if (!images[0].naturalWidth) return;
    const fitting = (columns, count) => {
      const { clientWidth: width, clientHeight: height } = part("stage");
      const rows = Math.ceil(count / columns);
      return zoomFor(images[0], (width - 12 * (columns - 1)) / columns, (height - 12 * (rows - 1)) / rows - 20, 0);
    };
    part("turn").hidden = true; // which takes the focus from it
    const [zoom, columns] = figures.map((_, i) => [fitting(i + 1, figures.length), i + 1]).reduce((best, one) => (one[0] >= best[0] ? one : best));
    const alone = fitting(1, 1);
    this.turns = this.way ? this.way === "turns" : zoom < 1 && alone > zoom;
    part("turn").hidden = !this.turns; // which may take a row of its own
    this.zoom = this.turns ? fitting(1, 1) : zoom;
    part("stage").style.setProperty("grid-template-columns", `repeat(${this.turns ? 1 : columns}, auto)`);
    for (const image of images) fit(image, this.zoom);
    this.alone = alone;
    part("way").textContent = this.turns ? "All at once" : "One at a time";
    part("way").setAttribute("aria-pressed", String(this.turns));
    this.turnTo(this.turn);
    if (!part("run").contains(document.activeElement)) part("run").focus({ preventScroll: true });
  },

  /** Show one picture of those that come in turns, or all; say what a person has to know of them. */
  turnTo(turn) {
    this.turn = turn;
    const figures = [...part("stage").children];
    figures.forEach((figure, i) => {
      const image = figure.querySelector("img");
      figure.hidden = this.turns && i !== turn;
      if (!figure.hidden) this.met.add(i);
      if (!figure.hidden && this.zoom >= 1) align(image, image);
    });
    const next = figures[(turn + 1) % figures.length].querySelector("figcaption").textContent;
    part("turn").replaceChildren(make("kbd", { textContent: "Space" }), ` show the ${next}`);
    const small = this.zoom < 1 ? `Scaled down to ${Math.round(this.zoom * 100)}\u00a0% to fit this screen, which hides fine detail.${!this.turns && this.alone > this.zoom ? " One at a time they are larger." : ""}` : "";
    const wait = this.met.size < figures.length ? "Look at each picture, then answer. " : "";
    if (part("scale").textContent !== wait + small) part("scale").textContent = wait + small;
    part("answers").className = wait ? "wait" : "";
    this.hold(Boolean(wait));
  },

  /** Take no answer until every picture has been on the screen; a button that is disabled would lose the focus. */
  hold(wait) {
    for (const one of part("answers").children) one.setAttribute("aria-disabled", String(wait));
  },

  next() {
    if (!this.met.size) return; // not drawn yet
    this.turnTo((this.turn + 1) % this.shown.length);
  },

  answer(given) {
    if (!part("run").open || this.met.size < this.shown.length) return;
    const pair = this.pairs[this.said.length];
    const you = this.lane.picks ? (given === pair.place ? "yes" : "no") : given;
    const seconds = Number(((performance.now() - this.shownAt) / 1000).toFixed(3));
    const when = Number(((performance.timeOrigin + this.shownAt) / 1000).toFixed(3)); // this clock is never set back
    const screen = { zoom: Number(this.zoom.toFixed(3)), turns: this.turns, ratio: devicePixelRatio, viewport: [innerWidth, innerHeight] };
    this.said.push({ ...pair, you, given, seconds, when, ...screen, shown: [...this.shown] });
    if (this.said.length < this.pairs.length) this.show();
    else this.end();
  },

  end() {
    part("run").close();
    if (!this.said.length) return part("start").focus();
    part("end").replaceChildren(...this.result());
    part("end").hidden = false;
    part("end").focus({ preventScroll: true });
    part("end").scrollIntoView({ block: "start" });
    return undefined;
  },

  // --- the result ---

  result() {
    const { name, picks, shows } = this.lane;
    const same = this.said.filter((trial) => trial.reference === trial.level);
    const differ = this.said.filter((trial) => trial.reference < trial.level);
    const both = this.said.filter(readable); // the model's answer to some pairs of a whole series says nothing
    const agreed = both.filter((trial) => trial.you === trial.model);
    const rows = [[picks ? "right picture picked" : "differences noticed (hits)", share(differ, "you"), share(differ, "model")]];
    if (!picks) rows.push(["yes to identical pairs (false alarms)", share(same, "you"), share(same, "model")]);
    return [
      make("h4", { textContent: `You beside ${name}: ${plural(this.said.length, "pair")} of ${this.several ? "several distortions" : book.distortions[this.d].name}` }),
      table(["", "you", "model"], rows),
      make("p", { textContent: `The same answer on ${counted(agreed.length, both.length)}. ${keener(differ)}${picks ? ` Guessing is right once in ${shows}.` : ""}` }),
      make("p", { className: "note", textContent: "In brackets, and as bars: 95 % Wilson intervals." }),
      make("details", { open: true }, make("summary", { textContent: "What this cannot tell" }), make("ul", { className: "small" }, ...this.unknown(same, picks).map((text) => make("li", { textContent: text })))),
      ...(this.several ? [] : [levels(differ)]), // a level of one ladder is no level of another
      make("details", {}, make("summary", { textContent: "Every pair" }), table(["pair", "level", "compared with", "you", "model", "seconds", ""], this.said.map((trial, i) => this.row(trial, i)))),
      ...this.saving(),
    ];
  },

  /** Return what saves the answers: under an alias, as a file that is checked where it is imported. */
  saving() {
    const kept = this.kept();
    const again = button("Once more", () => this.start(this.o, this.d, this.whole));
    if (!kept.length) return [make("p", { className: "note", textContent: this.lane.picks || this.lane.says.yes ? "These pictures were scaled down for this page: they are not those that the model was shown, and there is nothing to save." : "This question has more answers than one for yes and one for no: yours are not answers to it, and there is nothing to save." }), make("div", { className: "look-row" }, again)];
    const alias = make("input", { type: "text", id: "test-alias", value: this.alias, maxLength: 32, size: 18, autocomplete: "off", spellcheck: false });
    const told = make("span", { id: "test-saved" });
    told.setAttribute("role", "status");
    const save = button("Save the answers (JSON)", () => {
      const right = ALIAS.test(alias.value);
      if (right) {
        this.alias = alias.value;
        this.save(kept);
      }
      told.textContent = right ? `Saved ${plural(kept.length, "answer")} as ${alias.value}.` : "An alias has 1 to 32 letters (a to z), digits, - and _, and begins with a letter or a digit.";
      alias.setAttribute("aria-invalid", String(!right));
    });
    return [
      make("p", { className: "note", textContent: "The file holds your answers, when and how the pairs were shown, the alias, and the size and zoom of this window; nothing else about you. It stays with you until you send it: whoever has the run reads it with limen import." }),
      make("div", { className: "look-row" }, make("label", {}, "Alias, not your name: ", alias), save, again, told),
    ];
  },

  unknown(same, picks) {
    const small = this.said.filter((trial) => trial.zoom < 1).length;
    const turns = this.said.filter((trial) => trial.turns).length;
    const missing = this.pairs.length - this.said.length;
    return [
      this.whole
        ? "What your own JND is by the model's procedure: the levels were chosen by the model's answers, and yours did not change what came next. A threshold can be fitted to them (limen import, limen fit)."
        : "What your own JND is: a few levels of each picture were shown, chosen around the model's thresholds, not yours. As many that it noticed as that it did not, where there are both: its share of hits is by design.",
      "What anybody sees. You are not a calibrated observer on a calibrated screen: distance, light, brightness and time decide what can be seen.",
      ...(this.whole && missing ? [`The whole series: you stopped before ${missing} of ${this.pairs.length} pairs.`] : []),
      ...(picks || same.length > 20 ? [] : [`How often you say yes to nothing: ${same.length ? `${same.length} identical pairs leave that open (see the interval)` : "no identical pair was shown"}.`]),
      ...(small ? [`Fine detail: ${small} of ${this.said.length} pairs were scaled down to fit this screen.`] : []),
      ...(turns ? [`How it compares side by side: ${turns} of ${this.said.length} pairs were shown one picture at a time, which makes changes easier to see.`] : []),
    ];
  },

  row(trial, i) {
    const { s, level, reference } = trial;
    const view = button("look", () => {
      change({ o: this.o, d: book.series[s].d, r: book.series[s].r, l: level, a: reference });
      look("title").scrollIntoView();
    }, "look-go");
    view.setAttribute("aria-label", `Look at pair ${i + 1}`);
    return [book.references[book.series[s].r], String(level), String(reference), trial.you, readable(trial) ? trial.model : WORDS[trial.model] ?? trial.model, String(Number(trial.seconds.toFixed(2))), view];
  },

  /** Return the answers that are answers to the model's question about the very pictures that it was shown. */
  kept() {
    return this.lane.picks || this.lane.says.yes ? this.said.filter((trial) => book.series[trial.s].row) : [];
  },

  save(kept) {
    const used = [...new Set(kept.map((trial) => trial.s))].map((s) => book.series[s]);
    const digests = (pictures) => Object.fromEntries(Object.entries(pictures).map(([level, number]) => [level, book.digests[number]]));
    const content = {
      alias: this.alias,
      seed: this.seed,
      test: this.whole ? "whole" : "short",
      planned: this.pairs.length,
      beside: this.lane.name,
      question: this.lane.question,
      asked: Object.fromEntries(used.map(({ d, row }) => [row.distortion, this.lane.asked[d]])),
      study: book.studies[this.lane.study],
      series: used.map(({ row, pictures }) => ({ ...row, pictures: digests(pictures) })),
      answers: kept.map(({ s, reference, level, draw, shown, given, seconds, when, zoom, turns, ratio, viewport }) => ({
        series: book.series[s].row.id, reference, level, draw, shown: shown.map((number) => book.digests[number]),
        value: this.lane.picks ? String(given + 1) : this.lane.says[given], seconds, when, zoom, turns, ratio, viewport,
      })),
    };
    const text = JSON.stringify(content, null, 1);
    const file = `{"limen": ${JSON.stringify(book.limen)}, "version": ${VERSION}, "sha256": "${sha256(text)}", "content":\n${text}\n}\n`;
    const url = URL.createObjectURL(new Blob([file], { type: "application/json" }));
    make("a", { href: url, download: `limen-test-${this.alias}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  },
};

const plural = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;

/** Return the SHA-256 of a text in hexadecimal digits (FIPS 180-4). Browsers have their own only on https:// pages. */
function sha256(text) {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  const begun = (root) => primes.map((prime) => Math.floor((root(prime) % 1) * 4294967296) | 0);
  const constants = begun(Math.cbrt);
  const sum = begun(Math.sqrt).slice(0, 8);
  const bytes = new TextEncoder().encode(text);
  const padded = new DataView(new ArrayBuffer(64 * Math.ceil((bytes.length + 9) / 64)));
  new Uint8Array(padded.buffer).set(bytes);
  padded.setUint8(bytes.length, 128);
  padded.setBigUint64(padded.byteLength - 8, BigInt(bytes.length) * 8n);
  const turned = (word, by) => (word >>> by) | (word << (32 - by));
  const words = new Int32Array(64);
  for (let block = 0; block < padded.byteLength; block += 64) {
    for (let i = 0; i < 16; i++) words[i] = padded.getInt32(block + 4 * i);
    for (let i = 16; i < 64; i++) {
      const [near, far] = [words[i - 2], words[i - 15]];
      words[i] = words[i - 16] + words[i - 7] + (turned(far, 7) ^ turned(far, 18) ^ (far >>> 3)) + (turned(near, 17) ^ turned(near, 19) ^ (near >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = sum;
    for (let i = 0; i < 64; i++) {
      const one = (h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + words[i]) | 0;
      const two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [a, b, c, d, e, f, g, h] = [(one + two) | 0, a, b, c, (d + one) | 0, e, f, g];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => { sum[i] = (sum[i] + word) | 0; });
  }
  return sum.map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

function counted(k, n) {
  if (!n) return "none shown";
  const [low, high] = wilson(k, n);
  return `${k} of ${n} [${Math.round(low * 100)} to ${Math.round(high * 100)} %]`;
}

function share(trials, who) {
  const yes = trials.filter((trial) => trial[who] === "yes").length;
  const [count, interval] = counted(yes, trials.length).split(" [");
  const told = make("span", { textContent: count });
  if (!trials.length) return told;
  told.append(" ", make("span", { className: "look-whole", textContent: `[${interval}` }));
  const [low, high] = wilson(yes, trials.length);
  const drawn = make("span", { className: `look-share ${who}`, style: { "--low": low, "--high": high, "--share": yes / trials.length } }, make("i"), make("b"));
  drawn.setAttribute("aria-hidden", "true");
  return make("div", {}, told, drawn);
}

/** Say who noticed more, by the pairs that only one of the two noticed (exact sign test, McNemar). */
function keener(trials) {
  const you = trials.filter((trial) => trial.you === "yes" && trial.model === "no").length;
  const model = trials.filter((trial) => trial.you === "no" && trial.model === "yes").length;
  if (!you && !model) return "";
  const n = you + model;
  let [term, tail] = [0.5 ** n, 0]; // of k = 0 of the binomial
  for (let k = 0; k <= Math.min(you, model); k++) {
    tail += term;
    term = (term * (n - k)) / (k + 1);
  }
  const p = Math.min(1, 2 * tail);
  const only = `You alone noticed ${you}, the model alone ${model}`;
  return `${only}: ${p < 0.05 ? `more than chance gives (sign test, p ${p < 0.001 ? "< 0.001" : `= ${p.toFixed(3)}`}; mind the false alarms)` : `too few to tell who notices more (sign test, p = ${p.toFixed(2)})`}.`;
}

/** Return what a person is asked: the model's question without the form of its answer, where its yes is "they differ". */
function asks(lane, d) {
  const asked = lane.wordings[d].replace(/ Please return.*| ?A\. Yes.*/s, "");
  return lane.yes || lane.picks ? `“${asked}”` : `Do the two pictures differ? (The model was asked: “${asked}”)`;
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

/** Return the shares noticed by level, you above the model, in up to eight groups of levels. */
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
  return make("div", {}, make("p", { className: "small", textContent: "Noticed by level, on different pairs:" }), table(["level", "you", "model"], rows));
}

function bar(trials, who) {
  const yes = trials.filter((trial) => trial[who] === "yes").length;
  const drawn = make("span", { className: `look-bar ${who}` }, make("i", { style: { "--share": yes / trials.length } }));
  drawn.setAttribute("aria-hidden", "true");
  return make("div", {}, drawn, make("span", { className: "small", textContent: `${yes} of ${trials.length}` }));
}
