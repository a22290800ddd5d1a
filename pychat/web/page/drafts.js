/**
 * What is written in each chat and not sent off yet. It is in localStorage, so that tabs share it and a reload loses
 * nothing; where the browser has no room, it is here as long as the page is open.
 */

import { keyOf, keysOf } from "./account.js";
import { isBlank } from "./rules.js";

export class Drafts {
  #username;
  /** Those that there was no room for, by their keys. */
  #unkept = new Map();

  constructor(username) {
    this.#username = username;
  }

  get count() {
    return new Set([...keysOf(this.#username, "draft/"), ...this.#unkept.keys()]).size;
  }

  /** The localStorage key under which the chat's is kept. */
  keyOf(chatId) {
    return keyOf(this.#username, `draft/${chatId}`);
  }

  get(chatId) {
    const key = this.keyOf(chatId);
    return this.#unkept.get(key) ?? localStorage.getItem(key) ?? "";
  }

  /** Whether it outlives the page. */
  isKept(chatId) {
    return !this.#unkept.has(this.keyOf(chatId));
  }

  set(chatId, text) {
    const key = this.keyOf(chatId);
    this.#unkept.delete(key);
    try {
      if (isBlank(text)) localStorage.removeItem(key);
      else localStorage.setItem(key, text);
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw error;
      this.#unkept.set(key, text);
    }
  }
}
