<?php

namespace Obtrace\Zero;

/** What outlives requests, in the file that those who send have locked: who we are, what was counted, what failed. */
final class State
{
    /** Advised bounds of `http.server.request.duration`, in seconds. */
    private const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
    /** Sets of attributes; with the other metrics they fit into one batch. */
    private const SETS = 400;
    private const OVERFLOW = '{"key":"otel.metric.overflow","value":{"boolValue":true}}';

    /** Attempts for the first batch that waits. */
    public int $attempts;
    /** Attempts that failed since the last that did not. */
    public int $failures;
    /** The receiver's address, as Post keeps it. */
    public array $peer;
    private string $id;
    private int $began;
    private int $reported;
    /** @var array<string, array{0: int, 1: float, 2: list<int>}> Count, sum and buckets by attributes. */
    private array $durations;
    /** @var array<string, int> By signal and reason. */
    private array $dropped;
    private int $memory;

    /** From the text that another process left; what is not ours begins anew. */
    public function __construct(private Request $request, string $text)
    {
        $from = json_decode($text, true, 8);
        $from = is_array($from) && ($from['version'] ?? '') === Request::VERSION ? $from : [];
        $this->id = (string) ($from['id'] ?? self::uuid());
        $this->began = (int) ($from['began'] ?? microtime(true) * 1e6);
        $this->reported = (int) ($from['reported'] ?? time());
        $this->durations = array_filter((array) ($from['durations'] ?? []), [self::class, 'isDuration']);
        $this->dropped = array_filter((array) ($from['dropped'] ?? []), 'is_int');
        $this->memory = (int) ($from['memory'] ?? 0);
        $this->attempts = (int) ($from['attempts'] ?? 0);
        $this->failures = (int) ($from['failures'] ?? 0);
        $peer = $from['peer'] ?? null;
        $isPeer = is_array($peer) && is_string($peer[0] ?? null) && is_string($peer[1] ?? null) && is_int($peer[2] ?? null);
        $this->peer = $isPeer ? $peer : [];
    }

    /** For the next process. */
    public function text(): string
    {
        return json_encode(['version' => Request::VERSION, 'id' => $this->id, 'began' => $this->began, 'reported' => $this->reported,
            'durations' => $this->durations, 'dropped' => $this->dropped, 'memory' => $this->memory, 'attempts' => $this->attempts,
            'failures' => $this->failures, 'peer' => $this->peer], Request::JSON);
    }

    /** Counts a request. */
    public function request(int $micros, int $memory, string $attributes): void
    {
        if (!isset($this->durations[$attributes])) {
            $attributes = count($this->durations) < self::SETS && is_array(json_decode("[$attributes]")) ? $attributes : self::OVERFLOW;
            $this->durations[$attributes] ??= [0, 0.0, array_fill(0, count(self::BOUNDS) + 1, 0)];
        }
        $seconds = $micros / 1e6;
        $bucket = 0;
        while ($bucket < count(self::BOUNDS) && $seconds > self::BOUNDS[$bucket]) {
            ++$bucket;
        }
        ++$this->durations[$attributes][0];
        $this->durations[$attributes][1] += $seconds;
        ++$this->durations[$attributes][2][$bucket];
        $this->memory = max($this->memory, $memory);
    }

    /** Counts what was dropped. */
    public function drop(string $signal, string $reason, int $count): void
    {
        $this->dropped["$signal $reason"] = ($this->dropped["$signal $reason"] ?? 0) + $count;
    }

    /** The metrics as JSON if they are due. */
    public function metrics(): array
    {
        $interval = max(1, (int) ($this->request->setting('OBTRACE_METRIC_INTERVAL') ?: 60));
        $now = time();
        if (!str_contains($this->request->setting('OBTRACE_SIGNALS') ?: 'metrics', 'metrics') || $now - $this->reported < $interval) {
            return [];
        }
        $this->reported = $now;
        $end = '"timeUnixNano":"' . Request::nanos(microtime(true)) . '"';
        $times = '"startTimeUnixNano":"' . $this->began . '000",' . $end;
        $durations = $drops = [];
        foreach ($this->durations as $attributes => [$count, $sum, $buckets]) {
            $durations[] = '{"attributes":[' . $attributes . '],' . $times . ',"count":"' . $count . '","sum":' . json_encode($sum)
                . ',"bucketCounts":["' . implode('","', $buckets) . '"],"explicitBounds":' . json_encode(self::BOUNDS) . '}';
        }
        foreach ($this->dropped as $what => $count) {
            [$signal, $reason] = explode(' ', "$what ");
            $drops[] = '{"attributes":[' . Request::text('signal', $signal) . ',' . Request::text('reason', $reason) . '],' . $times
                . ',"asInt":"' . $count . '"}';
        }
        $memory = ['{"attributes":[],' . $end . ',"asInt":"' . $this->memory . '"}'];
        $this->memory = 0;
        return array_merge(
            self::metric('http.server.request.duration', 's', 'histogram', '"aggregationTemporality":2,', $durations),
            self::metric('obtrace.loader.dropped', '{item}', 'sum', '"aggregationTemporality":2,"isMonotonic":true,', $drops),
            self::metric('php.request.memory.peak', 'By', 'gauge', '', $memory),
            self::metric('php.opcache.memory.usage', 'By', 'gauge', '', self::opcache($end)),
        );
    }

