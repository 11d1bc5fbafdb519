package cred

import (
	"testing"

	"hornwork/linux"
)

func TestIDsThroughNamespaces(t *testing.T) {
	root := &UserNS{}
	a, b := &UserNS{Parent: root}, &UserNS{}
	b.Parent = a
	a.SetMap(false, []IDMap{{Inside: 0, Outside: 1000, Count: 10}, {Inside: 100, Outside: 5000, Count: 1}})
	b.SetMap(false, []IDMap{{Inside: 0, Outside: 100, Count: 1}})
	for _, tt := range []struct {
		ns        *UserNS
		uid, kuid uint32
		ok        bool
	}{
		{root, 7, 7, true}, {a, 0, 1000, true}, {a, 9, 1009, true}, {a, 10, 0, false}, {a, 100, 5000, true},
		{b, 0, 5000, true}, {b, 1, 0, false}, {a, 4294967295, 0, false},
	} {
		k, ok := tt.ns.KUID(tt.uid)
		if k != tt.kuid || ok != tt.ok {
			t.Errorf("KUID(%d) = %d %v", tt.uid, k, ok)
		}
		if u, back := tt.ns.UID(tt.kuid); tt.ok && (u != tt.uid || !back) {
			t.Errorf("UID(%d) = %d %v", tt.kuid, u, back)
		}
	}
	if FromKUID(b, 1000) != OverflowID {
		t.Error("unmapped")
	}
	if _, errno := NewUserNS(&Credentials{EUID: 3, UserNS: a}, 1); errno != linux.EPERM {
		t.Errorf("creator without a number: %v", errno)
	}
}
