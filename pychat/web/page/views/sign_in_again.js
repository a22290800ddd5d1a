/** Asks for the password again over the open chat, so that nothing that was written goes away. */

import * as api from "../api.js";
import { partsOf } from "../dom.js";
import { explainRefusal } from "../words.js";
import { prepareForm } from "./fields.js";

export class SignInAgain {
  #dialog = document.getElementById("sign-in-again");
  #parts = partsOf(this.#dialog);
  #isNeeded = false;

  /** `goOn` gets the new token. */
  constructor(username, { goOn, signOut }) {
    this.#parts.owner.value = username;
    this.#parts.leave.addEventListener("click", () => signOut());
    // Escape would leave a page behind that can do nothing.
    this.#dialog.addEventListener("cancel", (event) => event.preventDefault());
    // A browser lets nobody be held for ever: a second Escape closes it all the same.
    this.#dialog.addEventListener("close", () => this.#isNeeded && this.#open());
    prepareForm(this.#dialog.querySelector("form"), {
      submit: async ({ password }) => goOn(await api.signIn(username, password)),
    });
  }

  get isOpen() {
    return this.#dialog.open;
  }

  show(failure) {
    if (this.isOpen) return;
    this.#parts.why.textContent = explainRefusal(failure);
    this.#isNeeded = true;
    this.#open();
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
