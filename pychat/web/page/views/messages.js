/**
 * The messages of the open chat. They stand in chunks of which the browser lays out those in sight (`content-visibility`
 * in conversation.css), and the frame fills from its lower end: so thousands scroll smoothly, and nothing that is added
 * at either end moves what is being read.
 */

import { copyOf, say } from "../dom.js";
import { isLater } from "../ids.js";
import { withLinks } from "../links.js";
import { clock, dayName, full, isSameDay } from "../time.js";
import { count, explain } from "../words.js";

const CHUNK = 20;
/** Messages of one person within that time stand together. */
const TOGETHER_MS = 5 * 60_000;
/** That many messages, if they are new, fit on a screen together with the line before them. */
const FEW = 6;
/** As near as that to the end counts as there. */
const END_PX = 80;

export class MessageList {
  #parts;
  #me;
  #actions;
  #observer;
  #peerName = "";
  #readUpTo = null;
  /** Rows by message id, and of what is not sent yet by client_id. */
  #rows = new Map();
  #unsent = new Map();
  #missed = 0;

  constructor(parts, actions) {
    this.#parts = parts;
    this.#me = actions.me;
    this.#actions = actions;
    this.#parts.history.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    this.#parts["to-newest"].addEventListener("click", () => this.toNewest());
    this.#observer = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && actions.loadOlder(), {
      root: parts.history,
      rootMargin: "2000px 0px 0px 0px",
    });
  }

  get isEmpty() {
    return this.#rows.size === 0;
  }

  get isAtEnd() {
    return this.#parts.history.scrollTop > -END_PX;
  }

  /** Empties the list for a chat with `peerName`. Messages beyond `readUpTo` are new ones; null: none is. */
  reset({ peerName, readUpTo }) {
    this.#peerName = peerName;
    this.#readUpTo = readUpTo;
    this.#rows.clear();
    this.#unsent.clear();
    this.#parts.unsent.replaceChildren();
    this.#parts.chunks.replaceChildren(this.#parts.unsent);
    this.#parts.history.setAttribute("aria-label", `Messages with ${peerName}`);
    this.#observer.disconnect();
    this.note("");
    this.#countMissed(0);
    this.#parts.history.scrollTop = 0;
  }

  /** Shows what is loaded of the history. */
  begin(messages, hasOlder) {
    for (let start = 0; start < messages.length; start += CHUNK) {
      this.#parts.unsent.before(this.#chunkOf(messages.slice(start, start + CHUNK)));
    }
    for (const row of this.#rows.values()) this.#dress(row);
    this.#markNew();
    this.#afterLoad(hasOlder);
  }

  addOlder(messages, hasOlder) {
    const first = this.#parts.chunks.firstElementChild.firstElementChild;
    const chunks = [];
    for (let end = messages.length; end > 0; end -= CHUNK) chunks.unshift(this.#chunkOf(messages.slice(Math.max(0, end - CHUNK), end)));
    this.#parts.chunks.prepend(...chunks);
    for (const message of messages) this.#dress(this.#rows.get(message.id));
    if (first) this.#dress(first.row);
    this.#afterLoad(hasOlder);
  }

  /** Adds a message at its place, which is the end or near it. */
  add(message) {
    const waiting = message.client_id && this.#unsent.get(message.client_id);
    if (waiting) this.#unsent.delete(message.client_id);
    if (this.#rows.has(message.id)) {
      waiting?.element.remove();
      return;
    }
    const isAtEnd = this.isAtEnd;
    const heightBefore = this.#parts.chunks.offsetHeight;
    const row = waiting ?? this.#rowOf(message);
    row.message = message;
    row.element.classList.toggle("arriving", !waiting);
    this.#rows.set(message.id, row);
    this.#place(row);
    this.#showState(row, message.sender === this.#me ? "sent" : "");
    this.#dress(row);
    this.#dressAfter(row);
    if (isAtEnd) return;
    // What one reads further up stays where it is.
    this.#parts.history.scrollTop -= this.#parts.chunks.offsetHeight - heightBefore;
    if (message.sender !== this.#me) this.#countMissed(this.#missed + 1);
  }

  /** Shows what of this chat is not sent yet. */
  showUnsent(entries) {
    const ids = new Set(entries.map((entry) => entry.client_id));
    for (const [id, row] of this.#unsent) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.#unsent.delete(id);
    }
    for (const entry of entries) {
      let row = this.#unsent.get(entry.client_id);
      if (!row) {
        row = this.#rowOf({ sender: this.#me, text: entry.text, sent_at: entry.written_at });
        row.element.classList.add("arriving");
        row.retry.addEventListener("click", () => this.#actions.retry(row.entry));
        row.edit.addEventListener("click", () => this.#actions.edit(row.entry));
        row.discard.addEventListener("click", () => this.#actions.discard(row.entry));
        this.#unsent.set(entry.client_id, row);
        this.#parts.unsent.append(row.element);
        this.#dress(row);
      }
      row.entry = entry;
      this.#showState(row, entry.state, entry.why);
    }
  }

  note(text) {
    this.#parts["history-note"].textContent = text;
  }

  toNewest() {
    this.#parts.history.scrollTop = 0;
    this.#countMissed(0);
  }

  #chunkOf(messages) {
    const chunk = document.createElement("ol");
    chunk.className = "chunk";
    for (const message of messages) {
      const row = this.#rowOf(message);
      this.#rows.set(message.id, row);
      if (message.sender === this.#me) this.#showState(row, "sent");
      chunk.append(row.element);
    }
    return chunk;
  }

  #rowOf(message) {
    const row = copyOf("message");
    row.element.row = row;
    row.message = message;
    const isMine = message.sender === this.#me;
    const time = new Date(message.sent_at);
    row.element.classList.toggle("mine", isMine);
    row.who.textContent = isMine ? "You: " : `${this.#peerName}: `;
    row.text.replaceChildren(withLinks(message.text));
    row.time.textContent = clock(time);
    row.time.dateTime = message.sent_at;
    row.time.title = full(time);
    return row;
  }

  #place(row) {
    row.element.remove();
    const { unsent } = this.#parts;
    let last = unsent.previousElementSibling;
    let before = last?.lastElementChild;
    if (!last || (last.childElementCount >= CHUNK && !isLater(before.row.message.id, row.message.id))) {
      last = this.#chunkOf([]);
      unsent.before(last);
      last.append(row.element);
      return;
    }
    while (before && isLater(before.row.message.id, row.message.id)) before = rowBefore(before);
    if (before) before.after(row.element);
    else this.#parts.chunks.firstElementChild.prepend(row.element);
  }

  /** Separates days and groups, by what stands before. */
  #dress(row) {
    const before = rowBefore(row.element)?.row.message;
    const time = new Date(row.message.sent_at);
    const timeBefore = before && new Date(before.sent_at);
    const isNewDay = !before || !isSameDay(time, timeBefore);
    say(row.day, isNewDay && dayName(time));
    const isTogether = !isNewDay && before.sender === row.message.sender && time - timeBefore < TOGETHER_MS;
    row.element.classList.toggle("first", !isTogether);
  }

  #dressAfter(row) {
    const next = rowAfter(row.element);
    if (next) this.#dress(next.row);
  }

  /** Draws the line before what is new, and brings it into sight where it is too far up for that. */
  #markNew() {
    if (this.#readUpTo === null) return;
    const rows = [...this.#rows.values()];
    const at = rows.findIndex(({ message }) => message.sender !== this.#me && isLater(message.id, this.#readUpTo));
    if (at < 0) return;
    const { element } = rows[at];
    rows[at].new.hidden = false;
    if (rows.length - at <= FEW) return;
    element.scrollIntoView({ block: "center" });
    // The chunks around it were laid out only now, and had been taken for as high as most.
    requestAnimationFrame(() => element.scrollIntoView({ block: "center" }));
  }

  #showState(row, state, why) {
    if (state) row.element.dataset.state = state;
    row.state.toggleAttribute("hidden", !state);
    row.state.setAttribute("aria-label", { waiting: "Waiting to be sent", failed: "Not sent", sent: "Sent" }[state] ?? "");
    row["state-icon"].setAttribute("href", `#icon-${state}`);
    row.trouble.hidden = !why;
    row.why.textContent = why ? `${state === "failed" ? "Not sent. " : ""}${explain(why)}` : "";
    row.actions.hidden = state !== "failed";
  }

  #afterLoad(hasOlder) {
    const hello = this.isEmpty ? `\nSay hello to ${this.#peerName}!` : "";
    this.note(hasOlder ? "Loading what was said before…" : `This is the beginning.${hello}`);
    // Observed anew, it reports again where the top is still near.
    this.#observer.disconnect();
    if (hasOlder) this.#observer.observe(this.#parts["history-note"]);
  }

  #onScroll() {
    if (!this.isAtEnd) {
      this.#parts["to-newest"].hidden = false;
      return;
    }
    this.#countMissed(0);
    this.#actions.onSeen();
  }

  #countMissed(missed) {
    this.#missed = missed;
    this.#parts["to-newest"].hidden = this.isAtEnd;
    this.#parts["to-newest-label"].textContent = missed ? count(missed, "new message", "new messages") : "Newest";
  }
}

/** The row that stands before, in the same chunk or at the end of the one before it. */
function rowBefore(element) {
  return element.previousElementSibling ?? element.parentElement.previousElementSibling?.lastElementChild;
}

function rowAfter(element) {
  return element.nextElementSibling ?? element.parentElement.nextElementSibling?.firstElementChild;
}
