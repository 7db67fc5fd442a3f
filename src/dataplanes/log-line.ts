import { type LoggedFlow, pathOf, protocolOf } from "./describe-flow.ts";

export interface LineOptions {
  readonly query: boolean;
  readonly principal: boolean;
}

const PLAIN = /^[^"\\\u0000-\u001f\u007f-\uffff]*$/;

/** JSON.stringify for one text, which mostly needs none of it. */
function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

const told = { at: 0, text: "" };

/** Many lines are of one millisecond. */
function timeText(now: number): string {
  if (now !== told.at) Object.assign(told, { at: now, text: new Date(now).toISOString() });
  return told.text;
}

function ms(from: number, to: number): string {
  return (Math.round((to - from) * 1000) / 1000).toString();
}

/**
 * One line of the access log, with its end. Built by hand, as it is on the way of every request where the log is full. Holds no header but
 * Host: credentials are nowhere in it, unless a job takes them in its path, or in its query with `accessLog.query`.
 */
export function logLine(flow: LoggedFlow, traceId: string | null, options: LineOptions): string {
  let line = `{"time":"${timeText(flow.overAt ?? Date.now())}","kind":"${flow.kind}","protocol":"${protocolOf(flow)}"`;
  line += `,"client":${quote(flow.peer)}`;
  line += asked(flow, options) + answered(flow) + led(flow);
  if (options.principal && flow.session !== null) {
    const { realm, name } = flow.session.principal;
    line += `,"principal":${quote(`${realm}/${name}`)}`;
  }
  line += `,"bytesIn":${String(flow.bytesIn)},"bytesOut":${String(flow.bytesOut)}`;
  line += `,"durationMs":${ms(flow.startedAt, flow.closedAt)}`;
  if (flow.firstByteAt !== 0) line += `,"firstByteMs":${ms(flow.startedAt, flow.firstByteAt)}`;
  if (traceId !== null) line += `,"traceId":"${traceId}"`;
  return `${line}}\n`;
}

function asked(flow: LoggedFlow, { query }: LineOptions): string {
  if (flow.asked === null) return "";
  const { method, host, path } = flow.asked.head;
  const what = `,"method":${quote(method)},"host":${quote(host)},"path":${quote(pathOf(path, query))}`;
  return `,"requestId":"${flow.requestId}"${what}`;
}

function answered({ status, source, code, aborted }: LoggedFlow): string {
  let part = status === 0 ? "" : `,"status":${String(status)},"source":"${source}"`;
  if (code !== null) part += `,"code":${quote(code)}`;
  return aborted ? `${part},"aborted":true` : part;
}

/** Where it was led. */
function led({ route, tried, tries }: LoggedFlow): string {
  let part = "";
  if (route !== null) part += `,"service":${quote(route.service)}`;
  if (route?.replica !== undefined) part += `,"replica":${quote(route.replica)}`;
  if (tried !== null) part += `,"endpoint":${quote(tried.key)}`;
  return tries > 1 ? `${part},"retries":${String(tries - 1)}` : part;
}
