package trap

import "hornwork/linux"

type patcher struct{}

type siteCache struct{}

func (c *siteCache) count(t *Thread, ip uint64) {}

func (p *patcher) inTrampoline(rip uint64) bool { return false }

func (p *patcher) emulateSite(t *Thread, f *frame, regs *linux.Regs) bool { return false }

func (p *patcher) leaveTrampoline(t *Thread, f *frame, regs *linux.Regs) {}

// TextChanged implements platform.AddressSpace.
func (p *patcher) TextChanged(addr, length uint64) {}
