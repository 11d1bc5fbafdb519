// Package launch starts a sandbox: the gofer and the sentry as two jailed processes that die with the launcher,
// joined by a socket, and hands over what the sentry needs.
//
// Descriptors are passed at fixed numbers, so that neither process needs a path: see the constants.
package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"hornwork/container/control"
	"hornwork/sentry/kernel"
)

// Descriptors of the sandbox process.
const (
	FDControl = 3 // stream socket to the launcher
	FDGofer   = 4 // socket to the gofer
	FDStdin   = 5
	FDStdout  = 6
	FDStderr  = 7
	FDLog     = 8
	FDMemory  = 9 // the file that holds all memory, if Options.MemoryFile is set
)

// Descriptors of the gofer process.
const (
	GoferFDSentry = 3
	GoferFDConfig = 4 // pipe: GoferConfig as JSON
)

// GoferRoot is one host directory (or file) that the gofer serves; its index is its name in kernel.Config.
type GoferRoot struct {
	Path     string
	Writable bool
}

// GoferConfig is what the gofer is told.
type GoferConfig struct{ Roots []GoferRoot }

// Options say how to start a sandbox.
type Options struct {
	Config     *kernel.Config
	Roots      []GoferRoot
	Stdio      [3]*os.File
	Log        *os.File // nil: discarded
	MemoryFile *os.File // an empty file to hold the memory of the sandbox; nil: memory of the host
}

// Sandbox is a started sandbox.
type Sandbox struct {
	Control *control.Conn
	sentry  *process
	gofer   *process
	broken  atomic.Bool // the sentry was killed because the gofer had ended
}

// rootless says whether the launcher lacks the privilege to make namespaces without a user namespace.
func rootless() bool { return os.Geteuid() != 0 }

// Start starts the processes and sends the configuration. The calling goroutine is locked to its thread from then on:
// the host kills the children when that thread ends.
func Start(o *Options) (*Sandbox, error) {
	runtime.LockOSThread()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	log := o.Log
	if log == nil {
		log = null
	}
	goferSentry, goferServer, err := socketpair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, err
	}
	defer goferSentry.Close()
	defer goferServer.Close()
	controlOurs, controlTheirs, err := socketpair(unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	defer controlTheirs.Close()

	s := &Sandbox{Control: control.New(controlOurs)}
	if err := s.startGofer(o, goferServer, null, log); err != nil {
		s.Kill()
		return nil, err
	}
	files := []*os.File{null, log, nil, controlTheirs, goferSentry, o.Stdio[0], o.Stdio[1], o.Stdio[2], log}
	if o.MemoryFile != nil {
		files = append(files, o.MemoryFile)
	}
	s.sentry, err = start("sandbox", files, log, sentryAttr())
	if err != nil {
		s.Kill()
		return nil, fmt.Errorf("start the sandbox process: %w", namespaceHint(err))
	}
	if err := s.Control.Send(&control.Request{Start: o.Config, MemoryFile: o.MemoryFile != nil}); err != nil {
		why := s.Ended(err)
		s.Kill()
		return nil, why
	}
	return s, nil
}

func (s *Sandbox) startGofer(o *Options, conn, null, log *os.File) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	b, err := json.Marshal(GoferConfig{Roots: o.Roots})
	if err != nil {
		return err
	}
	s.gofer, err = start("gofer", []*os.File{null, log, nil, conn, r}, log, goferAttr())
	if err != nil {
		return fmt.Errorf("start the gofer process: %w", namespaceHint(err))
	}
	r.Close() // so that the write fails if the gofer has ended
	if _, err := w.Write(b); err != nil {
		return s.Ended(err)
	}
	return nil
}

const jailNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// nobody is the host user that the sentry of a privileged launcher runs as.
const nobody = 65534

// sentryAttr puts the sentry into namespaces of its own. As root, its user namespace maps one host user, nobody; for
// an ordinary user, it maps that user.
func sentryAttr() *syscall.SysProcAttr {
	uid, gid := os.Geteuid(), os.Getegid()
	if !rootless() {
		uid, gid = nobody, nobody
	}
	return &syscall.SysProcAttr{
		Pdeathsig:   syscall.SIGKILL,
		Setsid:      true,
		Cloneflags:  unix.CLONE_NEWUSER | jailNamespaces,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}},
		Credential:  &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: rootless()},

		GidMappingsEnableSetgroups: !rootless(),
	}
}

// goferAttr keeps root's identity for the gofer of a privileged launcher, which must read all files; an ordinary user's
// gofer maps the user to itself, and keeps over its execve the capability that it goes to jail with.
func goferAttr() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true,
		Cloneflags: jailNamespaces,
	}
	if rootless() {
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		a.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	return a
}

func namespaceHint(err error) error {
	if rootless() && (errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC)) {
		return fmt.Errorf("%w (unprivileged user namespaces may be off: see the sysctls user.max_user_namespaces and kernel.unprivileged_userns_clone, or run as root)", err)
	}
	return err
}

func socketpair(kind int) (a, b *os.File, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	return os.NewFile(uintptr(p[0]), "socket"), os.NewFile(uintptr(p[1]), "socket"), nil
}

// Watch ends the sentry when the gofer has ended, without which it cannot go on; the control connection then ends too.
func (s *Sandbox) Watch() {
	<-s.gofer.done
	s.broken.Store(true)
	s.sentry.kill()
}

// Ended says, after the control connection has ended with err, what became of the processes.
func (s *Sandbox) Ended(err error) error {
	sentry, gofer := s.sentry.failure("sentry"), s.gofer.failure("gofer")
	switch {
	// A gofer whose sentry has died may fail at its next message: that is no reason.
	case gofer != nil && (sentry == nil || s.gofer.signal() != 0 || s.broken.Load() && s.sentry.signal() == syscall.SIGKILL):
		return gofer
	case sentry != nil:
		return sentry
	}
	return fmt.Errorf("the sandbox ended without saying why: %w; look with --debug or --log FILE", err)
}

// GoferFailure says why the gofer has ended, or nil if it lives or ended well.
func (s *Sandbox) GoferFailure() error { return s.gofer.failure("gofer") }

// Kill ends both processes and waits until they, and with the sentry all stubs, are gone.
func (s *Sandbox) Kill() {
	s.sentry.kill()
	s.gofer.kill()
	for _, p := range []*process{s.sentry, s.gofer} {
		if p != nil {
			<-p.done
		}
	}
	s.Control.Close()
}
