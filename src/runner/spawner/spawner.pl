# Spawns for the proxy, from a process so small that a fork costs little: to copy the page tables of a large one takes milliseconds in which
# no other call goes on, and every page it writes afterwards faults. Lives as long as the proxy; without modules, see namespace-helper/prelude.pl.
#
# usage: spawner.pl SENDMSG RECVMSG SIGNALFD4 SIGPROCMASK PRCTL DUP3 PRLIMIT DESCRIPTOR, which are numbers of system calls, and a descriptor
# of the proxy.
# Reads lines:  spawn ID USER OWNER PIPES CHANNEL FILES LIMITS WORDS   (lists have commas; - is nothing; words are in hex)
#               kill ID SIGNAL
# USER is whom the new process runs as, OWNER who may open its pipes by their names, each UID:GID. PIPES are the numbers that they have in
# the new process, each with < for what it reads or > for what it writes, and the bytes it holds. CHANNEL is the number of a socket over
# which prelude.pl sends listeners. FILES are descriptors of the proxy, which come at the numbers after the highest of those. LIMITS are
# numbers of resources, each with : and the most of it.
# Tells over the channel that Node made, one line each:  {"id":1,"input":0} or {"id":1,"output":1} with our end, then {"id":1,"pid":4711}
# or {"id":1,"error":"why"}; {"id":1,"index":0} with a listener; at the end {"id":1,"code":0} or {"id":1,"signal":9}; {"ready":true} when
# it is there.
use strict;
require $0 =~ s{[^/]*/[^/]*$}{namespace-helper/hand-over.pl}r;

my ($sendmsg, $recvmsg, $signalfd4, $sigprocmask, $prctl, $dup3, $prlimit, $trial) = @ARGV;
my ($set_flags, $close_on_exec, $set_status, $nonblocking) = (2, 1, 4, 0x800);
my $proxy = getppid;
my $channel_number = $ENV{NODE_CHANNEL_FD};
%ENV = ();
close_all_but($channel_number);
open(my $channel, '+<&=', $channel_number) or die "no channel: $!\n";
fcntl($channel, $set_flags, $close_on_exec) or die "channel: $!\n";
# No end of a child may come between a look and a wait, so they come as something to read.
my $child_signal = pack('Q', 1 << (17 - 1));
mask_signals($child_signal);
my $ends = ends_of_children();
# A bubblewrap may end before its process inside, which then comes to this one and is reaped at once. Whatever else is process 1 here may
# take its time, or never do it.
my $adopt_orphans = 36;
syscall($prctl, $adopt_orphans, 1, 0, 0, 0) == 0 or die "prctl: $!\n";
local $SIG{PIPE} = 'IGNORE';
# Where this is not allowed, everything would fail later.
file_of_proxy($trial);

my (%ids, %pids, %preludes);
report('{"ready":true}');
my $requests = '';
while (1) {
    my $ready = '';
    vec($ready, fileno $_, 1) = 1 for *STDIN, $ends, $channel, map { $_->{socket} } values %preludes;
    select($ready, undef, undef, undef) > 0 or next;
    # Acknowledgements of Node, which nobody needs; the end of any means that the proxy is gone.
    !vec($ready, fileno $channel, 1) or sysread($channel, my $ignored, 65536) or leave();
    # Before their ends: a listener comes while its process is still known.
    for (values %preludes) { listener_of($_) if vec($ready, fileno $_->{socket}, 1) }
    reap() if vec($ready, fileno $ends, 1);
    next if !vec($ready, fileno *STDIN, 1);
    sysread(STDIN, $requests, 65536, length $requests) or leave();
    obey(split ' ', $1) while $requests =~ s/^([^\n]*)\n//;
}

sub obey {
    my ($kind, $id, @words) = @_;
    if ($kind eq 'spawn') { eval { spawn($id, @words); 1 } or fail($id, $@) }
    else { signal($id, @words) }
}

