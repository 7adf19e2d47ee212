# The first program inside the sandbox of a connector with network rules, before any of the connector's code. It makes the listeners in the
# new network namespace, hands them to the proxy over its channel, and gives up every right: a socket keeps the namespace it was made in, so
# the proxy, elsewhere, accepts the connections itself. Then it sets the limits and the connector's environment, and becomes its program.
#
# Perl, because perl-base is on every Debian and Ubuntu and starts in a few milliseconds; Node needs sixty. Without modules, because
# they take longer to load than all the rest: the steps stand at the end, made ready by bwrap-script.ts, addresses and messages included.
# What hand_over is, hand-over.pl says, which stands before.
use strict;

%ENV = ();
my ($sendmsg, $prctl, $capset, $prlimit) = split ' ', <DATA>;
my $channel;
my %steps = (
    channel => \&take_channel, route => \&add_route, listen => \&send_listener, renounce => \&renounce, limit => \&limit,
    variable => \&set_variable, folder => \&enter, ready => \&tell, become => \&become,
);
while (my $line = <DATA>) {
    my ($step, @words) = split ' ', $line;
    $steps{$step}->(@words);
}

sub take_channel {
    my ($number) = @_;
    open($channel, '+<&=', $number) or die "no channel: $!\n";
}

sub send_listener {
    my (@words) = @_;
    hand_over($sendmsg, $channel, listener(@words), $words[-1]);
}

sub renounce {
    close($channel);
    # A user namespace would give its maker capabilities again; no connector needs one.
    open(my $namespaces, '>', '/proc/sys/user/max_user_namespaces') or die "max_user_namespaces: $!\n";
    syswrite($namespaces, "0\n") or die "max_user_namespaces: $!\n";
    give_up_capabilities();
}

# bwrap's own process inside is of the connector's user, so that its memory can be written and its limits are the connector's to use.
sub limit {
    my ($resource, $soft, $hard) = @_;
    my ($self, $first) = (0, 1);
    syscall($prlimit, $first, $resource + 0, pack('Q Q', $hard, $hard), 0) == 0 or die "limit $resource: $!\n";
    syscall($prlimit, $self, $resource + 0, pack('Q Q', $soft, $hard), 0) == 0 or die "limit $resource: $!\n";
}

sub set_variable {
    my ($name, $value) = @_;
    $ENV{$name} = defined $value ? pack('H*', $value) : '';
}

sub enter {
    my ($folder) = @_;
    chdir pack('H*', $folder) or die "the connector's folder: $!\n";
}

sub tell {
    my ($number, $mark) = @_;
    open(my $ready, '>&=', $number) or die "ready: $!\n";
    syswrite($ready, $mark) or die "ready: $!\n";
}

# The words have commas between them: one may be empty.
sub become {
    my @program = map { pack 'H*', $_ } split /,/, $_[0], -1;
    # Perl ignores the one about floating points.
    $SIG{FPE} = 'DEFAULT';
    exec { $program[0] } @program;
    # As shells have it.
    my $code = $! == 2 ? 127 : 126;
    print STDERR "bulkhead: $program[0]: $!\n";
    exit $code;
}

# Numbers and bytes for socket(2) and bind(2); without a type that listens, backlog is 0.
sub listener {
    my ($family, $type, $backlog, $address) = @_;
    socket(my $socket, $family, $type, 0) or die "socket: $!\n";
    bind($socket, pack('H*', $address)) or die "bind $address: $!\n";
    !$backlog or listen($socket, $backlog) or die "listen $address: $!\n";
    return $socket;
}

# The message is a whole request of rtnetlink(7); the kernel answers with an error number, 0 for done.
sub add_route {
    my ($request) = @_;
    my ($af_netlink, $sock_raw, $netlink_route) = (16, 3, 0);
    socket(my $netlink, $af_netlink, $sock_raw, $netlink_route) or die "netlink: $!\n";
    send($netlink, pack('H*', $request), 0) or die "netlink: $!\n";
    sysread($netlink, my $answer, 4096) or die "netlink: $!\n";
    $! = -unpack('x16 i', $answer);
    die "route $request: $!\n" if $! != 0;
}

# See prctl(2), capset(2) and linux/capability.h.
sub give_up_capabilities {
    my ($capbset_drop, $cap_ambient, $ambient_clear_all, $version_3, $last_capability) = (24, 47, 4, 0x20080522, 63);
    # A number that the kernel does not know is refused, which is as good.
    syscall($prctl, $capbset_drop, $_, 0, 0, 0) for 0 .. $last_capability;
    syscall($prctl, $cap_ambient, $ambient_clear_all, 0, 0, 0) == 0 or die "ambient capabilities: $!\n";
    syscall($capset, pack('L l', $version_3, 0), pack('L6', (0) x 6)) == 0 or die "capset: $!\n";
}
__DATA__
