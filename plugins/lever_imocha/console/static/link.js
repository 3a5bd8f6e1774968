// Shows a candidate's test link once: it comes sealed, and only this page has the key, which is gone when it is left.
"use strict";

const KEY = { name: "RSA-OAEP", hash: "SHA-256", modulusLength: 3072, publicExponent: new Uint8Array([1, 0, 1]) };
const EACH_MS = 2000;
let pair;

async function chosen(event) {
  const box = event.target;
  if (!box.checked || pair) return;
  const buttons = [...box.form.querySelectorAll("button")];
  buttons.forEach((button) => (button.disabled = true)); // a key takes a second to make
  pair = await crypto.subtle.generateKey(KEY, false, ["encrypt", "decrypt"]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  box.value = btoa(String.fromCharCode(...spki));
  buttons.forEach((button) => (button.disabled = false));
}

async function show(place, path) {
  const [said, input, button] = ["[role=status]", "input", "button"].map((name) => place.querySelector(name));
  while (place.isConnected) {
    const answer = await fetch(path, { method: "POST", headers: { Accept: "application/json", "HX-Request": "true" } });
    const told = await answer.json();
    if (told.sealed) {
      const sealed = Uint8Array.from(atob(told.sealed), (sign) => sign.charCodeAt(0));
      input.value = new TextDecoder().decode(await crypto.subtle.decrypt(KEY, pair.privateKey, sealed));
      input.hidden = button.hidden = false;
      said.textContent = "Shown this once.";
      button.addEventListener("click", async () => {
        input.select();
        await navigator.clipboard.writeText(input.value);
        said.textContent = "Copied.";
      });
      return;
    }
    said.textContent = told.said;
    if (answer.status !== 202) return;
    await new Promise((resolve) => setTimeout(resolve, EACH_MS));
  }
}

document.addEventListener("DOMContentLoaded", () => {
  if (!window.crypto?.subtle) return;
  for (const box of document.querySelectorAll("input[name=public_key]")) {
    box.disabled = false;
    box.closest("label").nextElementSibling.hidden = true;
    box.addEventListener("change", chosen);
  }
});
document.addEventListener("htmx:afterSwap", (event) => {
  for (const place of event.target.querySelectorAll("[data-link]")) {
    const path = place.dataset.link;
    place.removeAttribute("data-link");
    show(place, path).catch(() => (place.querySelector("[role=status]").textContent = "The link could not be read. Ask for it again."));
  }
});
window.addEventListener("pagehide", () => document.querySelectorAll(".link input").forEach((input) => (input.value = "")));
