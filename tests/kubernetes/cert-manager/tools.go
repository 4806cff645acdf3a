//go:build tools

// Package certmanager names the programs, so that go.sum covers what they need.
package certmanager

import (
	_ "github.com/cert-manager/cert-manager/cmd/cainjector"
	_ "github.com/cert-manager/cert-manager/cmd/controller"
)
