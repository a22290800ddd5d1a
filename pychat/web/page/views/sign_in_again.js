/** Asks for the password again over the open chat, so that nothing that was written goes away. */

import * as api from "../api.js";
import { afterTyping, partsOf } from "../dom.js";
import { explainRefusal } from "../words.js";
import { prepareForm } from "./fields.js";

export class SignInAgain {
  #dialog = document.getElementById("sign-in-again");
  #parts = partsOf(this.#dialog);
  #isNeeded = false;

  /** `goOn` gets the new token, and the name that one signed in with: it may have been changed elsewhere. */
  constructor(username, { goOn, signOut }) {
    this.#parts.username.defaultValue = username; // outlives a reset
    this.#parts.leave.addEventListener("click", () => signOut());
    // Escape would leave a page behind that can do nothing.
    this.#dialog.addEventListener("cancel", (event) => event.preventDefault());
    // A browser lets nobody be held for ever: a second Escape closes it all the same.
    this.#dialog.addEventListener("close", () => this.#isNeeded && this.#open());
    prepareForm(this.#dialog.querySelector("form"), {
      submit: async (values) => goOn(await signIn(values), values.username.toLowerCase()),
    });
  }

  /** Whether it is open, or about to be. */
  get isNeeded() {
    return this.#isNeeded;
  }

  /** Opens once nobody is typing: words meant for somebody else are not to go into the field for the password. */
  async show(failure) {
    if (this.#isNeeded) return;
    this.#parts.why.textContent = explainRefusal(failure);
    this.#isNeeded = true;
    await afterTyping();
    if (this.#isNeeded) this.#open();
  }

  #open() {
    this.#dialog.showModal();
    this.#dialog.querySelector('[name="password"]').focus();
  }

  close() {
    this.#isNeeded = false;
    this.#dialog.querySelector("form").reset();
    this.#dialog.close();
  }
}

async function signIn({ username, password }) {
  try {
    return await api.signIn(username, password);
  } catch (failure) {
    if (!failure.errors.credentials) throw failure;
    const message = "Username and password do not go together. Check both: your username may have been changed on another device";
    throw new api.Failure(failure.status, { message });
  }
}
