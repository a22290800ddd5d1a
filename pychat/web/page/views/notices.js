/** What tells of new messages while one looks elsewhere: the count in the title, and notifications where allowed. */

import { keyOf } from "../account.js";
import { isLater } from "../ids.js";

const ICON = document.querySelector("link[rel=icon]").href;

export class Notices {
  #parts;
  #me;
  #chats;
  #isReader;
  #isOpen;
  /** The id of the latest message from others at the last look. */
  #latest = null;
  #key;

  constructor(parts, { me, chats, isReader, isOpen }) {
    this.#parts = parts;
    this.#me = me;
    this.#chats = chats;
    this.#isReader = isReader;
    this.#isOpen = isOpen;
    this.#key = keyOf(me, "notify");
    parts.notify.hidden = !("Notification" in window);
    parts.notify.addEventListener("click", () => this.#toggle());
    addEventListener("focus", holdFocusLock);
    addEventListener("blur", dropFocusLock);
    if (document.hasFocus()) holdFocusLock();
    this.#showButton();
  }

  get #isOn() {
    return "Notification" in window && Notification.permission === "granted" && localStorage.getItem(this.#key) === "on";
  }

  /** Looks what is new. */
  show() {
    const unread = this.#chats.unreadCount;
    document.title = unread > 0 ? `(${unread > 999 ? "999+" : unread}) pychat` : "pychat";
    if (!this.#chats.isLoaded) return;
    const before = this.#latest;
    const heard = this.#chats.sorted.filter((chat) => chat.last_message && chat.last_message.sender !== this.#me);
    this.#latest = heard.reduce((latest, { last_message: { id } }) => (isLater(id, latest) ? id : latest), before ?? "0");
    if (before === null || !this.#isOn || !this.#isReader()) return;
    for (const chat of heard) if (chat.unread_count > 0 && isLater(chat.last_message.id, before)) this.#notify(chat);
  }

  async #notify(chat) {
    if (await isLookedAt()) return;
    try {
      const notification = new Notification(chat.title, { body: chat.last_message.text.slice(0, 200), tag: chat.id, renotify: true, icon: ICON });
      notification.onclick = () => {
        window.focus();
        if (!this.#isOpen(chat.id)) location.hash = `#/chats/${encodeURIComponent(chat.id)}`;
        notification.close();
      };
    } catch (error) {
      // Browsers on phones allow notifications from service workers alone.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  async #toggle() {
    if (this.#isOn) localStorage.setItem(this.#key, "off");
    else if ((await Notification.requestPermission()) === "granted") localStorage.setItem(this.#key, "on");
    this.#showButton();
  }

  #showButton() {
    const isDenied = "Notification" in window && Notification.permission === "denied";
    const { notify } = this.#parts;
    notify.setAttribute("aria-pressed", String(this.#isOn));
    notify.title = isDenied ? "Your browser does not let this page notify you: allow it in the settings of the page" : "Notify me of new messages";
    this.#parts["notify-icon"].setAttribute("href", this.#isOn ? "#icon-bell" : "#icon-bell-off");
  }
}

// Each tab that has the focus holds a lock, so that the one that reads knows whether any is looked at.
const FOCUS = "pychat.focus";
let releaseFocusLock = null;

function holdFocusLock() {
  if (releaseFocusLock || !navigator.locks) return;
  const focus = new Promise((resolve) => (releaseFocusLock = resolve));
  navigator.locks.request(FOCUS, { mode: "shared" }, () => focus);
}

function dropFocusLock() {
  releaseFocusLock?.();
  releaseFocusLock = null;
}

async function isLookedAt() {
  if (!navigator.locks) return document.hasFocus();
  return (await navigator.locks.query()).held.some((lock) => lock.name === FOCUS);
}
