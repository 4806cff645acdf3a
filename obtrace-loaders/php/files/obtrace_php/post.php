<?php

namespace Obtrace\Zero;

/** A POST straight to a host: no proxy, no redirect, no default of PHP's contexts. */
final class Post
{
    private const LARGEST_ANSWER = 65_536;

    /** Seconds for which an address is remembered: PHP looks names up without any bound in time. */
    private const MEMORY = 60;

    /**
     * Sends a body; the status, or 0 without an answer, and the seconds of `Retry-After`.
     *
     * `$peer` is the authority of the last URL, the address that answered for it, and until when it is to be believed.
     */
    public static function send(Request $request, string $url, string $body, float $deadline, array &$peer): array
    {
        [$name, $address, $until] = $peer + ['', '', 0];
        $peer = [];
        $parts = parse_url($url);
        $host = (string) ($parts['host'] ?? '');
        $isTls = strtolower((string) ($parts['scheme'] ?? '')) === 'https';
        $port = $parts['port'] ?? ($isTls ? 443 : 80);
        $left = $deadline - microtime(true);
        if ($host === '' || $left <= 0) {
            return [0, 0];
        }
        $tls = ['peer_name' => trim($host, '[]'), 'SNI_enabled' => true];
        // OpenSSL reads this variable itself where FPM has not taken it away.
        $authorities = $isTls && !ini_get('openssl.cafile') ? $request->setting('SSL_CERT_FILE') : '';
        $context = stream_context_create(['ssl' => $authorities === '' ? $tls : $tls + ['cafile' => $authorities]]);
        // An address needs no look-up; the certificate is the name's all the same.
        $isKnown = $name === "$host:$port" && $until > time() && $until <= time() + self::MEMORY;
        $socket = stream_socket_client(($isTls ? 'tls' : 'tcp') . '://' . ($isKnown ? $address : "$host:$port"), $number, $why, $left, STREAM_CLIENT_CONNECT, $context);
        if ($socket === false) {
            return [0, 0];
        }
        stream_set_blocking($socket, false);
        // A Secret made from a file ends in a line feed; one within the key would be a header of its own.
        $key = trim($request->setting('OBTRACE_API_KEY'));
        $key = $key === '' || preg_match('~[\x00-\x1f\x7f]~', $key) === 1 ? '' : "X-API-Key: $key\r\n";
        $text = 'POST ' . ($parts['path'] ?? '/') . " HTTP/1.1\r\nHost: $host" . (isset($parts['port']) ? ":$port" : '') . "\r\n"
            . "Content-Type: application/json\r\nContent-Length: " . strlen($body) . "\r\n$key"
            . "X-Obtrace-Source: zero-agent-php\r\nUser-Agent: obtrace-zero-php/" . Request::VERSION . "\r\nConnection: close\r\n\r\n$body";
        $address = (string) stream_socket_get_name($socket, true);
        $answer = self::write($socket, $text, $deadline) ? self::read($socket, $deadline) : '';
        fclose($socket);
        if (!preg_match('~^HTTP/1\.[01] (\d{3})[ \r]~', $answer, $status)) {
            return [0, 0];
        }
        $peer = ["$host:$port", $address, $isKnown ? $until : time() + self::MEMORY];
        $head = substr($answer, 0, strpos($answer, "\r\n\r\n") ?: null);
        return [(int) $status[1], preg_match('~\r\nRetry-After: *(\d{1,3})\r?$~im', $head, $after) ? (int) $after[1] : 0];
    }

    private static function write($socket, string $text, float $deadline): bool
    {
        for ($at = 0; $at < strlen($text); $at += $written) {
            if (!self::wait(null, $socket, $deadline)) {
                return false;
            }
            $written = fwrite($socket, substr($text, $at, 65_536));
            if ($written === false || ($written === 0 && feof($socket))) {
                return false;
            }
        }
        return true;
    }

    /** The answer to its end, as far as it is worth reading. */
    private static function read($socket, float $deadline): string
    {
        $answer = '';
        while (strlen($answer) < self::LARGEST_ANSWER && !feof($socket)) {
            if (self::isWhole($answer) || !self::wait($socket, null, $deadline)) {
                break;
            }
            $answer .= (string) fread($socket, 8192);
        }
        return $answer;
    }

    private static function isWhole(string $answer): bool
    {
        $end = strpos($answer, "\r\n\r\n");
        return $end !== false && preg_match('~\r\nContent-Length: *(\d+)~i', substr($answer, 0, $end), $length)
            && strlen($answer) >= $end + 4 + (int) $length[1];
    }

    /** Waits until one of the two can go on. */
    private static function wait($read, $write, float $deadline): bool
    {
        $left = max(0, (int) (($deadline - microtime(true)) * 1e6));
        [$reading, $writing, $none] = [$read === null ? null : [$read], $write === null ? null : [$write], null];
        return stream_select($reading, $writing, $none, intdiv($left, 1_000_000), $left % 1_000_000) === 1;
    }
}