    /** A metric with its points, none without. */
    private static function metric(string $name, string $unit, string $form, string $more, array $points): array
    {
        return $points === [] ? [] : ['{"name":"' . $name . '","unit":"' . $unit . '","' . $form . '":{' . $more . '"dataPoints":['
            . implode(',', $points) . ']}}'];
    }

    /** What the cache of compiled scripts holds, where it may be asked. */
    private static function opcache(string $end): array
    {
        $status = function_exists('opcache_get_status') ? opcache_get_status(false) : false;
        $points = [];
        foreach (is_array($status) ? ['used', 'free', 'wasted'] : [] as $state) {
            $points[] = '{"attributes":[' . Request::text('state', $state) . '],' . $end . ',"asInt":"'
                . (int) ($status['memory_usage']["{$state}_memory"] ?? 0) . '"}';
        }
        return $points;
    }

    /** Attributes of the resource. The workers that share a queue are one instance; which of them it was is not said. */
    public function resource(): string
    {
        $own = [
            'service.instance.id' => $this->id,
            'host.name' => (string) gethostname(),
            'process.runtime.name' => PHP_SAPI,
            'process.runtime.version' => PHP_VERSION,
            'telemetry.sdk.language' => 'php',
            'telemetry.sdk.name' => 'obtrace',
            'telemetry.sdk.version' => Request::VERSION,
            'telemetry.distro.name' => 'obtrace-zero',
            'telemetry.distro.version' => Request::VERSION,
        ];
        $pairs = [];
        foreach ($this->configured() + $own as $key => $value) {
            $pairs[] = '{"key":' . Request::json((string) $key) . ',"value":{"stringValue":' . Request::json($value) . '}}';
        }
        return implode(',', $pairs);
    }

    /** Attributes that variables say. */
    public function configured(): array
    {
        $further = [];
        foreach (explode(',', $this->request->setting('OTEL_RESOURCE_ATTRIBUTES')) as $pair) {
            [$key, $value] = array_map('trim', explode('=', $pair, 2) + [1 => '']);
            // What is not percent-encoded as it should be is nothing.
            if ($key !== '' && str_contains($pair, '=') && !preg_match('/%(?![0-9A-Fa-f]{2})/', $value)) {
                $further[$key] = rawurldecode($value);
            }
        }
        $named = [
            'service.name' => $this->request->setting('OBTRACE_SERVICE_NAME') ?: $this->request->setting('OTEL_SERVICE_NAME'),
            'deployment.environment.name' => $this->request->setting('OBTRACE_ENVIRONMENT'),
            'k8s.pod.name' => $this->request->setting('OBTRACE_POD_NAME'),
            'k8s.namespace.name' => $this->request->setting('OBTRACE_POD_NAMESPACE'),
            'k8s.node.name' => $this->request->setting('OBTRACE_NODE_NAME'),
        ];
        return array_filter($named, static fn (string $value): bool => $value !== '') + $further + ['service.name' => 'unknown_service:php'];
    }

    private static function isDuration(mixed $it): bool
    {
        return is_array($it) && is_int($it[0] ?? null) && is_numeric($it[1] ?? null) && is_array($it[2] ?? null)
            && count(array_filter($it[2], 'is_int')) === count(self::BOUNDS) + 1;
    }

    /** A random UUID, version 4. */
    private static function uuid(): string
    {
        $bytes = random_bytes(16);
        $bytes[6] = chr(ord($bytes[6]) & 0x0f | 0x40);
        $bytes[8] = chr(ord($bytes[8]) & 0x3f | 0x80);
        return vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex($bytes), 4));
    }
}
