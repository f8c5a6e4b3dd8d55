"use strict";
// Search in every answer of the page. What was found is shown as text, with the hit marked.

const SHOWN = 50; // results at a time
const NEAR = 0.1; // of p(yes) to .5

const KINDS = {
  unreadable: { label: "unreadable", holds: (probe) => probe[3] === "unreadable" },
  alarm: { label: "yes to identical pairs", holds: (probe) => probe[0] === probe[1] && probe[3] === "yes" },
  antilogy: { label: "antilogy", holds: (probe) => probe[4] === "antilogy" },
  gibberish: { label: "gibberish", holds: (probe) => probe[4] === "gibberish" },
  deficiency: { label: "deficiency", holds: (probe) => probe[4] === "deficiency" },
  unfinished: { label: "unfinished", holds: () => false, open: true },
  unsure: { label: "p(yes) near .5", holds: (probe, trial) => trial[2] !== null && Math.abs(trial[2] - 0.5) <= NEAR },
};

const found = (name) => document.getElementById(`find-${name}`);

const search = {
  words: "",
  kind: "",
  hits: [],
  shown: 0,
  failure: "", // why not all answers could be opened
  answers: null, // [talk, probe, trial] of every answer, and [talk, waiting probe, null] of every open question

  listen() {
    let typing = 0;
    found("text").addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.look(found("text").value, this.kind), 150);
    });
    found("text").addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      clearTimeout(typing);
      this.look(found("text").value, this.kind);
    });
    found("clear").addEventListener("click", () => {
      clearTimeout(typing);
      this.look("", "");
      found("text").focus();
    });
    found("more").addEventListener("click", () => this.more());
  },

  /** Gather the answers once all are open, offer the ready searches that find any, and find what was looked for. */
  ready() {
    if (this.answers) return;
    if (opened.size < book.distortions.length) return void this.wait();
    this.answers = book.talks.flatMap((talk) => [
      ...talk.probes.flatMap((probe) => probe[5].map((trial) => [talk, probe, trial])),
      ...talk.waiting.map((probe) => [talk, probe, null]),
    ]);
    const counts = Object.entries(KINDS).map(([name, kind]) => [name, kind, this.answers.filter((one) => this.fits(kind, one)).length]);
    const none = counts.filter(([, , count]) => !count).map(([, kind]) => kind.label);
    found("kinds").replaceChildren(
      ...counts.filter(([, , count]) => count).map(([name, kind, count]) => {
        const made = button(`${kind.label} (${count.toLocaleString("en")})`, () => this.look(found("text").value, this.kind === name ? "" : name));
        made.dataset.kind = name;
        return made;
      }),
      make("span", { className: "small", textContent: none.length ? `none: ${none.join(", ")}` : "" }),
    );
    this.find();
    this.draw();
  },

  /** Say how far the answers are open (in numbers only to a person who looks for something), or why they never will be. */
  wait() {
    const far = this.words || this.kind ? `: ${opened.size} of ${book.distortions.length} distortions` : "";
    found("count").textContent = this.failure
      ? `The answers cannot be searched, as not all could be opened: ${this.failure}.`
      : `Opening the answers${far} …`;
  },

  fail(error) {
    this.failure = error.message;
    this.wait();
  },

  fits(kind, [, probe, trial]) {
    return Boolean(trial ? kind.holds(probe, trial) : kind.open);
  },

  /** Find the answers that hold the words and are of a kind; "" is any. */
  look(words, kind) {
    this.words = words.trim().slice(0, 200);
    this.kind = kind in KINDS ? kind : "";
    if (found("text").value.trim() !== this.words) found("text").value = this.words;
    if (this.answers) {
      this.find();
      this.draw();
    } else {
      this.ready();
    }
    remember(this.words || this.kind ? `#find/${new URLSearchParams({ ...(this.words ? { q: this.words } : {}), ...(this.kind ? { k: this.kind } : {}) })}` : link());
  },

  find() {
    const pattern = this.words ? new RegExp(this.words.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&").replace(/\s+/g, "\\s+"), "iu") : null;
    const places = pattern ? book.texts.map(([text]) => text.match(pattern)?.index ?? -1) : null; // each text once
    const kind = KINDS[this.kind];
    const holds = ([, , trial]) => !places || (trial && trial[1] !== null && places[trial[1]] >= 0);
    this.hits = pattern || kind ? this.answers.filter((one) => (!kind || this.fits(kind, one)) && holds(one)) : [];
    if (this.kind === "unsure") this.hits.sort((one, other) => Math.abs(one[2][2] - 0.5) - Math.abs(other[2][2] - 0.5));
    this.pattern = pattern;
  },

  draw() {
    for (const one of found("kinds").querySelectorAll("button")) one.setAttribute("aria-pressed", String(one.dataset.kind === this.kind));
    found("list").replaceChildren();
    this.shown = 0;
    const idle = !this.words && !this.kind;
    const count = this.hits.length.toLocaleString("en");
    const all = this.answers.length.toLocaleString("en");
    found("count").textContent = idle ? `${all} answers of all observers on this page can be searched.` : `${count} of ${all} answers.`;
    found("clear").disabled = idle;
    this.more();
  },

  more() {
    const next = this.hits.slice(this.shown, this.shown + SHOWN);
    const first = this.shown;
    found("list").append(...next.map((one) => this.row(one)));
    this.shown += next.length;
    const left = this.hits.length - this.shown;
    found("more").hidden = !left;
    found("more").textContent = `${Math.min(left, SHOWN)} more of ${left.toLocaleString("en")}`;
    if (first) found("list").children[first].querySelector("button").focus();
  },

  row([talk, [reference, level, drawn, flag], trial]) {
    const series = book.series[talk.s];
    const pair = reference === level ? `level ${level} with itself` : `level ${level} against level ${reference}`;
    const verdict = trial ? said(flag, talk.o) : flag ? `failed: ${flag}` : "not asked yet";
    const title = `${book.lanes[talk.o].name} · ${book.distortions[series.d].name} · ${book.references[series.r]} · ${pair}${drawn ? `, draw ${drawn + 1}` : ""}: ${verdict}`;
    const go = button(title, () => {
      change({ o: talk.o, d: series.d, r: series.r, l: level, a: reference });
      look("now").focus({ preventScroll: true });
      look("asked").scrollIntoView();
    });
    return make("li", {}, go, ...(trial ? [this.excerpt(trial)] : []));
  },

  excerpt([, number, yes]) {
    const told = make("p", {}, ...(yes === null ? [] : [make("span", { className: "look-tag", textContent: `p(yes) ${yes}` }), " "]));
    if (number === null) told.append("(its text is in the run, and not in this page)");
    if (number === null) return told;
    const [text] = book.texts[number];
    const hit = this.pattern ? text.match(this.pattern) : null;
    const [start, end] = hit ? [hit.index, hit.index + hit[0].length] : [0, 0];
    const from = Math.max(0, start - 60);
    const to = Math.min(text.length, end + 140);
    const before = text.slice(from, start).replace(/^[\udc00-\udfff]/, "");
    const after = text.slice(end, to).replace(/[\ud800-\udbff]$/, "");
    told.append(from ? "…" : "", before, ...(hit ? [make("mark", { textContent: hit[0] })] : []), after, to < text.length ? "…" : "");
    if (!text) told.append("(empty)");
    return told;
  },

  /** Take a search from a link. */
  restore(hash) {
    const given = new URLSearchParams(hash.slice(6));
    this.look(given.get("q") ?? "", given.get("k") ?? "");
  },
};
