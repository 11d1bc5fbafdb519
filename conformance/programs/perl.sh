# platforms: trap
perl -e 'use strict; use warnings; use POSIX; use Fcntl qw(:flock); use File::Temp; use IO::Socket::UNIX;
my %h = map { $_ => $_**2 } 1..10; print join(",", map { "$_=$h{$_}" } sort { $a <=> $b } keys %h), "\n";
open(my $p, "-|", "echo from child") or die; print <$p>; close $p;
my $pid = fork; if (!$pid) { POSIX::_exit(4) } waitpid $pid, 0; print $? >> 8, "\n";
local $SIG{ALRM} = sub { print "alarm\n" }; alarm 1; select undef, undef, undef, 2;
my $f = File::Temp->new; print $f "x" x 10000; close $f; print -s "$f", "\n";
open my $l, ">", "lock" or die; flock $l, LOCK_EX or die; print "locked\n";
print strftime("%Y-%m-%d", gmtime 86400), "\n"; my $s = "aXbXc"; $s =~ s/X/-/g; print "$s\n"; print `uname -s`;'
