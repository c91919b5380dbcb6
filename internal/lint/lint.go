// Package lint is tests on the source: which package may import which, where
// each third-party package has its home, one package comment for every package.
// The tables in lint_test.go are the architecture; changing one is a decision.
package lint
