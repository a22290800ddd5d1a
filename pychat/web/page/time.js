/** Points in time, as one reads them in a chat: in the language and the zone of the browser. */

const format = (options) => new Intl.DateTimeFormat(undefined, options);
const CLOCK = format({ hour: "2-digit", minute: "2-digit" });
const WEEKDAY = format({ weekday: "short" });
const DAY_MONTH = format({ day: "numeric", month: "short" });
const DATE = format({ day: "numeric", month: "short", year: "numeric" });
const LONG_DAY = format({ weekday: "long", day: "numeric", month: "long" });
const FULL = format({ dateStyle: "full", timeStyle: "medium" });

const DAY_MS = 86_400_000;
/** A timer stands still while the machine sleeps; none goes for longer than that, so midnight is soon noticed. */
const LONGEST_TIMER_MS = 60_000;

/** How many midnights ago it was. */
function daysAgo(time) {
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((midnight(new Date()) - midnight(time)) / DAY_MS);
}

export const clock = (time) => CLOCK.format(time);
export const full = (time) => FULL.format(time);
export const isSameDay = (one, other) => one.toDateString() === other.toDateString();

/** Calls back whenever a day has begun. */
export function onNewDay(callback) {
  let today = new Date();
  const wait = () => {
    const midnight = new Date(today.getFullYear(), today.getMonth(), today.getDate() + 1);
    setTimeout(look, Math.min(midnight - new Date(), LONGEST_TIMER_MS));
  };
  const look = () => {
    const now = new Date();
    const isNewDay = !isSameDay(today, now);
    today = now;
    wait();
    if (isNewDay) callback();
  };
  wait();
}

/** For a separator between days. */
export function dayName(time) {
  const days = daysAgo(time);
  if (days <= 1) return days === 1 ? "Yesterday" : "Today";
  return days < 300 ? LONG_DAY.format(time) : DATE.format(time);
}

/** For the list of chats: as short as it can be. */
export function shortTime(time) {
  const days = daysAgo(time);
  if (days < 1) return CLOCK.format(time);
  if (days === 1) return "Yesterday";
  if (days < 7) return WEEKDAY.format(time);
  return days < 300 ? DAY_MONTH.format(time) : DATE.format(time);
}
