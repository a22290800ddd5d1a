/** Ids: those that we make for messages, and the order of those that the server gives. */

let last = 0;

/**
 * A UUID of version 7: the time first, so that the server's index of them grows at its end, and so that sorted they
 * are in the order of writing.
 */
export function newId() {
  last = Math.max(last + 1, Date.now());
  // Not `crypto.randomUUID`, which a page served without TLS has only on localhost.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let place = 0; place < 6; place++) bytes[place] = Math.floor(last / 256 ** (5 - place)) % 256;
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Whether the message id `one` is later than `other`. They are decimal numbers, of any length. */
export function isLater(one, other) {
  return one.length === other.length ? one > other : one.length > other.length;
}
