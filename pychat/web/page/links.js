/** Finds the links in a text. Only http and https become links: no other scheme can be meant well here. */

const CANDIDATE = /\bhttps?:\/\/[^\s<>"'`\u0000-\u001f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/giu; // eslint-disable-line no-control-regex
const BRACKETS = { ")": "(", "]": "[", "}": "{" };

/** The text as nodes: text nodes, and anchors that show exactly what was written. */
export function withLinks(text) {
  const nodes = new DocumentFragment();
  let end = 0;
  for (const found of text.matchAll(CANDIDATE)) {
    const written = withoutTail(found[0]);
    if (!URL.canParse(written)) continue;
    nodes.append(text.slice(end, found.index), anchor(written));
    end = found.index + written.length;
  }
  nodes.append(text.slice(end));
  return nodes;
}

function anchor(written) {
  const link = document.createElement("a");
  link.href = written;
  link.textContent = written;
  link.target = "_blank";
  // Where it leads learns neither who sent the reader nor gets a hold on this page.
  link.rel = "noopener noreferrer nofollow";
  return link;
}

/** Without what ends the sentence and not the address: punctuation, and brackets that were opened before it. */
function withoutTail(address) {
  for (;;) {
    const last = address.at(-1);
    const opening = BRACKETS[last];
    const isUnopened = opening && address.split(last).length > address.split(opening).length;
    if (!isUnopened && !/[.,;:!?…*_~]/.test(last)) return address;
    address = address.slice(0, -1);
  }
}
