// Package nodetest holds the tests of a whole node: processes of the built
// program, real files, real signals, and nothing known of them but what their
// users see. It has no code of its own and must never get any; what tests share
// is in testnode. Start at kill_test.go.
package nodetest
