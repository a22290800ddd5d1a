/**
 * The messages of one chat, as far as they are loaded: one stretch without gaps up to `#seen`, and beyond it at most
 * one's own that the server has acknowledged. After a long absence the stretch ends before the newest: then it
 * `isBehind`, and either goes on from there or leaps to the newest page.
 *
 * Events: `older` and `newer` with the messages added, as `detail`; `behind`; `leapt`, all messages are others now;
 * `kept` with whether the server keeps what it acknowledges, as `detail`.
 */

import * as api from "./api.js";
import { coalesced } from "./dom.js";
import { isLater } from "./ids.js";

const PAGE = 100;
const LARGEST_PAGE = 200;
/** Who missed more than so many pages goes to the newest, and scrolls back for what lies between. */
const PAGES_AT_ONCE = 2;

export class History extends EventTarget {
  isLoaded = false;
  /** Whether there are messages beyond the stretch that were not fetched. */
  isBehind = false;
  /** The last message that was there before the absence in which this fell behind. */
  missedAfter = "0";
  messages = [];

  #ids = new Set();
  #seen = "0";
  /** Something came while a page was on its way, and may not be on it. */
  #isOvertaken = false;
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
    this.#isOvertaken = false;
    const page = await api.messages(this.chatId, { limit: Math.min(Math.max(count, 50), LARGEST_PAGE) });
    if (this.isLoaded) return this.catchUp();
    this.isLoaded = true;
    this.#before = page.next;
    this.#addNewer(page.items);
    return this.#isOvertaken ? this.catchUp() : undefined;
  }

  /** Loads what was written before. */
  loadOlder = coalesced(async () => {
    if (this.#before === null) return;
    const before = this.#before;
    const page = await api.messages(this.chatId, { before, limit: PAGE });
    if (before !== this.#before) return; // it leapt meanwhile
    this.#before = page.next;
    const older = page.items.filter((message) => !this.#ids.has(message.id));
    for (const message of older) this.#ids.add(message.id);
    this.messages.unshift(...older);
    this.dispatchEvent(new CustomEvent("older", { detail: older }));
  });

  /** Fetches what was written since, as far as that is not too much at once. */
  catchUp = coalesced(async () => {
    if (this.isBehind) this.dispatchEvent(new Event("behind"));
    if (!this.isLoaded || this.isBehind) {
      this.#isOvertaken = true;
      return;
    }
    this.missedAfter = this.#seen;
    await this.#fetchNewer();
  });

  /** Fetches the next that were missed, where the stretch is behind. */
  goOn = coalesced(async () => {
    if (this.isBehind) await this.#fetchNewer();
  });

  /** Goes to the newest page, where the stretch is behind. */
  leap = coalesced(async () => {
    if (!this.isBehind) return;
    this.#isOvertaken = false;
    const page = await api.messages(this.chatId, { limit: LARGEST_PAGE });
    const last = page.items.at(-1)?.id ?? this.#seen; // none where all have expired
    this.messages = [...page.items, ...this.messages.filter((message) => isLater(message.id, last))];
    this.#ids = new Set(this.messages.map((message) => message.id));
    this.#before = page.next;
    this.#seen = last;
    this.isBehind = false;
    this.dispatchEvent(new Event("leapt"));
    if (this.#isOvertaken) await this.catchUp();
  });

  async #fetchNewer() {
    let next = this.#seen;
    for (let pages = 0; next && pages < PAGES_AT_ONCE; pages++) {
      this.#isOvertaken = false;
      const last = this.messages.at(-1);
      const page = await api.messages(this.chatId, { after: next, limit: LARGEST_PAGE });
      if (next !== this.#seen) return; // likewise
      if (last && isLater(last.id, next) && page.next === null) {
        const isKept = page.items.length > 0 && !isLater(last.id, page.items.at(-1).id);
        this.dispatchEvent(new CustomEvent("kept", { detail: isKept }));
      }
      this.isBehind = page.next !== null || this.#isOvertaken;
      this.#addNewer(page.items);
      next = this.isBehind && this.#seen;
    }
    if (this.isBehind) this.dispatchEvent(new Event("behind"));
  }

  /** Takes one's own message, which the server has just acknowledged; what lies before it may not be here yet. */
  acknowledge(message) {
    if (this.isLoaded && !this.isBehind) this.#add([message]);
    else this.#isOvertaken = true;
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
