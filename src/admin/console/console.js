"use strict";
const at = (id) => document.getElementById(id);
/** An element with text and children; text is never markup. */
const make = (name, text, attributes = {}, ...children) => {
  const element = document.createElement(name);
  if (text != null) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};
const SHOWN = 60, KEPT = 1000, SECONDS = 120, EVERY = 2;
let status = null, denials = [], lines = [], rates = [], before = null, chosen = null, shown = {};

const isDenied = (line) => line.decision?.endsWith("-deny") ?? false;
const who = (line) => line.principal?.arn ?? line.principal?.account ?? line.principal?.access_key_id ?? "unknown";
const by = (line) => {
  if (!line.policy || line.rate) return line.reason ?? "";
  const statement = line.statement ? `statement ${line.statement}` : "no statement allows it";
  return [statement, line.unknown && `not known here: ${line.unknown}`, line.mode].filter(Boolean).join("; ");
};
const tone = (line) => isDenied(line) ? "deny" : line.decision === "allow" ? "allow" : "warn";
const spoken = (line) => (line.decision ?? line.connection ?? "").replace("-", " ");
/** Replaces children only where they changed, so that a choice by key keeps its focus. */
const draw = (id, of, build) => {
  const key = JSON.stringify(of);
  if (shown[id] === key) return;
  shown[id] = key;
  const held = [...at(id).querySelectorAll("button")].indexOf(document.activeElement);
  at(id).replaceChildren(...build());
  if (held >= 0) at(id).querySelectorAll("button")[held]?.focus();
};

async function ask(path) {
  const token = sessionStorage.getItem("token");
  const answer = await fetch(path, { cache: "no-store", headers: token ? { authorization: `Bearer ${token}` } : {} });
  if (answer.status === 401) {
    sessionStorage.removeItem("token");
    at("login").hidden = false;
  } else at("login").hidden = true;
  if (!answer.ok) throw new Error(answer.status === 401 ? "it asks for its token" : `${path} answered ${answer.status}`);
  return answer.text();
}

async function poll() {
  try {
    status = JSON.parse(await ask("/status"));
    const query = new URLSearchParams({ limit: SHOWN });
    if (at("filter").decision.value) query.set("decision", at("filter").decision.value);
    const parsed = (text) => text.split("\n").filter(Boolean).map((line) => JSON.parse(line)).reverse();
    denials = parsed(await ask(`/decisions?decision=denied&limit=${KEPT}`));
    lines = parsed(await ask(`/decisions?${query}`));
    now(metrics(await ask("/metrics")));
    tables();
    documents();
    const refused = status.reload?.last_error;
    at("state").textContent = `${status.version}, ${status.ready ? "ready" : "draining"}, since ${status.started}${refused ? `; a changed configuration was refused: ${refused}` : ""}`;
    at("state").className = status.ready && !refused ? "" : "bad";
  } catch (error) {
    at("state").textContent = `not reached: ${error.message}`;
    at("state").className = "bad";
  }
}

/** What the tiles need of Prometheus' text: sums by decision, and two histograms. */
function metrics(text) {
  const sums = {}, buckets = {}, single = {};
  for (const line of text.split("\n")) {
    const [, name, labels, value] = /^kinesis_gate_(\w+)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (name === "requests_total") {
      const decision = /decision="([^"]*)"/.exec(labels)[1];
      sums[decision] = (sums[decision] ?? 0) + Number(value);
    } else if (name?.endsWith("_seconds_bucket")) {
      const bound = /le="([^"]*)"/.exec(labels)[1];
      (buckets[name.slice(0, -15)] ??= []).push([bound === "+Inf" ? Infinity : Number(bound), Number(value)]);
    } else if (name && !labels) single[name] = Number(value);
  }
  return { sums, buckets, single };
}

/** The bound under which 99 of 100 lie. */
function most(buckets = []) {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total === 0) return "–";
  const bound = buckets.find(([, count]) => count >= total * 0.99)[0];
  return !isFinite(bound) ? "over 5 s" : bound < 0.001 ? `${Math.round(bound * 1e6)} µs` : bound < 1 ? `${+(bound * 1e3).toFixed(1)} ms` : `${bound} s`;
}

