//go:build programs

// Package contour keeps go.mod aware of the program that is built as it is.
package contour

import (
	_ "github.com/projectcontour/contour/cmd/contour"
)
