/** The field to write in. What is in it is kept by chat, until it is sent. */

import { keyOf } from "../account.js";
import { isTouched } from "../dom.js";
import { isBlank, messageFault } from "../rules.js";

export class Composer {
  #parts;
  #me;
  #send;
  #chatId = "";

  constructor(parts, { me, send }) {
    this.#parts = parts;
    this.#me = me;
    this.#send = send;
    parts.text.addEventListener("input", () => this.#changed());
    parts.text.addEventListener("keydown", (event) => this.#onKey(event));
    parts.composer.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  open(chat) {
    this.#chatId = chat.id;
    const { text } = this.#parts;
    text.setAttribute("aria-label", `Message to ${chat.title}`);
    text.placeholder = `Message to ${chat.title}`;
    text.value = localStorage.getItem(this.#draftKey) ?? "";
    this.#changed();
    // On a phone the keyboard would jump up before one has read anything.
    if (!isTouched()) text.focus();
  }

  close() {
    this.#chatId = "";
  }

  /** Puts a text before what is written. */
  put(text) {
    const field = this.#parts.text;
    field.value = [text, field.value].filter(Boolean).join("\n");
    this.#changed();
    field.focus();
  }

  get #draftKey() {
    return keyOf(this.#me, `draft/${this.#chatId}`);
  }

  #submit() {
    const { text, fault } = this.#parts;
    if (!this.#chatId || isBlank(text.value) || messageFault(text.value)) return;
    try {
      this.#send(text.value.trim());
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw error;
      fault.textContent = "This browser has no room left for what is not sent yet. Your text stays here.";
      return;
    }
    text.value = "";
    this.#changed();
    text.focus();
  }

  #changed() {
    const { text, fault, send } = this.#parts;
    try {
      if (text.value) localStorage.setItem(this.#draftKey, text.value);
      else localStorage.removeItem(this.#draftKey);
    } catch {
      // No room in the browser: the text is still in the field, and sending says so.
    }
    fault.textContent = messageFault(text.value);
    send.disabled = isBlank(text.value) || fault.textContent !== "";
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight}px`;
  }

  #onKey(event) {
    // On a screen that one touches, Enter begins a line and the button sends.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !isTouched()) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "Escape") {
      this.#parts.lists.querySelector("a[aria-current]")?.focus();
      location.hash = "#/";
    } else if ((event.key === "ArrowUp" && this.#parts.text.value === "") || event.key === "PageUp") {
      event.preventDefault();
      this.#parts.history.focus();
      if (event.key === "PageUp") this.#parts.history.scrollBy(0, -0.8 * this.#parts.history.clientHeight);
    }
  }
}
