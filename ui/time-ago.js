const STEPS = [
  [60, "second"],
  [60, "minute"],
  [24, "hour"],
  [Infinity, "day"],
];

/** `5 minutes ago`; `now`, `then` are epoch ms. */
export function timeAgo(then, now) {
  let amount = Math.max(0, (now - then) / 1000);
  for (const [size, unit] of STEPS) {
    if (amount < size) {
      return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(-Math.floor(amount), unit);
    }
    amount /= size;
  }
  return "";
}

/** `12:03`, with its date unless that is the date of `now`; `then`, `now` are epoch ms. */
export function clockTime(then, now) {
  const [at, today] = [new Date(then), new Date(now)];
  const time = { hour: "2-digit", minute: "2-digit" };
  if (at.toDateString() === today.toDateString()) return at.toLocaleTimeString([], time);
  return at.toLocaleString([], { day: "numeric", month: "short", ...time });
}
