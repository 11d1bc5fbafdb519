package ns

import "hornwork/linux"

// NSInfo implements Namespace.
func (i Info) NSInfo() Info { return i }

func (*UTS) NSType() uint64    { return linux.CLONE_NEWUTS }
func (*IPC) NSType() uint64    { return linux.CLONE_NEWIPC }
func (*Net) NSType() uint64    { return linux.CLONE_NEWNET }
func (*Time) NSType() uint64   { return linux.CLONE_NEWTIME }
func (*Cgroup) NSType() uint64 { return linux.CLONE_NEWCGROUP }
