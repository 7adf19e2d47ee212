# The first program inside the sandbox of a connector with network rules, before any of the connector's code: it makes the listeners in
# the new network namespace, hands them to the proxy over the IPC channel that Node gave it, gives up every right, and becomes
# the connector's script. A socket keeps the namespace it was made in, so the proxy, elsewhere, accepts the connections itself.
#
# Perl, because perl-base is on every Debian and Ubuntu and starts in a few milliseconds; Node needs sixty. Without modules, because
# they take longer to load than all the rest: addresses and messages come ready made from namespace-prelude.ts, in lines at the end. What
# hand_over is, hand-over.pl says, which stands before.
use strict;

my ($channel_number, $sendmsg, $prctl, $capset, @program) = split ' ', <DATA>;
open(my $channel, '+<&=', $channel_number) or die "no IPC channel: $!\n";
while (my $line = <DATA>) {
    my ($kind, @words) = split ' ', $line;
    if ($kind eq 'route') { add_route(@words) }
    else { hand_over($sendmsg, $channel, listener(@words), $words[-1]) }
}
close($channel);
# A user namespace would give its maker capabilities again; no connector needs one.
open(my $namespaces, '>', '/proc/sys/user/max_user_namespaces') or die "max_user_namespaces: $!\n";
syswrite($namespaces, "0\n") or die "max_user_namespaces: $!\n";
give_up_capabilities();
exec { $program[0] } @program or die "$program[0]: $!\n";

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
