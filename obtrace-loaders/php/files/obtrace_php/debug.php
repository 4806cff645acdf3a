<?php

namespace Obtrace\Zero;

/** Lines for those who set OBTRACE_DEBUG, on standard error; each is said once by the workers of a master process. */
final class Debug
{
    private const MOST = 65_536;

    /** Says a line. */
    public static function say(Request $request, string $line): void
    {
        if (self::isNew($request, $line)) {
            @file_put_contents('php://stderr', "[obtrace] $line\n");
        }
    }

    /** Whether the line was not said before; it is remembered beside the queue. */
    private static function isNew(Request $request, string $line): bool
    {
        $master = function_exists('posix_getppid') && PHP_SAPI !== 'cli-server' ? posix_getppid() : getmypid();
        $line = crc32("$master $line") . "\n";
        $file = Queue::place($request) === null ? false : @fopen(Queue::$folder . '/said', 'a+');
        if ($file === false || !Queue::lock($file, LOCK_EX)) {
            return true;
        }
        rewind($file);
        $said = (string) stream_get_contents($file, self::MOST);
        $isNew = !str_contains("\n$said", "\n$line");
        if ($isNew && strlen($said) < self::MOST) {
            fwrite($file, $line);
        }
        fclose($file);
        return $isNew;
    }
}
