# platforms: trap ptrace user
# coreutils, findutils, grep, sed, awk, tar, xz, gzip.
set -e
mkdir -p t/a/b; cd t
seq 1 1000 > a/n; head -c 100000 /dev/zero > a/z; ln -s n a/l; ln a/n a/hard
ls -1 a; stat -c '%F %s %h %a' a/n a/l a; readlink a/l
md5sum a/n a/z; wc a/n; sort -rn a/n | head -3; cut -c1-2 a/n | uniq -c | tail -2
grep -c 7 a/n; grep -r --include=n -l 999 .; sed -n '5,7p;s/1/one/gp' a/n | head -5; awk '{s+=$1} END {print s, NR}' a/n
find . -type f | sort; find . -name 'n' -newer a/z -print; find . -type l -printf '%p %l\n'
tar cf x.tar a; tar tf x.tar | sort; mkdir y; tar xf x.tar -C y; diff -r a y/a && echo same
gzip -k a/z; gzip -l a/z.gz | tail -1 | awk '{print $2}'; zcat a/z.gz | cmp - a/z && echo gz
xz -k a/n; xz -dc a/n.xz | cmp - a/n && echo xz
cp -a a c; mv c d; chmod 640 d/n; stat -c %a d/n; rm -r d; touch -d '2001-02-03 04:05:06 UTC' q; stat -c %Y q; date -u -d @0
dd if=a/z of=dd bs=4096 count=3 2>/dev/null; stat -c %s dd; truncate -s 1M sparse; stat -c '%s' sparse
echo abc | tee e f; cat e f; xargs -n 2 echo < a/b 2>/dev/null || true; seq 5 | xargs -n2 echo; seq 6 | xargs -P3 -I{} sh -c 'exit 0' && echo parallel
basename /x/y.z .z; dirname /x/y; expr 6 \* 7; factor 360; nproc >/dev/null && echo nproc; env -i A=b env; timeout 0.2 sleep 5 || echo "timeout $?"
mktemp -u XXXXXX | wc -c; split -n 3 a/n s.; cat s.* | cmp - a/n && echo split; od -An -tx1 -N4 a/n; tac a/n | tail -1
df . >/dev/null && echo df; du -s a >/dev/null && echo du; id -u | wc -l; uname -s; hostname >/dev/null && echo host; sync && echo sync
