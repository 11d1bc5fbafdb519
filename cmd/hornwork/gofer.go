package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hornwork/container/jail"
	"hornwork/container/launch"
	"hornwork/gofer/server"
	"hornwork/linux"
)

// goferCaps is what a privileged gofer keeps: it must read and, on writable roots, change files of any owner.
const goferCaps = 1<<linux.CAP_CHOWN | 1<<linux.CAP_DAC_OVERRIDE | 1<<linux.CAP_DAC_READ_SEARCH | 1<<linux.CAP_FOWNER |
	1<<linux.CAP_FSETID | 1<<linux.CAP_MKNOD | 1<<linux.CAP_SETFCAP

// goferMain is the gofer process: it opens its roots, goes to jail, and serves until the sentry is gone.
func goferMain() {
	if err := gofer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func gofer() error {
	config := os.NewFile(launch.GoferFDConfig, "config")
	b, err := io.ReadAll(config)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	config.Close()
	var c launch.GoferConfig
	if err := json.Unmarshal(b, &c); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	var roots []server.Root
	keep, writable := uint64(0), false
	for _, r := range c.Roots {
		root, err := openRoot(r)
		if err != nil {
			return err
		}
		roots = append(roots, root)
		keep |= 1 << linux.CAP_DAC_READ_SEARCH
		if r.Writable {
			keep |= goferCaps
			writable = true
		}
	}
	if os.Geteuid() != 0 {
		keep = 0
	}
	if err := jail.RaiseFileLimit(); err != nil {
		return fmt.Errorf("raise the descriptor limit: %w", err)
	}
	if err := jail.EmptyRoot(); err != nil {
		return err
	}
	if err := jail.Unprivileged(keep); err != nil {
		return err
	}
	if err := jail.Filter(jail.GoferRules(writable)); err != nil {
		return err
	}
	return server.Serve(launch.GoferFDSentry, roots)
}

// openRoot opens a directory to serve, or the directory of a file.
func openRoot(r launch.GoferRoot) (server.Root, error) {
	root := server.Root{ReadOnly: !r.Writable}
	dir := r.Path
	st, err := os.Stat(r.Path)
	if err != nil {
		return root, err
	}
	if !st.IsDir() {
		if dir, err = filepath.EvalSymlinks(r.Path); err != nil {
			return root, err
		}
		dir, root.File = filepath.Split(dir)
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return root, fmt.Errorf("open %s: %w", dir, err)
	}
	root.FD = int32(fd)
	return root, nil
}
