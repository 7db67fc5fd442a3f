//go:build programs

// Package testbed keeps go.mod aware of the programs that environment.ts builds.
package testbed

import (
	_ "google.golang.org/grpc/interop/client"
	_ "google.golang.org/grpc/interop/server"
)
