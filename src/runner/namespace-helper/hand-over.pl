# What programs that pass descriptors to Node have in common: prelude.pl, before which it is put, and spawner.pl, which requires it.

# A line of Node's channel with a descriptor beside it: msghdr and cmsghdr of sendmsg(2) and cmsg(3), in their 64 bit layout.
sub hand_over {
    my ($sendmsg, $channel, $socket, $message) = @_;
    my $line = "$message\n";
    my ($control_length, $sol_socket, $scm_rights) = (20, 1, 1);
    my $control = pack('Q i i i x4', $control_length, $sol_socket, $scm_rights, fileno $socket);
    my $vector = pack('P Q', $line, length $line);
    my $header = pack('Q L x4 P Q P Q i x4', 0, 0, $vector, 1, $control, length $control, 0);
    syscall($sendmsg, fileno $channel, $header, 0) == length $line or die "sendmsg: $!\n";
}

1;
