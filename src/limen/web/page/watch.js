"use strict";

const EVERY = 2000, SOON = 300, LATE = 10000;  // ms between two questions; while much is read; while nobody answers
const QUIET = 180;  // seconds without an answer that are worth a word
const WORDS = {
  running: ["Running", "good"], finished: ["Finished", "good"], stopped: ["Stopped", "care"], absent: ["Not there yet", ""],
  gone: ["Gone", "care"], unreadable: ["Cannot be read", "bad"], reading: ["Reading", ""],
};
const VERDICTS = { yes: "noticed", no: "not noticed", unreadable: "not readable", "": "" };

let told = { runs: [] }, tag = "", ahead = 0, chosen = 0, lost = false;

const by = (id) => document.getElementById(id);
const whole = (count) => count.toLocaleString("en");
const plural = (count, one, many) => `${whole(count)} ${count === 1 ? one : many}`;
const now = () => Date.now() / 1000 + ahead;

function put(id, text) {
  if (by(id).textContent !== text) by(id).textContent = text;
}

function show(id, shown) {
  by(id).hidden = !shown;
}

function made(name, text, kind) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

function length(seconds) {
  const units = [[86400, "day", "days"], [3600, "h", "h"], [60, "min", "min"], [1, "s", "s"]];
  const at = Math.max(0, units.findIndex(([size]) => seconds >= size * (size === 86400 ? 2 : 1)));
  if (seconds < 1) return "0 s";
  const [size, one, many] = units[at], count = Math.floor(seconds / size);
  const rest = size === 3600 ? Math.floor((seconds % 3600) / 60) : 0;
  return `${count} ${count === 1 ? one : many}${rest ? ` ${rest} min` : ""}`;
}

const ago = (at) => `${length(Math.max(0, now() - at))} ago`;

function clock(at) {
  const day = new Date(at * 1000), today = new Date(now() * 1000).toDateString() === day.toDateString();
  const hour = day.toLocaleTimeString("en-GB");
  return today ? hour : `${day.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${hour}`;
}

function number(value) {
  if (value === null || value === undefined) return "";
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
}

function more(run) {
  const progress = run.progress;
  if (run.state === "absent") return `${run.path}: this page begins when a run does (limen measure --out).`;
  if (run.state === "gone") return `${run.path} was deleted or moved. If it comes back, this page goes on.`;
  if (run.state === "unreadable") return run.why;
  if (run.state === "reading") return "What the run holds is being read.";
  if (run.state === "finished") return `Every series has its result. The report: limen report ${run.path}`;
  if (run.state === "stopped") {
    const open = progress.open ? `with ${plural(progress.open, "series", "series")} open` : "before the first answer";
    return `${open}: the same limen measure goes on from here. ${run.why}`;
  }
  const since = progress.last > progress.began ? progress.last : progress.began;
  if (since && now() - since > QUIET) return `No answer for ${length(now() - since)}.`;
  return progress.last ? `The last answer came ${ago(progress.last)}.` : "No answer yet.";
}

function far(run) {
  const { done, planned, behind } = run.progress;
  const unread = behind ? `${plural(behind, "series", "series")} still to be read` : "";
  if (planned === null) return [`${plural(done, "series", "series")} done so far`, unread || "This run does not say of how many."];
  const share = planned ? Math.floor((100 * done) / planned) : 100;
  return [`${whole(done)} of ${plural(planned, "series", "series")} done`, unread || `${share} %`];
}

function facts(run) {
  const { asked, reused, rate, left, failed, began } = run.progress, { tokens_in, tokens_out, price } = run.cost;
  const said = tokens_in + tokens_out > 0, most = asked + failed;
  const rows = [
    ["Questions answered", whole(asked), reused ? `and ${whole(reused)} from answers that were there` : ""],
    ["Failed attempts", whole(failed), most && failed ? `${number((100 * failed) / most)} % of all` : ""],
    ["Tokens", said ? whole(tokens_in + tokens_out) : "not said", said ? `${whole(tokens_in)} in, ${whole(tokens_out)} out` : ""],
    ...(price ? [["Cost", said ? price : "not known", said ? "at your rates, of the answers that tell their tokens" : "no answer tells its tokens"]] : []),
  ];
  if (run.state === "running") {
    rows.unshift(["Answers a minute", rate === null ? "–" : number(rate), "over the last 5 minutes"]);
    rows.unshift(["Time left", left === null ? "–" : `about ${length(left)}`, began ? `this session began ${ago(began)}` : ""]);
  }
  return rows;
}

function about(run) {
  const { observers, questions, distortions, references, procedure, settings, created, limen } = run.about;
  const kinds = distortions.map((one) => `${one.name} (${plural(one.levels, "level", "levels")})`);
  return [
    ["Observers", observers.join(", ") || "none yet"],
    ["Questions", questions.map((one) => `${one.name}: ${one.text.replace("{word}", "…")}`).join(" · ")],
    ["Distortions", kinds.join(", ")],
    ["References", whole(references)],
    ["Procedure", `${procedure}${settings.length ? ` (${settings.join(", ")})` : ""}`],
    ["Begun", `${created.replace("T", " ").replace("+00:00", " UTC")}, limen ${limen}`],
    ["Run", run.path],
  ];
}

function cells(row, entries) {
  row.append(...entries.map(([text, kind, head]) => {
    const cell = made(head ? "th" : "td", text, kind);
    if (head) cell.scope = "row";
    return cell;
  }));
  return row;
}

