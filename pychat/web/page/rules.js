/**
 * What the fields of an account and a message may hold: the server's rules, each with the words that explain it before
 * it is broken. The server judges again.
 */

const lengthOf = (text) => [...text].length;
const trimmed = (text) => text.replace(/^[ \t\n\r\v\f]+|[ \t\n\r\v\f]+$/g, "");
// Control characters but tab and line breaks; written by their numbers, for none of them can be seen.
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/; // eslint-disable-line no-control-regex

export const MESSAGE_MAX = 4096;

export const RULES = {
  username: [
    ["3 to 32 characters", (text) => text.length >= 3 && text.length <= 32],
    ["letters a–z, digits, _ and -", (text) => /^[A-Za-z0-9_-]+$/.test(text)],
    ["no digit first", (text) => text !== "" && !/^[0-9]/.test(text)],
    ["no two of _ - in a row", (text) => text !== "" && !/[_-]{2}/.test(text)],
  ],
  password: [
    ["8 to 32 characters", (text) => text.length >= 8 && text.length <= 32],
    ["a small letter", (text) => /[a-z]/.test(text)],
    ["a capital", (text) => /[A-Z]/.test(text)],
    ["a digit", (text) => /[0-9]/.test(text)],
    ["a sign such as ! ? #", (text) => /[!-/:-@[-`{-~]/.test(text)],
    ["no spaces or accents", (text) => text !== "" && /^[!-~]*$/.test(text)],
  ],
  display_name: [
    ["2 to 50 characters", (text) => lengthOf(trimmed(text)) >= 2 && lengthOf(trimmed(text)) <= 50],
    ["of punctuation only - _ .", (text) => /^[A-Za-z0-9 ._\-\u0080-\u{10ffff}]*$/u.test(trimmed(text))],
    ["single spaces", (text) => !trimmed(text).includes("  ")],
  ],
  biography: [
    ["at most 180 characters", (text) => lengthOf(trimmed(text)) <= 180],
    ["at most 3 line breaks in a row", (text) => !/\n(?:\r*\n){3}/.test(trimmed(text)) && !CONTROL.test(text)],
  ],
};

/** Why a message cannot be sent as it stands; empty where it can. */
export function messageFault(text) {
  const length = lengthOf(trimmed(text));
  if (length > MESSAGE_MAX) {
    const over = (length - MESSAGE_MAX).toLocaleString();
    return `${over} characters too long: a message has at most ${MESSAGE_MAX.toLocaleString()}. Shorten it, or send it in two.`;
  }
  if (CONTROL.test(text)) return "There is an invisible control character in it, perhaps from pasting. Type it anew.";
  return "";
}

export const isBlank = (text) => text.trim() === "";
