// Keys and times. Every page works without this file.
"use strict";

const typing = (element) => element.matches("input, textarea, select, [contenteditable]");
const form = document.querySelector("form[data-decide]");
const items = () => [...document.querySelectorAll("[data-item] > a:first-child, [data-item] > .title")];
let armed = null;

function move(by) {
  const links = items();
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1);
  links[next].focus({ focusVisible: true });
  links[next].scrollIntoView({ block: "nearest" });
}

function arm(verdict) {
  disarm();
  armed = form.querySelector(`button[value="${verdict}"]`);
  armed.classList.add("armed");
  document.getElementById("armed").textContent = `to ${verdict}: Ctrl+Enter sends, Esc leaves`;
  const reason = form.elements.reason;
  reason.focus({ focusVisible: true });
  reason.setSelectionRange(reason.value.length, reason.value.length);
}

function disarm() {
  if (armed) armed.classList.remove("armed");
  armed = null;
}

function follow(relation) {
  const link = document.querySelector(`main a[rel="${relation}"]`);
  if (link) link.click();
}

document.addEventListener("keydown", (event) => {
  const dialog = document.getElementById("keys");
  if (event.isComposing || event.altKey || dialog.open) return;
  if (typing(event.target)) {
    if (event.key === "Escape") {
      event.target.blur();
      if (form) {
        disarm();
        document.getElementById("armed").textContent = "goes into the ledger with your decision";
      }
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && armed) {
      event.preventDefault();
      form.requestSubmit(armed);
    }
    return;
  }
  if (event.ctrlKey || event.metaKey) return;
  const verdicts = { a: "approve", r: "reject", q: "ask" };
  if (form && event.key in verdicts) arm(verdicts[event.key]);
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "u") follow("up");
  else if (event.key === "n") follow("next");
  else if (event.key === "p") follow("prev");
  else if (event.key === "?") dialog.showModal();
  else return;
  event.preventDefault();
});

document.getElementById("show-keys")?.addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("keys").showModal();
});

// A decision is sent once, however often the button is pressed.
form?.addEventListener("submit", (event) => {
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  if (form) delete form.dataset.sent;
});

function tick() {
  for (const element of document.querySelectorAll("[data-deadline]")) {
    const minutes = Math.floor((Number(element.dataset.deadline) - Date.now() / 1000) / 60);
    if (minutes < 0) element.textContent = "expired";
    else if (minutes < 60) element.textContent = `${minutes}\u00a0min left`;
  }
}
setInterval(tick, 15000);
