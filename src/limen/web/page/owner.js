"use strict";
// Who takes part, and how far everybody is; for the owner of a study.

const EVERY = 3000;  // ms between two questions
const WHERE = {
  screen: "measuring the screen", practice: "practice", trials: "answering", rest: "between sittings", done: "finished",
};

const by = (id) => document.getElementById(id);

function put(id, text) {
  if (by(id).textContent !== text) by(id).textContent = text;
}

function cell(text, kind) {
  const made = document.createElement("td");
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function ago(seconds) {
  if (seconds < 20) return "now";
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
}

const address = (token) => `${location.origin}/${token}/`;

async function copied(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copy it by hand";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

function row(one, now) {
  const made = document.createElement("tr"), name = document.createElement("th"), link = document.createElement("td");
  name.scope = "row";
  name.textContent = one.alias;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy the link of ${one.alias}`);
  button.addEventListener("click", () => copied(button, address(one.token)));
  link.append(button);
  const passed = { true: "passed", false: "failed", null: "too few to tell" }[one.attentive];
  made.append(
    name, cell(one.trouble ? `stopped: ${one.trouble}` : WHERE[one.stage], one.trouble ? "bad" : ""), cell(String(one.sitting), "n"),
    cell(String(one.answered), "n"), cell(String(one.expected), "n"), cell(`${one.right} of ${one.caught}`, "n"),
    cell(passed, one.attentive === false ? "bad" : ""), cell(one.seen ? ago(now - one.seen) : "not yet"), link,
  );
  return made;
}

let last = "";

async function look() {
  try {
    const reply = await fetch("state.json", { cache: "no-store" });
    if (!reply.ok) throw new Error(String(reply.status));
    const told = await reply.json();
    const people = told.participants, there = people.filter((one) => one.present).length;
    const done = people.filter((one) => one.stage === "done").length;
    put("title", told.title);
    put("state", `${people.length} of at most ${told.most} take part; ${there} in a sitting now, ${done} finished.`);
    put("invitation", address(told.invitation));
    put("rule", `Rule "${told.rule.name}", declared beforehand: at least ${Math.round(100 * told.rule.share)} % of catch trials right, judged from ${told.rule.fewest} on. Who fails it stays in the run, and is left out of figures over people.`);
    by("none").hidden = people.length > 0;
    by("table").hidden = !people.length;
    const drawn = JSON.stringify(people.map((one) => ({ ...one, seen: ago(told.now - one.seen) })));
    if (drawn !== last) {
      last = drawn;
      const focused = [...by("rows").querySelectorAll("button")].indexOf(document.activeElement);
      by("rows").replaceChildren(...people.map((one) => row(one, told.now)));
      if (focused >= 0) by("rows").querySelectorAll("button")[focused]?.focus();
    }
  } catch {
    put("state", "The server does not answer. This page goes on by itself when it does; everything answered is kept.");
  }
  setTimeout(look, EVERY);
}

by("copy").addEventListener("click", () => copied(by("copy"), by("invitation").textContent));
look();
