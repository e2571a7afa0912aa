// Security keys: registers one, or signs one step. The page says so where this cannot run.
"use strict";

const from64 = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const to64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

for (const form of document.querySelectorAll("form[data-key]")) {
  const asked = JSON.parse(form.dataset.ask);
  const button = form.querySelector("button");
  const failed = form.querySelector("[data-failed]");
  const keys = (asked.keys ?? []).map((id) => ({ type: "public-key", id: from64(id) }));
  const common = { challenge: from64(asked.challenge), timeout: 120000 };

  async function register() {
    const made = await navigator.credentials.create({ publicKey: {
      ...common,
      rp: { id: asked.rp, name: asked.county },
      user: { id: from64(asked.user), name: asked.login, displayName: asked.name },
      pubKeyCredParams: [{ type: "public-key", alg: -7 }, { type: "public-key", alg: -8 }],
      authenticatorSelection: { userVerification: "required", residentKey: "discouraged" },
      attestation: "none",
      excludeCredentials: keys,
    } });
    return {
      attestation: to64(made.response.attestationObject),
      client: to64(made.response.clientDataJSON),
      attachment: made.authenticatorAttachment ?? "",
    };
  }
  async function sign() {
    const made = await navigator.credentials.get({ publicKey: {
      ...common, rpId: asked.rp, allowCredentials: keys, userVerification: "required",
    } });
    return {
      credential: to64(made.rawId),
      data: to64(made.response.authenticatorData),
      client: to64(made.response.clientDataJSON),
      signature: to64(made.response.signature),
    };
  }
  async function go() {
    failed.hidden = true;
    button.setAttribute("aria-busy", "true");
    try {
      const fields = form.dataset.key === "new" ? await register() : await sign();
      for (const [name, value] of Object.entries(fields)) form.elements[name].value = value;
      form.submit();
    } catch {
      failed.hidden = false;
      failed.focus();
      button.removeAttribute("aria-busy");
    }
  }
  const able = window.isSecureContext && window.PublicKeyCredential;
  form.querySelector("[data-unable]").hidden = Boolean(able);
  button.hidden = !able;
  // Before the once-only guard of other forms: the key comes first, then the form is sent.
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    go();
  });
}
