/** One chat: head, messages, composer; when it counts as read. */

import { Failure } from "../api.js";
import { announce, showAvatar } from "../dom.js";
import { count, explain } from "../words.js";
import { Composer } from "./composer.js";
import { MessageList } from "./messages.js";

const AGAIN_MS = 2_000;
/** Whoever hears the page is told of more than so many by their number. */
const MOST_READ_OUT = 3;

export class Conversation {
  chatId = "";

  #parts;
  #me;
  #outbox;
  #markRead;
  #list;
  #composer;
  #chat = null;
  #history = null;
  /** What was missed is being fetched for one who reads on through it. */
  #isGoingOn = false;
  #watching = new AbortController();
  #showProfile;

  constructor(parts, { me, outbox, drafts, showProfile, markRead }) {
    this.#parts = parts;
    this.#me = me;
    this.#outbox = outbox;
    this.#markRead = markRead;
    this.#showProfile = showProfile;
    this.#composer = new Composer(parts, {
      drafts,
      send: (text) => {
        this.#toNewest();
        this.#outbox.add(this.chatId, text);
      },
    });
    this.#list = new MessageList(parts, {
      me,
      onEnd: () => this.#onEnd(),
      onNewest: () => this.#toNewest(),
      loadOlder: () => this.#history && this.#insist(() => this.#history.loadOlder()),
      retry: (entry) => this.#outbox.retry(entry),
      discard: (entry) => this.#outbox.remove(entry.client_id),
      edit: (entry) => {
        if (!this.#outbox.has(entry)) return; // another tab has it in its field
        this.#outbox.remove(entry.client_id);
        this.#composer.put(entry.text);
      },
    });
    parts.peer.addEventListener("click", () => this.#chat?.peer && this.#showProfile(this.#chat.peer.username));
    parts.history.addEventListener("keydown", (event) => {
      // Who reads and begins to type means the message field.
      const isTyping = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
      if ((isTyping || event.key === "Escape") && event.target === parts.history) parts.text.focus();
    });
    addEventListener("focus", () => this.#look());
    document.addEventListener("visibilitychange", () => this.#look());
  }

  async open(chat, history) {
    this.close();
    this.chatId = chat.id;
    this.#history = history;
    this.#parts.open.hidden = false;
    this.update(chat);
    this.#composer.open(chat);
    const signal = (this.#watching = new AbortController()).signal;
    history.addEventListener("older", ({ detail }) => this.#list.addOlder(detail, history.hasOlder), { signal });
    history.addEventListener("newer", ({ detail }) => this.#onNewer(detail), { signal });
    history.addEventListener("behind", () => requestAnimationFrame(() => signal.aborted || this.#onBehind()), { signal });
    history.addEventListener("leapt", () => this.#showAnew(), { signal });
    this.#list.reset({ peerName: chat.title, readUpTo: chat.unread_count > 0 ? (chat.read_up_to ?? "0") : null });
    // What is loaded is shown at once, unless there is more, which is shown together with the line before what is new.
    if (history.messages.at(-1)?.id === chat.last_message?.id) this.#begin();
    this.showUnsent();
    await this.#insist(async () => {
      try {
        await history.load(chat.unread_count + 20);
      } finally {
        if (!signal.aborted && this.#list.isEmpty) this.#begin();
      }
    });
  }

  #begin() {
    const history = this.#history;
    if (history.isLoaded) this.#list.begin(history.messages, history.hasOlder);
  }

  /** The open chat's `work`: again and again until it succeeds; says meanwhile what is wrong. */
  async #insist(work) {
    const history = this.#history;
    const { signal } = this.#watching;
    try {
      await work();
      if (!signal.aborted && history.isLoaded) this.#list.awaitOlder(history.hasOlder);
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      if (signal.aborted) return;
      const isSignedOut = failure.status === 401; // the dialog is open
      if (!isSignedOut) this.#list.note(explain(failure));
      if (!isSignedOut && !failure.passes) return;
      setTimeout(() => signal.aborted || this.#insist(work), Math.max(AGAIN_MS, failure.retryAfterSec * 1000));
    }
  }

  /** Shows what the chat is called now. */
  update(chat) {
    if (!chat) return;
    this.#chat = chat;
    const { peer } = chat;
    this.#parts["peer-title"].textContent = chat.title;
    this.#parts["peer-username"].textContent = peer ? `@${peer.username}` : "";
    showAvatar(this.#parts["peer-avatar"], chat.title, peer?.username ?? chat.id);
  }

  /** Keeps what is typed here, whatever another tab has kept since. */
  keep() {
    this.#composer.keep();
  }

  close() {
    this.#watching.abort();
    this.#composer.close();
    this.chatId = "";
    this.#history = this.#chat = null;
    this.#parts.open.hidden = true;
  }

  /** Another day has begun. */
  showDays() {
    this.#list.showDays();
  }

  showUnsent() {
    if (this.chatId) this.#list.showUnsent(this.#outbox.entriesOf(this.chatId));
  }

  dropUnsent(clientId) {
    this.#list.dropUnsent(clientId);
  }

  #onNewer(messages) {
    if (this.#list.isEmpty) {
      this.#begin();
    } else {
      this.#list.add(messages, { isPlaceKept: this.#isGoingOn, isBehind: this.#history.isBehind });
      this.#announce(messages.filter((message) => message.sender !== this.#me));
    }
    this.#look();
  }

  #announce(messages) {
    const { title } = this.#chat;
    if (messages.length > MOST_READ_OUT) announce(`${title}: ${count(messages.length, "new message", "new messages")}`);
    else if (messages.length > 0) announce(messages.map(({ text }) => `${title}: ${text}`).join("\n"));
  }

  /** Whoever has the end of the chat before their eyes has read it. */
  #look() {
    const history = this.#history;
    if (!history || history.isBehind || !this.#list.isAtEnd || document.hidden || !document.hasFocus()) return;
    const last = history.messages.findLast((message) => message.sender !== this.#me);
    if (last) this.#markRead(this.chatId, last.id);
  }

  /** The reader has come to the end of what is loaded. */
  #onEnd() {
    const history = this.#history;
    if (!history?.isBehind) this.#look();
    else if (!this.#isGoingOn) this.#insist(() => this.#goOn(history));
  }

  async #goOn(history) {
    this.#isGoingOn = true;
    try {
      await history.goOn();
    } finally {
      this.#isGoingOn = false;
    }
  }

  /** A frame after it fell behind: who has just scrolled to the end reads on from there, and is heard of before. */
  #onBehind() {
    if (this.#list.isAtEnd && !this.#isGoingOn) this.#toNewest();
  }

  #toNewest() {
    const history = this.#history;
    if (history.isBehind) this.#insist(() => history.leap());
    else this.#list.toNewest();
  }

  #showAnew() {
    this.#list.reset({ peerName: this.#chat.title, readUpTo: this.#history.missedAfter });
    this.#begin();
    this.showUnsent();
    this.#look();
  }
}
