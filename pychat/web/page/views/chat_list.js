/** The list of chats, and finding people by the beginning of their name. */

import * as api from "../api.js";
import { copyOf, moveFocus, say, showAvatar } from "../dom.js";
import { full, shortTime } from "../time.js";
import { explain } from "../words.js";

/** Typing pauses that long before the server is asked. */
const TYPING_PAUSE_MS = 150;
const AGAIN_MS = 2_000;

export class ChatList {
  #parts;
  #me;
  #chats;
  #outbox;
  #openPerson;
  #rows = new Map();
  #openId = "";
  /** The people that the server found last. */
  #people = [];
  /** Those that are shown, in JSON. */
  #shownPeople = "[]";
  #peopleFailure = "";
  #asking = new AbortController();
  #isAsking = false;
  /** Enter was pressed before the answer came. */
  #isEntered = false;
  #timer = 0;
  #observer;

  constructor(parts, { me, chats, outbox, openPerson }) {
    this.#parts = parts;
    this.#me = me;
    this.#chats = chats;
    this.#outbox = outbox;
    this.#openPerson = openPerson;
    parts.query.addEventListener("input", () => this.#onQuery());
    parts.query.addEventListener("keydown", (event) => this.#onQueryKey(event));
    parts.lists.addEventListener("keydown", (event) => this.#onListKey(event));
    this.#observer = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && this.#loadMore(), {
      root: parts.lists,
      rootMargin: "600px",
    });
    this.#observer.observe(parts.end);
  }

  get #query() {
    // Names are shown with an @, and so typed.
    return this.#parts.query.value.trim().replace(/^@/, "").toLowerCase();
  }

  /** Brings the list up to date; `openId` is the chat that is being looked at. */
  show(openId) {
    this.#openId = openId;
    const parts = this.#parts;
    const query = this.#query;
    const shown = this.#chats.sorted.filter((chat) => !query || matches(chat, query));
    const focused = document.activeElement;
    let place = parts.chats.firstElementChild;
    const kept = new Set();
    // The last of each chat; but one that failed waits for its writer, and goes before those that go out by themselves.
    const entries = this.#outbox.entries.sort((one, other) => (one.state === "failed") - (other.state === "failed"));
    const unsent = new Map(entries.map((entry) => [entry.chat_id, entry]));
    for (const chat of shown) {
      // What came from others and is not read goes before one's own that is not sent.
      const row = this.#rowOf(chat, chat.unread_count === 0 ? unsent.get(chat.id) : undefined);
      kept.add(row);
      if (row === place) place = row.nextElementSibling;
      else parts.chats.insertBefore(row, place);
    }
    for (const row of [...parts.chats.children]) if (!kept.has(row)) row.remove();
    if (parts.chats.contains(focused)) focused.focus({ preventScroll: true }); // a row that moved lost it
    parts["chats-title"].hidden = parts.chats.hidden = shown.length === 0;
    if (!query) parts["chats-title"].hidden = true;
    this.#showPeople(query, shown);
    this.#showNote(query, shown);
  }

