# A connector that tries what the sandbox must refuse, for `bulkhead doctor`. Writes a line an attempt: NAME<tab>held|broken<tab>DETAIL.
# Perl without modules, as in namespace-helper/prelude.pl: it reaches system calls, and it is there.
use strict;
$| = 1;

my ($unshare, $ptrace) = split ' ', $ENV{PROBE_CALLS};
my $new_user_namespace = 0x10000000;
my %proxy = split /[ =]/, $ENV{PROBE_NAMESPACES};
my ($inet, $unix, $vsock, $stream, $raw, $icmp) = (2, 1, 40, 1, 3, 1);

refuses('metadata service', sub { dial('169.254.169.254', 80) });
refuses('host loopback', sub { dial('127.0.0.1', $ENV{PROBE_PORT}) });
refuses('abstract sockets', sub { socket(my $s, $unix, $stream, 0); connect($s, pack('S a*', $unix, "\0$ENV{PROBE_ABSTRACT}")) });
refuses('raw sockets', sub { socket(my $s, $inet, $raw, $icmp) });
refuses('vsock', sub { socket(my $s, $vsock, $stream, 0) });
refuses('write to /usr', sub { open(my $f, '>', '/usr/bulkhead-probe') });
refuses('write to own code', sub { open(my $f, '>', '/app/bulkhead-probe') });
refuses('other connectors’ files', sub { open(my $f, '<', "$ENV{PROBE_NEIGHBOUR}/secret") });
refuses('machine settings', sub { open(my $f, '>', '/proc/sys/kernel/core_pattern') });
tells('environment of the proxy', $_ eq '', $_ || 'empty') for join ' ', grep { !/^NODE_CHANNEL_/ } split /\0/, slurp('/proc/1/environ');
refuses('new user namespaces', sub { syscall($unshare, $new_user_namespace) == 0 });
refuses('ptrace', sub { syscall($ptrace, 0, 0, 0, 0) == 0 });
my $status = slurp('/proc/self/status');
my @capabilities = grep { !/\t0+$/ } $status =~ /^(Cap(?:Inh|Prm|Eff|Bnd|Amb):\t\w+)$/mg;
tells('capabilities', !@capabilities, @capabilities ? join(' ', map { s/\t//r } @capabilities) : 'none');
tells('no new privileges', $status =~ /^NoNewPrivs:\t1$/m, 'setuid programs gain nothing');
my @shared = grep { readlink("/proc/self/ns/$_") eq $proxy{$_} } sort keys %proxy;
tells('namespaces of its own', !@shared, @shared ? "shares @shared with the proxy" : 'none is shared with the proxy');
my @held = foreign_descriptors();
tells('descriptors of the proxy', !@held, @held ? "holds @held" : 'none but stdio');
my ($filter) = $status =~ /^Seccomp:\t(\d)$/m;
tells('system call filter', $filter == 2, $filter == 2 ? 'in force' : 'there is none');
fill_disk();
fork_much() if $ENV{PROBE_FORKS};
tells('network rules', dial('127.0.0.1', 443), 'a listener inside reaches the proxy') if $ENV{PROBE_LISTENER};
if ($ENV{PROBE_MEMORY}) {
    print "memory\ttried\t\n";
    my @held;
    # Written, not only reserved; a look from outside takes its time.
    for (1 .. $ENV{PROBE_MEMORY}) { push @held, 'x' x (1 << 20); }
    select undef, undef, undef, 3;
    tells('memory', 0, "took $ENV{PROBE_MEMORY} MiB");
}

sub tells {
    my ($name, $is_held, $detail) = @_;
    print join("\t", $name, $is_held ? 'held' : 'broken', $detail), "\n";
}

sub refuses {
    my ($name, $act) = @_;
    my $succeeded = $act->();
    tells($name, !$succeeded, $succeeded ? 'succeeded' : "$!");
}

sub dial {
    my ($address, $port) = @_;
    socket(my $socket, $inet, $stream, 0) or return 0;
    # Interrupts a connection that hangs; with isolation it fails at once.
    local $SIG{ALRM} = sub { };
    alarm 2;
    my $connected = connect($socket, pack('S n C4 x8', $inet, $port, split /\./, $address));
    alarm 0;
    return $connected;
}

sub slurp {
    open(my $file, '<', $_[0]) or return "unreadable: $!";
    local $/;
    return scalar <$file> // '';
}

# Those above stdio, but for the folder that is being listed, and for what the runner has covered with /dev/null.
sub foreign_descriptors {
    opendir(my $folder, '/proc/self/fd') or return "unreadable: $!";
    my @numbers = grep { /^\d+$/ && $_ > 2 && $_ != fileno $folder } readdir $folder;
    return grep { (readlink("/proc/self/fd/$_") // '') ne '/dev/null' } @numbers;
}

sub fill_disk {
    open(my $file, '>', '/tmp/fill') or return tells('size of /tmp', 0, "$!");
    my $written = 0;
    while ($written < 4) { last unless defined syswrite($file, 'x' x (1 << 20)) and $written++ >= 0; }
    tells('size of /tmp', $written < 4, $written < 4 ? "$!" : "wrote $written MiB");
    unlink '/tmp/fill';
}

sub fork_much {
    my ($count, $reason) = (0, '');
    my @children;
    while ($count < 64) {
        my $pid = fork;
        if (!defined $pid) { $reason = "$!"; last; }
        if ($pid == 0) { sleep 10; exit; }
        push @children, $pid;
        $count++;
    }
    kill 'KILL', @children;
    waitpid($_, 0) for @children;
    tells('number of processes', $reason ne '', $reason ? "$reason after $count" : "$count processes");
}
