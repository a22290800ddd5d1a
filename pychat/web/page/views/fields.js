/** Fields of forms: their rules, shown while one types, and what is wrong with them. */

import { say } from "../dom.js";
import { RULES } from "../rules.js";
import { explain } from "../words.js";

/**
 * Prepares a form whose fields stand in elements with `data-field`. `ruled` names those whose rules are shown and
 * checked, `optional` those of them that may be empty. `submit` gets the values; a Failure that it throws is shown.
 */
export function prepareForm(form, { ruled = [], optional = [], submit }) {
  const fields = [...form.querySelectorAll("[data-field]")].map((element) => fieldOf(element, ruled, optional));
  const button = form.querySelector("button:not([type])");
  const notice = form.querySelector('[data-part="failure"]');
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    say(notice, "");
    const wrong = fields.filter((field) => !field.check());
    if (wrong.length > 0) {
      wrong[0].input.focus();
      return;
    }
    button.disabled = true;
    try {
      await submit(Object.fromEntries(fields.map((field) => [field.name, field.input.value])));
    } catch (failure) {
      if (failure.status === undefined) throw failure;
      showFailure(failure, fields, notice);
    } finally {
      button.disabled = false;
    }
  });
  form.addEventListener("reset", () => {
    say(notice, "");
    // The event comes before the values are gone.
    queueMicrotask(() => fields.forEach((field) => field.reset()));
  });
  for (const toggle of form.querySelectorAll(".toggle")) prepareToggle(toggle);
}

/** At the fields that it names, else above the form. */
function showFailure(failure, fields, notice) {
  let isShown = false;
  for (const [name, reasons] of Object.entries(failure.errors)) {
    const field = fields.find((candidate) => candidate.name === name || (name === "user" && candidate.name === "username"));
    if (!field) continue;
    field.blame(`${reasons.join(". ")}.`);
    if (!isShown) field.input.focus();
    isShown = true;
  }
  if (!isShown) say(notice, failure.errors.credentials ? "Username and password do not go together. Check both." : explain(failure));
}

function fieldOf(element, ruled, optional) {
  const input = element.querySelector("input, textarea");
  const name = element.dataset.field;
  const rules = ruled.includes(name) ? RULES[name] : [];
  const fault = addParagraph(element, "fault", `${input.id}-fault`);
  const list = rules.length > 0 ? addRules(element, rules, `${input.id}-rules`) : null;
  input.setAttribute("aria-describedby", [fault.id, list?.id].filter(Boolean).join(" "));
  const isLeftOut = () => input.value === "" && optional.includes(name);

  const field = {
    name,
    input,
    /** Says what is wrong; not to the eye where it is seen in the list of rules. */
    blame(text, isSeen = false) {
      fault.textContent = text;
      fault.classList.toggle("visually-hidden", isSeen);
      fault.hidden = !text;
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
    /** Whether all rules hold; shows those that do not. */
    check() {
      // Keyboards of phones add a blank after a word that they know.
      if (name === "username") input.value = input.value.trim();
      const broken = isLeftOut() ? [] : rules.filter(([, holds]) => !holds(input.value)).map(([words]) => words);
      const isMissing = rules.length === 0 && input.value === "";
      field.mark(true);
      if (broken.length > 0) field.blame(`Needed: ${broken.join(", ")}.`, true);
      else field.blame(isMissing ? "Please fill this in." : "");
      return broken.length === 0 && !isMissing;
    },
    /** Nothing is wrong with it yet. */
    clear() {
      field.mark(false);
      field.blame("");
    },
    reset() {
      field.clear();
      element.classList.remove("visited");
    },
    mark(isFinished) {
      rules.forEach(([, holds], place) => {
        const isHeld = holds(input.value) && input.value !== "";
        list.children[place].className = isHeld ? "holds" : isFinished && !isLeftOut() ? "broken" : "";
      });
    },
  };
  input.addEventListener("input", () => field.clear());
  input.addEventListener("focus", () => {
    // Stays when the focus goes: what moved at the press of a button below would not be under its release.
    element.classList.add("visited");
    if (input.ariaInvalid !== "true") field.mark(false);
  });
  input.addEventListener("blur", () => {
    if (input.value !== "" && rules.some(([, holds]) => !holds(input.value))) field.check();
  });
  return field;
}

function addParagraph(element, className, id) {
  const paragraph = document.createElement("p");
  Object.assign(paragraph, { className, id, hidden: true });
  element.append(paragraph);
  return paragraph;
}

function addRules(element, rules, id) {
  const list = document.createElement("ul");
  Object.assign(list, { className: "rules", id });
  list.append(
    ...rules.map(([words]) => {
      const item = document.createElement("li");
      item.textContent = words;
      return item;
    }),
  );
  element.append(list);
  return list;
}

function prepareToggle(toggle) {
  const input = toggle.previousElementSibling;
  toggle.addEventListener("click", () => {
    const isShown = input.type === "password";
    input.type = isShown ? "text" : "password";
    toggle.setAttribute("aria-pressed", String(isShown));
    toggle.textContent = isShown ? "Hide" : "Show";
  });
}
