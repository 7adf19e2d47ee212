# The same as raw_client.py, in Perl, without modules that perl-base lacks; so it counts whole seconds.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
for my $target (@ARGV) {
  my ($host, $port, $count) = split /:/, $target;
  my $began = time;
  my $socket = IO::Socket::INET->new(PeerHost => $host, PeerPort => $port, Timeout => 20);
  my $greeting = $socket ? <$socket> : undef;
  my $told;
  if (defined $greeting) {
    chomp $greeting;
    print $socket "GIVE $count\n";
    local $/;
    my $rest = <$socket>;
    $told = sprintf '"ok":true,"body":"%s","status":%d', $greeting, length($rest // '');
  } else {
    my $error = ($socket ? $! : $@) || 'ended';
    $error =~ s/["\\\n]/ /g;
    $told = qq("ok":false,"error":"$error");
  }
  printf qq({"target":"%s",%s,"ms":%d}\n), $target, $told, 1000 * (time - $began);
}
