# platforms: trap ptrace user
# Shell scripts: pipelines, traps, job control, here documents, command substitution.
for sh in bash dash; do
$sh <<'SCRIPT'
echo one two three | tr ' ' '\n' | sort -r | while read -r w; do echo "<$w>"; done
x=$(echo sub | sed 's/s/S/'); echo "$x"
trap 'echo got USR1' USR1; kill -USR1 $$; echo after
trap 'echo bye' EXIT
(exit 3); echo "status $?"
sleep 0.1 & wait $!; echo "waited $?"
sh -c 'kill -TERM $$'; echo "killed $?"
cat <<END | wc -l
a
b
END
set -- a b c; echo "$# $*"
i=0; while [ $i -lt 50 ]; do /bin/true; i=$((i+1)); done; echo "$i runs"
f() { echo "f $1"; return 7; }; f x; echo "$?"
test -d /etc && echo dir; [ -x /bin/sh ] && echo exec
echo out; echo err >&2
SCRIPT
done 2>&1
bash -c 'set -m; sleep 5 & jobs | sed "s/[0-9]* *//2"; kill %1; wait %1; echo "job $?"' 2>/dev/null
bash -c 'exec 3<>/tmp/fifo-$$.x || exit; echo hi >&3; exec 3>&-; cat /tmp/fifo-$$.x; rm /tmp/fifo-$$.x'
bash -c 'coproc cat; echo ping >&${COPROC[1]}; read -r a <&${COPROC[0]}; echo $a'
bash -c 'diff <(echo a) <(echo b); echo $?'
bash -c 'ulimit -n 64; ulimit -n; for i in {1..5}; do echo $i; done | paste -sd+ | bc'
