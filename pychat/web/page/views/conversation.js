/** One chat: head, messages, composer; when it counts as read. */

import { Failure } from "../api.js";
import { announce, showAvatar } from "../dom.js";
import { explain } from "../words.js";
import { Composer } from "./composer.js";
import { MessageList } from "./messages.js";

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
  #watching = new AbortController();
  #showProfile;

  constructor(parts, { me, outbox, showProfile, markRead }) {
    this.#parts = parts;
    this.#me = me;
    this.#outbox = outbox;
    this.#markRead = markRead;
    this.#showProfile = showProfile;
    this.#composer = new Composer(parts, {
      me,
      send: (text) => {
        this.#list.toNewest();
        this.#outbox.add(this.chatId, text);
      },
    });
    this.#list = new MessageList(parts, {
      me,
      onSeen: () => this.#look(),
      loadOlder: () => this.#loadOlder(),
      retry: (entry) => this.#outbox.retry(entry),
      discard: (entry) => this.#outbox.remove(entry.client_id),
      edit: (entry) => {
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
    this.#list.reset({ peerName: chat.title, readUpTo: chat.unread_count > 0 ? (chat.read_up_to ?? "0") : null });
    // What is loaded is shown at once, unless there is more, which is shown together with the line before what is new.
    const isCurrent = history.messages.at(-1)?.id === chat.last_message?.id;
    if (history.isLoaded && isCurrent) this.#list.begin(history.messages, history.hasOlder);
    this.showUnsent();
    await this.#load(signal, chat.unread_count + 20);
  }

  async #load(signal, count) {
    const history = this.#history;
    try {
      await history.load(count);
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      if (signal.aborted || failure.status === 401) return;
      if (history.isLoaded && this.#list.isEmpty) this.#list.begin(history.messages, history.hasOlder);
      this.#list.note(explain(failure));
      setTimeout(() => signal.aborted || this.#load(signal, count), Math.max(2000, failure.retryAfterSec * 1000));
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

  close() {
    this.#watching.abort();
    this.#composer.close();
    this.chatId = "";
    this.#history = this.#chat = null;
    this.#parts.open.hidden = true;
  }

  showUnsent() {
    if (this.chatId) this.#list.showUnsent(this.#outbox.entriesOf(this.chatId));
  }

  #onNewer(messages) {
    if (this.#list.isEmpty) {
      this.#list.begin(this.#history.messages, this.#history.hasOlder);
    } else {
      for (const message of messages) this.#list.add(message);
      const others = messages.filter((message) => message.sender !== this.#me);
      if (others.length > 0) announce(others.map(({ text }) => `${this.#chat.title}: ${text}`).join("\n"));
    }
    this.#look();
  }

  /** Whoever has the end of the chat before their eyes has read it. */
  #look() {
    const last = this.#history?.messages.findLast((message) => message.sender !== this.#me);
    if (last && this.#list.isAtEnd && !document.hidden && document.hasFocus()) this.#markRead(this.chatId, last.id);
  }

  async #loadOlder() {
    const history = this.#history;
    if (!history?.hasOlder) return;
    try {
      await history.loadOlder();
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      if (history === this.#history) this.#list.note(`${explain(failure)} Scroll again to try once more.`);
    }
  }
}
