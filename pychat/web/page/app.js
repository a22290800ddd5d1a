/** The chat of one person: puts the parts together and lets them hear of each other. */

import * as api from "./api.js";
import { forgetAccount, keepAccount, keptAccount, onAccountChange, renameAccount } from "./account.js";
import { Chats } from "./chats.js";
import { ask, isTouched, partsOf, say, showAvatar } from "./dom.js";
import { Drafts } from "./drafts.js";
import { History } from "./history.js";
import { Outbox } from "./outbox.js";
import { Stream } from "./stream.js";
import { onNewDay } from "./time.js";
import { count, explain } from "./words.js";
import { ChatList } from "./views/chat_list.js";
import { Conversation } from "./views/conversation.js";
import { Notices } from "./views/notices.js";
import { Profile } from "./views/profile.js";
import { SignInAgain } from "./views/sign_in_again.js";

const AGAIN_MS = 2_000;
/** Histories kept loaded: enough to go to and fro between chats without waiting. */
const MOST_HISTORIES = 12;
/** Set in sessionStorage where something found no room at a change of the name, for the page that begins anew. */
const LEFT_BEHIND = "pychat.left-behind";

export function startChat({ username, token }) {
  const root = document.getElementById("chat");
  const parts = partsOf(root);
  const chats = new Chats(username);
  const outbox = new Outbox(username);
  const drafts = new Drafts(username);
  const histories = new Map();
  let stream = new Stream(username);
  let openId = "";
  let trouble = null;
  /** The Failure that tells that one has another name by now, where it is not known which. */
  let renamed = null;
  const isAllHere = sessionStorage.getItem(LEFT_BEHIND) === null;
  sessionStorage.removeItem(LEFT_BEHIND);
  /** Whether the server keeps what it acknowledges, as far as it has shown. */
  let isKept = true;
  /** Names that were asked about, whether they are one's own. */
  const strangers = new Set();
  /** Whether one's own profile is known, or on its way. */
  let isMeKnown = false;
  let again = 0;

  const list = new ChatList(parts, { me: username, chats, outbox, openPerson });
  const profile = new Profile(username, { rename, changePassword, signOut, showMe, leave });
  const conversation = new Conversation(parts, { me: username, outbox, drafts, showProfile: profile.show, markRead });
  const notices = new Notices(parts, { me: username, chats, isReader: () => stream.isReader, isOpen: (id) => id === openId });
  const signInAgain = new SignInAgain(username, { goOn, signOut });

  root.hidden = false;
  parts["my-username"].textContent = `@${username}`;
  showMe({ username, display_name: username });
  parts.me.addEventListener("click", () => profile.show(username));
  addEventListener("hashchange", route);
  addEventListener("keydown", onKey);
  chats.addEventListener("change", () => {
    list.show(openId);
    notices.show();
    showOpenChat();
  });
  chats.addEventListener("stranger", ({ detail }) => followName(detail));
  outbox.addEventListener("change", showUnsent);
  outbox.addEventListener("removed", ({ detail }) => conversation.dropUnsent(detail));
  outbox.addEventListener("settled", ({ detail }) => letGo(detail));
  outbox.addEventListener("sent", ({ detail: { message } }) => {
    historyOf(message.chat_id).acknowledge(message);
    chats.note(message);
    stream.tell();
  });
  onAccountChange((account) => {
    if (account?.username === username) {
      if (account.token !== token) resume(account.token);
      return;
    }
    if (account && api.areOfOneAccount(account.token, token)) takeAlong(account.username);
    beginAnew();
  });
  onNewDay(() => {
    list.show(openId);
    conversation.showDays();
  });
  connect(token);
  route();
  if (!openId && !isTouched()) parts.query.focus();

  function connect(newToken) {
    api.identify(newToken, (failure) => {
      const kept = keptAccount();
      // Another tab has a new one already.
      if (kept?.username === username && kept.token !== newToken) return resume(kept.token);
      stream.stop();
      signInAgain.show(failure);
    });
    stream.addEventListener("wake", wake);
    stream.addEventListener("state", showConnection);
    stream.start();
    wake();
  }

  /** Something may have happened: fetches what. */
  async function wake() {
    clearTimeout(again);
    outbox.flush();
    try {
      await Promise.all([chats.refresh(), openId && historyOf(openId).catchUp(), lookForMe()]);
      trouble = null;
      showConnection();
    } catch (failure) {
      onFailure(failure);
    }
  }

  /** Says what went wrong with the connection or the server, and looks again soon. */
  function onFailure(failure) {
    if (!(failure instanceof api.Failure)) throw failure;
    if (failure.status === 401) return; // the dialog is open
    trouble = failure;
    clearTimeout(again);
    if (failure.passes) again = setTimeout(wake, Math.max(AGAIN_MS, failure.retryAfterSec * 1000));
    showConnection();
  }

  function showConnection() {
    if (signInAgain.isNeeded) return say(parts.connection, "");
    const waiting = outbox.entries.filter(({ state }) => state === "waiting").length;
    const kept = waiting
      ? `${count(waiting, "message waits and will go out by itself", "messages wait and will go out by themselves")}.`
      : "You can go on writing.";
    if (stream.state === "offline" || trouble?.status === 0) return say(parts.connection, `No connection. ${kept}`);
    if (renamed) return say(parts.connection, explain(renamed));
    if (stream.state === "crowded")
      return say(parts.connection, "You are connected on many devices at once: news comes here with a delay. Close one of them.");
    if (trouble) return say(parts.connection, explain(trouble));
    if (stream.state === "unavailable") return say(parts.connection, "The server is busy or restarting: news comes here with a delay.");
    if (!isAllHere) return say(parts.connection, "This browser has no room for all that you have not sent: some of it did not come along to your new name.");
    return say(parts.connection, !isKept && "This server keeps no messages: what you write is shown to nobody here, and gone when you reload.");
  }

  function showUnsent() {
    list.show(openId);
    conversation.showUnsent();
    showConnection();
  }

  /** What another tab has sent becomes the message that it is by now, instead of going and coming back. */
  async function letGo(clientId) {
    try {
      if (openId) await historyOf(openId).catchUp();
    } catch (failure) {
      onFailure(failure);
      if (failure.passes) {
        setTimeout(() => letGo(clientId), AGAIN_MS);
        return;
      }
    }
    conversation.dropUnsent(clientId);
    showUnsent();
  }

  function historyOf(chatId) {
    let history = histories.get(chatId);
    if (!history) {
      history = new History(chatId);
      // After those who show it, so that a message which waits on the screen becomes the one that is sent.
      history.addEventListener("newer", ({ detail }) => queueMicrotask(() => settle(detail)));
      history.addEventListener("kept", ({ detail }) => {
        isKept = detail;
        showConnection();
      });
    }
    // The latest looked at is the last in the map.
    histories.delete(chatId);
    histories.set(chatId, history);
    const others = [...histories.keys()].filter((id) => id !== openId);
    for (const id of others.slice(0, -MOST_HISTORIES)) histories.delete(id);
    return history;
  }

  /** The server has these: one's own among them wait no longer. */
  function settle(messages) {
    const waiting = new Set(outbox.entries.map((entry) => entry.client_id));
    for (const { client_id } of messages) if (waiting.has(client_id)) outbox.remove(client_id);
  }

  function route() {
    const chatId = chatInAddress();
    const before = openId;
    openId = chatId;
    if (before && before !== chatId) historyOf(before).trim();
    parts.nothing.hidden = Boolean(chatId);
    list.show(openId);
    showOpenChat();
    if (before && !chatId) list.focus(before);
  }

  function showOpenChat() {
    const chat = chats.byId(openId);
    // On a phone the list stays until there is something to show.
    root.dataset.showing = chat ? "conversation" : "chats";
    if (!chat) conversation.close();
    if (chat && conversation.chatId === openId) conversation.update(chat);
    else if (chat) conversation.open(chat, historyOf(openId));
    else if (!openId || !chats.isLoaded) return;
    // An old link, or a chat far down the list.
    else if (chats.hasMore) chats.more().catch(onFailure);
    else location.hash = "#/";
  }

  /** Whether it worked. */
  async function openPerson(person) {
    try {
      const chat = await chats.openPrivate(person.username);
      location.hash = `#/chats/${encodeURIComponent(chat.id)}`;
      return true;
    } catch (failure) {
      onFailure(failure);
      return false;
    }
  }

  function markRead(chatId, messageId) {
    chats
      .markRead(chatId, messageId)
      .then((isNews) => isNews && stream.tell())
      .catch(onFailure);
  }

  function showMe(me) {
    parts.me.setAttribute("aria-label", `${me.display_name}, your profile`);
    parts["my-name"].textContent = me.display_name;
    showAvatar(parts["my-avatar"], me.display_name, me.username);
  }

  function onKey(event) {
    if (document.querySelector("dialog:modal")) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (root.dataset.showing === "conversation" && !parts.query.offsetParent) location.hash = "#/";
      requestAnimationFrame(() => {
        parts.query.focus();
        parts.query.select();
      });
    } else if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      list.openNeighbour(openId, event.key === "ArrowDown" ? 1 : -1);
    }
  }

  /** Goes on with a new token, under the name that one has by now. */
  function goOn(newToken, newUsername = username) {
    if (!api.areOfOneAccount(newToken, token)) {
      throw new api.Failure(403, { errors: { username: ["This is another account. To go on with it, sign out first"] } });
    }
    keepAccount(username, newToken);
    if (newUsername === username) resume(newToken);
    else rename(newUsername);
  }

  function resume(newToken) {
    token = newToken;
    signInAgain.close();
    stream.stop();
    stream = new Stream(username);
    connect(newToken);
  }

  /** Shows one's own profile, once. */
  async function lookForMe() {
    if (isMeKnown) return;
    isMeKnown = true;
    try {
      showMe(await api.ownProfile(username));
    } catch (failure) {
      isMeKnown = failure.code === "renamed";
      if (!isMeKnown) throw failure;
      renamed = failure;
      showConnection();
    }
  }

  /** Goes on under the name `stranger`, if it was given to one on another device. */
  async function followName(stranger) {
    if (strangers.has(stranger)) return;
    strangers.add(stranger);
    try {
      if (await api.isMine(stranger)) rename(stranger);
    } catch (failure) {
      strangers.delete(stranger);
      onFailure(failure);
    }
  }

  async function changePassword(password) {
    stream.stop(); // its poll would be refused before the new token is here
    let newToken = token;
    try {
      await api.changeProfile(username, { password });
      newToken = await api.signIn(username, password);
    } finally {
      goOn(newToken);
    }
  }

  /** One's name is written in much of what is loaded: begins anew. */
  function rename(newUsername) {
    const isAll = renameAccount(username, newUsername);
    takeAlong(newUsername);
    if (!isAll) sessionStorage.setItem(LEFT_BEHIND, "some");
    beginAnew();
  }

  /** Keeps under the new name what is written and only this tab has. */
  function takeAlong(newUsername) {
    drafts.rename(newUsername);
    conversation.keep();
    if (!drafts.areKept) sessionStorage.setItem(LEFT_BEHIND, "some");
  }

  async function signOut() {
    const unsent = outbox.entries.length;
    const begun = drafts.count;
    const lost = [unsent && count(unsent, "message not sent yet", "messages not sent yet"), begun && count(begun, "draft", "drafts")];
    const question = `Signing out loses ${lost.filter(Boolean).join(" and ")}.`;
    if ((unsent || begun) && !(await ask(question, "Sign out all the same"))) return;
    leave();
  }

  function leave() {
    forgetAccount(username);
    location.hash = "";
    beginAnew();
  }

  /** Nothing of what is open here is kept any more under the name that one had. */
  function beginAnew() {
    outbox.close();
    stream.stop();
    conversation.close();
    location.reload();
  }
}

/** The id of the chat that the address names; empty where it names none. */
function chatInAddress() {
  try {
    return decodeURIComponent(location.hash.match(/^#\/chats\/(.+)$/)?.[1] ?? "");
  } catch {
    return ""; // mistyped
  }
}
