// Package ipc has System V IPC: shared memory, semaphores, message queues (sysvipc(7)).
package ipc

import "hornwork/lib/rank"

// Registry is the objects of one IPC namespace.
type Registry struct {
	mu rank.Mutex[rank.IPC] // guards the fields below
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{} }
