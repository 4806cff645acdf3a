<?php

namespace Obtrace\Zero;

// This file is on the path of every request, and PHP begins each one anew: no value is worked out yet, no name looked up. What
// only some requests need is in the files beside it. Names without `use` would be looked for in our namespace first.
use const E_COMPILE_ERROR, E_CORE_ERROR, E_ERROR, E_PARSE, E_RECOVERABLE_ERROR, E_USER_ERROR, JSON_INVALID_UTF8_SUBSTITUTE, JSON_UNESCAPED_SLASHES,
    JSON_UNESCAPED_UNICODE, PHP_SAPI, PHP_URL_PATH;
use function bin2hex, ceil, class_exists, error_get_last, extension_loaded, get_cfg_var, header_register_callback, hexdec, http_response_code, ini_get,
    ini_set, is_numeric, json_encode, memory_get_peak_usage, memory_get_usage, microtime, parse_url, preg_match, random_bytes, register_shutdown_function,
    restore_error_handler, rtrim, set_error_handler, spl_autoload_functions, str_contains, str_ends_with, strcasecmp, strcspn, stream_context_set_default,
    strlen, strncasecmp, strrpos, strspn, substr, trim;

/** The request that is being served: when it began, which trace it belongs to, and the line that it leaves in the queue. */
final class Request
{
    public const VERSION = '0.1.0';
    /** Flags for everything that becomes JSON. */
    public const JSON = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE;
    /** Errors that end a request. */
    public const FATAL = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;
    /** Text that a JSON string holds as it is. */
    private const PLAIN = '~^[ !#-\[\]-\x7e]{0,4096}$~D';

    /** Where it is kept until all is over; null: we stand aside. */
    public static ?self $current = null;

    public string $trace;
    public string $span;
    public string $parent = '';
    public string $state = '';
    public bool $sampled;
    /** Where the items go. */
    public string $url = '';
    private float $began;
    private string $signals;
    private bool $traced;
    private bool $over = true;
    /** Whether the queue is to be sent. */
    private bool $due = false;

    /** @param array $server `$_SERVER` as it came: applications change theirs. */
    public function __construct(public array $server)
    {
    }

    /** Begins, or stands aside. */
    public static function begin(): void
    {
        $request = new self($_SERVER);
        $why = $request->obstacle($_SERVER);
        if ($why === null) {
            self::$current = $request;
            $request->start($_SERVER);
        } else {
            $request->debug("stands aside: $why");
        }
    }

    /**
     * A variable of the contract: of the server (FPM's has those of the pool, Apache's those of SetEnv), else of the process, whose
     * workers may not have it any more. The ini file then does.
     */
    public function setting(string $name): string
    {
        $value = $this->server[$name] ?? '';
        return (string) ($value !== '' ? $value : get_cfg_var($name));
    }

    /** Whether a variable such as `OBTRACE_DISABLED` is on. */
    public function on(string $name): bool
    {
        $value = $this->setting($name);
        return $value !== '' && $value !== '0' && strcasecmp($value, 'false') !== 0;
    }

    /** Why nothing is done, or null. */
    private function obstacle(array $server): ?string
    {
        if ($this->on('OBTRACE_DISABLED')) {
            return 'OBTRACE_DISABLED';
        }
        $url = rtrim($this->setting('OBTRACE_INGEST_URL'), '/');
        if (strncasecmp($url, 'http://', 7) !== 0 && strncasecmp($url, 'https://', 8) !== 0) {
            return 'OBTRACE_INGEST_URL is no URL';
        }
        $isServer = match (PHP_SAPI) {
            'fpm-fcgi', 'apache2handler', 'cli-server', 'cgi-fcgi', 'litespeed' => isset($server['REQUEST_METHOD']), default => false,
        };
        if (!$isServer) {
            return 'not a server that runs a script once a request: ' . PHP_SAPI;
        }
        // One by one: opcache knows the answers beforehand where no extension can come later (enable_dl).
        $agent = match (true) {
            extension_loaded('opentelemetry') => 'opentelemetry', extension_loaded('ddtrace') => 'ddtrace',
            extension_loaded('newrelic') => 'newrelic', extension_loaded('elastic_apm') => 'elastic_apm',
            extension_loaded('appdynamics_agent') => 'appdynamics_agent', extension_loaded('instana') => 'instana',
            extension_loaded('skywalking_agent') => 'skywalking_agent', extension_loaded('oneagent') => 'oneagent', default => null,
        };
        if ($agent !== null) {
            return "the extension $agent is loaded";
        }
        if ($this->on('OTEL_PHP_AUTOLOAD_ENABLED')) {
            return 'OTEL_PHP_AUTOLOAD_ENABLED';
        }
        $this->url = $url;
        return null;
    }

