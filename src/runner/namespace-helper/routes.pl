# The first program of a sidecar whose rules name literal addresses: it routes them to the sidecar's own loopback, where the relay listens,
# gives up root and every capability, and becomes the relay. The image has Perl's program and none of its files, so there is no "use strict".
#
# usage: routes.pl CAPSET UID GID ROUTES PROGRAM ARGUMENT…; ROUTES: requests of rtnetlink(7) in hex, commas between them.

my ($capset, $uid, $gid, $routes, @program) = @ARGV;
add_route($_) for split /,/, $routes;
become_nobody();
exec { $program[0] } @program or die "$program[0]: $!\n";

# The kernel answers with an error number, 0 for done. Unconfirmed, the relay would run, and the addresses be without a route.
sub add_route {
    my ($request) = @_;
    my ($af_netlink, $sock_raw, $netlink_route) = (16, 3, 0);
    socket(my $netlink, $af_netlink, $sock_raw, $netlink_route) or die "netlink: $!\n";
    send($netlink, pack('H*', $request), 0) or die "netlink: $!\n";
    sysread($netlink, my $answer, 4096) or die "netlink: $!\n";
    $! = -unpack('x16 i', $answer);
    die "route $request: $!\n" if $! != 0;
}

# Leaving uid 0 empties the effective, permitted and ambient sets; capset empties what may be inherited. With no_new_privs no program
# brings any of it back. See capabilities(7).
sub become_nobody {
    my ($version_3) = (0x20080522);
    $) = "$gid $gid";
    $( = $gid;
    ($<, $>) = ($uid, $uid);
    die "still uid $<, $> and gid $(, $)\n" if $< != $uid || $> != $uid || $( ne "$gid $gid" || $) ne "$gid $gid";
    syscall($capset, pack('L l', $version_3, 0), pack('L6', (0) x 6)) == 0 or die "capset: $!\n";
}
