/**
 * The chats that one is in, as the server lists them, newest activity first. Events: `change`; `stranger`, with the name
 * of somebody who wrote in a private chat and is neither of the two as `detail`: one's own name may be another by now.
 */

import * as api from "./api.js";
import { coalesced } from "./dom.js";
import { isLater } from "./ids.js";

export class Chats extends EventTarget {
  /** Whether the list has come once. */
  isLoaded = false;

  #me;
  #byId = new Map();
  /** Where the list goes on that the server has; null at its end. */
  #next = null;
  /** How far one has read here, by chat: the server's answer may be older than that. */
  #readHere = new Map();
  /**
   * How often one came back or went, and how many of these all chats were looked at for: those far down may have been
   * read on another device, which nothing tells of.
   */
  #turns = 0;
  #turnsLookedAt = 0;

  constructor(me) {
    super();
    this.#me = me;
    document.addEventListener("visibilitychange", () => this.#turns++);
  }

  get sorted() {
    const activity = (chat) => chat.last_message?.sent_at ?? chat.created_at;
    return [...this.#byId.values()].sort((one, other) => (activity(one) < activity(other)) - (activity(one) > activity(other)));
  }

  get unreadCount() {
    return [...this.#byId.values()].reduce((sum, chat) => sum + chat.unread_count, 0);
  }

  get hasMore() {
    return this.#next !== null;
  }

  byId(id) {
    return this.#byId.get(id);
  }

  /** Fetches what changed. */
  refresh = coalesced(async () => {
    const isFirst = !this.isLoaded;
    const turns = this.#turns;
    const wanted = turns === this.#turnsLookedAt ? 0 : this.#byId.size;
    let page = await api.chats();
    let fetched = page.items.length;
    if (isFirst) this.#next = page.next;
    // All of a page changed: so may have the next.
    while ((this.#merge(page.items) || fetched < wanted) && !isFirst && page.next) {
      page = await api.chats(page.next);
      fetched += page.items.length;
    }
    this.#turnsLookedAt = turns;
    this.isLoaded = true;
    this.#changed();
  });

  /** Fetches the next chats of a long list. */
  more = coalesced(async () => {
    if (this.#next === null) return;
    const page = await api.chats(this.#next);
    this.#next = page.next;
    this.#merge(page.items);
    this.#changed();
  });

  /** The private chat with somebody, opened where there is none. */
  async openPrivate(username) {
    const chat = await api.openPrivateChat(username);
    this.#merge([chat]);
    this.#changed();
    return chat;
  }

  /** Takes a message into account before the list is fetched again. */
  note(message) {
    const chat = this.#byId.get(message.chat_id);
    if (!chat || (chat.last_message && !isLater(message.id, chat.last_message.id))) return;
    chat.last_message = message;
    this.#changed();
  }

  /** One has read the chat up to this message. Resolves to whether that was news. */
  async markRead(chatId, messageId) {
    const chat = this.#byId.get(chatId);
    const known = this.#readHere.get(chatId) ?? chat?.read_up_to;
    if (!chat || (chat.unread_count === 0 && known && !isLater(messageId, known))) return false;
    this.#readHere.set(chatId, messageId);
    chat.unread_count = 0;
    this.#changed();
    try {
      await api.markRead(chatId, messageId);
    } catch (failure) {
      this.#readHere.delete(chatId); // the next look at the chat tries again
      throw failure;
    }
    return true;
  }

  /** Whether the last of `items` was news. */
  #merge(items) {
    let isNews = false;
    for (const chat of items) {
      const sender = chat.last_message?.sender;
      if (chat.peer && sender && ![this.#me, chat.peer.username].includes(sender)) {
        this.dispatchEvent(new CustomEvent("stranger", { detail: sender }));
      }
      const known = this.#byId.get(chat.id);
      isNews = known?.last_message?.id !== chat.last_message?.id;
      const readHere = this.#readHere.get(chat.id);
      if (readHere && chat.last_message && !isLater(chat.last_message.id, readHere)) chat.unread_count = 0;
      if (known?.last_message && chat.last_message && isLater(known.last_message.id, chat.last_message.id)) {
        chat.last_message = known.last_message; // ours, sent while the answer was on its way
      }
      this.#byId.set(chat.id, chat);
    }
    return isNews;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
