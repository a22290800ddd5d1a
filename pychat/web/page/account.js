/**
 * Who is signed in here. The token is in localStorage, where it outlives a reload and all tabs share it. Scripts can
 * read it there; but the page's policy lets no script run that is not the server's own, and no text become markup.
 * The token ends after an hour.
 */

const KEY = "pychat.account";
const LAST_USERNAME = "pychat.last-username";

/** `{username, token}`, or null. */
export function keptAccount() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

export function keepAccount(username, token) {
  localStorage.setItem(KEY, JSON.stringify({ username, token }));
  localStorage.setItem(LAST_USERNAME, username);
}

/** Signs out in this browser, and removes all that it kept of this person. */
export function forgetAccount(username) {
  localStorage.removeItem(KEY);
  for (const key of keysOf(username, "")) localStorage.removeItem(key);
}

/**
 * What is kept of this person, what is not sent yet included, goes on under the new name. A full browser may have no
 * room for longer names: then the session makes some, of which another can be opened, and what still finds none stays
 * where it is. Returns whether all found room.
 */
export function renameAccount(username, newUsername) {
  const { token } = keptAccount();
  const prefix = keyOf(username, "");
  localStorage.removeItem(keyOf(username, "session"));
  keepAccount(newUsername, token);
  let isAll = true;
  for (const key of keysOf(username, "")) {
    const value = localStorage.getItem(key);
    localStorage.removeItem(key); // first, for there may be no room for both
    try {
      localStorage.setItem(keyOf(newUsername, key.slice(prefix.length)), value);
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw error;
      localStorage.setItem(key, value);
      isAll = false;
    }
  }
  return isAll;
}

/** Who signed in here last; empty where nobody did. */
export const lastUsername = () => localStorage.getItem(LAST_USERNAME) ?? "";

/** The localStorage key under which `name` is kept for this person. */
export const keyOf = (username, name) => `pychat.of.${username}/${name}`;

/** All of these keys whose name begins with `beginning`. */
export const keysOf = (username, beginning) => Object.keys(localStorage).filter((key) => key.startsWith(keyOf(username, beginning)));

/** Calls back with `{username, token}` or null when another tab signs in or out. */
export function onAccountChange(callback) {
  addEventListener("storage", (event) => {
    if (event.key === KEY) callback(keptAccount());
  });
}
