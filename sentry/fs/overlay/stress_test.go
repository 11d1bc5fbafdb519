package overlay_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/overlay"
	"hornwork/sentry/vfs"
)

// TestConcurrentUse lets many callers work on one overlay while the cache is being emptied. What is left must be
// consistent: every listed name can be found, and nothing is listed twice (dump looks).
func TestConcurrentUse(t *testing.T) {
	for layers := 1; layers <= 2; layers++ {
		var lowers []*vfs.Superblock
		var on []*vfs.Caller
		for range layers {
			fs := newTmpfs()
			lowers = append(lowers, fs.SB)
			on = append(on, callerOn(t, fs.SB))
		}
		populate(t, on...)
		before := ""
		for _, c := range on {
			before += dumpAll(t, c)
		}
		c := callerOn(t, overlay.New(overlay.Options{Lower: lowers, Upper: newTmpfs()}).SB)
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				r := rand.New(rand.NewPCG(uint64(g), uint64(layers)))
				own := *c
				for k := range 1500 {
					step(&own, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()))
					switch k % 100 {
					case 0:
						vfs.DropCaches()
					case 50:
						if p, errno := vfs.Walk(&own, own.Cwd, "a", vfs.Directory); errno == 0 {
							vfs.PathString(&own, p)
							p.Put()
						}
					}
				}
			}()
		}
		wg.Wait()
		dumpAll(t, c)
		after := ""
		for _, c := range on {
			after += dumpAll(t, c)
		}
		if after != before {
			t.Errorf("%d layers: the layers were changed", layers)
		}
		how := vfs.OpenHow(linux.O_CREAT|linux.O_EXCL|linux.O_WRONLY, 0o600)
		if f, errno := vfs.Open(c, c.Cwd, "a new file", &how); errno != 0 {
			t.Errorf("the overlay is not usable any more: %v", errno)
		} else {
			f.Put()
		}
	}
}
