module taskgate-testbed-prometheus-operator

go 1.26.0

// For its files alone: definitions of custom resources.
require github.com/prometheus-operator/prometheus-operator v0.92.0
