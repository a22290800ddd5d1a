/**
 * Hears that something happened. The long poll of version 1 serves as the bell: its answers carry no ids, so what
 * happened is fetched. Another transport replaces this file alone.
 *
 * The tabs of one browser share one session: the one that holds a Web Lock reads, the others hear of it over a
 * BroadcastChannel. The session is kept in localStorage, so that a reload goes on where it was. A page served without
 * TLS, other than on localhost, has no Web Locks: there each tab reads a session of its own.
 *
 * Events: `wake`, something may have happened; `state`, see `state`.
 */

import * as api from "./api.js";
import { keyOf } from "./account.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const HELD_PAUSE_MS = 1_000;
/** Where the server is set to hold polls no longer than that, this is waited here. */
const SHORTEST_POLL_MS = 1_000;

export class Stream extends EventTarget {
  /** `connecting`, `online`, `offline`, `crowded` (as many devices as allowed are connected), `unavailable`. */
  state = "connecting";
  /** Whether this is the tab that reads. */
  isReader = false;

  #username;
  #channel;
  #stop = new AbortController();
  #poll = new AbortController();
  #endPause = () => {};

  constructor(username) {
    super();
    this.#username = username;
    this.#channel = new BroadcastChannel(keyOf(username, "stream"));
  }

  /** Begins, and goes on until `stop`. */
  start() {
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#channel.postMessage({ kind: "hello" });
    addEventListener("online", () => this.#lookNow(), { signal: this.#stop.signal });
    addEventListener("offline", () => this.#poll.abort(), { signal: this.#stop.signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.#lookNow(), { signal: this.#stop.signal });
    if (!navigator.locks) {
      this.#read(sessionStorage);
      return;
    }
    navigator.locks
      .request(keyOf(this.#username, "stream"), { signal: this.#stop.signal }, () => this.#read(localStorage))
      .catch((error) => {
        if (error.name !== "AbortError") throw error;
      });
  }

  stop() {
    this.#stop.abort();
    this.#poll.abort();
    this.#endPause();
    this.#channel.close();
  }

  /** Tells the other tabs that this one changed something. */
  tell() {
    if (!this.#stop.signal.aborted) this.#channel.postMessage({ kind: "wake" });
  }

  #hear({ kind, state }) {
    if (kind === "hello" && this.isReader) this.#channel.postMessage({ kind: "state", state: this.state });
    if (kind === "state" && !this.isReader) this.#become(state);
    if (kind === "wake") this.dispatchEvent(new Event("wake"));
  }

  #wake() {
    this.dispatchEvent(new Event("wake"));
    this.tell();
  }

  #become(state) {
    if (this.isReader && !this.#stop.signal.aborted) this.#channel.postMessage({ kind: "state", state });
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  /** The network came back, or somebody looks at the page again: no time to pause. */
  #lookNow() {
    this.#endPause();
    this.dispatchEvent(new Event("wake"));
  }

  async #read(storage) {
    this.isReader = true;
    const session = new Kept(storage, keyOf(this.#username, "session"));
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      try {
        const sessionId = session.value;
        if (!sessionId) {
          session.value = await api.startSession(this.#stop.signal);
          failures = 0;
          this.#become("online");
          this.#wake(); // what came before the session began
        } else if (this.state !== "online") {
          await api.ping(); // a poll would not tell for half a minute that all is well
          failures = 0;
          this.#become("online");
          this.#wake();
        } else {
          this.#poll = new AbortController();
          const begun = performance.now();
          const isNews = await api.poll(sessionId, this.#poll.signal);
          failures = 0;
          // An empty answer too: what was read on another device rings no bell.
          this.#wake();
          if (!isNews) await this.#pause(SHORTEST_POLL_MS - (performance.now() - begun));
        }
      } catch (failure) {
        if (this.#stop.signal.aborted) return;
        if (failure.status === 401) return; // whoever signs in again starts a new stream
        await this.#recover(failure, session, failures++);
      }
    }
  }

  async #recover(failure, session, failures) {
    if (failure.status === 410) {
      session.value = null; // collected, or the server was restarted
      return;
    }
    if (failure.status === 409) {
      // The poll of a tab that was just closed or reloaded: the server notices in a moment that it is gone.
      this.#wake();
      await this.#pause(HELD_PAUSE_MS);
      return;
    }
    if (failure.code === "timed_out" && this.state === "online") {
      this.#become("connecting"); // the server may be set to hold polls for longer than that: a ping will tell
      return;
    }
    if (failure.status) this.#wake(); // there is no bell, but there may be news
    this.#become(!failure.status ? "offline" : failure.status === 429 ? "crowded" : "unavailable");
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS) * (0.75 + Math.random() / 2);
    await this.#pause(Math.max(pause, (failure.retryAfterSec ?? 0) * 1000));
  }

  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** A value kept in `storage`, or here alone where the browser has no room. */
class Kept {
  #storage;
  #key;
  #here = null;

  constructor(storage, key) {
    this.#storage = storage;
    this.#key = key;
  }

  get value() {
    return this.#storage.getItem(this.#key) ?? this.#here;
  }

  set value(value) {
    this.#here = null;
    this.#storage.removeItem(this.#key);
    try {
      if (value) this.#storage.setItem(this.#key, value);
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw error;
      this.#here = value;
    }
  }
}
