/** What Chrome sends for a click on a link of a page (Chrome 138 on Linux; without Host and Connection), with cookies as notebooks and dashboards set them. */
export const BROWSER_HEADERS: readonly (readonly [name: string, value: string])[] = [
  ["Cache-Control", "max-age=0"],
  ["sec-ch-ua", '"Not)A;Brand";v="8", "Chromium";v="138", "Google Chrome";v="138"'],
  ["sec-ch-ua-mobile", "?0"],
  ["sec-ch-ua-platform", '"Linux"'],
  ["Upgrade-Insecure-Requests", "1"],
  [
    "User-Agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
  ],
  [
    "Accept",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
  ],
  ["Sec-Fetch-Site", "same-origin"],
  ["Sec-Fetch-Mode", "navigate"],
  ["Sec-Fetch-User", "?1"],
  ["Sec-Fetch-Dest", "document"],
  ["Accept-Encoding", "gzip, deflate, br, zstd"],
  ["Accept-Language", "en-GB,en;q=0.9,de;q=0.8"],
];

/** The app's own, beside which a session's comes. */
export const APP_COOKIES = "_xsrf=2|8f1a6f5c|4a2d5a4f0b1b6f8f6a53f5f5d7e6c1a0|1760000000; theme=dark; sidebar=open";

/** All of it, with `session` (NAME=VALUE) first among the cookies where there is one. */
export function browserHeaders(session: string | null): readonly (readonly [string, string])[] {
  const cookies = session === null ? APP_COOKIES : `${session}; ${APP_COOKIES}`;
  return [...BROWSER_HEADERS, ["Cookie", cookies]];
}
