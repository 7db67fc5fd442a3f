import type { FoundPort, Recognised } from "./discover/discover.ts";
import { freeName, labelOf } from "./names.ts";
import type { FoundRecord, Recognition, RunRecord } from "./task-record.ts";

/** Most services that a task gets by opening ports: a job that opens more must not fill the table. */
export const MOST_FOUND = 64;

/** Listening ports of a task, by replica. */
export type OpenPorts = ReadonlyMap<string, readonly FoundPort[]>;

/** A port that was just recognised. */
export interface Arrival {
  readonly replica: string;
  readonly port: number;
  readonly recognised: Recognised;
}

/** Whether that replica listens on the port, and how it is dialled. */
export function openPort(open: OpenPorts, replica: string, port: number | undefined): FoundPort | undefined {
  return open.get(replica)?.find((found) => found.port === port);
}

/**
 * Takes a recognised port into the record; the same record if that changes nothing. A declared service gets what agrees with its protocol.
 * Other ports become services: the k-th of a sort in one replica is the same service as the k-th in another, and a port that takes the
 * place of one that closed keeps its name.
 */
export function admitPort(record: RunRecord, open: OpenPorts, arrival: Arrival): RunRecord {
  const { replica, port, recognised } = arrival;
  const declared = record.declared.find((service) => service.ports[Number(replica)] === port);
  if (declared !== undefined) return withRecognition(record, declared.name, recognised, declared.protocol);
  if (recognised.hidden) return record;
  const base = serviceName(recognised.service);
  const known =
    record.found.find((service) => service.ports[replica] === port && service.base === base) ??
    record.found.find(
      (service) => service.base === base && openPort(open, replica, service.ports[replica]) === undefined,
    );
  const room = known === undefined ? withRoom(record, open) : record;
  if (room === null) return record;
  const service = known ?? { name: newName(room, base), base, ports: {} };
  return withRecognition(withPort(room, service, replica, port), service.name, recognised, null);
}

/** Where there are too many services already, the oldest that is closed goes; null: all are open. */
function withRoom(record: RunRecord, open: OpenPorts): RunRecord | null {
  if (record.found.length < MOST_FOUND) return record;
  const closed = record.found.find(({ ports }) =>
    Object.entries(ports).every(([replica, port]) => openPort(open, replica, port) === undefined),
  );
  if (closed === undefined) return null;
  const recognised = Object.entries(record.recognised).filter(([name]) => name !== closed.name);
  const found = record.found.filter((service) => service !== closed);
  return { ...record, found, recognised: Object.fromEntries(recognised) };
}

function withPort(record: RunRecord, service: FoundRecord, replica: string, port: number): RunRecord {
  if (service.ports[replica] === port) return record;
  const next: FoundRecord = { ...service, ports: { ...service.ports, [replica]: port } };
  const there = record.found.some((other) => other.name === service.name);
  const found = there ? record.found.map((other) => (other === service ? next : other)) : [...record.found, next];
  return { ...record, found };
}

function withRecognition(
  record: RunRecord,
  name: string,
  recognised: Recognised,
  declared: Recognition["protocol"] | null,
): RunRecord {
  const recognition = recognitionOf(recognised, declared);
  if (JSON.stringify(record.recognised[name]) === JSON.stringify(recognition)) return record;
  return { ...record, recognised: { ...record.recognised, [name]: recognition } };
}

/** What is kept of a recognition: where another protocol was declared, only the kind. */
export function recognitionOf(recognised: Recognised, declared: Recognition["protocol"] | null): Recognition {
  const { kind, protocol, landingPath, policy } = recognised;
  if (declared !== null && declared !== protocol) return { kind, protocol: declared, policy: {} };
  return { kind, protocol, ...(landingPath === undefined ? {} : { landingPath }), policy };
}

/** As a DNS label of at most 32 characters. */
export function serviceName(text: string): string {
  return labelOf(text, 28) || "port";
}

function newName(record: RunRecord, base: string): string {
  const taken = new Set([...record.declared, ...record.found].map((service) => service.name));
  return freeName(base, (name) => taken.has(name));
}
