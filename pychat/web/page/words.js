/** What failures mean to people: what happened, and what to do. */

const AGAIN = "It is tried again by itself.";

const SENTENCES = {
  unreachable: "The server cannot be reached. Check your connection.",
  timed_out: "The server does not answer. Check your connection.",
  rate_limited: `You write faster than is allowed. ${AGAIN}`,
  journal_full: `The server has more messages than it can keep right now. ${AGAIN}`,
  database_unavailable: `The server cannot keep anything right now. ${AGAIN}`,
  outcome_unknown: `The server is not sure whether it kept this. ${AGAIN} It cannot arrive twice.`,
  stopping: `The server is restarting. ${AGAIN}`,
  application_unavailable: `The server is restarting. ${AGAIN}`,
  overloaded: `The server is very busy. ${AGAIN}`,
  too_many_connections: `Too many connections are open. Close other tabs. ${AGAIN}`,
  may_not_post: "You may read here, but not write.",
  chat_not_found: "This chat is gone.",
  user_not_found: "There is nobody of that name any more.",
  renamed: "Your username was changed on another device. Sign out here, and in again with the new one.",
  body_too_large: "This is too long. Shorten it, or send it in two.",
  unexpected_failure: "The server failed at this, and its operators can read why in its log.",
};

/** One or two sentences on a Failure. */
export function explain(failure) {
  const [reason] = Object.values(failure.errors).flat();
  if (SENTENCES[failure.code]) return SENTENCES[failure.code];
  if (reason) return `${reason}.`;
  if (failure.status === 429) return "Too many at once. Wait a moment and try again.";
  if (failure.status >= 500) return "The server cannot do this right now. Try again in a moment.";
  return failure.message ? `${failure.message}.`.replace(/\.\.$/, ".") : "That did not work. Try again.";
}

/** Why one has to sign in again. */
export function explainRefusal(failure) {
  const kept = "What you wrote is kept, and goes out then.";
  if (failure.code === "token_expired") return `Your sign-in lasted its time and has ended. Enter your password to go on. ${kept}`;
  if (failure.code === "token_revoked") return `Your password was changed, which signs out everywhere. Enter the new one to go on. ${kept}`;
  if (failure.code === "user_gone") return "This account has been deleted.";
  return `Your sign-in has ended. Enter your password to go on. ${kept}`;
}

export const count = (number, one, many, more = "") => `${number.toLocaleString()}${more} ${number === 1 ? one : many}`;
