<?php
// Debian's PHP has no threads: children, their signals, and pipes between them.
$pairs = [];
foreach ([3, 1, 2] as $n) {
    $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    $child = pcntl_fork();
    if ($child == 0) {
        fwrite($pair[0], "child $n\n");
        exit($n);
    }
    fclose($pair[0]);
    $pairs[$child] = $pair[1];
}
foreach ($pairs as $child => $end) {
    echo fgets($end);
    pcntl_waitpid($child, $status);
    echo 'status ', pcntl_wexitstatus($status), "\n";
}
pcntl_async_signals(true);
$seen = 0;
pcntl_signal(SIGUSR1, function () use (&$seen) { $seen++; });
posix_kill(getmypid(), SIGUSR1);
echo "signals $seen\n", shell_exec('echo from a shell');
usleep(1000);
$processes = array_map(fn($n) => popen("echo $n", 'r'), range(1, 3));
foreach ($processes as $process) {
    echo fgets($process);
    pclose($process);
}
