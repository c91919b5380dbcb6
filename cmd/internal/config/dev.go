//go:build dev

package config

// development tells that this build has what only tests need.
const development = true
