//go:build race

package trap

// raceBuild: the race detector makes calls of atomic operations, which need stack where there is none to grow, so
// that threads stay PAIRED.
const raceBuild = true
