<?php

namespace Obtrace\Zero;

use const FILE_APPEND, LOCK_NB, LOCK_SH, PHP_SAPI, STREAM_PF_UNIX, STREAM_SOCK_STREAM;
use function chmod, crc32, dechex, fclose, file_put_contents, fileowner, fileperms, filemtime, filetype, flock, fopen, fstat, function_exists, fwrite, posix_geteuid,
    stream_socket_pair, sys_get_temp_dir, touch, usleep;

/**
 * The lines that requests leave, in a file that the workers of a container share: PHP keeps nothing between two requests.
 *
 * The file is in a folder of our own that nobody else may enter. Its time of change says when the queue was sent last; one
 * that is ahead of the clock, that nothing is to be sent before.
 */
final class Queue
{
    /** A queue that is as large as this, some 500 requests, is sent before its time; one as large as MOST takes nothing more. */
    private const SOON = 393_216;
    private const MOST = 4_194_304;
    /** Seconds between two deliveries. */
    public const PERIOD = 2;
    /** A time that is further ahead is somebody's mistake. */
    public const LONGEST_PAUSE = 60;

    /** The folder's mode, and with the sticky bit, which says that the queue is full. */
    public const OPEN = 040700;
    private const FULL = 041700;

    /** The folder, once it is known. */
    public static string $folder = '';
    private static bool $isFull = false;
    /** What could not be queued because there is no folder. */
    public static string $alone = '';

    /** Adds a line; whether it is time to send. */
    public static function add(Request $request, string $line, int $now): bool
    {
        $changed = self::place($request);
        if ($changed === null) {
            // Nothing can be remembered here: not when we sent last, not that nobody listens. The client must not wait for that.
            self::$alone = self::isEarly() ? $line : '';
            return self::$alone !== '';
        }
        $folder = self::$folder;
        $file = fopen("$folder/queue", 'a');
        if ($file === false || (!flock($file, LOCK_SH | LOCK_NB) && !self::lock($file, LOCK_SH))) {
            return false;
        }
        // One request in sixteen asks for the size, and tells the others: the queue outgrows its bound by some lines.
        $isEarly = self::isEarly();
        $size = $isEarly && $request->span[0] !== '0' ? 1 : fstat($file)['size'];
        if (self::$isFull) {
            file_put_contents("$folder/dropped", "\n", FILE_APPEND);
        } else {
            fwrite($file, $line);
            if ($size > self::MOST) {
                chmod($folder, self::FULL & 07777);
            }
        }
        fclose($file);
        $age = $now - $changed;
        if (!$isEarly && $size === 0 && $age >= self::PERIOD) {
            // The client waits for what is sent: rather a queue of 2 s than each request that comes alone.
            touch($folder, $now);
            return false;
        }
        return $age >= self::PERIOD || ($size > self::SOON && $age >= 0) || $age < -self::LONGEST_PAUSE;
    }

    /** Whether the client can have its answer before we send. */
    public static function isEarly(): bool
    {
        return PHP_SAPI === 'fpm-fcgi' || PHP_SAPI === 'litespeed' || PHP_SAPI === 'cli-server';
    }

    /** Takes a lock without waiting for long. */
    public static function lock($file, int $kind): bool
    {
        for ($try = 0; $try < 40; ++$try) {
            if (flock($file, $kind | LOCK_NB)) {
                return true;
            }
            usleep(250);
        }
        return false;
    }

    /** Finds or makes the folder: when it changed, or null. Somebody else's is not ours, nor is a link. */
    public static function place(Request $request): ?int
    {
        $user = function_exists('posix_geteuid') ? posix_geteuid() : self::user();
        // The workers of one service share a queue; two services on one machine do not.
        $name = "/.obtrace-php-$user-" . dechex(crc32($request->url . "\n" . $request->setting('OBTRACE_SERVICE_NAME')
            . "\n" . $request->setting('OBTRACE_POD_NAME')));
        // Memory first: files in a container's temp dir go through the layers of its image.
        $folder = '/dev/shm' . $name;
        $changed = self::changed($folder, $user);
        if ($changed === null) {
            $folders = [$folder, sys_get_temp_dir() . $name];
            $folder = $folders[1];
            $changed = self::changed($folder, $user);
            if ($changed === null) {
                include_once __DIR__ . '/folder.php';
                return Folder::make($folders);
            }
        }
        self::$folder = $folder;
        return $changed;
    }

    /** When a folder that is ours changed, else null. */
    private static function changed(string $folder, int $user): ?int
    {
        // The first looks at a link itself, and what it saw is kept for the others.
        if (filetype($folder) !== 'dir' || fileowner($folder) !== $user) {
            return null;
        }
        $mode = fileperms($folder);
        self::$isFull = $mode === self::FULL;
        return $mode === self::OPEN || self::$isFull ? filemtime($folder) : null;
    }

    /** The user of this process where there is no extension posix: the owner of a socket of its own. */
    private static function user(): int
    {
        return fstat(stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0)[0])['uid'];
    }
}

return true;