    /** Takes or makes the trace, and asks to be told of the request's end. */
    private function start(array $server): void
    {
        $this->began = (float) ($server['REQUEST_TIME_FLOAT'] ?? microtime(true));
        $signals = $this->setting('OBTRACE_SIGNALS');
        $traced = $this->setting('OBTRACE_TRACED');
        $this->signals = $signals;
        $this->traced = ($traced === '' || str_contains($traced, 'server')) && ($signals === '' || str_contains($signals, 'traces'));
        $random = bin2hex(random_bytes(24));
        $span = substr($random, 32);
        $this->span = $span === '0000000000000000' ? '0000000000000001' : $span;
        $context = isset($server['HTTP_TRACEPARENT']) ? self::context((string) $server['HTTP_TRACEPARENT']) : null;
        if ($context !== null) {
            [$this->trace, $this->parent, $this->sampled] = $context;
            $state = (string) ($server['HTTP_TRACESTATE'] ?? '');
            $this->state = strlen($state) <= 512 ? $state : '';
        } else {
            $this->trace = substr($random, 0, 32);
            $ratio = $this->setting('OBTRACE_TRACE_SAMPLE_RATIO');
            $this->sampled = $ratio === '' || self::sampled($this->trace, $ratio);
        }
        $header = "traceparent: 00-$this->trace-$this->span" . ($this->sampled ? '-01' : '-00');
        // What fopen and its like send where the application gives no context of its own.
        stream_context_set_default(['http' => ['header' => $this->state === '' ? [$header] : [$header, "tracestate: $this->state"]]]);
        $this->over = false;
        register_shutdown_function([$this, 'end']);
        // An application that has a callback of its own takes this one's place.
        header_register_callback([$this, 'headers']);
    }

    /**
     * What a `traceparent` header says: trace, parent, sampled; null if it is not valid.
     *
     * W3C Trace Context, section 3.2; a version to come may be longer.
     */
    public static function context(string $header): ?array
    {
        $header = trim($header, " \t");
        $trace = substr($header, 3, 32);
        $parent = substr($header, 36, 16);
        $flags = substr($header, 53, 2);
        $version = substr($header, 0, 2);
        $digits = $version . $trace . $parent . $flags;
        if (strlen($digits) !== 52 || preg_match('~^[0-9a-f]+$~D', $digits) !== 1 || $version === 'ff'
            || $header[2] !== '-' || $header[35] !== '-' || $header[52] !== '-'
            || strspn($trace, '0') === 32 || strspn($parent, '0') === 16
            || (strlen($header) > 55 && ($version === '00' || $header[55] !== '-'))) {
            return null;
        }
        return [$trace, $parent, (hexdec($flags) & 1) === 1];
    }

    /** Whether a trace that begins here is kept. */
    public static function sampled(string $trace, string $ratio): bool
    {
        $ratio = is_numeric($ratio) ? (float) $ratio : 1.0;
        // Beyond 53 bits a comparison with a float would round.
        return $ratio >= 1.0 || ($ratio > 0.0 && hexdec(substr($trace, 18)) < (int) ceil($ratio * 2 ** 56));
    }

    /** While headers are sent, Symfony's request can still be seen. */
    public function headers(): void
    {
        if (class_exists('Symfony\Component\HttpFoundation\Request', false) && !class_exists('Illuminate\Container\Container', false)) {
            $this->quietly(static function (): void {
                include_once __DIR__ . '/route.php';
                Route::watch();
            });
        }
    }

    /** Does something that the application must not notice: its handler of errors hears nothing of it, nor does error_get_last(). */
    public function quietly(callable $work): void
    {
        try {
            set_error_handler([$this, 'ignore']);
            try {
                $work();
            } finally {
                restore_error_handler();
            }
        } catch (\Throwable $failure) {
            $this->debug($failure->getMessage());
        }
    }

    /** @return true */
    public function ignore(): bool
    {
        return true;
    }

    /** The first of the shutdown functions makes itself the last. */
    public function end(): void
    {
        register_shutdown_function([$this, 'record']);
    }

    /** After the shutdown functions, unless the request failed; and where one of them left by `exit`. */
    public function __destruct()
    {
        if (!$this->over) {
            $this->record();
        }
        if ($this->due) {
            $this->send();
        }
    }

    /** Writes down what the request was. */
    public function record(): void
    {
        if ($this->over) {
            return;
        }
        $this->over = true;
        $failed = error_get_last();
        if ($failed !== null && ($failed['type'] & self::FATAL) === 0) {
            $failed = null;
        }
        // As quietly() has it: this is on every request's path.
        try {
            set_error_handler([$this, 'ignore']);
            try {
                if (self::hasRoom(262_144) && !class_exists('OpenTelemetry\SDK\Trace\TracerProvider', false)) {
                    $ended = microtime(true);
                    $this->due = Queue::add($this, $this->line($this->server, $failed, $ended), (int) $ended);
                }
            } finally {
                restore_error_handler();
            }
        } catch (\Throwable $failure) {
            $this->debug($failure->getMessage());
        }
        if ($failed !== null && $this->due) {
            // No destructor runs any more.
            $this->send();
        }
    }

