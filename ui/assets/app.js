// Enhancements only: every page works without this file.
"use strict";

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  if (form.method.toLowerCase() === "post") {
    form.dataset.sent = "1";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-busy", "true");
  }
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Whoever types or points is there; a page that only renews itself is not. A screen that is left
// alone shows the sign-in page once the session has ended.
if (document.querySelector("form[action='/logout']")) {
  const MINUTE = 60_000;
  let seen = Date.now(), told = seen;
  const here = () => {
    seen = Date.now();
    if (seen - told > MINUTE) { told = seen; fetch("/sync/bar?here=1").catch(() => {}); }
  };
  for (const sign of ["keydown", "pointerdown", "wheel", "touchmove"]) addEventListener(sign, here, { capture: true, passive: true });
  const ask = async () => {
    // Not while it is being left: a page that still asks is not kept for the way back.
    if (document.visibilityState !== "visible" || Date.now() - seen < MINUTE) return;
    const headers = { "HX-Request": "true", "HX-Current-URL": location.href };
    try {
      const to = (await fetch("/sync/bar", { headers })).headers.get("HX-Redirect");
      if (to) location.href = to;
    } catch { /* the box is being restarted */ }
  };
  setInterval(ask, MINUTE);
  document.addEventListener("visibilitychange", ask);
}

// Faults take the focus, so that a reader begins with them.
document.getElementById("faults")?.focus();

// Half-typed pinyin is not searched for.
for (const box of document.querySelectorAll("input[hx-post]")) {
  box.addEventListener("input", (event) => { if (event.isComposing) event.stopImmediatePropagation(); }, true);
  box.addEventListener("compositionend", () => box.dispatchEvent(new Event("input", { bubbles: true })));
}

// Photos are made smaller and turned upright before they are sent; if the browser cannot, the box does it.
const LONG_EDGE = 2200;
async function smaller(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, LONG_EDGE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.82));
  return blob ? new File([blob], file.name.replace(/\.\w+$/, "") + ".jpg", { type: "image/jpeg" }) : file;
}
for (const input of document.querySelectorAll("input[type=file][data-photo]")) {
  input.addEventListener("change", async () => {
    const form = input.form;
    const status = form.querySelector("[data-status]");
    if (status) status.textContent = status.dataset.busy;
    try {
      const files = new DataTransfer();
      for (const file of input.files) files.items.add(await smaller(file));
      input.files = files.files;
    } catch { /* sent as it is: the box says what is wrong with it */ }
    if (status) status.textContent = "";
    if (form.dataset.auto !== undefined) form.requestSubmit();
  });
}

// Signing on the screen.
const pad = document.querySelector("canvas[data-sign]");
if (pad && window.SignaturePad) {
  const ratio = Math.max(1, window.devicePixelRatio || 1);
  pad.hidden = false;
  for (const shown of document.querySelectorAll("[data-with-script]")) shown.hidden = false;
  pad.width = pad.clientWidth * ratio;
  pad.height = pad.clientHeight * ratio;
  pad.getContext("2d").scale(ratio, ratio);
  const signature = new window.SignaturePad(pad, { minWidth: 1.2, maxWidth: 3.2, penColor: "#111" });
  const form = pad.closest("form");
  form.querySelector("[data-clear]").addEventListener("click", () => signature.clear());
  signature.addEventListener("beginStroke", () => { form.querySelector("[data-empty]").hidden = true; });
  // Before the once-only guard: an empty signature is not a submission.
  form.addEventListener("submit", (event) => {
    if (signature.isEmpty()) {
      event.preventDefault();
      event.stopImmediatePropagation();
      form.querySelector("[data-empty]").hidden = false;
      return;
    }
    form.querySelector("input[name=drawn]").value = signature.toDataURL("image/png");
  });
}

// Keys at the desk: / searches, j and k move, Enter opens; never while a Chinese word is being typed.
document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (typing) return;
  if (event.key === "/") {
    const box = document.querySelector("input[type=search]");
    if (box) { event.preventDefault(); box.focus(); }
  }
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const rows = [...document.querySelectorAll("a.row")];
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    const next = event.key === "ArrowDown" ? at + 1 : at - 1;
    if (rows[next]) { event.preventDefault(); rows[next].focus(); }
  }
});
