/**
 * What Envoy does in another way than the suites of hostile peers (test/) have it: why, in the words of docs/envoy.md, and of which of their
 * tests. What each shows instead is in the suite itself.
 */
export interface Way {
  readonly why: string;
  readonly titles: readonly string[];
}

/** Of test/http1-hostile.test.ts. */
export const HTTP1_REQUESTS = {
  heads: {
    why: "takes lines that end in a bare LF, folded ones, a bare CR in a value and odd spaces in a request line",
    titles: [
      "chunked before a tab",
      "chunked on a folded line",
      "chunked behind a folded line's start",
      "chunked behind a bare LF",
      "chunked behind a bare CR",
      "chunked behind an empty line of a bare LF",
      "lines that end in a bare LF",
      "a request line that ends in a bare LF",
      "a head that ends in a bare LF",
      "a bare CR in a value",
      "a bare CR at the end of a value",
      "a folded line",
      "a line folded with a tab",
      "a folded line of spaces alone",
      "a space behind the version",
      "a tab behind the version",
      "two spaces behind the method",
      "two spaces before the version",
      "tabs for spaces",
      "chunked on a folded line, byte by byte",
      "a bare CR in a value, byte by byte",
      "tabs for spaces, byte by byte",
    ],
  },
  chunks: {
    why: "takes chunks with odd ends of their lines, spaces behind their sizes, and trailers with such lines",
    titles: [
      "a size before a space",
      "a size before a tab",
      "an extension with a NUL",
      "a chunk that ends in a bare LF",
      "an end that is a bare LF",
      "a trailer with a bare LF",
      "a trailer with a bare CR",
      "a trailer on a folded line",
    ],
  },
  versions: {
    why: "takes a version that it does not know for HTTP/1.0, and chunks in that; the job gets HTTP/1.1",
    titles: [
      "chunks in HTTP/1.0",
      "chunks in HTTP/1.0, byte by byte",
      "version 0.9 in words",
      "version 1.2",
      "version 2.0",
      "version 3.0",
    ],
  },
  targets: {
    why: "goes by the target, as RFC 9112 §3.2.2 has it",
    titles: [
      "a target of another host than Host",
      "a target of another port than Host",
      "a target of another port than Host, byte by byte",
      "a target with a user",
      "a target with a host, and no Host",
      "an absolute target that agrees",
    ],
  },
  rootless: {
    why: "refuses a star for a target, and a host with a question and no path",
    titles: ["an absolute target with a question alone", "a star for OPTIONS"],
  },
  zeros: {
    why: "passes a length on with the zeros before it",
    titles: ["a length with zeros before it"],
  },
  foreignNames: {
    why: "refuses a Connection that names fields which are not of one connection",
    titles: ["names in Connection that are not its own", "names in Connection, around a body"],
  },
  foreignNamesForged: {
    why: "refuses a Connection that names fields which are not of one connection",
    titles: ["the gate alone says who is asking and where from, however a visitor spells it"],
  },
  hopNames: {
    why: "takes what Connection names to the letter, and passes on Trailer and Proxy-Authenticate",
    titles: ["names in several fields of Connection", "all that is of one connection"],
  },
  upgradeBodies: {
    why: "offers an upgrade with a body to the job, and keeps the body until the job agrees",
    titles: ["an upgrade with a body", "an upgrade with chunks"],
  },
  upgradeNames: {
    why: "switches to the protocols that it knows by name, and ends both ways of one when its visitor ends one",
    titles: ["an upgrade to h2c among others", "an upgrade to h2c in a second field"],
  },
  upgradeOld: {
    why: "does for HTTP/1.0 what a visitor of HTTP/1.1 would have of the same fields",
    titles: ["HTTP/1.0 knows no upgrade"],
  },
  interimOld: {
    why: "does for HTTP/1.0 what a visitor of HTTP/1.1 would have of the same fields",
    titles: ["HTTP/1.0 has no interim answers"],
  },
  keptOld: {
    why: "keeps a connection of HTTP/1.0 that says both close and keep-alive",
    titles: ["HTTP/1.0 that says close: what is behind it is no request"],
  },
  expectations: {
    why: "passes an Expect on as it was sent, whatever it says",
    titles: [
      "200-ok is none: it is refused or left out, and never goes on to the job",
      "100-continue, 100-continue is none: it is refused or left out, and never goes on to the job",
      "100-continue=x is none: it is refused or left out, and never goes on to the job",
      " is none: it is refused or left out, and never goes on to the job",
    ],
  },
  preface: {
    why: "ends what begins as HTTP/2 and goes on as something else in the words of HTTP/2",
    titles: ["the preface of HTTP/2, begun and not ended"],
  },
} satisfies Readonly<Record<string, Way>>;

