package proto

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"hornwork/linux"
)

// fill gives every field of a message a value that the protocol allows and that differs from zero.
func fill(v reflect.Value, n *uint64) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "Temp" {
				continue // it excludes Name
			}
			fill(v.Field(i), n)
		}
		if a, ok := v.Addr().Interface().(*Attr); ok {
			a.Mode = linux.S_IFREG | 0o644
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range 3 {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(strings.Repeat("x", int(*n%200)+1))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(int64(*n) << 33)
	case reflect.Uint16: // an errno; attributes follow only where it is zero
		v.SetUint(0)
	case reflect.Uint8:
		v.SetUint(2)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(*n % 250)
	default:
		panic(v.Kind())
	}
}

func TestEveryMessageSurvivesARoundTrip(t *testing.T) {
	var n uint64
	for op := Op(1); op < opEnd; op++ {
		req := newRequest(op)
		fill(reflect.ValueOf(req), &n)
		b, err := EncodeRequest([]byte("before"), req)
		if err != nil {
			t.Errorf("%T: %v", req, err)
			continue
		}
		got, err := DecodeRequest(b[len("before"):])
		if err != nil || !reflect.DeepEqual(got, req) {
			t.Errorf("%T: got %+v, %v; want %+v", req, got, err, req)
		}
		resp := newResponse(op)
		if resp == nil {
			continue
		}
		fill(reflect.ValueOf(resp), &n)
		b, err = EncodeResponse(nil, op, resp)
		if err != nil {
			t.Errorf("%T: %v", resp, err)
			continue
		}
		back := newResponse(op)
		if errno, err := DecodeResponse(b, op, back); errno != 0 || err != nil || !reflect.DeepEqual(back, resp) {
			t.Errorf("%T: got %+v, %v %v; want %+v", resp, back, errno, err, resp)
		}
	}
}

func TestErrorsTravelWithoutABody(t *testing.T) {
	b := EncodeError(nil, OpOpen, linux.ENOENT)
	if errno, err := DecodeResponse(b, OpOpen, new(Opened)); errno != linux.ENOENT || err != nil {
		t.Error(errno, err)
	}
	if _, err := DecodeResponse(b, OpMake, new(Opened)); err == nil {
		t.Error("an answer to another request was taken")
	}
	if _, err := DecodeResponse(EncodeError(nil, OpOpen, 4000), OpOpen, new(Opened)); err == nil {
		t.Error("an errno that Linux lacks was taken")
	}
}

func TestBadNamesAreRefusedBothWays(t *testing.T) {
	for _, bad := range []string{"", ".", "..", "a/b", "/", "a\x00", strings.Repeat("n", 256)} {
		for _, r := range []Request{
			&Walk{Names: []string{bad}}, &Walk{Dir: Ref{Path: []string{"ok", bad}}}, &Make{Name: bad},
			&Unlink{Name: bad}, &Link{Name: bad}, &Rename{OldName: bad, NewName: "x"}, &Rename{OldName: "x", NewName: bad},
		} {
			if _, err := EncodeRequest(nil, r); err == nil {
				t.Errorf("%T with %q was encoded", r, bad)
			}
		}
		if len(bad) == 0 || len(bad) > 255 {
			continue
		}
		// The same name smuggled into a good frame.
		b, err := EncodeRequest(nil, &Walk{Names: []string{strings.Repeat("q", len(bad))}})
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.Replace(b, []byte(strings.Repeat("q", len(bad))), []byte(bad), 1)
		if r, err := DecodeRequest(b); err == nil {
			t.Errorf("%q was decoded: %+v", bad, r)
		}
	}
}

func TestFalseLengthsAreRefused(t *testing.T) {
	good, err := EncodeRequest(nil, &Getattr{Refs: []Ref{{Handle: 1}, {Handle: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	for cut := range good {
		if _, err := DecodeRequest(good[:cut]); err == nil {
			t.Errorf("%d of %d bytes were decoded", cut, len(good))
		}
	}
	long := append(bytes.Clone(good), 0)
	long[0]++
	if _, err := DecodeRequest(long); err == nil {
		t.Error("trailing bytes were taken")
	}
	huge := bytes.Clone(good)
	copy(huge[headerSize:], "\xff\xff\xff\xff")
	if _, err := DecodeRequest(huge); err == nil {
		t.Error("4 GiB elements were taken")
	}
}

func FuzzDecodeRequest(f *testing.F) {
	var n uint64
	for op := Op(1); op < opEnd; op++ {
		r := newRequest(op)
		fill(reflect.ValueOf(r), &n)
		b, _ := EncodeRequest(nil, r)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRequest(b)
		if err != nil {
			return
		}
		again, err := EncodeRequest(nil, r)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x became %x (%v)", b, again, err)
		}
	})
}

func TestListingWithoutAttributes(t *testing.T) {
	want := &Entries{Handle: 3, Entries: []Entry{
		{Name: "a", Attr: Attr{Ino: 1, Mode: linux.S_IFDIR | 0o755, Size: 7}, Next: 9}, {Name: "b", Attr: Attr{Ino: 2, Mode: linux.S_IFLNK}, Next: 10},
	}, End: true}
	size := EntriesSize
	for i := range want.Entries {
		size += want.Entries[i].Size(false)
	}
	b, err := EncodeResponse(nil, OpReaddir, want)
	got := &Entries{}
	if _, derr := DecodeResponse(b, OpReaddir, got); err != nil || derr != nil || !reflect.DeepEqual(got, want) || len(b) != size {
		t.Errorf("%+v %v %v, %d bytes, want %d", got, err, derr, len(b), size)
	}
}

func FuzzDecodeResponse(f *testing.F) {
	var n uint64
	for op := Op(1); op < opEnd; op++ {
		if r := newResponse(op); r != nil {
			fill(reflect.ValueOf(r), &n)
			b, _ := EncodeResponse(nil, op, r)
			f.Add(b)
			f.Add(EncodeError(nil, op, linux.EIO))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 5 {
			return
		}
		op := Op(b[4])
		r := newResponse(op)
		if r == nil {
			return
		}
		errno, err := DecodeResponse(b, op, r)
		if err != nil {
			return
		}
		again := EncodeError(nil, op, errno)
		if errno == 0 {
			again, err = EncodeResponse(nil, op, r)
		}
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x became %x (%v)", b, again, err)
		}
	})
}
