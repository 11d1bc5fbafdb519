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
	FDOverlay = 9 // file for the writable layer, if Options.OverlayFile is set
)

// Descriptors of the gofer process.
const (
	GoferFDSentry = 3
	GoferFDConfig = 4 // pipe: GoferConfig as JSON
	GoferFDLog    = 5
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
	Config      *kernel.Config
	Roots       []GoferRoot
	Stdio       [3]*os.File
	Log         *os.File // nil: discarded
	OverlayFile *os.File // nil: the writable layer is in memory
}

// Sandbox is a started sandbox.
type Sandbox struct {
	Control *control.Conn
	sentry  *os.Process
	gofer   *os.Process
}

// rootless says whether the launcher lacks the privilege to make namespaces without a user namespace.
func rootless() bool { return os.Geteuid() != 0 }

// Start starts the processes and sends the configuration. The calling goroutine is locked to its thread from then on:
// the host kills the children when that thread ends.
func Start(o *Options) (*Sandbox, error) {
	runtime.LockOSThread()
	log := o.Log
	if log == nil {
		f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		log = f
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
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
		controlOurs.Close()
		return nil, err
	}
	files := []*os.File{null, log, log, controlTheirs, goferSentry, o.Stdio[0], o.Stdio[1], o.Stdio[2], log}
	if o.OverlayFile != nil {
		files = append(files, o.OverlayFile)
	}
	s.sentry, err = start("sandbox", files, sentryAttr())
	if err == nil {
		err = s.Control.Send(&control.Request{Start: o.Config})
	}
	if err != nil {
		s.Kill()
		return nil, fmt.Errorf("start the sandbox process: %w", namespaceHint(err))
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
	s.gofer, err = start("gofer", []*os.File{null, log, log, conn, r, log}, goferAttr())
	if err != nil {
		return fmt.Errorf("start the gofer process: %w", namespaceHint(err))
	}
	_, err = w.Write(b)
	return err
}

func start(role string, files []*os.File, attr *syscall.SysProcAttr) (*os.Process, error) {
	return os.StartProcess("/proc/self/exe", []string{"hornwork-" + role, role}, &os.ProcAttr{
		Files: files,
		Env:   []string{"GOTRACEBACK=all"},
		Sys:   attr,
	})
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
	if errors.Is(err, syscall.EPERM) && rootless() {
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

// Kill ends both processes and waits for them.
func (s *Sandbox) Kill() {
	for _, p := range []*os.Process{s.sentry, s.gofer} {
		if p != nil {
			_ = p.Kill() // it may be gone already
			_, _ = p.Wait()
		}
	}
	s.Control.Close()
}
