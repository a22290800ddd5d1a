/**
 * What is written in each chat and not sent off yet. It is in localStorage, so that tabs share it and a reload loses
 * nothing; where the browser has no room, it is here as long as the page is open.
 */

import { keyOf, keysOf } from "./account.js";
import { isBlank } from "./rules.js";

export class Drafts {
  #username;
  /** Those that there was no room for, by chat. */
  #unkept = new Map();

  constructor(username) {
    this.#username = username;
  }

  get count() {
    const unkept = [...this.#unkept.keys()].map((chatId) => this.keyOf(chatId));
    return new Set([...keysOf(this.#username, "draft/"), ...unkept]).size;
  }

  /** The localStorage key under which the chat's is kept. */
  keyOf(chatId) {
    return keyOf(this.#username, `draft/${chatId}`);
  }

  get(chatId) {
    return this.#unkept.get(chatId) ?? localStorage.getItem(this.keyOf(chatId)) ?? "";
  }

  /** Whether all outlive the page. */
  get areKept() {
    return this.#unkept.size === 0;
  }

  /** Whether it outlives the page. */
  isKept(chatId) {
    return !this.#unkept.has(chatId);
  }

  set(chatId, text) {
    const key = this.keyOf(chatId);
    this.#unkept.delete(chatId);
    try {
      if (isBlank(text)) localStorage.removeItem(key);
      else localStorage.setItem(key, text);
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw error;
      this.#unkept.set(chatId, text);
    }
  }

  /** Keeps under the new name from now on; there may be room for what there was none for. */
  rename(newUsername) {
    this.#username = newUsername;
    for (const [chatId, text] of [...this.#unkept]) this.set(chatId, text);
  }
}
