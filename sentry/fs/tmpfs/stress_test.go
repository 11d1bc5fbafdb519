package tmpfs_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/fs/tmpfs"
	"hornwork/sentry/vfs"
)

// TestConcurrentUseKeepsTheTreeWhole lets many callers change and walk one tree while the cache is being emptied,
// and then looks whether names, links and memory still agree.
func TestConcurrentUseKeepsTheTreeWhole(t *testing.T) {
	before := testMem().Usage()
	c := newRoot(t, tmpfs.Options{})
	dirs := []string{"/a", "/a/b", "/a/b/c", "/d", "/d/e"}
	for _, d := range dirs {
		vfs.Mkdir(c, c.Cwd, d, 0o755)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(uint64(g), 1))
			name := func() string {
				return dirs[r.IntN(len(dirs))] + "/" + string(rune('a'+r.IntN(6)))
			}
			for range 3000 {
				churn(c, r, name)
			}
		}()
	}
	wg.Wait()
	checkTree(t, c, "/")
	want(t, "rm", removeAll(c, "/"), 0)
	vfs.DropCaches()
	if now := testMem().Usage(); now != before {
		t.Errorf("%d bytes are still in use", now-before)
	}
}

func churn(c *vfs.Caller, r *rand.Rand, name func() string) {
	switch r.IntN(12) {
	case 0, 1, 2:
		if f, errno := open(c, name(), linux.O_CREAT|linux.O_RDWR, 0o644); errno == 0 {
			f.Truncate(c, 5000)
			f.Fallocate(c, 0, 0, 5000)
			f.Put()
		}
	case 3:
		vfs.Unlink(c, c.Cwd, name())
	case 4, 5:
		vfs.Rename(c, c.Cwd, name(), c.Cwd, name(), 0)
	case 6:
		vfs.Rename(c, c.Cwd, name(), c.Cwd, name(), linux.RENAME_EXCHANGE)
	case 7:
		vfs.Mkdir(c, c.Cwd, name(), 0o755)
	case 8:
		vfs.Rmdir(c, c.Cwd, name())
	case 9:
		if p, errno := vfs.Walk(c, c.Cwd, name()+"/../..", vfs.Follow); errno == 0 {
			vfs.PathString(c, p)
			p.Put()
		}
	case 10:
		if p, errno := vfs.Walk(c, c.Cwd, name(), 0); errno == 0 {
			vfs.Link(c, p, c.Cwd, name())
			p.Put()
		}
	case 11:
		if r.IntN(10) == 0 {
			vfs.DropCaches()
		}
		if f, errno := open(c, "/a", linux.O_RDONLY|linux.O_DIRECTORY, 0); errno == 0 {
			f.ReadDir(c, func(vfs.DirEntry) bool { return true })
			f.Put()
		}
	}
}

func list(c *vfs.Caller, dir string) (out []vfs.DirEntry) {
	f, errno := open(c, dir, linux.O_RDONLY|linux.O_DIRECTORY, 0)
	if errno != 0 {
		return nil
	}
	defer f.Put()
	f.ReadDir(c, func(e vfs.DirEntry) bool {
		if e.Name != "." && e.Name != ".." {
			out = append(out, e)
		}
		return true
	})
	return out
}

// checkTree verifies link counts of directories and that listed names can be found.
func checkTree(t *testing.T, c *vfs.Caller, dir string) {
	x, errno := stat(c, dir, 0)
	if errno != 0 {
		t.Errorf("%s: %v", dir, errno)
		return
	}
	links := uint32(2)
	for _, e := range list(c, dir) {
		path := strings.TrimSuffix(dir, "/") + "/" + e.Name
		y, errno := stat(c, path, 0)
		if errno != 0 || y.Ino != e.Ino {
			t.Errorf("%s is listed with inode %d: stat says %v, %d", path, e.Ino, errno, y.Ino)
		}
		if e.Type == linux.DT_DIR {
			links++
			checkTree(t, c, path)
		}
	}
	if x.Nlink != links {
		t.Errorf("%s has %d links, want %d", dir, x.Nlink, links)
	}
}

func removeAll(c *vfs.Caller, dir string) linux.Errno {
	for _, e := range list(c, dir) {
		path := strings.TrimSuffix(dir, "/") + "/" + e.Name
		if e.Type != linux.DT_DIR {
			if errno := vfs.Unlink(c, c.Cwd, path); errno != 0 {
				return errno
			}
			continue
		}
		if errno := removeAll(c, path); errno != 0 {
			return errno
		}
		if errno := vfs.Rmdir(c, c.Cwd, path); errno != 0 {
			return errno
		}
	}
	return 0
}
