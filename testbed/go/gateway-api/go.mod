module taskgate-testbed-gateway-api

go 1.26.0

// For its files alone: definitions of custom resources.
require sigs.k8s.io/gateway-api v1.6.1
