//go:build programs

// Package envoygateway keeps go.mod aware of the program that is built as it is.
package envoygateway

import (
	_ "github.com/envoyproxy/gateway/cmd/envoy-gateway"
)