    /** Whether so many bytes may be had: to run out of memory here would be our failure, in the application's answer. */
    public static function hasRoom(int $bytes): bool
    {
        $limit = ini_get('memory_limit');
        $most = (int) $limit * match (substr($limit, -1)) {
            'M', 'm' => 1_048_576, 'K', 'k' => 1024, 'G', 'g' => 1_073_741_824, default => 1,
        };
        // Memory is taken in pieces of 2 MiB.
        $wanted = memory_get_usage(true) + $bytes + 2_097_152;
        return $most <= 0 || $wanted <= $most || ini_set('memory_limit', (string) $wanted) !== false;
    }

    /** A line of the queue: duration in microseconds, memory, attributes of metric and span, the span but for these, log records. */
    private function line(array $server, ?array $failed, float $ended): string
    {
        $began = $this->began < $ended ? $this->began : $ended;
        $status = http_response_code() ?: 200;
        $method = (string) $server['REQUEST_METHOD'];
        $known = match ($method) {
            'GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS', 'CONNECT', 'TRACE', 'QUERY' => $method, default => '_OTHER',
        };
        $path = (string) ($server['REQUEST_URI'] ?? '/');
        $path = substr($path, 0, strcspn($path, '?#'));
        if ($path !== '' && $path[0] !== '/') {
            $path = (string) (parse_url($path, PHP_URL_PATH) ?: '/');
        }
        [$route, $thrown] = $this->route($server, $path);
        $kind = $status >= 500 ? (string) $status : null;
        $records = $events = '';
        if ($failed !== null || $thrown !== null) {
            include_once __DIR__ . '/failure.php';
            [$kind, $events, $records] = Failure::describe($this, $failed, $thrown, self::nanos($ended));
        }
        // Strings with variables in them are made in one go; a chain of dots makes one more at each.
        [$httpRoute, $target] = ['', ''];
        if ($route !== '') {
            $route = self::within($route);
            [$httpRoute, $target] = [",{\"key\":\"http.route\",\"value\":{\"stringValue\":\"$route\"}}", " $route"];
        }
        $scheme = $server['REQUEST_SCHEME'] ?? 'http';
        $https = $server['HTTPS'] ?? '';
        if ($scheme !== 'https') {
            $scheme = $https === '' || strcasecmp((string) $https, 'off') === 0 ? 'http' : 'https';
        }
        $protocol = match ($server['SERVER_PROTOCOL'] ?? '') {
            'HTTP/1.1' => ',{"key":"network.protocol.version","value":{"stringValue":"1.1"}}',
            'HTTP/1.0' => ',{"key":"network.protocol.version","value":{"stringValue":"1.0"}}',
            'HTTP/2.0' => ',{"key":"network.protocol.version","value":{"stringValue":"2"}}',
            'HTTP/3.0' => ',{"key":"network.protocol.version","value":{"stringValue":"3"}}',
            default => '',
        };
        $error = $kind === null ? '' : ',' . self::text('error.type', $kind);
        $shared = "{\"key\":\"http.request.method\",\"value\":{\"stringValue\":\"$known\"}},{\"key\":\"url.scheme\",\"value\":{\"stringValue\":\"$scheme\"}},"
            . "{\"key\":\"http.response.status_code\",\"value\":{\"intValue\":\"$status\"}}$httpRoute$protocol$error";
        $span = '';
        if ($this->sampled && $this->traced) {
            $name = $known === '_OTHER' ? 'HTTP' : $known;
            $original = $known === '_OTHER' ? self::text('http.request.method_original', $method) . ',' : '';
            $links = ($this->parent === '' ? '' : ",\"parentSpanId\":\"$this->parent\"")
                . ($this->state === '' ? '' : ',"traceState":' . self::json($this->state));
            $events = $events === '' ? '' : "\"events\":[$events],";
            $code = $kind === null ? '' : '"code":2';
            $micros = (int) ($ended * 1e6);
            $from = (int) ($began * 1e6);
            $attributes = self::attributes($server, $path);
            $span = "{\"traceId\":\"$this->trace\",\"spanId\":\"$this->span\"$links,\"flags\":1,\"name\":\"$name$target\",\"kind\":2,\"startTimeUnixNano\":\"{$from}000\","
                . "\"endTimeUnixNano\":\"{$micros}000\",\"status\":{{$code}},$events\"attributes\":[$attributes$original";
        }
        if ($records !== '' && $this->signals !== '' && !str_contains($this->signals, 'logs')) {
            $records = '';
        }
        $duration = (int) (($ended - $began) * 1e6);
        $memory = memory_get_peak_usage();
        $line = "$duration\t$memory\t$shared\t$span\t$records";
        // Its length tells whoever reads it that it is whole.
        return strlen($line) . "\t$line\n";
    }