function level(one) {
  if (one.level === null) return one.distortion ? "ahead" : "";
  if (one.first === one.level) return `identical (${one.level})`;
  return one.first ? `${one.level} on ${one.first}` : `${one.level} of ${one.levels}`;
}

function thresholds(run) {
  const several = run.about.questions.length > 1;
  for (const head of document.querySelectorAll("th.question")) head.hidden = !several;
  put("median-head", run.fitted ? "Median T50" : "Median 1st JND");
  by("thresholds").replaceChildren(...run.thresholds.map((one) => cells(made("tr"), [
    [one.observer, "name", true],
    ...(several ? [[one.question, "name"]] : []),
    [one.distortion, "name"],
    [`${one.median} of ${one.levels}`, "n"],
    [one.interval.length ? one.interval.join(" to ") : "–", "n"],
    [whole(one.n), "n"],
    [one.mean === null ? "" : number(one.mean), "n"],
    [one.strength, "n"],
  ])));
  const over = run.state === "finished";
  put("thresholds-head", over ? "Thresholds" : "Thresholds so far");
  put("thresholds-note", run.thresholds.length
    ? `${over ? "" : "Of the references that are through; they will still move. "}Median and mean are levels; the interval of the median needs six references; in the mean one without a JND counts as the ladder's last level.`
    : "No series has a threshold yet.");
}

function answers(run) {
  by("answers").replaceChildren(...run.answers.map((one) => cells(made("tr"), [
    [clock(one.at), "when"], [VERDICTS[one.verdict] ?? one.verdict, `verdict ${one.verdict}`], [level(one), "n"],
    [one.distortion, "name"], [one.reference, "name"], [one.observer, "name"], [one.text, "text"],
  ])));
}

function failures(run) {
  show("failures-table", run.failures.length > 0);
  put("failures-none", run.failures.length ? "What failed is tried again, or left open for the next session; it is never counted as a no." : "None.");
  by("failures").replaceChildren(...run.failures.map((one) => cells(made("tr"), [
    [one.kind, "name", true], [whole(one.count), "n"], [clock(one.at), "when"], [one.observer, "name"], [one.detail, "text"],
  ])));
}

function pairs(id, rows) {
  by(id).replaceChildren(...rows.map(([what, text, small]) => {
    const group = made("div"), value = made("dd", text);
    if (small) value.append(made("small", small));
    group.append(made("dt", what), value);
    return group;
  }));
}

function draw() {
  const run = told.runs[chosen] ?? told.runs[0];
  if (!run) return;
  put("name", run.name);
  by("body").hidden = !run.progress;
  if (run.progress) {
    by("observers").replaceChildren(...(run.progress.observers.length > 1 ? run.progress.observers : []).map((one) => {
      const item = made("li");
      item.append(made("span", one.observer), ` ${whole(one.done)}${one.planned === null ? "" : ` of ${whole(one.planned)}`}`);
      return item;
    }));
    thresholds(run);
    answers(run);
    failures(run);
    pairs("about", about(run));
  }
  by("runs").hidden = told.runs.length < 2;
  by("runs").firstElementChild.replaceChildren(...(told.runs.length > 1 ? told.runs : []).map((one, at) => {
    const item = made("li"), link = made("a", `${one.name} `);
    link.href = `#${at + 1}`;
    if (one === run) link.setAttribute("aria-current", "page");
    const share = one.progress?.planned ? `, ${Math.floor((100 * one.progress.done) / one.progress.planned)} %` : "";
    link.append(made("span", `${WORDS[one.state][0].toLowerCase()}${share}`));
    item.append(link);
    return item;
  }));
  tick();
}

function tick() {  // what changes with time alone
  const run = told.runs[chosen] ?? told.runs[0];
  if (!run) return;
  const [word, kind] = WORDS[run.state];
  const quiet = run.state === "running" && more(run).startsWith("No answer for");
  by("state").className = `state ${quiet ? "care" : kind}`;
  put("state-word", word);
  put("state-more", more(run).trim());
  show("trouble", lost);
  put("trouble", lost ? "limen watch does not answer any more: what stands here is its last word. It was ended, or the tunnel to it is closed." : "");
  const share = run.progress?.planned ? `${Math.floor((100 * run.progress.done) / run.progress.planned)} % ` : "";
  document.title = `${share}${run.name} · limen watch`;
  if (!run.progress) return;
  const [main, rest] = far(run), { done, planned } = run.progress;
  put("far", main);
  put("far-more", rest);
  by("bar").hidden = planned === null;
  by("bar").max = planned || 1;
  by("bar").value = planned ? done : 1;
  pairs("facts", facts(run));
}

async function ask() {
  let next = EVERY;
  try {
    const headers = tag ? { "If-None-Match": tag } : {};
    const answer = await fetch("state.json", { headers, cache: "no-store", signal: AbortSignal.timeout(30000) });
    ahead = Number(answer.headers.get("X-Now")) - Date.now() / 1000;
    if (answer.status === 200) {
      told = await answer.json();
      tag = answer.headers.get("ETag");
      lost = false;
      draw();
    } else {
      lost = answer.status !== 304;
    }
    if (told.runs.some((run) => run.state === "reading" || run.progress?.behind)) next = SOON;
  } catch {
    lost = true;
  }
  if (lost) next = LATE;
  tick();
  setTimeout(ask, next);
}

function choose() {
  chosen = Math.min(Math.max(0, Number(location.hash.slice(1)) - 1 || 0), Math.max(0, told.runs.length - 1));
  draw();
}

window.addEventListener("hashchange", choose);
ask().then(choose);