/** Of test/http1-hostile-answers.test.ts. */
export const HTTP1_ANSWERS = {
  heads: {
    why: "takes answers whose lines end in a bare LF or are folded, odd versions and signs before a status, and chunks in HTTP/1.0",
    titles: [
      "chunks in HTTP/1.0",
      "a bare CR in a value",
      "a bare LF between fields",
      "lines that end in a bare LF",
      "a status line that ends in a bare LF",
      "a folded line",
      "version 2.0",
      "version 0.9",
      "version 1.2",
      "a status with a plus",
      "a bare CR in the reason",
    ],
  },
  longStatus: {
    why: "passes a status of four digits on",
    titles: ["a status of four digits"],
  },
  bodies: {
    why: "takes chunks of answers with odd ends, and passes over what is behind them as far as the next line",
    titles: ["a chunk longer than it said", "a chunk that ends in a bare LF", "a trailer with a bare LF"],
  },
  resets: {
    why: "takes a reset in the midst of an answer without a length for its end",
    titles: [
      "a reset of a body without length",
      "a body without length that is reset is never whole for an HTTP/1.0 visitor",
      "a body without length that is reset is never whole for an HTTP/1.1 visitor",
    ],
  },
  unasked: {
    why: "passes the bare 101 on, and nothing of what the job says after it",
    titles: ["101 that nobody asked for", "101 behind 103"],
  },
  endless: {
    why: "waits for the end of what a job never ends (interim answers, a chunk's extension) until it was silent for too long",
    titles: ["interim answers without end", "continues without end", "an extension without end"],
  },
  interim: {
    why: "passes on the first of a job's interim answers alone",
    titles: ["interim answers pass, in their order, before the one that counts"],
  },
  lengths: {
    why: "takes no 204 with a length",
    titles: [
      "another answer behind 204 with a length",
      "garbage behind 204 with a length",
      "one byte behind 204 with a length",
      "an interim answer behind 204 with a length",
      "a 408 behind 204 with a length",
      "an end of a line behind 204 with a length",
    ],
  },
  upgrades: {
    why: "passes the bare 101 on, and nothing of what the job says after it",
    titles: ["101 with no Upgrade is none: 502", "101 with HTTP/2's own upgrade is none: 502"],
  },
  upgradeLines: {
    why: "takes answers whose lines end in a bare LF or are folded, odd versions and signs before a status, and chunks in HTTP/1.0",
    titles: ["101 with a bare LF is none: 502"],
  },
  nominated: {
    why: "passes on what a job's answer says is of its connection only",
    titles: ["fields of its own connection, and those it nominates, end here"],
  },
} satisfies Readonly<Record<string, Way>>;

/** Of test/http2-floods.test.ts. */
export const HTTP2_FLOODS = {
  calm: {
    why: "answers PING and SETTINGS of HTTP/2 for as long as its answers are read",
    titles: ["%s, also where the answers are read"],
  },
  streams: {
    why: "refuses streams beyond the bound one by one, and keeps their connection",
    titles: ["more streams than there may be"],
  },
  halfHeads: {
    why: "waits for the rest of a head of HTTP/2 for as long as heads may take, not as connections may be idle",
    titles: [
      "a head that never ends ends after the idle time, though pings come",
      "half a frame ends after the idle time, though pings come",
    ],
  },
  goodbye: {
    why: "ends idle connections with the last of the others, when it drains, and says goodbye to HTTP/2 no earlier",
    titles: [
      "says goodbye on drain, lets what runs finish, and refuses what comes after",
      "drain breaks off nothing that runs, though requests with bodies were on their way",
    ],
  },
} satisfies Readonly<Record<string, Way>>;

/** Of test/http2-hostile-jobs.test.ts. */
export const HTTP2_JOBS = {
  silent: {
    why: "waits for the end of what a job never ends (interim answers, a chunk's extension) until it was silent for too long",
    titles: ["early words without an end", "PUSH_PROMISE"],
  },
  noStreams: {
    why: "waits for a job of HTTP/2 that takes no streams until it was silent for too long",
    titles: ["a job that takes no streams is waited for, and no longer than connectTime"],
  },
  floods: {
    why: "answers PING and SETTINGS of HTTP/2 for as long as its answers are read",
    titles: ["a flood of %s from a job ends its session"],
  },
} satisfies Readonly<Record<string, Way>>;

/** Of test/http1-aborts.test.ts. */
export const HTTP1_ABORTS = {
  pipelined: {
    why: "hears of a reset behind a second request once it writes the first one's answer, or when that is silent for too long",
    titles: ["while a second request waits behind its first, by RST: the job hears of it"],
  },
  resets: {
    why: "takes a reset in the midst of an answer without a length for its end",
    titles: ["with its answer until the end, by FIN, is whole; by RST it is not"],
  },
} satisfies Readonly<Record<string, Way>>;
