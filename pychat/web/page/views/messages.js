/**
 * The messages of the open chat. They stand in chunks of which the browser lays out those in sight (`content-visibility`
 * in conversation.css), and the frame fills from its lower end: so thousands scroll smoothly, and nothing that is added
 * at either end moves what is being read.
 */

import { announce, copyOf, say } from "../dom.js";
import { isLater } from "../ids.js";
import { withLinks } from "../links.js";
import { clock, dayName, full, isSameDay } from "../time.js";
import { count, explain } from "../words.js";

const CHUNK = 20;
/** Messages of one person within that time stand together. */
const TOGETHER_MS = 5 * 60_000;
/** That many messages, if they are new, fit on a screen together with the line before them. */
const FEW = 6;
const LAYOUT_FRAMES = 3;
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
  #isBehind = false;
  /** What stays where it is while messages are added: `{row, top, scrollTop}`. */
  #held = null;

  constructor(parts, actions) {
    this.#parts = parts;
    this.#me = actions.me;
    this.#actions = actions;
    this.#parts.history.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    this.#parts["to-newest"].addEventListener("click", () => actions.onNewest());
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
    const line = this.#markNew(hasOlder);
    if (line) this.#bringIntoSight(line);
    this.awaitOlder(hasOlder);
  }

  addOlder(messages, hasOlder) {
    const first = this.#parts.chunks.firstElementChild.firstElementChild;
    const chunks = [];
    for (let end = messages.length; end > 0; end -= CHUNK) chunks.unshift(this.#chunkOf(messages.slice(Math.max(0, end - CHUNK), end)));
    this.#parts.chunks.prepend(...chunks);
    for (const message of messages) this.#dress(this.#rows.get(message.id));
    if (first) this.#dress(first.row);
    this.#markNew(hasOlder);
  }

  /**
   * Adds messages at their places, which are at the end or near it. Who reads at the end follows them, unless the place
   * is to be kept. `isBehind`: there are more than these.
   */
  add(messages, { isPlaceKept, isBehind }) {
    const isFollowed = this.isAtEnd && !isPlaceKept;
    if (!isFollowed) this.#holdPlace();
    const added = messages.filter((message) => this.#insert(message));
    if (isFollowed) return;
    this.#putBack();
    this.#isBehind = isBehind;
    this.#countMissed(this.#missed + added.filter(({ sender }) => sender !== this.#me).length);
  }

  /** Notes what is in sight; unless that is noted, and is about to be put back to its place. */
  #holdPlace() {
    const { history, chunks } = this.#parts;
    if (this.#held?.scrollTop === history.scrollTop) {
      this.#held = { ...this.#held }; // whoever began to put it back need not go on
      return;
    }
    const edge = history.getBoundingClientRect().top;
    const isInSight = (element) => element.getBoundingClientRect().bottom > edge;
    const row = [...([...chunks.children].find(isInSight)?.children ?? [])].find(isInSight);
    this.#held = row && { row, top: row.getBoundingClientRect().top, scrollTop: history.scrollTop };
  }

  /** Puts it back, and again in so many frames, when chunks are laid out that had been taken for as high as most. */
  #putBack(frames = LAYOUT_FRAMES) {
    const { history } = this.#parts;
    const held = this.#held;
    // Whoever scrolls meanwhile has a place of their own.
    if (held?.scrollTop !== history.scrollTop) return;
    history.scrollTop += held.row.getBoundingClientRect().top - held.top;
    held.scrollTop = history.scrollTop;
    if (frames > 0) requestAnimationFrame(() => this.#held === held && this.#putBack(frames - 1));
    else this.#held = null;
  }

  /** Whether it was not there yet. */
  #insert(message) {
    const waiting = message.client_id && this.#unsent.get(message.client_id);
    if (waiting) this.#unsent.delete(message.client_id);
    if (this.#rows.has(message.id)) {
      waiting?.element.remove();
      return false;
    }
    const row = waiting ?? this.#rowOf(message);
    row.message = message;
    this.#showTime(row); // it may have waited long
    row.element.classList.toggle("arriving", !waiting);
    this.#rows.set(message.id, row);
    this.#place(row);
    this.#showState(row, message.sender === this.#me ? "sent" : "");
    this.#dress(row);
    this.#dressAfter(row);
    return true;
  }

  /** Shows what of this chat is not sent yet; until `dropUnsent`, or until it is added. */
  showUnsent(entries) {
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

  dropUnsent(clientId) {
    const row = this.#unsent.get(clientId);
    if (!row) return;
    const next = rowAfter(row.element);
    row.element.remove();
    this.#unsent.delete(clientId);
    if (next) this.#dress(next.row);
  }

  /** What was today may be yesterday. */
  showDays() {
    for (const { day, message } of [...this.#rows.values(), ...this.#unsent.values()]) {
      if (!day.hidden) day.textContent = dayName(new Date(message.sent_at));
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
    row.element.classList.toggle("mine", isMine);
    row.who.textContent = isMine ? "You: " : `${this.#peerName}: `;
    row.text.replaceChildren(withLinks(message.text));
    this.#showTime(row);
    return row;
  }

  #showTime({ time, message }) {
    const sentAt = new Date(message.sent_at);
    time.textContent = clock(sentAt);
    time.dateTime = message.sent_at;
    time.title = full(sentAt);
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

  /** Draws the line before what is new, once it is clear where that begins. Returns it where it is too far up to be in sight. */
  #markNew(hasOlder) {
    if (this.#readUpTo === null) return null;
    const rows = [...this.#parts.chunks.querySelectorAll(".message")].map((element) => element.row);
    const at = rows.findIndex(({ message }) => message.id && message.sender !== this.#me && isLater(message.id, this.#readUpTo));
    const isClear = at > 0 || (at === 0 && !hasOlder);
    if (!isClear) return null;
    this.#readUpTo = null;
    rows[at].new.hidden = false;
    return rows.length - at > FEW ? rows[at].element : null;
  }

  #bringIntoSight(element) {
    element.scrollIntoView({ block: "center" });
    // The chunks around it were laid out only now, and had been taken for as high as most.
    requestAnimationFrame(() => element.scrollIntoView({ block: "center" }));
  }

  #showState(row, state, why) {
    if (state) row.element.dataset.state = state;
    row.state.toggleAttribute("hidden", !state);
    row.state.setAttribute("aria-label", { waiting: "Waiting to be sent", failed: "Not sent", sent: "Sent" }[state] ?? "");
    row["state-icon"].setAttribute("href", `#icon-${state}`);
    const trouble = [state === "failed" && "Not sent.", why && explain(why)].filter(Boolean).join(" ");
    row.trouble.hidden = !trouble;
    if (trouble && trouble !== row.why.textContent) announce(`${row.message.text}: ${trouble}`);
    row.why.textContent = trouble;
    row.actions.hidden = state !== "failed";
  }

  /** Says what is above, and asks for it when the reader comes near. */
  awaitOlder(hasOlder) {
    const beginning = this.isEmpty ? `Say hello to ${this.#peerName}!\nNothing is said here yet.` : "This is the beginning.";
    this.note(hasOlder ? "Loading what was said before…" : beginning);
    this.#parts["history-note"].classList.toggle("first", this.isEmpty);
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
    this.#actions.onEnd();
  }

  #countMissed(missed) {
    this.#missed = missed;
    this.#parts["to-newest"].hidden = this.isAtEnd;
    this.#parts["to-newest-label"].textContent = missed ? count(missed, "new message", "new messages", this.#isBehind ? "+" : "") : "Newest";
  }
}

/** The row that stands before, in the same chunk or at the end of the one before it. */
function rowBefore(element) {
  return element.previousElementSibling ?? element.parentElement.previousElementSibling?.lastElementChild;
}

function rowAfter(element) {
  return element.nextElementSibling ?? element.parentElement.nextElementSibling?.firstElementChild;
}
