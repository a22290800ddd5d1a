/** The few things that every view does with the document. What people wrote goes in as text, never as markup. */

/** The elements under `root` that have a `data-part`, by its value. */
export function partsOf(root) {
  return Object.fromEntries([...root.querySelectorAll("[data-part]")].map((element) => [element.dataset.part, element]));
}

/** A copy of the one element in the template `id`, and its parts. */
export function copyOf(id) {
  const element = document.getElementById(id).content.firstElementChild.cloneNode(true);
  return { element, ...partsOf(element) };
}

/** Writes `text` into the element and shows it; hides it where there is none. */
export function say(element, text) {
  element.textContent = text ?? "";
  element.hidden = !text;
}

/** Tells it to those who hear the page. */
export function announce(text) {
  document.getElementById("announcements").textContent = text;
}

/** Gives the avatar the initials of `name`, and the colour that goes with `username`. */
export function showAvatar(avatar, name, username) {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const initials = words.length > 1 ? [words[0], words.at(-1)].map((word) => [...word][0]) : [...name].slice(0, 2);
  avatar.textContent = initials.join("").toUpperCase();
  const hash = [...username].reduce((sum, letter) => Math.imul(sum, 33) ^ letter.codePointAt(0), 5381);
  const hue = (hash >>> 0) % 8;
  avatar.className = avatar.className.replace(/ ?hue-\d/, "") + ` hue-${hue}`;
}

/** Moves the focus among `links` with the arrow keys, Home and End. Returns whether the key was one of these. */
export function moveFocus(event, links) {
  const at = links.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (to === undefined || !links[to]) return false;
  event.preventDefault();
  links[to].focus();
  return true;
}

/** Whether one touches the screen: then its keyboard covers half of it, and comes up with every focus on a field. */
export const isTouched = () => matchMedia("(pointer: coarse)").matches;

/** Whoever has typed nothing for that long has come to a pause. */
const TYPING_MS = 1_500;

let typedAt = -Infinity;
addEventListener("input", () => (typedAt = performance.now()), { capture: true });

/** Resolves once nobody is in the midst of typing; at once where the field is empty, as when a message was just sent. */
export async function afterTyping() {
  const pauseMs = () => (document.activeElement?.value ? typedAt + TYPING_MS - performance.now() : 0);
  while (pauseMs() > 0) await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs(), 100)));
}

/** Asks in a dialog; resolves to whether the answer was `yes`. */
export async function ask(text, yes) {
  const dialog = document.getElementById("question");
  const parts = partsOf(dialog);
  parts.text.textContent = text;
  parts.yes.textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "yes";
}

/**
 * `work`, never twice at a time: whoever calls while it runs gets a further run, one for all of them, so that what
 * was true at the call is seen.
 */
export function coalesced(work) {
  let running = null;
  let next = null;
  return function run() {
    if (!running) return (running = work().finally(() => (running = null)));
    next ??= running.catch(() => {}).then(() => ((next = null), run()));
    return next;
  };
}
