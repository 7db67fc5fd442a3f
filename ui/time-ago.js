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
