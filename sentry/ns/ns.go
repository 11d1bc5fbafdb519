// Package ns has the namespaces that only hold a little state: UTS, IPC, network, time, cgroup
// (namespaces(7)). PID namespaces are in sentry/task, mount namespaces in sentry/vfs, user namespaces in
// sentry/cred.
package ns

import (
	"sync/atomic"

	"hornwork/lib/rank"
	"hornwork/sentry/cred"
	"hornwork/sentry/ipc"
	"hornwork/sentry/timer"
)

// Inode numbers of the first namespaces, as on every Linux (proc_ns.h).
const (
	InitTimeIno   = 0xEFFFFFFA
	InitCgroupIno = 0xEFFFFFFB
	InitPIDIno    = 0xEFFFFFFC
	InitUserIno   = 0xEFFFFFFD
	InitUTSIno    = 0xEFFFFFFE
	InitIPCIno    = 0xEFFFFFFF
	InitMountIno  = 0xF0000000
	InitNetIno    = 0xF0000098
)

var lastIno atomic.Uint64

// NewIno returns the inode number of a new namespace, as /proc/pid/ns shows it.
func NewIno() uint64 { return 0xF0000100 + lastIno.Add(1) }

// Info is what all namespaces have.
type Info struct {
	Ino    uint64
	UserNS *cred.UserNS // the owner
}

// Namespace is any of them, for /proc/pid/ns and setns(2).
type Namespace interface {
	NSInfo() Info
	// NSType is its CLONE_NEW* flag.
	NSType() uint64
}

// UTS holds the host's names.
type UTS struct {
	Info
	mu            rank.Mutex[rank.Namespace] // guards the fields below
	hostname, dom string
}

// NewUTS returns a first UTS namespace.
func NewUTS(user *cred.UserNS, hostname string) *UTS {
	return &UTS{Info: Info{InitUTSIno, user}, hostname: hostname, dom: "(none)"}
}

// Clone returns a copy owned by user.
func (u *UTS) Clone(user *cred.UserNS) *UTS {
	h, d := u.Names()
	return &UTS{Info: Info{NewIno(), user}, hostname: h, dom: d}
}

// Names returns the host's and the NIS domain's name.
func (u *UTS) Names() (host, domain string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.hostname, u.dom
}

// SetHostname changes the host's name.
func (u *UTS) SetHostname(s string) {
	u.mu.Lock()
	u.hostname = s
	u.mu.Unlock()
}

// SetDomainname changes the NIS domain's name.
func (u *UTS) SetDomainname(s string) {
	u.mu.Lock()
	u.dom = s
	u.mu.Unlock()
}

// IPC holds the System V objects.
type IPC struct {
	Info
	*ipc.Registry
}

// NewIPC returns an empty IPC namespace. ino 0 takes a new number.
func NewIPC(user *cred.UserNS, ino uint64) *IPC {
	return &IPC{Info{orNew(ino), user}, ipc.NewRegistry(user)}
}

// Net is a network namespace. Stack is the network stack's, nil while there is none.
type Net struct {
	Info
	Stack any
}

// NewNet returns a network namespace without a stack.
func NewNet(user *cred.UserNS, ino uint64) *Net { return &Net{Info: Info{orNew(ino), user}} }

// Time holds clock offsets. They are fixed once a process is inside.
type Time struct {
	Info
	Offsets timer.Offsets
}

// NewTime returns a time namespace with the offsets of old.
func NewTime(user *cred.UserNS, ino uint64, old *Time) *Time {
	t := &Time{Info: Info{orNew(ino), user}}
	if old != nil {
		t.Offsets = old.Offsets
	}
	return t
}

// Cgroup holds the root that /proc/pid/cgroup is relative to.
type Cgroup struct {
	Info
	Root string
}

// NewCgroup returns a cgroup namespace.
func NewCgroup(user *cred.UserNS, ino uint64, root string) *Cgroup {
	return &Cgroup{Info{orNew(ino), user}, root}
}

func orNew(ino uint64) uint64 {
	if ino == 0 {
		return NewIno()
	}
	return ino
}
