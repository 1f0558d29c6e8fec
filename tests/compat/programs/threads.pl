# Interpreter threads, a shared variable with its condition, a queue and a child.
use strict; use warnings;
use threads; use threads::shared; use Thread::Queue;
my $total :shared = 0;
my $queue = Thread::Queue->new;
my @workers = map { threads->create(sub {
  while (defined(my $n = $queue->dequeue)) { select undef, undef, undef, 0.001; lock $total; $total += $n; }
  return threads->tid;
}) } 1 .. 6;
$queue->enqueue(1 .. 120);
$queue->end;
print join(' ', map { $_->join } @workers), "\n", "total $total\n";
my $turn :shared = 0;
my @said :shared;
my @players = map { my $me = $_; threads->create(sub {
  for (1 .. 3) { lock $turn; cond_wait $turn until $turn % 3 == $me; push @said, $me; $turn++; cond_broadcast $turn; }
}) } 0 .. 2;
$_->join for @players;
print "@said\n", `echo from a child`;
