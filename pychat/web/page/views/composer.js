/** The field to write in. What is in it is kept by chat, until it is sent off. */

import { isTouched } from "../dom.js";
import { isBlank, messageFault } from "../rules.js";

const NO_ROOM = "This browser has no room left to keep what you write: it is gone when you close the page.";

export class Composer {
  #parts;
  #drafts;
  #send;
  #chatId = "";
  /** Something was typed here, and is not sent yet. */
  #isTyped = false;

  constructor(parts, { drafts, send }) {
    this.#parts = parts;
    this.#drafts = drafts;
    this.#send = send;
    parts.text.addEventListener("input", () => {
      this.#isTyped = true;
      this.#changed();
    });
    parts.text.addEventListener("keydown", (event) => this.#onKey(event));
    addEventListener("storage", (event) => this.#onOtherTab(event));
    addEventListener("pagehide", () => this.keep());
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
    text.value = this.#drafts.get(chat.id);
    this.#isTyped = false;
    this.#show();
    // On a phone the keyboard would jump up before one has read anything.
    (isTouched() ? this.#parts.peer : text).focus();
  }

  /** What another tab has kept or sent since is not what was typed here; nor is it to go for what was not. */
  keep() {
    if (this.#isTyped) this.#keep();
  }

  close() {
    this.#chatId = "";
  }

  /** Puts a text before what is written. */
  put(text) {
    const field = this.#parts.text;
    field.value = [text, field.value].filter(Boolean).join("\n");
    this.#isTyped = true;
    this.#changed();
    field.focus();
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
    this.#isTyped = false;
    this.#changed();
    text.focus();
  }

  /** Follows what another tab does to the draft, unless something else is written here. */
  #onOtherTab({ key, oldValue, newValue }) {
    const { text } = this.#parts;
    if (!this.#chatId || key !== this.#drafts.keyOf(this.#chatId) || text.value !== (oldValue ?? "")) return;
    text.value = newValue ?? "";
    this.#isTyped = false;
    this.#show();
  }

  #changed() {
    this.#keep();
    this.#show();
  }

  #keep() {
    if (this.#chatId) this.#drafts.set(this.#chatId, this.#parts.text.value);
  }

  #show() {
    const { text, fault, send } = this.#parts;
    const reason = messageFault(text.value);
    send.disabled = isBlank(text.value) || reason !== "";
    fault.textContent = reason || (this.#drafts.isKept(this.#chatId) ? "" : NO_ROOM);
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight}px`;
  }

  #onKey(event) {
    // On a screen that one touches, Enter begins a line and the button sends.
    if (isComposing(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !isTouched()) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "Escape") {
      location.hash = "#/";
    } else if ((event.key === "ArrowUp" && this.#parts.text.value === "") || event.key === "PageUp") {
      event.preventDefault();
      this.#parts.history.focus();
      if (event.key === "PageUp") this.#parts.history.scrollBy(0, -0.8 * this.#parts.history.clientHeight);
    }
  }
}

/** Whether the key belongs to an input method, which it ends or goes through; Safari tells that by the number alone. */
const isComposing = (event) => event.isComposing || event.keyCode === 229;