sub spawn {
    my ($id, $user, $owner, $pipes, $own_channel, $files, $limits, $words) = @_;
    my (@ours, @theirs, @places);
    for (split /,/, $pipes) {
        my ($number, $direction, $bytes) = /^(\d+)([<>])(\d+)$/ or die "no pipe: $_\n";
        my ($our, $their) = pipe_of($direction, $bytes);
        # As a shell does it that writes to /dev/stderr.
        $owner eq '-' or chown(split(/:/, $owner), $their) or die "owner of a pipe: $!\n";
        push @ours, [$our, $direction eq '<' ? 'input' : 'output', $number];
        push @theirs, $their;
        push @places, $number;
    }
    my $prelude;
    if ($own_channel ne '-') {
        ($prelude, my $their) = sockets();
        push @theirs, $their;
        push @places, $own_channel;
    }
    my ($last) = sort { $b <=> $a } @places;
    for (list_of($files)) {
        push @theirs, file_of_proxy($_);
        push @places, ++$last;
    }
    my $parent = $$;
    my $pid = fork;
    defined $pid or die "fork: $!\n";
    become($parent, $user, \@theirs, \@places, [list_of($limits)], map { pack 'H*', $_ } split /,/, $words, -1) if $pid == 0;
    ($ids{$pid}, $pids{$id}) = ($id, $pid);
    for (@ours) {
        my ($our, $kind, $number) = @$_;
        hand_over($sendmsg, $channel, $our, qq({"cmd":"NODE_HANDLE","type":"net.Native","msg":{"id":$id,"$kind":$number}}));
    }
    $preludes{$id} = { id => $id, socket => $prelude } if $prelude;
    report(qq({"id":$id,"pid":$pid}));
}

sub list_of {
    my ($word) = @_;
    return $word eq '-' ? () : split /,/, $word;
}

# Our end and theirs. A pipe costs less than a socket for each message; where the user may have no more of that size, a socket does as well.
sub pipe_of {
    my ($direction, $bytes) = @_;
    my $set_size = 1031;
    pipe(my $reads, my $writes) or die "pipe: $!\n";
    my ($our, $their) = $direction eq '<' ? ($writes, $reads) : ($reads, $writes);
    ($our, $their) = sockets() if !fcntl($our, $set_size, $bytes + 0);
    fcntl($our, $set_status, $nonblocking) or die "nonblocking: $!\n";
    return ($our, $their);
}

sub sockets {
    my ($af_unix, $sock_stream) = (1, 1);
    socketpair(my $our, my $their, $af_unix, $sock_stream, 0) or die "socketpair: $!\n";
    return ($our, $their);
}

# One message of a prelude with its listener, if it is one: the kernel gives no two with descriptors at once. At its end the prelude is over.
sub listener_of {
    my ($prelude) = @_;
    my ($id, $socket) = @{$prelude}{qw(id socket)};
    my ($line, $control, $bytes, $control_bytes, $close_on_exec_too) = ('', '', 1024, 20, 0x40000000);
    # Memory of their own, where the kernel may write: a string that is assigned may be shared.
    vec($line, $bytes - 1, 8) = 0;
    vec($control, $control_bytes - 1, 8) = 0;
    my $vector = pack('P Q', $line, length $line);
    my $header = pack('Q L x4 P Q P Q i x4', 0, 0, $vector, 1, $control, length $control, 0);
    my $length = syscall($recvmsg, fileno $socket, $header, $close_on_exec_too);
    if ($length <= 0) {
        delete $preludes{$id};
        return;
    }
    my ($control_length, $number) = unpack('Q x8 i', $control);
    $control_length == $control_bytes and open(my $listener, '<&=', $number) or return;
    substr($line, 0, $length) =~ /^(\{"cmd":"NODE_HANDLE","type":"[a-zA-Z.]+","dgramType":"udp[46]","msg":\{)("index":\d+\}\})\n$/ or return;
    eval { hand_over($sendmsg, $channel, $listener, qq($1"id":$id,$2)); 1 } or signal($id, 'KILL');
}

# What the proxy was born with and has from nobody but its own parent.
sub close_all_but {
    my ($kept) = @_;
    opendir(my $folder, '/proc/self/fd') or die "/proc/self/fd: $!\n";
    my @numbers = grep { /\d/ && $_ > 2 && $_ != $kept } readdir $folder;
    closedir $folder;
    # The folder's is among them and gone; a handle that goes out of scope closes its descriptor.
    open(my $handle, '<&=', $_) for @numbers;
}

