package task

import (
	"hornwork/lib/wait"
	"hornwork/linux"
	"hornwork/sentry/signal"
)

// reparentChildren gives the children that t made another parent: a thread of the same process, else the next
// subreaper above, else init. Called with Kernel.tasks held.
func (t *Task) reparentChildren(last bool) {
	g := t.Group
	if g.tree.children.head == nil {
		return
	}
	heir, thread := g, (*Task)(nil)
	if last {
		heir = g.findReaper()
		if heir != nil {
			thread = heir.anyThread()
		}
	} else {
		for _, x := range g.tree.threads {
			if x != t && !x.sig.exiting {
				thread = x
				break
			}
		}
	}
	for c := g.tree.children.head; c != nil; {
		next := c.tree.next
		if c.tree.parentThread == t || last {
			t.giveChild(c, heir, thread)
		}
		c = next
	}
}

// giveChild makes heir the parent of c.
func (t *Task) giveChild(c, heir *ThreadGroup, thread *Task) {
	g := t.Group
	if c.tree.parentThread == t {
		for _, x := range c.tree.threads {
			if sig := x.misc.pdeathSig.Load(); sig != 0 && !c.tree.zombie {
				info := signal.User(sig, linux.SI_USER, g.pid.In(c.pid.Namespace()), g.uidFor(c))
				SendGroup(c, &info)
			}
		}
	}
	c.tree.parentThread = thread
	if heir == g {
		return
	}
	if heir == nil { // init itself has died: nobody will wait
		if c.tree.zombie {
			c.reapLocked()
		} else {
			g.tree.children.remove(c)
			c.tree.parent = nil
			c.parentChanged()
		}
		return
	}
	g.tree.children.remove(c)
	c.tree.parent = heir
	heir.tree.children.add(c)
	c.tree.exitSignal = linux.SIGCHLD
	c.parentChanged()
	c.tree.hasSubreaper = heir.tree.hasSubreaper || heir.tree.subreaper
	if c.tree.zombie {
		if heir.notifyChildExit(c) {
			c.reapLocked()
		}
		heir.childWait.Notify(wait.All)
	}
	c.hangUpIfOrphaned(g, false)
}

// findReaper is who adopts g's children: find_new_reaper.
func (g *ThreadGroup) findReaper() *ThreadGroup {
	n := g.pid.Namespace()
	if n.init == g || n.init == nil || n.init.tree.zombie {
		return nil
	}
	if g.tree.hasSubreaper {
		for p := g.tree.parent; p != nil && p.pid.Namespace() == n; p = p.tree.parent {
			if p == n.init {
				break
			}
			if p.tree.subreaper && !p.tree.zombie && p.anyThread() != nil {
				return p
			}
		}
	}
	return n.init
}

// anyThread is a thread that has not begun to exit, nil if there is none. Called with Kernel.tasks held.
func (g *ThreadGroup) anyThread() *Task {
	for _, x := range g.tree.threads {
		if !x.sig.exiting {
			return x
		}
	}
	return nil
}

func (g *ThreadGroup) isInit() bool { return g.pid.numbers[len(g.pid.numbers)-1].nr == 1 }

// killNamespace ends every other process of the namespace whose init is about to be gone, and waits for them:
// zap_pid_ns_processes.
func (g *ThreadGroup) killNamespace(t *Task) {
	n, k := g.pid.Namespace(), g.kernel
	sh := g.lockSig()
	sh.actions[linux.SIGCHLD].Handler = signal.Ignored // children that end are not kept
	sh.mu.Unlock()
	k.tasks.Lock()
	n.dead = true
	others := n.groupsLocked()
	k.tasks.Unlock()
	for _, o := range others {
		if o != g {
			info := signal.Kernel(linux.SIGKILL)
			o.send(&info, true)
		}
	}
	e := wait.Entry{Waker: t, Mask: wait.All}
	g.exitWait.Add(&e)
	defer g.exitWait.Remove(&e)
	for !g.aloneIn(n) {
		<-t.park.wake
	}
}

// aloneIn reaps the zombies that are g's children and says whether nobody else lives in n.
func (g *ThreadGroup) aloneIn(n *PIDNamespace) bool {
	g.kernel.tasks.Lock()
	defer g.kernel.tasks.Unlock()
	alone := true
	for _, o := range n.groupsLocked() {
		switch {
		case o == g:
		case !o.tree.zombie:
			alone = false
		case o.tree.parent == g || o.tree.parent == nil:
			o.reapLocked()
		}
	}
	return alone
}

// tellReapers wakes the init processes that wait for their namespace to be empty. Called with Kernel.tasks held.
func (g *ThreadGroup) tellReapers() {
	for _, x := range g.pid.numbers {
		if x.ns.dead && x.ns.init != nil && x.ns.init != g {
			x.ns.init.exitWait.Notify(wait.All)
		}
	}
}
