// The demo page: calls two APIs through the gateway once a second and shows what happened.
"use strict";

const BEAT_MS = 1000;
// Longer than the gateway lets a caller wait for a refresh (8 s by default).
const CALL_LIMIT_MS = 12000;
const SESSION_EVERY_MS = 3000;
const CALLS_SHOWN = 60;
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);
const started = performance.now();
let signedIn = null;

const cards = [
  makeCard("Quote of the day", "/api/quotes/quote", showQuote),
  makeCard("Accounts", "/api/accounts/accounts", showAccounts),
];
setInterval(beat, BEAT_MS);
setInterval(askSession, SESSION_EVERY_MS);
askSession();

function makeCard(title, route, show) {
  const root = byId("card").content.firstElementChild.cloneNode(true);
  const part = (name) => root.querySelector("." + name);
  part("title").textContent = title;
  part("route").textContent = "GET " + route;
  byId("cards").append(root);
  return {
    title, route, show, part, busy: false, calls: [], ok: 0, failed: 0, away: 0, replaced: 0,
    lastOk: null, longestGap: 0, prefix: null, full: 0, left: 0, seenAt: 0,
  };
}

function beat() {
  if (signedIn) {
    cards.filter((card) => !card.busy).forEach(call);
    cards.forEach(drawLife);
    byId("sum-time").textContent = clockText((performance.now() - started) / 1000);
  }
}

async function call(card) {
  card.busy = true;
  const begun = performance.now();
  let result = "away", replaced = false;
  try {
    const answer = await ask(card.route);
    const body = await answer.json().catch(() => ({}));
    setLink("here");
    result = answer.ok ? "ok" : "failed";
    if (answer.ok) {
      replaced = noteToken(card, body.access_token_seen);
      fill(card, card.show(body));
    } else {
      fill(card, showProblem(answer.status, body));
      if (answer.status === 401) askSession();
    }
  } catch {
    setLink("away");
  }
  card.busy = false;
  note(card, result, replaced, performance.now() - begun);
}

function ask(path) {
  const headers = { Accept: "application/json" };
  return fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(CALL_LIMIT_MS) });
}

async function askSession() {
  try {
    const answer = await ask("/auth/session");
    setLink("here");
    if (answer.status === 401) return setSignedIn(false);
    if (answer.ok) {
      showSession(await answer.json());
      setSignedIn(true);
    }
  } catch {
    setLink("away");
  }
}

function setSignedIn(yes) {
  if (signedIn === yes) return;
  signedIn = yes;
  byId("welcome").hidden = yes;
  byId("board").hidden = !yes;
  byId("leave").hidden = !yes;
  if (yes) beat();
}

function setLink(state) {
  const link = byId("link");
  if (link.dataset.state === state) return;
  link.dataset.state = state;
  link.textContent = state === "here" ? "gateway is here" : "gateway away — retrying";
}

function noteToken(card, seen) {
  if (!seen) return false;
  const replaced = card.prefix !== null && card.prefix !== seen.jti_prefix;
  card.full = Math.max(card.full, seen.seconds_left);
  card.left = seen.seconds_left;
  card.seenAt = performance.now();
  card.prefix = seen.jti_prefix;
  if (replaced) {
    card.replaced += 1;
    const prefix = card.part("prefix");
    prefix.classList.remove("fresh");
    void prefix.offsetWidth; // restarts the animation
    prefix.classList.add("fresh");
  }
  return replaced;
}

function note(card, result, replaced, tookMs) {
  const now = performance.now();
  card[result] += 1;
  if (result === "ok") {
    if (card.lastOk !== null) card.longestGap = Math.max(card.longestGap, now - card.lastOk);
    card.lastOk = now;
  }
  card.calls.push({ result, replaced, tookMs });
  card.calls.splice(0, card.calls.length - CALLS_SHOWN);
  drawCounts(card);
  drawStrip(card);
  drawLife(card);
  const sum = (field) => cards.reduce((total, one) => total + one[field], 0);
  byId("sum-ok").textContent = sum("ok");
  byId("sum-failed").textContent = sum("failed");
  byId("sum-failed").classList.toggle("bad", sum("failed") > 0);
  byId("sum-away").textContent = sum("away");
  byId("sum-away").classList.toggle("absent", sum("away") > 0);
  byId("sum-replaced").textContent = sum("replaced");
}

