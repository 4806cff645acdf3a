<?php

namespace Obtrace\Zero;

/**
 * Takes what is in the queue and sends it. One process of a container does so at a time; what could not be delivered
 * waits in the file `pending` for the next one that does.
 */
final class Send
{
    private const BATCH = 500;
    /** Items of a signal that wait at most, and their bytes. */
    private const WAITING = 5_000;
    private const WAITING_BYTES = 8_388_608;
    /** Seconds that a worker spends on it at most; less where a client waits. */
    private const TIME = 2.0;
    private const TIME_AWAITED = 0.5;
    private const TIME_ALONE = 0.2;
    /** Seconds until the next attempt, by the number of those that failed. */
    private const PAUSES = [2, 4, 10];
    private const ATTEMPTS = 3;
    private const SIGNALS = ['traces' => ['resourceSpans', 'scopeSpans', 'spans'], 'logs' => ['resourceLogs', 'scopeLogs', 'logRecords'],
        'metrics' => ['resourceMetrics', 'scopeMetrics', 'metrics']];

    /** @var array<string, list<string>> Items as JSON, by signal. */
    private array $items = ['traces' => [], 'logs' => []];
    private array $bytes = ['traces' => 0, 'logs' => 0];

    private function __construct(private Request $request, private State $state, private float $deadline)
    {
    }

    /** Sends what is due. */
    public static function now(Request $request): void
    {
        if (!Request::hasRoom(16_777_216)) {
            return;
        }
        include_once __DIR__ . '/state.php';
        include_once __DIR__ . '/post.php';
        if (Queue::$folder === '') {
            self::early();
            $send = new self($request, new State($request, '{}'), microtime(true) + self::TIME_ALONE);
            $send->read(Queue::$alone);
            $send->deliver();
            return;
        }
        $file = fopen(Queue::$folder . '/sender', 'c+');
        clearstatcache(true, Queue::$folder);
        $age = time() - (int) filemtime(Queue::$folder);
        // Somebody else may have sent it in the meantime.
        if ($file === false || !flock($file, LOCK_EX | LOCK_NB) || ($age < 0 && $age >= -Queue::LONGEST_PAUSE)) {
            return;
        }
        touch(Queue::$folder);
        $isEarly = self::early();
        $send = new self($request, new State($request, (string) stream_get_contents($file)), microtime(true) + ($isEarly ? self::TIME : self::TIME_AWAITED));
        $send->load();
        $pause = $send->deliver();
        $send->keep();
        rewind($file);
        ftruncate($file, 0);
        fwrite($file, $send->state->text());
        // Other files that come and go have changed the folder's time as well.
        touch(Queue::$folder, time() + ($pause === 0 ? 0 : $pause - Queue::PERIOD));
        fclose($file);
    }

    /** Gives the client its answer before we take our time; whether that is possible. */
    private static function early(): bool
    {
        // PHP would write the session only after us, and the user's next request would wait for it.
        if (function_exists('session_status') && session_status() === PHP_SESSION_ACTIVE) {
            session_write_close();
        }
        if (function_exists('fastcgi_finish_request')) {
            return fastcgi_finish_request();
        }
        return function_exists('litespeed_finish_request') && litespeed_finish_request();
    }

    /** Reads what waits from before and what is new. */
    private function load(): void
    {
        $folder = Queue::$folder;
        if (is_file("$folder/pending")) {
            foreach (file("$folder/pending", FILE_IGNORE_NEW_LINES) ?: [] as $line) {
                $this->item($line[0] === 't' ? 'traces' : 'logs', substr($line, 1));
            }
            unlink("$folder/pending");
        }
        $this->read(self::taken("$folder/queue"));
        // It is not full any more.
        chmod($folder, Queue::OPEN & 07777);
        $lost = strlen(self::taken("$folder/dropped"));
        if ($lost > 0) {
            $this->state->drop('traces', 'queue_full', $lost);
        }
    }

    /** What is in a file, which is empty then. */
    private static function taken(string $name): string
    {
        $file = fopen($name, 'c+');
        if ($file === false || !Queue::lock($file, LOCK_EX)) {
            return '';
        }
        $text = (string) stream_get_contents($file);
        ftruncate($file, 0);
        fclose($file);
        return $text;
    }

