// The search field and the forms of the page. The key is kept in its field and nowhere else.
"use strict";

const search = document.getElementById("search");
const key = document.getElementById("key");
const calls = [...document.querySelectorAll("details.call")];

function narrow() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const call of calls) {
    call.hidden = !words.every((word) => call.dataset.words.includes(word));
  }
  for (const group of document.querySelectorAll("section")) {
    group.hidden = !group.querySelector("details.call:not([hidden])");
  }
  document.getElementById("nothing").hidden = calls.some((call) => !call.hidden);
}

async function send(event) {
  event.preventDefault();
  const form = event.target;
  const shown = form.querySelector("output");
  const body = form.elements.body;
  const headers = {};
  if (key.value) headers["Authorization"] = `Bearer ${key.value.trim()}`;
  if (form.dataset.author) headers["X-DITTO-CLIENT-ID"] = form.dataset.author;
  if (body) headers["Content-Type"] = "application/json";
  shown.replaceChildren(block("…"));
  try {
    const path = form.elements.path.value;
    if (!path.startsWith("/") || path.startsWith("//")) throw new Error("The path begins with one slash.");
    const answer = await fetch(path, { method: form.dataset.method, headers, body: body ? body.value : undefined });
    shown.replaceChildren(block(`${answer.status} ${answer.statusText}\n\n${tidy(await answer.text())}`));
  } catch (error) {
    shown.replaceChildren(block(String(error)));
  }
}

function block(text) {
  const made = document.createElement("pre");
  made.textContent = text;
  return made;
}

function tidy(text) {
  // Numbers beyond 53 bits would change on the way through a parser.
  return text.length > 200000 ? text.slice(0, 200000) + "\n…" : text;
}

search.addEventListener("input", narrow);
document.addEventListener("submit", send);
if (location.hash) document.getElementById(location.hash.slice(1))?.setAttribute("open", "");
