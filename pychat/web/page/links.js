/** Finds the links in a text. Only http and https become links: no other scheme can be meant well here. */

// Up to whatever cannot be seen (control and format characters, those that turn the direction of writing among them),
// or reads as another sign than it is.
const CANDIDATE = /\bhttps?:\/\/[^\s<>"'`\\\p{C}\p{Default_Ignorable_Code_Point}]+/giu;
const BRACKETS = { ")": "(", "]": "[", "}": "{", "）": "（", "」": "「", "』": "『", "】": "【", "》": "《", "”": "“", "’": "‘", "»": "«" };
const STOPS = /[.,;:!?…*_~。、，；：！？]/;

/** The text as nodes: text nodes, and anchors that show exactly what was written. */
export function withLinks(text) {
  const nodes = new DocumentFragment();
  let end = 0;
  for (const found of text.matchAll(CANDIDATE)) {
    const written = withoutTail(found[0]);
    if (!URL.canParse(written)) continue;
    const address = new URL(written);
    // With a username it looks like one host and leads to another: https://bank.example@elsewhere.example
    if (address.username || address.password) continue;
    nodes.append(text.slice(end, found.index), anchor(written, address));
    end = found.index + written.length;
  }
  nodes.append(text.slice(end));
  return nodes;
}

function anchor(written, { host }) {
  const link = document.createElement("a");
  link.href = written;
  link.textContent = written;
  // Letters of many alphabets look alike: what it is to the network tells them apart.
  if (!written.toLowerCase().includes(host)) link.title = `Leads to ${host}`;
  link.target = "_blank";
  // Where it leads learns neither who sent the reader nor gets a hold on this page.
  link.rel = "noopener noreferrer nofollow";
  return link;
}

/** Without what ends the sentence and not the address: punctuation, and brackets that were opened before it. */
function withoutTail(address) {
  const counts = {};
  for (const sign of address) counts[sign] = (counts[sign] ?? 0) + 1;
  for (let end = address.length; ; end--) {
    const last = address[end - 1];
    const opening = BRACKETS[last];
    const isUnopened = opening && counts[last] > (counts[opening] ?? 0);
    if (!isUnopened && !STOPS.test(last)) return address.slice(0, end);
    counts[last] -= 1;
  }
}