function drawCounts(card) {
  card.part("ok").textContent = card.ok;
  card.part("failed").textContent = card.failed;
  card.part("failed").classList.toggle("bad", card.failed > 0);
  card.part("away").textContent = card.away;
  card.part("away").classList.toggle("absent", card.away > 0);
  card.part("gap").textContent = card.longestGap ? (card.longestGap / 1000).toFixed(1) + " s" : "–";
}

function drawLife(card) {
  if (card.prefix === null) return;
  const left = Math.max(0, card.left - (performance.now() - card.seenAt) / 1000);
  const share = card.full ? left / card.full : 0;
  const bar = card.part("bar");
  card.part("prefix").textContent = card.prefix + "…";
  card.part("left").textContent = Math.round(left) + " s left";
  bar.firstElementChild.style.width = (share * 100).toFixed(1) + "%";
  bar.dataset.low = String(share < 0.25);
  bar.setAttribute("aria-valuemax", String(card.full));
  bar.setAttribute("aria-valuenow", String(Math.round(left)));
}

function drawStrip(card) {
  const strip = card.part("strip");
  const offset = CALLS_SHOWN - card.calls.length;
  const marks = card.calls.flatMap((one, index) => stripMarks(one, (offset + index) * 5));
  strip.replaceChildren(...marks);
  const count = (result) => card.calls.filter((one) => one.result === result).length;
  const changes = card.calls.filter((one) => one.replaced).length;
  strip.setAttribute("aria-label",
    `The last ${card.calls.length} calls: ${count("ok")} answered, ${count("failed")} failed, ` +
    `${count("away")} while the gateway was away, ${changes} with a replaced token.`);
}

// A taller bar is a slower call; failures reach the top, so that colour is not the only sign.
function stripMarks(one, x) {
  const slow = Math.min(24, 8 + 5 * Math.log10(1 + one.tookMs));
  const height = one.result === "ok" ? slow : 34;
  const marks = [rect("s-" + one.result, x + 0.75, 48 - height, 3.5, height)];
  if (one.replaced) marks.push(rect("s-new", x + 0.5, 4, 4, 8));
  return marks;
}

function rect(kind, x, y, width, height) {
  const mark = document.createElementNS(SVG, "rect");
  const places = { class: kind, x, y, width, height, rx: 1 };
  Object.entries(places).forEach(([name, value]) => mark.setAttribute(name, String(value)));
  return mark;
}

function fill(card, nodes) {
  const answer = card.part("answer");
  answer.removeAttribute("data-waiting");
  answer.replaceChildren(...nodes);
}

function showQuote(body) {
  return [element("blockquote", "", body.quote), element("p", "soft", "— " + body.author)];
}

function showAccounts(body) {
  const money = new Intl.NumberFormat(undefined, { style: "currency", currency: body.currency || "EUR" });
  const line = (account) => {
    const row = element("p", "row money", "");
    row.append(element("span", "", account.name));
    row.append(element("b", "", money.format(account.balance_cents / 100)));
    return row;
  };
  return (body.accounts || []).map(line);
}

function showProblem(status, body) {
  const words = body.detail || body.error_description || body.title || "no reason given";
  const nodes = [element("p", "problem", `${status} ${body.error || ""}`), element("p", "soft", words)];
  const step = body.step_up_uri && new URL(body.step_up_uri, location.href);
  if (step && step.origin === location.origin) {
    const link = element("a", "", "Confirm it is you");
    link.href = step.pathname + step.search;
    nodes.push(link);
  }
  return nodes;
}

function showSession(session) {
  byId("who").textContent = session.subject || "";
  const rows = (session.audiences || []).map((one) => {
    const row = document.createElement("tr");
    const left = one.expires_in_s === null || one.expires_in_s === undefined ? "–" : one.expires_in_s + " s";
    const granted = Array.isArray(one.granted) ? one.granted.join(" ") : one.granted || "–";
    const state = typeof one.state === "string" ? one.state : JSON.stringify(one.state);
    const cells = [one.audience, state, left, granted];
    row.append(...cells.map(cell));
    return row;
  });
  byId("audiences").replaceChildren(...rows);
}

function cell(text, column) {
  const made = element("td", "", text);
  made.dataset.column = ["", "state", "expires in", "granted"][column];
  return made;
}

function element(name, kind, text) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

function clockText(seconds) {
  const whole = Math.floor(seconds);
  return Math.floor(whole / 60) + ":" + String(whole % 60).padStart(2, "0");
}
