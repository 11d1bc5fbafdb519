# platforms: trap
# minutes: 8
set -e
export HOME=$PWD GOCACHE=$PWD/cache GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local CGO_ENABLED=0 PATH=$PATH:/usr/local/go/bin
mkdir m; cd m
cat > go.mod <<'M'
module m
go 1.21
M
cat > m.go <<'G'
package m
import "sync"
func Sum(n int) int { var mu sync.Mutex; var wg sync.WaitGroup; s := 0; for i := 0; i < n; i++ { wg.Add(1); go func(i int) { defer wg.Done(); mu.Lock(); s += i; mu.Unlock() }(i) }; wg.Wait(); return s }
G
cat > m_test.go <<'G'
package m
import ("testing"; "os"; "path/filepath"; "os/exec"; "time"; "runtime")
func TestSum(t *testing.T) { if Sum(1000) != 499500 { t.Fatal("sum") } }
func TestFiles(t *testing.T) { d := t.TempDir(); p := filepath.Join(d, "x"); if err := os.WriteFile(p, make([]byte, 1<<20), 0o644); err != nil { t.Fatal(err) }; b, err := os.ReadFile(p); if err != nil || len(b) != 1<<20 { t.Fatal(err) } }
func TestExec(t *testing.T) { out, err := exec.Command("echo", "x").Output(); if err != nil || string(out) != "x\n" { t.Fatal(err, out) } }
func TestGC(t *testing.T) { for i := 0; i < 100; i++ { _ = make([]byte, 1<<20); if i%10 == 0 { runtime.GC() } }; time.Sleep(10 * time.Millisecond) }
G
go vet ./... && go test -v ./... 2>&1 | sed 's/([0-9.]*s)//; s/[0-9.]*s$//; /^go: downloading/d'
mkdir cmd; printf 'package main\nimport "fmt"\nfunc main() { fmt.Println("built inside") }\n' > cmd/main.go; go build -o out ./cmd; ./out
