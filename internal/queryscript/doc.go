// Package queryscript holds the query scripts: plain text files that load a few
// events, ask a question and say what the answer must be. They are the definition
// of every figure by example, and run through everything that a question passes on
// a node but the network: the form of the log, the state machine of a site with
// its records, the evaluator and the Stats API. The package has no code of its own
// and must never get any. The language is described in
// docs/reference/query-scripts.md. Start at any file of testdata, then
// script_test.go.
package queryscript
