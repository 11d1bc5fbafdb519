package main

import (
	"errors"
	"os"

	"hornwork/container/launch"
	"hornwork/container/spec"
)

const runAbout = `Runs the process of an OCI bundle (a directory with config.json and a root file system): process, root, mounts,
environment and resource limits. The root's changes go to a throw-away overlay.`

func cmdRun(args []string) error {
	var f sandboxFlags
	fs := newFlags("run", "[flags] BUNDLE", runAbout)
	f.add(fs)
	if err := fs.Parse(args); err != nil {
		return flagError(err)
	}
	if fs.NArg() != 1 {
		return errors.New("run needs one bundle: hornwork run BUNDLE")
	}
	c, roots, err := spec.LoadBundle(fs.Arg(0))
	if err != nil {
		return err
	}
	if err := f.apply(c); err != nil {
		return err
	}
	// The bundle says whether the process gets a terminal; do gives one where the caller has one.
	var tty *terminal
	if c.Process.Terminal {
		if tty = newTerminal(os.Stdin); tty == nil {
			return errors.New("config.json asks for a terminal (process.terminal), and standard input is none")
		}
	}
	log, err := f.openLog()
	if err != nil {
		return err
	}
	return runSandbox(&launch.Options{
		Config: c, Roots: roots, Log: log, Stdio: [3]*os.File{os.Stdin, os.Stdout, os.Stderr},
	}, tty, f.debug)
}
