# Runs inside a connector's new network namespace, before any of the connector's code does: makes the listeners and hands them to the
# proxy over the IPC channel that Node gave it (NODE_CHANNEL_FD). A socket keeps the namespace it was made in, so the proxy,
# elsewhere, accepts the connector's connections itself, and nothing of this program stays.
#
# Perl, because perl-base is on every Debian and Ubuntu and starts in 4 ms; Node needs 60. Its modules are in perl-base.
# usage: perl listen.pl route:203.0.113.0/24 tcp:0.0.0.0:443 udp:127.0.0.1:53
use strict;
use warnings;
use Config;
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6);

use constant { AF_NETLINK => 16, SOCK_RAW => 3, NETLINK_ROUTE => 0, BACKLOG => 64, SCM_RIGHTS => 1 };

# sendmsg(2): arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h
my %sendmsg_number = (x86_64 => 46, aarch64 => 211);
my $machine = (split /-/, $Config{archname})[0];
my $sendmsg = $sendmsg_number{$machine} or die "no sendmsg number for $machine\n";

open(my $channel, '+<&=', $ENV{NODE_CHANNEL_FD}) or die "no IPC channel: $!\n";
my $index = 0;
for my $word (@ARGV) {
    my ($kind, $rest) = split /:/, $word, 2;
    if ($kind eq 'route') { add_local_route($rest); next; }
    my ($address, $port) = $rest =~ /^(.*):(\d+)$/ or die "not a listener: $word\n";
    my $type = $kind eq 'udp' ? 'dgram.Socket' : 'net.Server';
    my $family = $address =~ /:/ ? 'udp6' : 'udp4';
    hand_over(listener($kind, $address, $port), qq({"cmd":"NODE_HANDLE","type":"$type","dgramType":"$family","msg":{"index":$index}}\n));
    $index++;
}

sub listener {
    my ($kind, $address, $port) = @_;
    my $family = $address =~ /:/ ? AF_INET6 : AF_INET;
    my $binary = inet_pton($family, $address) // die "not an address: $address\n";
    my $name = $family == AF_INET6 ? pack_sockaddr_in6($port, $binary) : pack_sockaddr_in($port, $binary);
    socket(my $socket, $family, $kind eq 'udp' ? SOCK_DGRAM : SOCK_STREAM, 0) or die "socket: $!\n";
    bind($socket, $name) or die "$kind $address:$port: $!\n";
    $kind eq 'udp' or listen($socket, BACKLOG) or die "listen $address:$port: $!\n";
    return $socket;
}

# One message of Node's channel: a JSON line, with the descriptor beside it. See sendmsg(2) and cmsg(3); all in 64 bit layout.
sub hand_over {
    my ($socket, $line) = @_;
    my $control = pack('Q i! i! i! x4', 20, SOL_SOCKET, SCM_RIGHTS, fileno $socket);
    my $vector = pack('P Q', $line, length $line);
    my $message = pack('Q L x4 P Q P Q i! x4', 0, 0, $vector, 1, $control, length $control, 0);
    syscall($sendmsg, fileno $channel, $message, 0) == length $line or die "sendmsg: $!\n";
}

# `ip route add local ADDRESS dev lo`: what the connector dials by address lands on its own listeners. See rtnetlink(7).
sub add_local_route {
    my ($address, $bits) = split m{/}, $_[0];
    my $family = $address =~ /:/ ? AF_INET6 : AF_INET;
    my $binary = inet_pton($family, $address) // die "not an address: $address\n";
    $bits //= 8 * length $binary;
    my ($new_route, $flags, $table_local, $by_boot, $scope_host, $type_local, $loopback) = (24, 0x605, 255, 3, 254, 2, 1);
    my $attributes = pack('S S a* S S i', 4 + length $binary, 1, $binary, 8, 4, $loopback);
    my $route = pack('C8 L', $family, $bits, 0, 0, $table_local, $by_boot, $scope_host, $type_local, 0) . $attributes;
    socket(my $netlink, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) or die "netlink: $!\n";
    send($netlink, pack('L S S L L', 16 + length $route, $new_route, $flags, 1, 0) . $route, 0) or die "netlink send: $!\n";
    sysread($netlink, my $answer, 4096) or die "netlink read: $!\n";
    my $error = -unpack('x16 i', $answer);
    if ($error) { local $! = $error; die "route $_[0]: $!\n"; }
}
