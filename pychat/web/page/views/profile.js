/** Somebody's profile; one's own can be changed here. */

import * as api from "../api.js";
import { partsOf, say, showAvatar } from "../dom.js";
import { explain } from "../words.js";
import { prepareForm } from "./fields.js";

export class Profile {
  #dialog = document.getElementById("profile");
  #parts = partsOf(this.#dialog);
  #me;
  #actions;
  /** What the dialog was opened for last: an answer to what it was opened for before comes too late. */
  #opened = null;

  /** `rename` gets the new username; `showMe` what others see now. */
  constructor(me, actions) {
    this.#me = me;
    this.#actions = actions;
    const parts = this.#parts;
    parts.close.addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => {
      for (const form of [parts.edit, parts.password, parts.delete]) form.reset();
    });
    parts["sign-out"].addEventListener("click", () => actions.signOut());
    parts["password-owner"].defaultValue = me; // outlives a reset
    prepareForm(parts.edit, { ruled: ["display_name", "username", "biography"], optional: ["biography"], submit: (values) => this.#save(values) });
    prepareForm(parts.password, { ruled: ["password"], submit: (values) => this.#changePassword(values) });
    prepareForm(parts.delete, { submit: (values) => this.#delete(values) });
  }

  /** Opens the dialog; bound, so that it can be handed on. */
  show = async (username) => {
    const parts = this.#parts;
    const isMe = username === this.#me;
    const opened = (this.#opened = {});
    this.#fill({ username, display_name: username, biography: "" });
    parts.own.hidden = true;
    parts["sign-out"].hidden = !isMe; // also where the rest cannot be fetched
    say(parts.notice, "");
    this.#dialog.showModal();
    try {
      const user = await (isMe ? api.ownProfile(username) : api.profile(username));
      if (opened !== this.#opened) return;
      this.#fill(user);
      parts.own.hidden = !isMe;
      for (const name of ["display_name", "username", "biography"]) parts.edit.elements[name].value = user[name];
    } catch (failure) {
      if (!(failure instanceof api.Failure)) throw failure;
      if (opened !== this.#opened) return;
      const isGone = failure.status === 404 && !isMe;
      this.#say(isGone ? "This account has been deleted." : explain(failure), true);
    }
  };

  #fill(user) {
    this.#parts.title.textContent = user.display_name;
    this.#parts.username.textContent = `@${user.username}`;
    say(this.#parts.biography, user.username === this.#me ? "" : user.biography);
    showAvatar(this.#parts.avatar, user.display_name, user.username);
  }

  #say(text, isBad = false) {
    this.#parts.notice.classList.toggle("bad", isBad);
    say(this.#parts.notice, text);
  }

  async #save({ display_name, username, biography }) {
    this.#say("");
    const opened = this.#opened;
    const { username: nameNow } = await this.#change({ display_name, username, biography });
    if (nameNow !== this.#me) return this.#actions.rename(nameNow);
    const user = await api.profile(this.#me);
    this.#actions.showMe(user);
    if (opened !== this.#opened) return;
    this.#fill(user);
    this.#say("Saved.");
  }

  /** The new name may be one's own already, by a try whose answer was lost: then the old one no longer is. */
  async #change(changes) {
    try {
      return await api.changeProfile(this.#me, changes);
    } catch (failure) {
      const newName = changes.username.toLowerCase();
      if (failure.status !== 403 || newName === this.#me) throw failure;
      return api.changeProfile(newName, changes);
    }
  }

  async #changePassword({ password }) {
    const opened = this.#opened;
    await this.#actions.changePassword(password);
    if (opened !== this.#opened) return;
    this.#parts.password.reset();
    this.#say("Your password is changed.");
  }

  async #delete({ confirmation }) {
    if (confirmation.trim().toLowerCase() !== this.#me) {
      throw new api.Failure(400, { errors: { confirmation: ["That is not your username"] } });
    }
    await api.deleteAccount(this.#me);
    this.#actions.leave();
  }
}