    /** Attributes that only spans have, each with a comma after it. */
    private static function attributes(array $server, string $path): string
    {
        $host = (string) ($server['HTTP_HOST'] ?? $server['SERVER_NAME'] ?? '');
        $port = (int) ($server['SERVER_PORT'] ?? 0);
        // `[::1]:8080` has colons of its own.
        $colon = strrpos($host, ':');
        if ($colon !== false && ($host[0] !== '[' || $host[$colon - 1] === ']')) {
            $port = (int) substr($host, $colon + 1);
            $host = substr($host, 0, $colon);
        }
        if ($host !== '' && $host[0] === '[') {
            $host = trim($host, '[]');
        }
        $client = (string) ($server['REMOTE_ADDR'] ?? '');
        $agent = (string) ($server['HTTP_USER_AGENT'] ?? '');
        // All at once, as nearly every request is plain.
        if (preg_match(self::PLAIN, "$path$host$client$agent") !== 1) {
            [$path, $host, $client, $agent] = [self::within($path), self::within($host), self::within($client), self::within($agent)];
        }
        $address = $host === '' ? '' : "{\"key\":\"server.address\",\"value\":{\"stringValue\":\"$host\"}},";
        $number = $port === 0 ? '' : "{\"key\":\"server.port\",\"value\":{\"intValue\":\"$port\"}},";
        $caller = $client === '' ? '' : "{\"key\":\"client.address\",\"value\":{\"stringValue\":\"$client\"}},";
        $program = $agent === '' ? '' : "{\"key\":\"user_agent.original\",\"value\":{\"stringValue\":\"$agent\"}},";
        return "{\"key\":\"url.path\",\"value\":{\"stringValue\":\"$path\"}},$address$number$caller$program";
    }

    /** The route, or an empty string; and what was thrown if the framework keeps it. */
    private function route(array $server, string $path): array
    {
        // Frameworks have an autoloader, but for WordPress.
        $isPlain = spl_autoload_functions() === [];
        $framework = match (true) {
            isset($GLOBALS['wp']) && $GLOBALS['wp'] instanceof \WP => 'wordpress',
            $isPlain => null,
            class_exists('Illuminate\Container\Container', false) => 'laravel',
            class_exists('Symfony\Component\HttpKernel\Kernel', false) => 'symfony',
            class_exists('Slim\App', false) => 'slim',
            default => null,
        };
        if ($framework !== null) {
            include_once __DIR__ . '/route.php';
            $found = Route::$framework($path);
            if ($found[0] !== '' || $found[1] !== null) {
                return $found;
            }
        }
        // A script that the server found by the path alone; there are as many as there are files.
        $script = (string) ($server['SCRIPT_NAME'] ?? '');
        $same = $path === $script || ($path !== '' && $path[-1] === '/' && $path . 'index.php' === $script);
        $isFile = $same && str_ends_with($script, '.php') && str_ends_with((string) ($server['SCRIPT_FILENAME'] ?? ''), $script);
        return [$isFile ? $path : '', null];
    }

    /** Sends what the queue holds, once the client has its answer. */
    private function send(): void
    {
        $this->due = false;
        $this->quietly(function (): void {
            include_once __DIR__ . '/send.php';
            Send::now($this);
        });
    }

    /** A line for those who set OBTRACE_DEBUG. */
    public function debug(string $line): void
    {
        try {
            if ($this->on('OBTRACE_DEBUG')) {
                include_once __DIR__ . '/debug.php';
                Debug::say($this, $line);
            }
        } catch (\Throwable) {
            // There is nobody left to tell.
        }
    }

    /** A JSON string of at most so many bytes. */
    public static function json(string $text, int $most = 4096): string
    {
        return json_encode(isset($text[$most]) ? substr($text, 0, $most) : $text, self::JSON);
    }

    /** A text as it is within the quotes of a JSON string. */
    private static function within(string $text): string
    {
        return preg_match(self::PLAIN, $text) === 1 ? $text : substr(self::json($text), 1, -1);
    }

    /** An attribute that is a string. */
    public static function text(string $key, string $value, int $most = 4096): string
    {
        return '{"key":"' . $key . '","value":{"stringValue":' . self::json($value, $most) . '}}';
    }

    /** Seconds as nanoseconds. */
    public static function nanos(float $seconds): string
    {
        return (int) ($seconds * 1e6) . '000';
    }
}

// Each of the two files says true once it is loaded to its end.
if ((include __DIR__ . '/queue.php') !== true) {
    return false;
}

Request::begin();

return true;
