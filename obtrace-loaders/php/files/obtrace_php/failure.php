<?php

namespace Obtrace\Zero;

/** What ended a request: a fatal error, an exception that nobody caught. */
final class Failure
{
    private const NAMES = [E_ERROR => 'E_ERROR', E_PARSE => 'E_PARSE', E_CORE_ERROR => 'E_CORE_ERROR', E_COMPILE_ERROR => 'E_COMPILE_ERROR',
        E_USER_ERROR => 'E_USER_ERROR', E_RECOVERABLE_ERROR => 'E_RECOVERABLE_ERROR'];

    /** `error.type`, the span's event and the log record, from what error_get_last() has or from what was thrown. */
    public static function describe(Request $request, ?array $error, ?\Throwable $thrown, string $nanos): array
    {
        [$kind, $message, $stack] = $thrown !== null
            ? [$thrown::class, $thrown->getMessage(), self::stack($thrown)]
            : self::parts($error);
        $attributes = Request::text('exception.type', $kind) . ',' . Request::text('exception.message', $message)
            . ($stack === '' ? '' : ',' . Request::text('exception.stacktrace', $stack, 16_384));
        $event = '{"timeUnixNano":"' . $nanos . '","name":"exception","attributes":[' . $attributes . ']}';
        $code = $error === null ? '' : ',' . Request::text('code.file.path', $error['file'])
            . ',{"key":"code.line.number","value":{"intValue":"' . $error['line'] . '"}}';
        $level = $error['type'] ?? E_ERROR;
        $record = '{"timeUnixNano":"' . $nanos . '","severityNumber":' . self::severity($level) . ',"severityText":"' . self::NAMES[$level] . '",'
            . '"body":{"stringValue":' . Request::json("$kind: $message", 16_384) . '},'
            . '"traceId":"' . $request->trace . '","spanId":"' . $request->span . '","flags":' . ($request->sampled ? 1 : 0) . ','
            . '"attributes":[' . $attributes . $code . ']}';
        return [$kind, $event, $record];
    }

    /** Type, message and stack of a fatal error; those of an exception are within its text. */
    private static function parts(array $error): array
    {
        $text = $error['message'];
        $kind = self::NAMES[$error['type']];
        if (!str_starts_with($text, 'Uncaught ')) {
            return [$kind, $text, ''];
        }
        // Uncaught RuntimeException: no stock in /app/a.php:3\nStack trace:\n#0 {main}\n  thrown
        $text = substr($text, 9);
        $stack = strpos($text, "\nStack trace:\n");
        $first = $stack === false ? $text : substr($text, 0, $stack);
        $rest = $stack === false ? '' : self::withoutArguments(substr($text, $stack + 14));
        $name = strcspn($first, ": \n");
        $kind = substr($first, 0, $name) ?: $kind;
        // Without a message the place follows the name.
        $message = substr($first, $name, 2) === ': ' ? substr($first, $name + 2) : '';
        $place = strrpos($message, ' in ' . $error['file'] . ':');
        return [$kind, $place === false ? $message : substr($message, 0, $place), $rest];
    }

    /** OpenTelemetry's severity number of a level of PHP's. */
    public static function severity(int $level): int
    {
        return match (true) {
            ($level & Request::FATAL) !== 0 => 17,
            ($level & (E_WARNING | E_CORE_WARNING | E_COMPILE_WARNING | E_USER_WARNING)) !== 0 => 13,
            default => 9,
        };
    }

    /** A stack as PHP wrote it, without what users sent. */
    private static function withoutArguments(string $stack): string
    {
        return (string) preg_replace(['/^(#\d+ (?:\[internal function\]|.*?\(\d+\)): [^(\n]+)\(.*\)$/m', '/\n  thrown$/'], ['$1()', ''], $stack);
    }

    /** The same from the exception itself. */
    private static function stack(\Throwable $thrown): string
    {
        $lines = [];
        foreach (array_slice($thrown->getTrace(), 0, 100) as $at => $frame) {
            $lines[] = "#$at " . ($frame['file'] ?? '[internal function]') . (isset($frame['line']) ? "({$frame['line']})" : '')
                . ': ' . ($frame['class'] ?? '') . ($frame['type'] ?? '') . $frame['function'] . '()';
        }
        return implode("\n", $lines);
    }
}
