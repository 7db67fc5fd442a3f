/**
 * Loads every table, so that Any finds what it names: whoever decodes what an Envoy sends, or encodes what others built, imports this file.
 *
 * To add a message or a field: look it up in Envoy's API (envoyproxy/data-plane-api; what is older is in node_modules/@grpc/grpc-js-xds/deps)
 * and write it into its area's file in tables/ as its neighbours are: JSON names, the .proto's numbers, `field(4, X)` for a message X, and a
 * getter where X comes later or is the message itself. What nobody here needs is left out. Then `npx vitest run src/dataplanes/envoy/proto`
 * holds it against the .proto, or wants it in testing/newer.ts; test/envoy-tables.test.ts holds it against Envoy itself.
 */
import "./tables/core.ts";
import "./tables/address.ts";
import "./tables/config-source.ts";
import "./tables/matcher.ts";
import "./tables/xds-matcher.ts";
import "./tables/discovery.ts";
import "./tables/protocol.ts";
import "./tables/tls.ts";
import "./tables/endpoint.ts";
import "./tables/route.ts";
import "./tables/access-log.ts";
import "./tables/listener.ts";
import "./tables/connection-manager.ts";
import "./tables/network-filters.ts";
import "./tables/cluster.ts";
import "./tables/rbac.ts";
import "./tables/http-filters.ts";
import "./tables/jwt-authn.ts";
import "./tables/ext-authz.ts";
import "./tables/ext-proc.ts";
import "./tables/access-log-service.ts";
