//go:build !race

package trap

const raceBuild = false
