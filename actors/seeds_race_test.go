//go:build race

package actors

// labSeeds is how many runs TestEveryBatchCountsOnce makes.
const labSeeds = 200
