<?php

namespace Obtrace\Zero;

/**
 * Which route a framework took, as far as its own objects still say so when the request ends. Nothing is loaded for it:
 * what is not there by then has served no request.
 *
 * Each function gives the route, or an empty string, and what was thrown where the framework kept it.
 */
final class Route
{
    /** What was seen while headers were sent. */
    private static ?string $seen = null;

    /** Laravel and Lumen: the request that the container holds knows its route. */
    public static function laravel(string $path): array
    {
        $container = \Illuminate\Container\Container::getInstance();
        $request = $container->resolved('request') ? $container->make('request') : null;
        $route = $request?->route();
        $pattern = '';
        if (is_object($route)) {
            $pattern = '/' . ltrim($route->uri(), '/');
        } elseif (is_array($route)) {
            $pattern = self::lumen($container, $route, $request->method());
        }
        // index.php leaves the answer in a global variable up to Laravel 10.
        $thrown = $GLOBALS['response']->exception ?? null;
        return [$pattern, $thrown instanceof \Throwable ? $thrown : null];
    }

    /** Lumen's route is [found, action, parameters]; the pattern is the key of its router's table. */
    private static function lumen(object $container, array $route, string $method): string
    {
        $routes = isset($container->router) ? $container->router->getRoutes() : [];
        foreach ($routes as $candidate) {
            if ($candidate['method'] === $method && $candidate['action'] === ($route[1] ?? null)) {
                return '/' . ltrim($candidate['uri'], '/');
            }
        }
        return '';
    }

    /** Symfony: the request that was seen while headers were sent, or the one in the global variable of older applications. */
    public static function symfony(string $path): array
    {
        $route = self::name($GLOBALS['request'] ?? null) ?? self::$seen;
        return [$route ?? '', null];
    }

    /** Looks for the request among those who are sending the headers: HttpKernelRunner holds it, and nobody else. */
    public static function watch(): void
    {
        foreach (debug_backtrace(DEBUG_BACKTRACE_PROVIDE_OBJECT, 32) as $frame) {
            // A cast shows private fields without calling anything.
            foreach (isset($frame['object']) ? (array) $frame['object'] : [] as $field) {
                self::$seen ??= self::name($field);
            }
            foreach ($frame['args'] ?? [] as $argument) {
                self::$seen ??= self::name($argument);
            }
        }
    }

    /** The name of the route that Symfony chose for a request. */
    private static function name(mixed $request): ?string
    {
        $route = $request instanceof \Symfony\Component\HttpFoundation\Request ? $request->attributes->get('_route') : null;
        return is_string($route) && $route !== '' ? $route : null;
    }

    /** WordPress: the rewrite rule that matched. */
    public static function wordpress(string $path): array
    {
        $rule = $GLOBALS['wp']->matched_rule ?? '';
        return [is_string($rule) ? $rule : '', null];
    }

    /** Slim 3 and 4: its router is asked again; the route that it found is in a request that nobody holds any more. */
    public static function slim(string $path): array
    {
        $app = $GLOBALS['app'] ?? null;
        if (!$app instanceof \Slim\App) {
            return ['', null];
        }
        $method = (string) Request::$current->server['REQUEST_METHOD'];
        if (method_exists($app, 'getRouteResolver')) {
            $found = $app->getRouteResolver()->computeRoutingResults($path, $method);
            $route = $found->getRouteStatus() === 1 ? $app->getRouteResolver()->resolveRoute((string) $found->getRouteIdentifier()) : null;
        } else {
            $router = $app->getContainer()->get('router');
            $found = $router->dispatch($app->getContainer()->get('request'));
            $route = $found[0] === 1 ? $router->lookupRoute($found[1]) : null;
        }
        return [$route === null ? '' : $route->getPattern(), null];
    }
}
