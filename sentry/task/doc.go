// Package task is processes: threads and thread groups, their signals, descriptors, namespaces and timers; clone,
// execve, exit, wait; sessions and job control; and the loop that runs guest code. Its counterparts in Linux are
// kernel/fork.c, exit.c, signal.c, pid.c, sys.c, fs/exec.c and fs/file.c.
//
// # Booting
//
//	k := task.NewKernel()
//	k.Syscall = syscalls.Dispatch
//	k.Loader = …            // an adapter to sentry/loader
//	k.NewMM = func() (*mm.AddressSpace, linux.Errno) { return mm.New(platform, memFile) }
//	k.FPSize = platform.FPSize()
//	k.CPUs, k.AnonFS, k.MemTotal, k.MemFree, k.Fault = …
//	g, errno := task.NewInit(k, &task.InitArgs{…})           // ExecArgs.File comes from vfs.OpenExec
//	g.Leader().SetControllingTerminal(tty, false, false)     // if there is a terminal
//	g.Start()
//	<-k.Done()
//	status := k.ExitStatus()                  // a wait status; 128+n for signal n is the caller's business
//
// Kernel.KillAll ends a sandbox from outside, Send and SendGroup pass signals in.
//
// # Who runs what
//
// Each Task has one goroutine (runloop.go), and most of its fields belong to that goroutine: methods that change a
// task, unless they say otherwise, are called from its own system calls. What others may read is atomic or under a
// lock. Blocking is Task.Block, or Task.Park for who waits on several queues.
//
// # Locks
//
// Kernel.tasks (rank TaskSet) guards the tree: who is whose child, who is in which group and session, numbers. Inside
// it, the lock of a group's signal dispositions (Sighand) guards all signal state of the groups that share them, as
// in Linux; a group's list of threads changes only under both. FDTable, FSContext and SchedState have locks of
// their own. Waking a task (Task.kick) is allowed under all of them.
package task
