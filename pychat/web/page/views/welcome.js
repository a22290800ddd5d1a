/** Signing up and in. */

import * as api from "../api.js";
import { lastUsername } from "../account.js";
import { partsOf } from "../dom.js";
import { prepareForm } from "./fields.js";

/** Shows the welcome until somebody is signed in: then hides it and calls back with username and token. */
export function showWelcome(onSignedIn) {
  const root = document.getElementById("welcome");
  const parts = partsOf(root);
  const forms = { up: parts["sign-up"], in: parts["sign-in"] };

  const enter = (username, token) => {
    root.hidden = true;
    onSignedIn(username.toLowerCase(), token);
  };
  prepareForm(forms.up, {
    ruled: ["username", "display_name", "password"],
    optional: ["display_name"],
    async submit({ username, display_name, password }) {
      enter(username, await api.signUp({ username, password, display_name: display_name.trim() || username }));
    },
  });
  prepareForm(forms.in, {
    async submit({ username, password }) {
      enter(username.trim(), await api.signIn(username.trim(), password));
    },
  });

  function show(which) {
    for (const [name, form] of Object.entries(forms)) form.hidden = name !== which;
    const [first, second] = forms[which].querySelectorAll("input");
    (first.value ? second : first).focus();
  }
  parts["to-sign-in"].addEventListener("click", () => show("in"));
  parts["to-sign-up"].addEventListener("click", () => show("up"));

  forms.in.elements.username.value = lastUsername();
  root.hidden = false;
  show(lastUsername() ? "in" : "up");
}
