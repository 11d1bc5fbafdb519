// Package rank gives every lock of the sentry a place in one order, like Linux's lockdep classes.
//
// A lock's class is a type of classes.go; order.txt lists the classes, outermost first. A build with
// -tags lockrank panics when a goroutine takes a lock whose class stands before one that it holds;
// the ordinary build is sync.Mutex and sync.RWMutex and nothing more.
package rank

import (
	_ "embed"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

//go:embed order.txt
var orderText string

// Order returns the class names, outermost first.
func Order() []string {
	var names []string
	for line := range strings.Lines(orderText) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			names = append(names, line)
		}
	}
	return names
}

//lint:ignore U1000 used in builds with -tags lockrank
var rankOf = sync.OnceValue(func() map[string]int {
	m := map[string]int{}
	for i, n := range Order() {
		m[n] = i
	}
	return m
})

//lint:ignore U1000 used in builds with -tags lockrank
func classRank[C any]() (int, string) {
	name := reflect.TypeFor[C]().Name()
	r, ok := rankOf()[name]
	if !ok {
		panic(fmt.Sprintf("rank: class %s is not in order.txt", name))
	}
	return r, name
}
