/** The server's HTTP API: the only module that knows its paths and bodies. */

const ANSWER_WITHIN_MS = 20_000;
/** A poll is held for 30 s, or as long as the server is set to; a connection that died in silence must not last. */
const POLL_WITHIN_MS = 90_000;

/**
 * A request that did not succeed. `status` is 0 where no answer came, with the `code` `timed_out` or `unreachable`; else
 * `code` is the server's word for the cause.
 */
export class Failure extends Error {
  constructor(status, { code = "", message = "", errors = {}, retryAfterSec = 0 } = {}) {
    super(message);
    Object.assign(this, { status, code, errors, retryAfterSec });
  }

  /** Whether the same request may well succeed later. */
  get passes() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

let token = null;
let onRefused = () => {};

/** Identifies what is asked from now on; `refused` is told of the Failure when the token does not hold any more. */
export function identify(newToken, refused) {
  token = newToken;
  onRefused = refused;
}

async function request(method, path, { body, signal, withinMs = ANSWER_WITHIN_MS, anonymous = false } = {}) {
  const sentToken = token;
  const headers = anonymous ? {} : { authorization: `Bearer ${sentToken}` };
  const timeout = AbortSignal.timeout(withinMs);
  let answer, content;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    content = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(0, { code: timeout.aborted ? "timed_out" : "unreachable" });
  }
  const result = parsed(content);
  if (answer.ok) return result;
  const failure = new Failure(answer.status, {
    code: result?.code,
    message: result?.detail ?? result?.message,
    errors: fieldErrors(result?.errors ?? result?.details?.errors),
    retryAfterSec: Number(answer.headers.get("retry-after")) || 0,
  });
  // Not for an answer to a token that was replaced meanwhile.
  if (answer.status === 401 && !anonymous && token === sentToken) refuse(path, failure);
  throw failure;
}

/** Version 1 does not say why it refuses a token, but version 2 does. */
function refuse(path, failure) {
  if (path.startsWith("/v2/")) onRefused(failure);
  else chats().catch((reason) => reason.status === 401 || onRefused(failure));
}

function parsed(content) {
  try {
    return JSON.parse(content);
  } catch {
    return null; // an empty body, or the error page of a proxy: the status tells enough
  }
}

function fieldErrors(errors) {
  return errors && typeof errors === "object" ? errors : {};
}

const path = (...segments) => segments.map(encodeURIComponent).join("/");
const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value != null));

// Accounts
export const signUp = async (user) =>
  (await request("POST", "/v1/users/register", { body: { user }, anonymous: true })).user.token;
export const signIn = async (username, password) =>
  (await request("POST", "/v1/users/login", { body: { user: { username, password } }, anonymous: true })).token;
export const profile = async (username) => (await request("GET", `/v1/users/${path(username)}`)).user;
export const changeProfile = (username, changes) =>
  request("PATCH", `/v1/users/${path(username)}`, { body: { user: changes } });
/** Whether this is one's own name by now: the server lets nobody change another's account, not even by nothing. */
export const isMine = (username) =>
  changeProfile(username, {}).then(
    () => true,
    (failure) => {
      if (failure.status !== 403) throw failure;
      return false;
    },
  );
/** One's own profile; fails as `renamed` where one has another name by now, and this one may be somebody else's. */
export async function ownProfile(username) {
  const shown = profile(username);
  shown.catch(() => {}); // nobody has this name: the next line says so
  if (!(await isMine(username))) throw new Failure(404, { code: "renamed" });
  return shown;
}
/** Whether two tokens are one account's: the server writes its id into them. */
export const areOfOneAccount = (token, other) => accountIn(token) === accountIn(other);
const accountIn = (token) => JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).id;
export const deleteAccount = (username) => request("DELETE", `/v1/users/${path(username)}`);
export const findPeople = async (beginning, signal) =>
  (await request("GET", `/v2/users?${query({ query: beginning, limit: 20 })}`, { signal })).items;

// Chats and messages
export const chats = (after) => request("GET", `/v2/chats?${query({ limit: 100, after })}`);
export const openPrivateChat = (username) => request("POST", "/v2/chats", { body: { type: "private", username } });
export const messages = (chatId, { before, after, limit }) =>
  request("GET", `/v2/chats/${path(chatId)}/messages?${query({ before, after, limit })}`);
export const send = (chatId, text, clientId) =>
  request("POST", `/v2/chats/${path(chatId)}/messages`, { body: { text, client_id: clientId } });
export const markRead = (chatId, messageId) =>
  request("PUT", `/v2/chats/${path(chatId)}/read`, { body: { message_id: messageId } });

// The stream of version 1
export const startSession = async (signal) => (await request("POST", "/v1/messages/poll/start", { signal })).session_id;
/** Resolves to whether messages came. */
export const poll = async (sessionId, signal) => {
  const { messages, resync_required } = await request("GET", `/v1/messages/poll/${path(sessionId)}`, { signal, withinMs: POLL_WITHIN_MS });
  return messages.length > 0 || resync_required;
};
export const ping = () => request("GET", "/ping", { anonymous: true });
