"use strict";
const byId = (id) => document.getElementById(id);
/** An element with text and children; text is never markup. */
const element = (name, text, attributes = {}, ...children) => {
  const node = document.createElement(name);
  if (text != null) node.textContent = text;
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
const MAX_LINES = 60, MAX_DENIALS = 1000, GRAPH_SECONDS = 120, POLL_SECONDS = 2;
let status = null, denials = [], lines = [], rates = [], previous = null, selected = null, rendered = {};

const isDenied = (line) => line.decision?.endsWith("-deny") ?? false;
const principalOf = (line) => line.principal?.arn ?? line.principal?.account ?? line.principal?.access_key_id ?? "unknown";
const reasonOf = (line) => {
  if (!line.policy || line.rate) return line.reason ?? "";
  const statement = line.statement ? `statement ${line.statement}` : "no statement allows it";
  return [statement, line.unknown && `not known here: ${line.unknown}`, line.mode].filter(Boolean).join("; ");
};
const toneOf = (line) => isDenied(line) ? "deny" : line.decision === "allow" ? "allow" : "warn";
const outcomeOf = (line) => (line.decision ?? line.connection ?? "").replace("-", " ");
/** Replaces the children of an element if the data changed, so that a button keeps its focus. */
const render = (id, of, build) => {
  const key = JSON.stringify(of);
  if (rendered[id] === key) return;
  rendered[id] = key;
  const focused = [...byId(id).querySelectorAll("button")].indexOf(document.activeElement);
  byId(id).replaceChildren(...build());
  if (focused >= 0) byId(id).querySelectorAll("button")[focused]?.focus();
};

async function fetchText(path) {
  const token = sessionStorage.getItem("token");
  const response = await fetch(path, { cache: "no-store", headers: token ? { authorization: `Bearer ${token}` } : {} });
  if (response.status === 401) {
    sessionStorage.removeItem("token");
    byId("login").hidden = false;
  } else byId("login").hidden = true;
  if (!response.ok) throw new Error(response.status === 401 ? "it asks for its token" : `${path} answered ${response.status}`);
  return response.text();
}

async function poll() {
  try {
    status = JSON.parse(await fetchText("/status"));
    const query = new URLSearchParams({ limit: MAX_LINES });
    if (byId("filter").decision.value) query.set("decision", byId("filter").decision.value);
    const parsed = (text) => text.split("\n").filter(Boolean).map((line) => JSON.parse(line)).reverse();
    denials = parsed(await fetchText(`/decisions?decision=denied&limit=${MAX_DENIALS}`));
    lines = parsed(await fetchText(`/decisions?${query}`));
    renderMetrics(parseMetrics(await fetchText("/metrics")));
    renderTables();
    renderPolicies();
    const refused = status.reload?.last_error;
    byId("state").textContent = `${status.version}, ${status.ready ? "ready" : "draining"}, since ${status.started}${refused ? `; a changed configuration was refused: ${refused}` : ""}`;
    byId("state").className = status.ready && !refused ? "" : "bad";
  } catch (error) {
    byId("state").textContent = `not reached: ${error.message}`;
    byId("state").className = "bad";
  }
}

/** Parses what the tiles need of the metrics page: requests by decision, and histograms. */
function parseMetrics(text) {
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

/** The upper bound of the 99th percentile. */
function p99(buckets = []) {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total === 0) return "–";
  const bound = buckets.find(([, count]) => count >= total * 0.99)[0];
  return !isFinite(bound) ? "over 5 s" : bound < 0.001 ? `${Math.round(bound * 1e6)} µs` : bound < 1 ? `${+(bound * 1e3).toFixed(1)} ms` : `${bound} s`;
}

function renderMetrics({ sums, buckets, single }) {
  const count = (decision) => sums[decision] ?? 0;
  const denied = count("explicit-deny") + count("implicit-deny"), allowed = count("allow");
  const time = performance.now();
  if (previous) {
    const seconds = (time - previous.time) / 1000;
    rates.push([Math.max(0, allowed - previous.allowed) / seconds, Math.max(0, denied - previous.denied) / seconds]);
    rates = rates.slice(-GRAPH_SECONDS / POLL_SECONDS);
  }
  previous = { time, allowed, denied };
  const [allow, deny] = rates.at(-1) ?? [0, 0];
  const lost = (single.log_lines_dropped_total ?? 0) + (single.log_lines_failed_total ?? 0);
  const tiles = [
    ["allowed a second", allow.toFixed(1), "allow"], ["denied a second", deny.toFixed(1), "deny"],
    ["allowed", allowed.toLocaleString("en"), "allow"], ["denied", denied.toLocaleString("en"), "deny"],
    ["refused", count("refused").toLocaleString("en"), ""],
    ["decision, 99 % within", p99(buckets.decision), ""], ["upstream, 99 % within", p99(buckets.upstream), ""],
    ["connections open", (single.connections_open ?? 0).toLocaleString("en"), ""],
    ...(lost ? [["log lines lost", lost.toLocaleString("en"), "deny"]] : []),
  ];
  byId("tiles").replaceChildren(...tiles.map(([name, value, tone]) => element("div", null, { class: tone }, element("dt", name), element("dd", value))));
  const top = Math.max(1, ...rates.flat());
  ["allowed", "denied"].forEach((id, which) => {
    const step = 600 / (GRAPH_SECONDS / POLL_SECONDS - 1), left = 600 - step * (rates.length - 1);
    byId(id).setAttribute("points", rates.map((rate, n) => `${left + n * step},${78 - 76 * rate[which] / top}`).join(" "));
  });
}

/** A cell with a button that shows the deciding statement. */
const decisionCell = (line) => {
  const button = element("button", line.action ?? "-", { type: "button" });
  button.addEventListener("click", () => showDecision(line));
  return element("td", null, {}, button);
};
const emptyRow = (columns, text) => element("tr", null, {}, element("td", text, { colspan: columns, class: "hint" }));

function renderTables() {
  const groups = new Map();
  for (const line of denials) {
    const key = JSON.stringify([principalOf(line), line.action, line.resource, line.endpoint, line.policy, line.statement]);
    const group = groups.get(key) ?? { line, count: 0 };
    group.count += 1;
    groups.set(key, group);
  }
  const top = [...groups.values()].sort((a, b) => b.count - a.count).slice(0, 10);
  render("most", top, () => top.length === 0 ? [emptyRow(5, "Nothing was denied.")] : top.map(({ line, count }) => element("tr", null, {},
    element("td", `${count} ×`), decisionCell(line), element("td", line.resource), element("td", principalOf(line)), element("td", reasonOf(line)))));
  const text = byId("filter").text.value.toLowerCase();
  const wanted = lines.filter((line) => text === "" || JSON.stringify(line).toLowerCase().includes(text));
  render("lines", wanted, () => wanted.length === 0 ? [emptyRow(6, "Nothing yet.")] : wanted.map((line) => element("tr", null, {},
    element("td", line.time.slice(11, 23)), element("td", outcomeOf(line), { class: toneOf(line) }),
    line.policy ? decisionCell(line) : element("td", line.action ?? "-"), element("td", line.resource ?? "-"), element("td", principalOf(line)), element("td", reasonOf(line)))));
}

/** The statements of a policy, each with its name in the decision log. */
function statementsOf(policy) {
  try {
    const found = [JSON.parse(policy.text).Statement].flat();
    return found.map((statement, n) => [statement.Sid || `#${n + 1}`, JSON.stringify(statement, null, 2)]);
  } catch {
    return [["document", policy.text]];
  }
}

function renderPolicies() {
  render("documents", [status.policies, status.decided, selected], () => status.policies.map((policy) => {
    const isSelected = selected?.policy === policy.policy;
    const decided = status.decided[policy.policy] ?? {};
    return element("article", null, {},
      element("h3", policy.policy),
      element("p", `${policy.layer} policy of ${policy.attached_to.join(", ")}; SHA-256 ${policy.sha256.slice(0, 16)}…`),
      ...statementsOf(policy).map(([name, text]) => {
        const count = decided[name] ?? 0;
        const usage = count ? `decided ${count.toLocaleString("en")} ×` : "never decided a request";
        return element("div", null, { class: isSelected && selected.statement === name ? "statement decided" : "statement" },
          element("h4", name, {}, element("span", usage)), element("pre", text, { tabindex: "0" }));
      }));
  }));
}

function showDecision(line) {
  selected = line;
  byId("why").textContent = `${outcomeOf(line)}: ${line.action ?? "-"} on ${line.resource ?? "-"} by ${principalOf(line)} through ${line.endpoint}: ${reasonOf(line)} of ${line.policy} (request ${line.request_id ?? "-"})`;
  byId("why").className = "shown";
  renderPolicies();
  byId("why").focus({ preventScroll: true });
  byId("why").scrollIntoView({ block: "start" });
}

byId("filter").addEventListener("input", () => status && (renderTables(), poll()));
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", byId("login").token.value);
  byId("login").token.value = "";
  poll();
});
(async function pollAgain() {
  await poll();
  setTimeout(pollAgain, POLL_SECONDS * 1000);
})();
