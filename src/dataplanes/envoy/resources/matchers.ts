import { isIPv6 } from "node:net";
import {
  IPMatcher,
  ServerNameInput,
  SourceIPInput,
  TransportProtocolInput,
  type Matcher,
  type OnMatch,
  type Predicate,
  type XdsStringMatcher,
} from "../proto/tables/xds-matcher.ts";
import { extension } from "./envoy-json.ts";

/** The filter chain of this name. */
export function chain(name: string): OnMatch {
  return { action: { name: "chain", typedConfig: { "@type": STRING_VALUE, value: name } } };
}

const STRING_VALUE = "type.googleapis.com/google.protobuf.StringValue";

/** By what the first bytes are. */
export function byTransport({ tls, plain }: { readonly tls: OnMatch; readonly plain: OnMatch }): Matcher {
  const input = extension("transport-protocol", TransportProtocolInput, {});
  return { matcherTree: { input, exactMatchMap: { map: { tls } } }, onNoMatch: plain };
}

/** By the server's name that TLS begins with; who names none is one of the others. */
export function byServerName(
  cases: readonly { readonly is: XdsStringMatcher; readonly then: OnMatch }[],
  others: OnMatch,
): Matcher {
  // prettier-ignore
  const input = extension("server-name", ServerNameInput, {});
  const matchers = cases.map(({ is, then }) => ({
    predicate: { singlePredicate: { input, valueMatch: is } } satisfies Predicate,
    onMatch: then,
  }));
  return { matcherList: { matchers }, onNoMatch: others };
}

/** By the address of who connects: `own` for those of these addresses and networks. */
export function bySource(networks: readonly string[], own: OnMatch, others: Matcher): Matcher {
  const ranges = networks.map((network) => {
    const [addressPrefix = "", bits] = network.split("/");
    return { addressPrefix, prefixLen: bits === undefined ? (isIPv6(addressPrefix) ? 128 : 32) : Number(bits) };
  });
  const customMatch = extension("ip", IPMatcher, { rangeMatchers: [{ ranges, onMatch: own }] });
  return {
    matcherTree: { input: extension("source-ip", SourceIPInput, {}), customMatch },
    onNoMatch: { matcher: others },
  };
}
