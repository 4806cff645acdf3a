<?php

// Laravel as its own public/index.php starts it; what it writes goes to the temp dir.
require 'Illuminate/autoload.php';
$_SERVER['APP_PACKAGES_CACHE'] = sys_get_temp_dir() . '/packages.php';
$_SERVER['APP_SERVICES_CACHE'] = sys_get_temp_dir() . '/services.php';

$app = new Illuminate\Foundation\Application(__DIR__);
$app->singleton(Illuminate\Contracts\Http\Kernel::class, Illuminate\Foundation\Http\Kernel::class);
$app->singleton(Illuminate\Contracts\Debug\ExceptionHandler::class, Illuminate\Foundation\Exceptions\Handler::class);
$app->booted(static function ($app) {
    $router = $app->make('router');
    $router->get('/users/{id}', static fn (string $id) => "user $id");
    $router->post('/orders/{order}/items/{item?}', static fn () => response('made', 201));
    $router->get('/fails/{why}', static function (string $why) {
        throw new LogicException("it fails: $why");
    });
});
$kernel = $app->make(Illuminate\Contracts\Http\Kernel::class);
$response = $kernel->handle($request = Illuminate\Http\Request::capture())->send();
$kernel->terminate($request, $response);
