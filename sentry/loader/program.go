// Package loader is the part of execve(2) that reads programs: scripts, ELF64 executables, their interpreters,
// the initial stack, and the vDSO. Linux's counterparts are fs/binfmt_script.c, fs/binfmt_elf.c and arch/x86/entry/vdso.
//
// It works in two steps, as Linux does. Begin follows scripts and reads headers; its errors are execve's.
// Program.Load fills a new address space; its errors come after the point where Linux cannot go back any
// more and kills the process with SIGSEGV. Between the two the caller computes the new credentials
// from Program.File, which is the last interpreter of a script.
//
// Everything in a program's file is hostile. No number of it is used before it was checked, and no amount of
// the sentry's memory depends on one.
package loader

import (
	"hornwork/linux"
	"hornwork/sentry/mm"
	"hornwork/sentry/usermem"
	"hornwork/sentry/vfs"
)

// maxScripts is how many scripts may be each other's interpreters.
const maxScripts = 5

// Args are the arguments of execve(2).
type Args struct {
	// File is the program, from vfs.OpenExec. Begin takes a reference of its own.
	File *vfs.File
	// Filename is the path as the caller gave it, for AT_EXECFN and for the interpreter of a script;
	// /dev/fd/N, or /dev/fd/N/PATH, for execveat(2) with a descriptor.
	Filename string
	// Inaccessible says that Filename leads through a descriptor that execve closes: a script is then ENOENT.
	Inaccessible bool
	Argv, Envv   []string
	StackLimit   uint64 // RLIMIT_STACK, the soft one
}

// Program is a program that can be loaded.
type Program struct {
	File *vfs.File // the ELF file
	// Interpreted says that the caller named a script: File is its interpreter.
	Interpreted bool
	Argv        []string // as the program will see them

	envv     []string
	filename string
	elf      *elfFile
	interp   *elfFile // of PT_INTERP; nil if there is none
	ld       *vfs.File
}

// fileSource reads a program's file, which the caller need not be allowed to read.
type fileSource struct {
	c *vfs.Caller
	f *vfs.File
}

func (s fileSource) readAt(b []byte, off uint64) (int, linux.Errno) {
	done := 0
	for done < len(b) {
		seq := usermem.Kernel(b[done:])
		n, errno := s.f.Ops.Read(s.c, s.f, &seq, int64(off)+int64(done))
		if errno != 0 {
			return done, errno
		}
		if n <= 0 {
			break
		}
		done += n
	}
	return done, 0
}

// Begin finds out how to execute a.File.
func Begin(c *vfs.Caller, a *Args) (*Program, linux.Errno) {
	p := &Program{File: a.File.Get(), Argv: a.Argv, envv: a.Envv, filename: a.Filename}
	if len(p.Argv) == 0 {
		p.Argv = []string{""} // since Linux 5.18, for programs that rely on argv[0]
	}
	errno := checkArgs(p.Argv, p.envv, p.filename, a.StackLimit)
	if errno == 0 {
		errno = p.resolve(c, a)
	}
	if errno != 0 {
		p.Close()
		return nil, errno
	}
	return p, 0
}

// Close drops the files. Mappings keep theirs.
func (p *Program) Close() {
	if p.File != nil {
		p.File.Put()
	}
	if p.ld != nil {
		p.ld.Put()
	}
	p.File, p.ld = nil, nil
}

// resolve follows scripts down to an ELF file.
func (p *Program) resolve(c *vfs.Caller, a *Args) linux.Errno {
	name := p.filename
	for depth := 0; ; depth++ {
		if depth > maxScripts {
			return linux.ELOOP
		}
		src := fileSource{c, p.File}
		var buf [bufSize]byte
		n, errno := src.readAt(buf[:], 0)
		if errno != 0 {
			return errno
		}
		head := buf[:n]
		if n < 2 || head[0] != '#' || head[1] != '!' {
			return p.readHeaders(c, head)
		}
		interp, arg, hasArg, errno := parseScript(head)
		if errno != 0 {
			return errno
		}
		if a.Inaccessible {
			return linux.ENOENT
		}
		argv := make([]string, 0, len(p.Argv)+2)
		argv = append(argv, interp)
		if hasArg {
			argv = append(argv, arg)
		}
		argv = append(argv, name)
		p.Argv = append(argv, p.Argv[1:]...)
		if errno := checkArgs(p.Argv, p.envv, p.filename, a.StackLimit); errno != 0 {
			return errno
		}
		f, errno := vfs.OpenExec(c, c.Cwd, interp, vfs.Follow)
		if errno != 0 {
			return errno
		}
		p.File.Put()
		p.File, name, p.Interpreted = f, interp, true
	}
}

// readHeaders reads the ELF headers of the program and of its interpreter.
func (p *Program) readHeaders(c *vfs.Caller, head []byte) (errno linux.Errno) {
	if _, ok := p.File.Ops.(mm.MappedFile); !ok {
		return linux.ENOEXEC
	}
	src := fileSource{c, p.File}
	if p.elf, errno = parseELF(src, head); errno != 0 || p.elf.interpLen == 0 {
		return errno
	}
	path, errno := p.elf.interpPath(src)
	if errno != 0 {
		return errno
	}
	if p.ld, errno = vfs.OpenExec(c, c.Cwd, path, vfs.Follow); errno != 0 {
		return errno
	}
	src.f = p.ld
	ldHead := make([]byte, ehdrSize)
	if errno := readFull(src, ldHead, 0, linux.EIO); errno != 0 {
		return errno
	}
	if p.interp, errno = parseInterp(src, ldHead); errno != 0 {
		return errno
	}
	if _, ok := p.ld.Ops.(mm.MappedFile); !ok {
		return linux.ELIBBAD
	}
	return 0
}
