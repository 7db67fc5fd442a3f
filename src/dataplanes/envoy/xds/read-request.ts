import { decode } from "../proto/kit.ts";
import { Reader } from "../proto/reader.ts";
import type { Node } from "../proto/tables/core.ts";
import { DeltaDiscoveryRequest } from "../proto/tables/discovery.ts";

/** Fields that are read in one part: a few milliseconds of work. */
const PART_FIELDS = 2048;

/** What an Envoy says on its stream. */
export interface AdsRequest extends Pick<DeltaDiscoveryRequest, "errorDetail"> {
  readonly node: Node | undefined;
  readonly typeUrl: string;
  readonly nonce: string;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** By name: what it has of an earlier stream. */
  readonly versions: ReadonlyMap<string, string>;
}

/**
 * Reads a DeltaDiscoveryRequest by parts: that of an Envoy that comes back names all that it has. Fields of a message in a row, cut anywhere
 * between two of them, are messages that come to the same. Throws RangeError where the bytes are none.
 */
export function* readRequest(bytes: Uint8Array): Generator<void, AdsRequest> {
  const single: DeltaDiscoveryRequest = {};
  const subscribe: string[] = [];
  const unsubscribe: string[] = [];
  const versions = new Map<string, string>();
  for (const part of cutFields(bytes)) {
    if (part.byteOffset > bytes.byteOffset) yield;
    const { resourceNamesSubscribe, resourceNamesUnsubscribe, initialResourceVersions, ...rest } = decode(
      DeltaDiscoveryRequest,
      part,
    );
    Object.assign(single, rest);
    subscribe.push(...(resourceNamesSubscribe ?? []));
    unsubscribe.push(...(resourceNamesUnsubscribe ?? []));
    for (const name in initialResourceVersions) versions.set(name, initialResourceVersions[name] ?? "");
  }
  const { node, typeUrl = "", responseNonce: nonce = "", errorDetail } = single;
  return { node, typeUrl, nonce, errorDetail, subscribe, unsubscribe, versions };
}

function* cutFields(bytes: Uint8Array): Generator<Uint8Array, void> {
  const reader = new Reader(bytes);
  let from = 0;
  for (let count = 1; reader.more; count += 1) {
    reader.skip(reader.uint32() & 7);
    if (count % PART_FIELDS !== 0) continue;
    yield bytes.subarray(from, reader.at);
    from = reader.at;
  }
  if (from < bytes.length) yield bytes.subarray(from);
}
