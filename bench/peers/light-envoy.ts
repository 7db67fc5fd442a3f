import type grpc from "@grpc/grpc-js";
import { encode } from "../../src/dataplanes/envoy/proto/kit.ts";
import { Reader } from "../../src/dataplanes/envoy/proto/reader.ts";
import { DeltaDiscoveryRequest } from "../../src/dataplanes/envoy/proto/tables/discovery.ts";
import {
  adsClient,
  type AdsStreamCall,
  openAdsStream,
  type TypeName,
  TYPES,
} from "../../src/dataplanes/envoy/xds/testing/simulated-envoy.ts";

/** Takes all that it is told, and remembers nothing of it: many of them cost their gate what many Envoys would, and this process little. */
export class LightEnvoy implements Disposable {
  readonly #client: grpc.Client;
  readonly #call: AdsStreamCall;
  #node: { readonly id: string; readonly cluster: string } | undefined;
  responses = 0;
  bytes = 0;
  /** Resources that came, and names of those that went. */
  resources = 0;

  constructor(target: string, node: { readonly id: string; readonly cluster: string }) {
    this.#node = node;
    this.#client = adsClient(target);
    this.#call = openAdsStream(this.#client);
    this.#call.on("data", (bytes: Buffer) => this.#take(bytes));
    this.#call.on("error", () => undefined);
  }

  /** Asks for resources of the type by their names; without names for all. */
  subscribe(type: TypeName, names: readonly string[] = []): void {
    this.#send({ typeUrl: TYPES[type], resourceNamesSubscribe: names });
  }

  [Symbol.dispose](): void {
    this.#call.cancel();
    this.#client.close();
  }

  #send(request: DeltaDiscoveryRequest): void {
    this.#call.write(encode(DeltaDiscoveryRequest, { ...request, node: this.#node }));
    this.#node = undefined;
  }

  /** Fields of a DeltaDiscoveryResponse: 2 a resource, 4 the type, 5 the nonce, 6 a name that went. */
  #take(bytes: Buffer): void {
    let [typeUrl, responseNonce] = ["", ""];
    const reader = new Reader(bytes);
    while (reader.more) {
      const tag = reader.uint32();
      if (tag >>> 3 === 4) typeUrl = reader.text();
      else if (tag >>> 3 === 5) responseNonce = reader.text();
      else {
        if (tag >>> 3 === 2 || tag >>> 3 === 6) this.resources += 1;
        reader.skip(tag & 7);
      }
    }
    this.responses += 1;
    this.bytes += bytes.length;
    this.#send({ typeUrl, responseNonce });
  }
}
