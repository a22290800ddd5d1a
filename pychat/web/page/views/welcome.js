/** Signing up and in. */

import * as api from "../api.js";
import { lastUsername } from "../account.js";
import { partsOf } from "../dom.js";
import { prepareForm } from "./fields.js";

/** Names whose account may be there, though no answer to making it came. */
const unanswered = new Set();

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
      enter(username, await signUp({ username, password, display_name: display_name.trim() || username }));
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

/** Resolves to a token. A name that is taken, perhaps by the try before, is one's own if the password is. */
async function signUp(user) {
  try {
    return await api.signUp(user);
  } catch (failure) {
    if (failure.passes) unanswered.add(user.username);
    if (failure.status !== 409 || !unanswered.has(user.username)) throw failure;
    return api.signIn(user.username, user.password).catch(() => Promise.reject(failure));
  }
}