    /** Reads lines of the queue; what was cut off (by a disk that is full) or is not ours is passed over. */
    private function read(string $text): void
    {
        foreach (explode("\n", $text) as $line) {
            $parts = explode("\t", $line);
            if (count($parts) !== 6 || (int) $parts[0] !== strlen($line) - strlen($parts[0]) - 1) {
                continue;
            }
            [, $duration, $memory, $shared, $span, $record] = $parts;
            $this->state->request((int) $duration, (int) $memory, $shared);
            if ($span !== '') {
                $this->item('traces', $span . $shared . ']}');
            }
            if ($record !== '') {
                $this->item('logs', $record);
            }
        }
    }

    /** Adds an item while there is room. */
    private function item(string $signal, string $json): void
    {
        $this->bytes[$signal] += strlen($json);
        if (count($this->items[$signal]) >= self::WAITING || $this->bytes[$signal] > self::WAITING_BYTES) {
            $this->state->drop($signal, 'queue_full', 1);
        } else {
            $this->items[$signal][] = $json;
        }
    }

    /** Sends all of it; seconds until the next attempt is due, or 0. */
    private function deliver(): int
    {
        foreach (['traces', 'logs'] as $signal) {
            $scope = '{"name":"obtrace.php.' . ($signal === 'traces' ? 'server' : 'error') . '","version":"' . Request::VERSION . '"}';
            while ($this->items[$signal] !== []) {
                $batch = array_slice($this->items[$signal], 0, self::BATCH);
                $pause = $this->post($signal, $batch, $scope);
                if ($pause > 0) {
                    return $pause;
                }
                $this->items[$signal] = array_slice($this->items[$signal], self::BATCH);
            }
        }
        $metrics = Queue::$folder === '' ? [] : $this->state->metrics();
        return $metrics === [] ? 0 : $this->post('metrics', $metrics, '{"name":"obtrace.php.server","version":"' . Request::VERSION . '"}');
    }

    /** Sends a batch; 0 if that is done with, else seconds until the next attempt. */
    private function post(string $signal, array $batch, string $scope): int
    {
        [$resources, $scopes, $items] = self::SIGNALS[$signal];
        $body = '{"' . $resources . '":[{"resource":{"attributes":[' . $this->state->resource() . ']},"' . $scopes . '":[{"scope":' . $scope
            . ',"' . $items . '":[' . implode(',', $batch) . ']}]}]}';
        [$status, $after] = Post::send($this->request, $this->request->url . "/otlp/v1/$signal", $body, $this->deadline, $this->state->peer);
        if ($status >= 200 && $status < 300) {
            $this->state->attempts = $this->state->failures = 0;
            return 0;
        }
        $whole = $status === 400 ? array_filter($batch, static fn (string $item): bool => is_array(json_decode($item, true, 32))) : [];
        if ($whole !== [] && count($whole) < count($batch)) {
            // Somebody else wrote into our queue; the rest shall not suffer for it.
            $this->state->drop($signal, 'rejected', count($batch) - count($whole));
            return $this->post($signal, $whole, $scope);
        }
        $again = $status === 0 || $status === 429 || ($status >= 502 && $status <= 504);
        if (!$again) {
            $this->request->debug("$signal were rejected with $status");
            $this->state->drop($signal, 'rejected', count($batch));
            return 0;
        }
        ++$this->state->failures;
        $pause = min(30, max($after, self::PAUSES[min($this->state->failures, count(self::PAUSES)) - 1]));
        $this->request->debug($status === 0 ? 'nobody takes what is sent' : "$signal are to be sent later: $status");
        // Metrics are cumulative: their next report says it all.
        if ($signal !== 'metrics' && ++$this->state->attempts >= self::ATTEMPTS) {
            $this->state->attempts = 0;
            $this->state->drop($signal, 'send_failed', count($batch));
            $this->items[$signal] = array_slice($this->items[$signal], count($batch));
        }
        return $pause;
    }

    /** Keeps what could not be delivered. */
    private function keep(): void
    {
        $text = '';
        foreach ($this->items as $signal => $items) {
            foreach ($items as $item) {
                $text .= $signal[0] . $item . "\n";
            }
        }
        if ($text !== '') {
            file_put_contents(Queue::$folder . '/pending', $text);
        }
    }
}
