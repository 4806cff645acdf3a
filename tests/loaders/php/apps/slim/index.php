<?php

require 'Slim/autoload.php';

$app = new Slim\App();
$app->get('/users/{id}', fn ($request, $response, array $arguments) => $response->write("user {$arguments['id']}"));
$app->get('/fails/{why}', function ($request, $response, array $arguments) {
    throw new LogicException("it fails: {$arguments['why']}");
});
$app->run();
