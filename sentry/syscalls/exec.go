package syscalls

import (
	"encoding/binary"
	"strconv"

	"hornwork/linux"
	"hornwork/sentry/task"
	"hornwork/sentry/vfs"
)

// StrArray is the address of an array of pointers to strings that a null pointer ends.
type StrArray uint64

const (
	maxArgLen   = 32 * linux.PageSize // MAX_ARG_STRLEN
	maxArgCount = 1 << 20             // more pointers than the longest stack could hold
	maxArgBytes = 6 << 20             // three quarters of _STK_LIM: what Linux allows at most
)

// Execve implements execve(2).
func Execve(t *task.Task, name Path, argv, envv StrArray) (uintptr, linux.Errno, task.Control) {
	return execAt(t, linux.AT_FDCWD, name, argv, envv, 0)
}

// Execveat implements execveat(2).
func Execveat(t *task.Task, dirfd DirFD, name Path, argv, envv StrArray, flags AtFlags) (uintptr, linux.Errno, task.Control) {
	return execAt(t, dirfd, name, argv, envv, flags)
}

func execAt(t *task.Task, dirfd DirFD, name Path, argv, envv StrArray, flags AtFlags) (uintptr, linux.Errno, task.Control) {
	if errno := execProgram(t, dirfd, name, argv, envv, flags); errno != 0 {
		return 0, errno, task.ControlNormal
	}
	return 0, 0, task.ControlNoRet
}

func execProgram(t *task.Task, dirfd DirFD, name Path, argv, envv StrArray, flags AtFlags) linux.Errno {
	str, errno := name.Load(t)
	if errno != 0 {
		return errno
	}
	if flags&^(linux.AT_EMPTY_PATH|linux.AT_SYMLINK_NOFOLLOW) != 0 {
		return linux.EINVAL
	}
	f, filename, errno := openProgram(t, dirfd, str, flags)
	if errno != 0 {
		return errno
	}
	budget := argBudget(t)
	args, errno := argv.load(t, &budget)
	var env []string
	if errno == 0 {
		env, errno = envv.load(t, &budget)
	}
	if errno != 0 {
		f.Put()
		return errno
	}
	x := &task.ExecArgs{File: f, Filename: filename, Argv: args, Envv: env}
	if filename != str {
		x.Inaccessible, _ = t.Files().Cloexec(int32(dirfd))
	}
	return task.Exec(t, x)
}

// argBudget is how many bytes of strings and pointers a new stack may begin with: bprm_stack_limits.
func argBudget(t *task.Task) int {
	return int(max(min(t.Limit(linux.RLIMIT_STACK).Cur/4, maxArgBytes), maxArgLen))
}

// openProgram opens what is to be executed, and names it as AT_EXECFN does.
func openProgram(t *task.Task, dirfd DirFD, name string, flags AtFlags) (*vfs.File, string, linux.Errno) {
	walk := vfs.Follow
	if flags&linux.AT_SYMLINK_NOFOLLOW != 0 {
		walk = 0
	}
	if name == "" {
		if flags&linux.AT_EMPTY_PATH == 0 {
			return nil, "", linux.ENOENT
		}
		walk |= vfs.Empty
	}
	p, errno := atName(t, dirfd, name)
	if errno != 0 {
		return nil, "", errno
	}
	defer p.Put()
	f, errno := vfs.OpenExec(t.Caller(), p.at, p.name, walk)
	if errno != 0 {
		return nil, "", errno
	}
	if dirfd == linux.AT_FDCWD || name != "" && name[0] == '/' {
		return f, name, 0
	}
	fn := "/dev/fd/" + strconv.Itoa(int(dirfd))
	if name != "" {
		fn += "/" + name
	}
	return f, fn, 0
}

// load reads the strings. A null array is an empty one, as on Linux. budget is what is left of the stack's share.
func (a StrArray) load(t *task.Task, budget *int) ([]string, linux.Errno) {
	if a == 0 {
		return nil, 0
	}
	var out []string
	const chunk = 64
	var b [8 * chunk]byte
	for addr := uint64(a); ; {
		// Do not read past the page: the array may end with its last mapped word.
		n := min(len(b), int(linux.PageSize-addr%linux.PageSize)&^7)
		if n == 0 {
			n = 8
		}
		got, errno := t.Memory().CopyIn(b[:n], addr)
		if got &^= 7; got == 0 {
			if errno == 0 {
				errno = linux.EFAULT
			}
			return nil, errno
		}
		for i := 0; i < got; i += 8 {
			p := binary.LittleEndian.Uint64(b[i:])
			if p == 0 {
				return out, 0
			}
			s, errno := t.MM().CopyInString(p, maxArgLen)
			if errno == linux.ENAMETOOLONG {
				errno = linux.E2BIG
			}
			if errno != 0 {
				return nil, errno
			}
			if *budget -= len(s) + 1 + 8; *budget < 0 || len(out) >= maxArgCount {
				return nil, linux.E2BIG
			}
			out = append(out, s)
		}
		addr += uint64(got)
	}
}
