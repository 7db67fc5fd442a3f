/**
 * Loads every table, so that Any finds what it names: whoever decodes what an Envoy sends, or encodes what others built, imports this file.
 *
 * To add a message: look up its .proto in Envoy's API (envoyproxy/data-plane-api; what is not too new is in node_modules/@grpc/grpc-js-xds/deps),
 * write it into the file of its area in tables/ as its neighbours are, fields with their JSON names and the numbers there, and `field(4, X)`
 * for a message X. A getter names a message that comes later or is the same. Fields that nobody here needs may be left out; those that Envoy
 * deprecated should be. official.test.ts holds it against the .proto, or, where that is newer than the package, wants it in its short list.
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
import "./tables/health-service.ts";