# What it was opened on; the new process gets a position of its own.
sub file_of_proxy {
    my ($number) = @_;
    open(my $file, '<', "/proc/$proxy/fd/$number") or die "descriptor $number of the proxy: $!\n";
    return $file;
}

# In the child: everything but its own descriptors closes with exec.
sub become {
    my ($parent, $user, $given, $places, $limits, @program) = @_;
    eval {
        my ($duplicate_from, $above_all) = (1030, 256);
        # Out of the way first: a place may be another one's number.
        my @copies = map { fcntl($_, $duplicate_from, $above_all) or die "dup: $!\n" } @$given;
        # For syscall() a place must be a number, not its digits: hence + 0.
        syscall($dup3, $copies[$_], $places->[$_] + 0, 0) >= 0 or die "dup3: $!\n" for 0 .. $#copies;
        # A group of its own, see end_rest.
        setpgrp(0, 0) or die "setpgrp: $!\n";
        become_user(split /:/, $user) if $user ne '-';
        # Changing the user takes it away. Were the parent gone already, no signal would come.
        my ($death_signal, $kill) = (1, 9);
        syscall($prctl, $death_signal, $kill, 0, 0, 0) == 0 or die "prctl: $!\n";
        getppid == $parent or die "the spawner is gone\n";
        # Perl ignores the one about floating points.
        @SIG{qw(PIPE FPE)} = ('DEFAULT') x 2;
        mask_signals(pack('Q', 0));
        limit_self(split /:/) for @$limits;
        exec { $program[0] } @program or die "$program[0]: $!\n";
    };
    my $message = "bulkhead: $@";
    # Number 2 is its own by now, whatever Perl calls it.
    syswrite(STDERR, $message);
    exit 127;
}

sub limit_self {
    my ($resource, $most) = @_;
    my $self = 0;
    syscall($prlimit, $self, $resource + 0, pack('Q Q', $most, $most), 0) == 0 or die "limit $resource: $!\n";
}

sub become_user {
    my ($uid, $gid) = @_;
    $) = "$gid $gid";
    $( = $gid;
    ($<, $>) = ($uid, $uid);
    die "still uid $<, $> and gid $(, $)\n" if $< != $uid || $> != $uid || $( ne "$gid $gid" || $) ne "$gid $gid";
}

sub reap {
    sysread($ends, my $ignored, 4096);
    while ((my $pid = waitpid(-1, 1)) > 0) {
        my $id = delete $ids{$pid};
        defined $id or next;
        delete $pids{$id};
        end_rest($pid);
        my ($signal, $code) = ($? & 127, $? >> 8);
        report($signal ? qq({"id":$id,"signal":$signal}) : qq({"id":$id,"code":$code}));
    }
}

sub ends_of_children {
    my ($mask_bytes, $flags) = (8, 0x80000 | $nonblocking);
    my $number = syscall($signalfd4, -1, $child_signal, $mask_bytes, $flags);
    open(my $handle, '<&=', $number) or die "signalfd: $!\n";
    return $handle;
}

sub mask_signals {
    my ($mask) = @_;
    my $set = 2;
    syscall($sigprocmask, $set, $mask, 0, 8) == 0 or die "sigprocmask: $!\n";
}

# bubblewrap's own child waits for its parent's word before it asks the kernel to end it with its parent, and then for ever: it is still in
# its parent's group.
sub end_rest {
    my ($pid) = @_;
    kill 'KILL', -$pid;
}

# What was spawned ends with this process, by the kernel, but for such children.
sub leave {
    kill 'KILL', map { ($_, -$_) } keys %ids;
    exit;
}

# Not reaped yet, so the number is still its own.
sub signal {
    my ($id, $name) = @_;
    kill $name, $pids{$id} if $pids{$id};
}

# It may have come to a process before its sockets could be passed on, for which nobody will ask.
sub fail {
    my ($id, $why) = @_;
    signal($id, 'KILL');
    $why =~ s/[^ -~]|["\\]/ /g;
    report(qq({"id":$id,"error":"$why"}));
}

sub report {
    my ($line) = @_;
    syswrite($channel, "$line\n") == length($line) + 1 or leave();
}
