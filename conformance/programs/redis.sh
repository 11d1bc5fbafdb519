# platforms: trap user
redis-server --port 0 --unixsocket $PWD/r.sock --save '' --daemonize no --dir $PWD >log 2>&1 &
r() { redis-cli -s r.sock "$@"; }
i=0; until r ping 2>/dev/null | grep -q PONG; do i=$((i+1)); [ $i -gt 100 ] && cat log && exit 1; sleep 0.1; done
r set a 1; r incr a; r lpush l x y z; r lrange l 0 -1; r hset h f v; r hgetall h; r eval 'return redis.call("get","a")' 0
seq 1 500 | sed 's/.*/set k& v&/' | r | sort | uniq -c | awk '{print $1, $2}'; r dbsize; r bgsave >/dev/null; sleep 0.5; r lastsave >/dev/null && echo saved
r shutdown nosave; wait; echo "server $?"
