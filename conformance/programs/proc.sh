# platforms: trap ptrace
# What ps, free, lsof and others make of proc; only what does not differ from machine to machine.
ps -o comm= -p $$; ps -ef | grep -c '[p]s -ef'; sleep 3 & sleep 0.4; ps -o stat=,comm= -p $! | sed 's/+//'; kill $!; wait $! 2>/dev/null
free | awk 'NR==2 {print ($2>0), ($3>0)}'; cat /proc/self/comm; tr '\0' ' ' < /proc/self/cmdline; echo
readlink /proc/self/exe; readlink /proc/self/cwd | wc -l; ls /proc/self/fd | grep -c '^[012]$'; grep -c '\[stack\]' /proc/self/maps; grep -c '\[heap\]' /proc/self/maps; grep -c vdso /proc/self/maps
awk '/^(Name|State|Threads|Uid)/' /proc/self/status; wc -w < /proc/self/stat; head -1 /proc/self/limits | cut -c1-5; grep -q ' / / ' /proc/self/mountinfo && echo root
test -r /proc/cpuinfo && grep -c '^processor' /proc/cpuinfo; nproc; getconf _NPROCESSORS_ONLN; lscpu | awk '/^Architecture/ {print $2}'; cat /proc/sys/kernel/ostype
pmap $$ | tail -1 | awk '{print $1}'; top -b -n 1 | head -1 | cut -c1-3; uptime | grep -c load; cat /proc/self/oom_score_adj; ls -d /proc/self/task/* | wc -l
echo xyz > /proc/self/comm; sh -c 'echo $PPID' | grep -c . ; stat -c %F /dev/null /dev/zero /dev/tty; test -c /dev/full && echo full; echo x > /dev/full || echo nospace
