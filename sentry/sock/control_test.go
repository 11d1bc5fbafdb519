package sock

import (
	"encoding/binary"
	"testing"

	"hornwork/linux"
)

func cmsg(length uint64, level, typ int32, data string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, length)
	b = binary.LittleEndian.AppendUint32(b, uint32(level))
	b = binary.LittleEndian.AppendUint32(b, uint32(typ))
	b = append(b, data...)
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

func TestParseControl(t *testing.T) {
	creds := "\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00"
	tests := []struct {
		name string
		in   []byte
		fds  int
		cred bool
		want linux.Errno
	}{
		{"nothing", nil, 0, false, 0},
		{"less than a header", make([]byte, 15), 0, false, 0},
		{"two descriptors", cmsg(24, linux.SOL_SOCKET, linux.SCM_RIGHTS, "aaaabbbb"), 2, false, 0},
		{"both kinds", append(cmsg(20, linux.SOL_SOCKET, linux.SCM_RIGHTS, "aaaa"),
			cmsg(28, linux.SOL_SOCKET, linux.SCM_CREDENTIALS, creds)...), 1, true, 0},
		{"length of the header only", cmsg(15, linux.SOL_SOCKET, linux.SCM_RIGHTS, ""), 0, false, linux.EINVAL},
		{"longer than the buffer", cmsg(25, linux.SOL_SOCKET, linux.SCM_RIGHTS, "aaaabbbb"), 0, false, linux.EINVAL},
		{"huge", cmsg(1<<63, linux.SOL_SOCKET, linux.SCM_RIGHTS, ""), 0, false, linux.EINVAL},
		{"short credentials", cmsg(24, linux.SOL_SOCKET, linux.SCM_CREDENTIALS, creds[:8]), 0, false, linux.EINVAL},
		{"unknown kind", cmsg(16, linux.SOL_SOCKET, 99, ""), 0, false, linux.EINVAL},
		{"another level", cmsg(16, 99, 99, ""), 0, false, 0},
		{"too many", cmsg(16+4*254, linux.SOL_SOCKET, linux.SCM_RIGHTS, string(make([]byte, 4*254))), 0, false, linux.EINVAL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctl, errno := ParseControl(tt.in)
			if errno != tt.want || len(ctl.FDs) != tt.fds || (ctl.Creds != nil) != tt.cred {
				t.Errorf("got %+v, %v", ctl, errno)
			}
		})
	}
}

func TestControlWriterTruncates(t *testing.T) {
	for _, tt := range []struct {
		room, length int
		cut          bool
	}{{0, 0, true}, {15, 0, true}, {16, 16, true}, {27, 27, true}, {28, 28, false}, {32, 32, false}, {100, 32, false}} {
		w := ControlWriter{Room: tt.room}
		w.PutCreds(&linux.Ucred{PID: 1})
		if len(w.Buf) != tt.length || w.Truncated != tt.cut {
			t.Errorf("room %d: %d bytes, truncated %v", tt.room, len(w.Buf), w.Truncated)
		}
	}
	w := ControlWriter{Room: 16 + 9}
	if n := w.RightsRoom(); n != 2 {
		t.Errorf("room for %d descriptors", n)
	}
}