function now({ sums, buckets, single }) {
  const count = (decision) => sums[decision] ?? 0;
  const denied = count("explicit-deny") + count("implicit-deny"), allowed = count("allow");
  const time = performance.now();
  if (before) {
    const seconds = (time - before.time) / 1000;
    rates.push([Math.max(0, allowed - before.allowed) / seconds, Math.max(0, denied - before.denied) / seconds]);
    rates = rates.slice(-SECONDS / EVERY);
  }
  before = { time, allowed, denied };
  const [allow, deny] = rates.at(-1) ?? [0, 0];
  const lost = (single.log_lines_dropped_total ?? 0) + (single.log_lines_failed_total ?? 0);
  const tiles = [
    ["allowed a second", allow.toFixed(1), "allow"], ["denied a second", deny.toFixed(1), "deny"],
    ["allowed", allowed.toLocaleString("en"), "allow"], ["denied", denied.toLocaleString("en"), "deny"],
    ["refused", count("refused").toLocaleString("en"), ""],
    ["decision, 99 % within", most(buckets.decision), ""], ["upstream, 99 % within", most(buckets.upstream), ""],
    ["connections open", (single.connections_open ?? 0).toLocaleString("en"), ""],
    ...(lost ? [["log lines lost", lost.toLocaleString("en"), "deny"]] : []),
  ];
  at("tiles").replaceChildren(...tiles.map(([name, value, tone]) => make("div", null, { class: tone }, make("dt", name), make("dd", value))));
  const top = Math.max(1, ...rates.flat());
  ["allowed", "denied"].forEach((id, which) => {
    const step = 600 / (SECONDS / EVERY - 1), left = 600 - step * (rates.length - 1);
    at(id).setAttribute("points", rates.map((rate, n) => `${left + n * step},${78 - 76 * rate[which] / top}`).join(" "));
  });
}

/** A cell that shows what decided when it is chosen, by mouse or by key. */
const chooser = (line) => {
  const button = make("button", line.action ?? "-", { type: "button" });
  button.addEventListener("click", () => show(line));
  return make("td", null, {}, button);
};
const empty = (columns, text) => make("tr", null, {}, make("td", text, { colspan: columns, class: "hint" }));

function tables() {
  const groups = new Map();
  for (const line of denials) {
    const key = JSON.stringify([who(line), line.action, line.resource, line.endpoint, line.policy, line.statement]);
    const group = groups.get(key) ?? { line, count: 0 };
    group.count += 1;
    groups.set(key, group);
  }
  const top = [...groups.values()].sort((a, b) => b.count - a.count).slice(0, 10);
  draw("most", top, () => top.length === 0 ? [empty(5, "Nothing was denied.")] : top.map(({ line, count }) => make("tr", null, {},
    make("td", `${count} ×`), chooser(line), make("td", line.resource), make("td", who(line)), make("td", by(line)))));
  const text = at("filter").text.value.toLowerCase();
  const wanted = lines.filter((line) => text === "" || JSON.stringify(line).toLowerCase().includes(text));
  draw("lines", wanted, () => wanted.length === 0 ? [empty(6, "Nothing yet.")] : wanted.map((line) => make("tr", null, {},
    make("td", line.time.slice(11, 23)), make("td", spoken(line), { class: tone(line) }),
    line.policy ? chooser(line) : make("td", line.action ?? "-"), make("td", line.resource ?? "-"), make("td", who(line)), make("td", by(line)))));
}

/** A document's statements, each with the name that decisions give it. */
function statements(policy) {
  try {
    const found = [JSON.parse(policy.text).Statement].flat();
    return found.map((statement, n) => [statement.Sid || `#${n + 1}`, JSON.stringify(statement, null, 2)]);
  } catch {
    return [["document", policy.text]];
  }
}

function documents() {
  draw("documents", [status.policies, status.decided, chosen], () => status.policies.map((policy) => {
    const mine = chosen?.policy === policy.policy;
    const decided = status.decided[policy.policy] ?? {};
    return make("article", null, {},
      make("h3", policy.policy),
      make("p", `${policy.layer} policy of ${policy.attached_to.join(", ")}; SHA-256 ${policy.sha256.slice(0, 16)}…`),
      ...statements(policy).map(([name, text]) => {
        const count = decided[name] ?? 0;
        const told = count ? `decided ${count.toLocaleString("en")} ×` : "never decided a request";
        return make("div", null, { class: mine && chosen.statement === name ? "statement decided" : "statement" },
          make("h4", name, {}, make("span", told)), make("pre", text, { tabindex: "0" }));
      }));
  }));
}

function show(line) {
  chosen = line;
  at("why").textContent = `${spoken(line)}: ${line.action ?? "-"} on ${line.resource ?? "-"} by ${who(line)} through ${line.endpoint}: ${by(line)} of ${line.policy} (request ${line.request_id ?? "-"})`;
  at("why").className = "shown";
  documents();
  at("why").focus({ preventScroll: true });
  at("why").scrollIntoView({ block: "start" });
}

at("filter").addEventListener("input", () => status && (tables(), poll()));
at("filter").addEventListener("submit", (event) => event.preventDefault());
at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", at("login").token.value);
  at("login").token.value = "";
  poll();
});
(async function again() {
  await poll();
  setTimeout(again, EVERY * 1000);
})();
