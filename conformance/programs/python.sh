# platforms: trap ptrace user
# python3: threads, subprocess, multiprocessing, asyncio, sqlite3, mmap, signals, sockets.
/usr/bin/python3 - <<'PY'
import threading, subprocess, multiprocessing, asyncio, sqlite3, os, signal, socket, mmap, tempfile, time, select, queue, json, hashlib, zlib, ctypes, pathlib, shutil, fcntl, resource
q = queue.Queue()
ts = [threading.Thread(target=lambda i=i: q.put(sum(range(i * 1000)))) for i in range(8)]
[t.start() for t in ts]; [t.join() for t in ts]
print(sorted(q.get() for _ in ts))
print(subprocess.run(['sh', '-c', 'echo out; echo err >&2; exit 5'], capture_output=True))
print(subprocess.check_output('seq 3 | tac', shell=True))
def sq(x): return x * x
with multiprocessing.get_context('fork').Pool(3) as p: print(p.map(sq, range(10)))
async def main():
    async def w(i):
        await asyncio.sleep(0.01 * i); return i
    print(await asyncio.gather(*(w(i) for i in range(5))))
    p = await asyncio.create_subprocess_exec('echo', 'async', stdout=asyncio.subprocess.PIPE)
    print((await p.communicate())[0])
    lock = asyncio.Lock()
    async with lock: print('lock')
asyncio.run(main())
with tempfile.TemporaryDirectory() as d:
    db = sqlite3.connect(d + '/x.db'); db.execute('create table t(a,b)')
    db.executemany('insert into t values(?,?)', [(i, str(i)) for i in range(1000)]); db.commit()
    print(db.execute('select count(*), sum(a) from t').fetchone()); db.execute('pragma journal_mode=wal'); db.execute('delete from t where a<500'); db.commit()
    print(db.execute('select count(*) from t').fetchone()); db.close()
    f = pathlib.Path(d, 'm'); f.write_bytes(b'\0' * 8192)
    with open(f, 'r+b') as fh:
        m = mmap.mmap(fh.fileno(), 0); m[4096:4100] = b'mmap'; m.flush(); m.close()
    print(f.read_bytes()[4090:4102]); shutil.copy(f, d + '/n'); print(sorted(os.listdir(d)))
    s = socket.socket(socket.AF_UNIX); s.bind(d + '/s'); s.listen()
    c = socket.socket(socket.AF_UNIX); c.connect(d + '/s'); a, _ = s.accept(); c.sendall(b'hello'); print(a.recv(10)); a.close(); c.close()
got = []
signal.signal(signal.SIGALRM, lambda n, f: got.append(n)); signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.2); print(got)
r, w = os.pipe(); pid = os.fork()
if pid == 0: os.write(w, b'child'); os._exit(3)
print(os.read(r, 9), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
a, b = socket.socketpair(); a.send(b'x'); print(select.select([b], [], [], 1)[0] == [b])
try: socket.socket(socket.AF_INET6 + 1000)
except OSError as e: print(e.errno)
print(hashlib.sha256(b'a' * 100000).hexdigest()[:16], len(zlib.compress(b'b' * 100000)), json.dumps({'a': [1, 2.5, None]}))
try: open('/nonexistent/x')
except OSError as e: print(e)
print(ctypes.CDLL(None).abs(-5), os.cpu_count() > 0, resource.getrlimit(resource.RLIMIT_CORE)[0])
def dive(n): return 0 if n == 0 else 1 + dive(n - 1)
print(dive(900))
try: os.kill(os.getpid(), 0); os.kill(2**22 - 5, 0)
except ProcessLookupError as e: print('no such process')
PY
