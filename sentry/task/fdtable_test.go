package task

import (
	"math/rand/v2"
	"slices"
	"testing"

	"hornwork/linux"
	"hornwork/sentry/vfs"
)

func tableWith(limit uint64) (*FDTable, *Limits) {
	l := &Limits{}
	l.Set(linux.RLIMIT_NOFILE, linux.Rlimit{Cur: limit, Max: limit})
	return NewFDTable(l), l
}

func TestLowestDescriptorIsTaken(t *testing.T) {
	tab, limits := tableWith(200)
	files := map[int32]*vfs.File{}
	for fd := range int32(150) {
		f := &vfs.File{}
		n, errno := tab.NewFD(f, fd%2 == 1, 0)
		if n != fd || errno != 0 {
			t.Fatal(n, errno)
		}
		files[fd] = f
	}
	for _, fd := range []int32{70, 3, 149} {
		if tab.Close(fd) != files[fd] || tab.Close(fd) != nil {
			t.Errorf("close %d", fd)
		}
	}
	r, errno := tab.Reserve(2)
	if errno != 0 || !slices.Equal(r.Numbers(), []int32{3, 70}) {
		t.Fatal(r.Numbers(), errno)
	}
	if tab.GetRaw(3) != nil {
		t.Error("a reserved descriptor is open")
	}
	if _, errno := tab.Set(3, &vfs.File{}, false); errno != linux.EBUSY {
		t.Error(errno)
	}
	r.Install(0, &vfs.File{}, true)
	r.Cancel()
	if c, ok := tab.Cloexec(3); !c || !ok {
		t.Error("installed without its flag")
	}
	if n, _ := tab.NewFD(&vfs.File{}, false, 0); n != 70 {
		t.Errorf("got %d instead of the cancelled one", n)
	}
	if n, _ := tab.NewFD(&vfs.File{}, false, 100); n != 149 {
		t.Errorf("from 100 on: %d", n)
	}
	if _, errno := tab.NewFD(&vfs.File{}, false, 200); errno != linux.EINVAL {
		t.Error(errno)
	}
	limits.Set(linux.RLIMIT_NOFILE, linux.Rlimit{Cur: 150, Max: 150})
	if _, errno := tab.NewFD(&vfs.File{}, false, 0); errno != linux.EMFILE {
		t.Error(errno)
	}
	if _, errno := tab.Reserve(1); errno != linux.EMFILE {
		t.Error(errno)
	}
	if tab.GetRaw(-1) != nil || tab.GetRaw(1<<30) != nil {
		t.Error("no such descriptor")
	}
}

func TestForkCopiesWhatIsOpen(t *testing.T) {
	tab, limits := tableWith(1000)
	a, b := &vfs.File{}, &vfs.File{}
	tab.Set(5, a, true)
	tab.Set(500, b, false)
	r, _ := tab.Reserve(1)
	c := tab.Fork(limits)
	r.Cancel()
	if x := c.GetRaw(5); x != a {
		t.Error("5 is missing")
	}
	if cl, _ := c.Cloexec(5); !cl {
		t.Error("the flag of 5 is missing")
	}
	if c.GetRaw(500) != b || c.GetRaw(0) != nil {
		t.Error("not a copy")
	}
	if n, _ := c.NewFD(&vfs.File{}, false, 0); n != 0 {
		t.Errorf("the reservation was copied: %d", n)
	}
	c.SetCloexecRange(100, ^uint32(0))
	var seen []int32
	c.Each(1, func(fd int32, f *vfs.File, cloexec bool) bool {
		seen = append(seen, fd)
		return cloexec
	})
	if !slices.Equal(seen, []int32{5, 500}) {
		t.Error(seen)
	}
}

func TestBitmapAgainstAModel(t *testing.T) {
	const size = 64 * 70
	var b fdBits
	b.grow(size)
	model := make([]bool, size)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		i := rng.Int32N(size)
		if rng.IntN(3) == 0 {
			i = rng.Int32N(200)
		}
		v := rng.IntN(4) != 0
		b.put(i, v)
		model[i] = v
		from := rng.Int32N(size)
		want := slices.Index(model[from:], false)
		if got := b.nextClear(from); want >= 0 && got != from+int32(want) || want < 0 && got < size {
			t.Fatalf("nextClear(%d) = %d, want +%d", from, got, want)
		}
		want = slices.Index(model[from:], true)
		if got := b.nextSet(from); want >= 0 && got != from+int32(want) || want < 0 && got != -1 {
			t.Fatalf("nextSet(%d) = %d, want +%d", from, got, want)
		}
	}
	for i := range int32(size) {
		b.put(i, true)
	}
	if b.nextClear(0) != size || b.last() != size-1 {
		t.Error("a full map")
	}
}
