/**
 * The messages of one chat, as far as they are loaded: one stretch without gaps up to `#seen`, and beyond it at most
 * one's own that the server has acknowledged. Events: `older` and `newer` with the messages added, as `detail`.
 */

import * as api from "./api.js";
import { coalesced } from "./dom.js";
import { isLater } from "./ids.js";

const PAGE = 100;
const LARGEST_PAGE = 200;

export class History extends EventTarget {
  isLoaded = false;
  messages = [];

  #ids = new Set();
  #seen = "0";
  /** From where there is more before; null at the beginning of the chat. */
  #before = null;

  constructor(chatId) {
    super();
    this.chatId = chatId;
  }

  get hasOlder() {
    return this.#before !== null;
  }

  /** Loads the newest messages, `count` at least as far as one page goes; does nothing where some are loaded. */
  async load(count) {
    if (this.isLoaded) return this.catchUp();
    const page = await api.messages(this.chatId, { limit: Math.min(Math.max(count, 50), LARGEST_PAGE) });
    if (this.isLoaded) return undefined;
    this.isLoaded = true;
    this.#before = page.next;
    this.#addNewer(page.items);
    return undefined;
  }

  /** Loads what was written before. */
  loadOlder = coalesced(async () => {
    if (this.#before === null) return;
    const page = await api.messages(this.chatId, { before: this.#before, limit: PAGE });
    this.#before = page.next;
    const older = page.items.filter((message) => !this.#ids.has(message.id));
    for (const message of older) this.#ids.add(message.id);
    this.messages.unshift(...older);
    this.dispatchEvent(new CustomEvent("older", { detail: older }));
  });

  /** Fetches what was written since. */
  catchUp = coalesced(async () => {
    if (!this.isLoaded) return;
    let next = this.#seen;
    while (next) {
      const page = await api.messages(this.chatId, { after: next, limit: LARGEST_PAGE });
      this.#addNewer(page.items);
      next = page.next;
    }
  });

  /** Takes one's own message, which the server has just acknowledged; what lies before it may not be here yet. */
  acknowledge(message) {
    if (this.isLoaded) this.#add([message]);
  }

  /** Lets go of all but the newest page, so that an hour of scrolling is not kept for ever. */
  trim() {
    if (this.messages.length <= LARGEST_PAGE) return;
    this.messages = this.messages.slice(-LARGEST_PAGE);
    this.#ids = new Set(this.messages.map((message) => message.id));
    this.#before = this.messages[0].id;
  }

  #addNewer(messages) {
    if (messages.length > 0 && isLater(messages.at(-1).id, this.#seen)) this.#seen = messages.at(-1).id;
    this.#add(messages);
  }

  #add(messages) {
    for (const message of messages) {
      if (this.#ids.has(message.id)) continue;
      this.#ids.add(message.id);
      let place = this.messages.length;
      while (place > 0 && isLater(this.messages[place - 1].id, message.id)) place -= 1;
      this.messages.splice(place, 0, message);
    }
    this.dispatchEvent(new CustomEvent("newer", { detail: messages }));
  }
}
