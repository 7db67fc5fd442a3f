/** Every metric of the admin port: the one place of names and meanings, for /metrics, the reference and the dashboard. */
export interface MetricRow {
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
}

const row = (type: MetricRow["type"], labels: readonly string[], help: string): MetricRow => ({ type, labels, help });

export const METRICS = {
  taskgate_requests_total: row(
    "counter",
    ["kind", "status", "source"],
    "Answers, by status, and by whose they were: the job's (app) or the gate's own (gate).",
  ),
  taskgate_refusals_total: row(
    "counter",
    ["code"],
    "The gate's own answers in a job's place, by code; also connections that ended without any answer.",
  ),
  taskgate_limited_total: row("counter", ["bound"], "Connections and requests refused because a bound was reached."),
  taskgate_request_duration_seconds: row(
    "histogram",
    ["kind"],
    "From the head of a request that was let in to the end of its answer; of a connection, its life.",
  ),
  taskgate_first_byte_seconds: row(
    "histogram",
    ["kind"],
    "From the head of a request to the head of the job's answer.",
  ),
  taskgate_bytes_total: row(
    "counter",
    ["kind", "direction"],
    "Bytes of bodies and connections: in from visitors, out to them.",
  ),
  taskgate_open_connections: row("gauge", ["kind"], "Requests, streams and connections open now."),
  taskgate_aborted_total: row(
    "counter",
    ["kind"],
    "Requests and connections that ended before they were whole, whoever ended them.",
  ),
  taskgate_retries_total: row("counter", ["kind"], "Tries at endpoints after the first of a request."),
  taskgate_connect_seconds: row("histogram", [], "Time to connect to an endpoint, where that worked."),
  taskgate_connect_failures_total: row(
    "counter",
    ["reason"],
    "Connections to endpoints that failed: refused or broken (failed), not there in time (timeout), no TLS as asked for (tls).",
  ),
  taskgate_service_requests_total: row(
    "counter",
    ["service", "class", "source"],
    "As taskgate_requests_total, by service and class of status (2xx).",
  ),
  taskgate_service_request_duration_seconds: row(
    "histogram",
    ["service"],
    "As taskgate_request_duration_seconds, by service: HTTP and gRPC, no connections.",
  ),
  taskgate_service_bytes_total: row("counter", ["service", "direction"], "As taskgate_bytes_total, by service."),
  taskgate_service_open_connections: row("gauge", ["service"], "As taskgate_open_connections, by service."),
  taskgate_service_aborted_total: row("counter", ["service"], "As taskgate_aborted_total, by service."),
  taskgate_service_retries_total: row("counter", ["service"], "As taskgate_retries_total, by service."),
  taskgate_service_connect_failures_total: row(
    "counter",
    ["service", "reason"],
    "As taskgate_connect_failures_total, by service.",
  ),
  taskgate_access_log_dropped_total: row(
    "counter",
    [],
    "Lines of the access log given up, rather than that requests waited.",
  ),
  taskgate_spans_dropped_total: row("counter", [], "Spans given up, because the collector did not take them."),
  taskgate_login_failures_total: row(
    "counter",
    ["method"],
    "Logins in vain: wrong passwords, tokens, links and codes, by the way of logging in.",
  ),
  taskgate_login_limited_total: row("counter", ["method"], "Logins answered 429, since there were too many in vain."),
  taskgate_audit_entries_total: row("counter", [], "Entries that are in the audit log."),
  taskgate_audit_lost_total: row(
    "counter",
    [],
    "Entries that never came into the audit log, as it could not be written.",
  ),
  taskgate_audit_failing: row("gauge", [], "1 while the audit log cannot be written."),
  taskgate_table_revision: row("gauge", [], "Revision of the route table."),
  taskgate_table_build_seconds: row("histogram", [], "Time of one build of the route table."),
  taskgate_table_entries: row("gauge", ["entry"], "Entries of the route table by what they are."),
  taskgate_source_ready: row(
    "gauge",
    ["source"],
    "1 where a provider's tasks are up to date; 0 where it fails, or was never heard.",
  ),
  taskgate_source_stale_seconds: row(
    "gauge",
    ["source"],
    "For how long a provider has failed: what was last known is served. 0: it does not.",
  ),
  taskgate_leading: row(
    "gauge",
    ["name"],
    "1 where this gate does what one of several does at a time (claims, tell, cull); 0 where another does.",
  ),
  taskgate_envoys_connected: row("gauge", ["fleet"], "Envoys that get their configuration from this gate now."),
  taskgate_envoys_away: row("gauge", ["fleet"], "Envoys that did in the last ten minutes, and do not now."),
  taskgate_envoys_stuck: row("gauge", ["fleet"], "Connected Envoys that neither answer nor read."),
  taskgate_envoys_behind: row(
    "gauge",
    ["fleet"],
    "By how many revisions of the route table the connected Envoy that is furthest back is behind.",
  ),
  taskgate_envoys_refused: row("gauge", ["fleet"], "What connected Envoys do not take of what they were told."),
  taskgate_reach_units: row(
    "gauge",
    ["provider", "state"],
    "Ports of tasks' replicas that are to be reached through something: those that can be (ready), and the others (waiting).",
  ),
  taskgate_reach_gateway_ready: row(
    "gauge",
    ["provider", "gateway"],
    "1 where a Gateway is there and its controller takes it; 0 where not.",
  ),
  taskgate_reach_room: row("gauge", ["provider", "gateway"], "How many more ports of tasks fit on a Gateway."),
  taskgate_reach_listeners: row(
    "gauge",
    ["provider", "gateway", "holder"],
    "Listeners of a Gateway and of its ListenerSets: those that this gate made (own), and others.",
  ),
  taskgate_reach_listeners_most: row(
    "gauge",
    ["provider", "gateway"],
    "Listeners that the Gateway itself may have, as the cluster's definition of Gateways says.",
  ),
  taskgate_reach_ports: row(
    "gauge",
    ["provider", "gateway", "holder"],
    "Ports of the configured range that are held: by this gate (own), and by others.",
  ),
  process_cpu_seconds_total: row("counter", [], "Processor time of the gate's process."),
  process_resident_memory_bytes: row("gauge", [], "Memory of the gate's process."),
  process_start_time_seconds: row("gauge", [], "When the gate's process started, seconds since 1970."),
  nodejs_eventloop_lag_p99_seconds: row(
    "gauge",
    [],
    "How late the gate's process gets to what is due, since the last scrape.",
  ),
} as const satisfies Readonly<Record<string, MetricRow>>;

export type MetricName = keyof typeof METRICS;

/** The reference: docs/generated/metrics.md. */
export function metricReference(): string {
  const rows = Object.entries(METRICS).map(([name, { type, labels, help }]) => {
    const labelled = labels.map((label) => `\`${label}\``).join(", ");
    return `| \`${name}\` | ${type} | ${labelled} | ${help} |`;
  });
  const text = [
    "# Metrics",
    "",
    "What `/metrics` of the admin port tells, in Prometheus' text format. Generated from the code.",
    "",
    "| Name | Type | Labels | What it is |",
    "| --- | --- | --- | --- |",
    ...rows,
  ];
  return `${text.join("\n")}\n`;
}
