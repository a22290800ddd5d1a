/**
 * What is written and not sent yet. It is in localStorage, one key an entry, so that tabs do not overwrite each
 * other's and a reload or a day offline loses nothing. An entry goes by its `client_id`, by which the server knows a
 * repeat: it may be sent again without a thought.
 *
 * Events: `change`; `sent` with `{entry, message}` as `detail`; `removed` and, where another tab has sent or discarded it,
 * `settled`, with the `client_id`.
 */

import * as api from "./api.js";
import { coalesced } from "./dom.js";
import { keyOf } from "./account.js";
import { newId } from "./ids.js";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** A message that the server itself fails at so often is not to hold up the others any longer. */
const MOST_FAILURES = 3;

export class Outbox extends EventTarget {
  #username;
  #prefix;
  #failures = 0;
  /** The server asked not to be asked before that. */
  #notBefore = 0;
  #timer = 0;
  #isClosed = false;

  constructor(username) {
    super();
    this.#username = username;
    this.#prefix = keyOf(username, "outbox/");
    addEventListener("storage", (event) => {
      if (!event.key?.startsWith(this.#prefix)) return;
      if (event.newValue === null) this.#tell("settled", event.key.slice(this.#prefix.length));
      else this.#changed();
    });
  }

  /**
   * All entries, oldest first: `{client_id, chat_id, text, written_at, state, why, failures}`, state `waiting` or
   * `failed`, `failures` how often the server itself failed at it (an older page kept none).
   */
  get entries() {
    return Object.keys(localStorage)
      .filter((key) => key.startsWith(this.#prefix))
      .sort()
      .map((key) => JSON.parse(localStorage.getItem(key)));
  }

  entriesOf(chatId) {
    return this.entries.filter((entry) => entry.chat_id === chatId);
  }

  /**
   * Takes a message to send.
   *
   * Throws where the browser has no room for it.
   */
  add(chatId, text) {
    const written_at = new Date().toISOString();
    this.#keep({ client_id: newId(), chat_id: chatId, text, written_at, state: "waiting", why: "", failures: 0 });
    this.flush();
  }

  /** Sends a failed one once more, unless another tab has settled it. */
  retry(entry) {
    if (!this.has(entry)) return;
    this.#keep({ ...entry, state: "waiting", why: "", failures: 0 });
    this.flush();
  }

  /** Whether it is still there: another tab, or a fetched history, may have settled it meanwhile. */
  has(entry) {
    return localStorage.getItem(this.#prefix + entry.client_id) !== null;
  }

  remove(clientId) {
    localStorage.removeItem(this.#prefix + clientId);
    this.#tell("removed", clientId);
    this.#changed();
  }

  /** Sends what waits, oldest first. Only one tab does so at a time. */
  flush() {
    if (Date.now() < this.#notBefore) return; // the timer is set
    clearTimeout(this.#timer);
    this.#flush();
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #flush = coalesced(async () => {
    if (!navigator.locks) return this.#sendAll();
    return navigator.locks.request(keyOf(this.#username, "outbox"), () => this.#sendAll());
  });

  async #sendAll() {
    while (!this.#isClosed) {
      const entry = this.entries.find(({ state }) => state === "waiting");
      if (!entry) return;
      try {
        const { id, sent_at } = await api.send(entry.chat_id, entry.text, entry.client_id);
        this.#failures = 0;
        const { chat_id, text, client_id } = entry;
        const message = { id, chat_id, sender: this.#username, text, sent_at, client_id };
        this.#tell("sent", { entry, message });
        this.remove(client_id);
      } catch (failure) {
        if (!(failure instanceof api.Failure)) throw failure;
        if (!this.has(entry)) continue;
        if (failure.status === 401) return;
        const failures = (entry.failures ?? 0) + (failure.status === 500);
        if (failure.passes && failures < MOST_FAILURES) {
          this.#waitAfter(failure, { ...entry, failures });
          return;
        }
        this.#failures = 0;
        this.#keepFailure({ ...entry, state: "failed" }, failure);
      }
    }
  }

  #waitAfter(failure, entry) {
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures++, LONGEST_PAUSE_MS);
    this.#notBefore = Date.now() + failure.retryAfterSec * 1000;
    const lookAgain = () => {
      this.#notBefore = 0; // the clock may have been set back meanwhile
      this.flush();
    };
    this.#timer = setTimeout(lookAgain, Math.max(pause, failure.retryAfterSec * 1000));
    this.#keepFailure(entry, failure);
  }

  #keepFailure(entry, failure) {
    try {
      this.#keep({ ...entry, why: explanation(failure) });
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw error;
      this.#keep({ ...entry, why: "" }); // no more than is kept of it already
    }
  }

  #keep(entry) {
    localStorage.setItem(this.#prefix + entry.client_id, JSON.stringify(entry));
    this.#changed();
  }

  #changed() {
    this.#tell("change");
  }

  #tell(what, detail) {
    this.dispatchEvent(new CustomEvent(what, { detail }));
  }
}

/** As much of a failure as outlives a reload. */
function explanation({ status, code, message, errors }) {
  return { status, code, message, errors };
}