  /** Gives the chat's row the focus that went with what was closed. */
  focus(chatId) {
    if (document.activeElement !== this.#parts.query) this.#rows.get(chatId)?.link.focus();
  }

  openNeighbour(openId, step) {
    const links = this.#links();
    const at = links.findIndex((link) => link.getAttribute("aria-current"));
    const target = links[at < 0 ? 0 : at + step];
    if (target) location.hash = target.hash;
  }

  #rowOf(chat, unsent) {
    let row = this.#rows.get(chat.id);
    if (!row) {
      row = copyOf("row");
      row.link.href = `#/chats/${encodeURIComponent(chat.id)}`;
      row.link.addEventListener("click", () => this.#clear());
      this.#rows.set(chat.id, row);
    }
    const isOpen = chat.id === this.#openId;
    const message = chat.last_message;
    const time = new Date(unsent?.written_at ?? message?.sent_at ?? chat.created_at);
    const preview = previewOf(message, unsent, this.#me);
    const state = JSON.stringify([chat.title, preview, chat.unread_count, isOpen, shortTime(time)]);
    if (row.state === state) return row.element;
    row.state = state;
    row.title.textContent = chat.title;
    showAvatar(row.avatar, chat.title, chat.peer?.username ?? chat.id);
    row.time.textContent = shortTime(time);
    row.time.dateTime = time.toISOString();
    row.time.title = full(time);
    row.preview.textContent = preview;
    row.link.toggleAttribute("data-failed", unsent?.state === "failed");
    say(row.badge, chat.unread_count > 0 && (chat.unread_count >= 1000 ? "999+" : String(chat.unread_count)));
    row.badge.setAttribute("aria-label", `${chat.unread_count} unread`);
    row.link.toggleAttribute("data-unread", chat.unread_count > 0);
    if (isOpen) row.link.setAttribute("aria-current", "page");
    else row.link.removeAttribute("aria-current");
    return row.element;
  }

  #showPeople(query, shown) {
    const known = new Set(shown.map((chat) => chat.peer?.username));
    // Until the answer comes, those of the last one that this query may find too.
    const isFound = (person) => !this.#isAsking || matches({ title: person.display_name, peer: person }, query);
    const people = query ? this.#people.filter((person) => !known.has(person.username) && isFound(person)) : [];
    this.#parts["people-title"].hidden = this.#parts.people.hidden = people.length === 0;
    const shownPeople = JSON.stringify(people);
    // Rows made anew would lose the focus, and the click that has just begun.
    if (shownPeople !== this.#shownPeople) this.#parts.people.replaceChildren(...people.map((person) => this.#personRow(person)));
    this.#shownPeople = shownPeople;
  }

  #personRow(person) {
    const row = copyOf("row");
    row.link.href = "#/";
    row.title.textContent = person.display_name;
    row.preview.textContent = person.username === this.#me ? `@${person.username} (you: a place for notes)` : `@${person.username}`;
    showAvatar(row.avatar, person.display_name, person.username);
    row.link.addEventListener("click", async (event) => {
      event.preventDefault();
      if (await this.#openPerson(person)) this.#clear();
    });
    return row.element;
  }

  #showNote(query, shown) {
    const isFruitless = query && shown.length === 0 && this.#parts.people.hidden;
    let note = "";
    const isFirst = !query && this.#chats.isLoaded && shown.length === 0;
    if (!this.#chats.isLoaded && !query) note = "Loading your chats…";
    else if (isFirst)
      note = `No chats yet.\nType the beginning of somebody’s name above to find them, or tell them yours: @${this.#me}`;
    else if (query && this.#peopleFailure) note = this.#peopleFailure;
    else if (isFruitless && !this.#isAsking) note = `Nobody’s name begins with “${this.#parts.query.value.trim()}”.`;
    this.#parts.note.classList.toggle("first", isFirst);
    if (this.#parts.note.textContent !== note) this.#parts.note.textContent = note;
  }

  #onQuery() {
    clearTimeout(this.#timer);
    this.#asking.abort();
    this.#asking = new AbortController();
    this.#peopleFailure = "";
    this.#isEntered = false;
    this.#isAsking = this.#query !== "";
    if (this.#isAsking) {
      this.#timer = setTimeout(() => this.#ask(this.#asking), TYPING_PAUSE_MS);
    } else {
      this.#people = [];
    }
    this.show(this.#openId);
  }

  async #ask(asking) {
    try {
      this.#people = await api.findPeople(this.#query, asking.signal);
    } catch (failure) {
      if (asking.signal.aborted) return;
      if (!(failure instanceof api.Failure)) throw failure;
      this.#people = [];
      this.#peopleFailure = explain(failure);
    }
    this.#isAsking = false;
    this.show(this.#openId);
    if (this.#isEntered) this.#enter();
  }

  /** Opens the first: a chat at once, a person once it is known who is the first. */
  #enter() {
    this.#isEntered = this.#isAsking && this.#parts.chats.hidden;
    if (!this.#isEntered) this.#links()[0]?.click();
  }

  #clear() {
    if (this.#parts.query.value === "") return;
    this.#parts.query.value = "";
    this.#onQuery();
  }

  #links() {
    return [...this.#parts.lists.querySelectorAll("ul:not([hidden]) a")];
  }

  #onQueryKey(event) {
    if (event.key === "Escape") {
      this.#clear();
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      this.#links()[0]?.focus();
    } else if (event.key === "Enter") {
      this.#enter();
    }
  }

  #onListKey(event) {
    const links = this.#links();
    const isAtTop = event.key === "ArrowUp" && document.activeElement === links[0];
    if (isAtTop || event.key === "Escape") {
      event.preventDefault();
      this.#parts.query.focus();
    } else {
      moveFocus(event, links);
    }
  }

  async #loadMore() {
    if (!this.#chats.hasMore) return;
    try {
      await this.#chats.more();
    } catch (failure) {
      if (!(failure instanceof api.Failure)) throw failure;
      this.#parts.note.textContent = explain(failure);
      setTimeout(() => this.#loadMore(), Math.max(AGAIN_MS, failure.retryAfterSec * 1000));
      return;
    }
    // Observed anew, it reports again where the end is still near.
    this.#observer.unobserve(this.#parts.end);
    this.#observer.observe(this.#parts.end);
  }
}

/** What was last said in a chat, or is not sent yet: of that, the first try is not told, for it seldom fails. */
function previewOf(message, unsent, me) {
  const text = (unsent ?? message)?.text.slice(0, 200);
  if (unsent?.why) return `${unsent.state === "failed" ? "Not sent" : "Waiting"}: ${text}`;
  if (unsent || message?.sender === me) return `You: ${text}`;
  return text ?? "Nothing said yet";
}

/** Whether a word of the title, or the username, begins so. */
function matches(chat, query) {
  const title = chat.title.toLowerCase();
  return title.startsWith(query) || title.includes(` ${query}`) || chat.peer?.username.startsWith(query);
}
