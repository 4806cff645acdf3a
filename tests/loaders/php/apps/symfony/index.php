<?php

// Symfony with its runtime, as the skeleton's public/index.php starts it: no variable of its own is global but the kernel.
require 'Symfony/Bundle/FrameworkBundle/autoload.php';
require 'Symfony/Component/Runtime/autoload.php';

use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Kernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;

class Shop extends Kernel
{
    use MicroKernelTrait;

    public function registerBundles(): iterable
    {
        return [new Symfony\Bundle\FrameworkBundle\FrameworkBundle()];
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        $container->extension('framework', ['secret' => 'test', 'router' => ['utf8' => true], 'http_method_override' => false]);
    }

    protected function configureRoutes(RoutingConfigurator $routes): void
    {
        $routes->add('user_show', '/users/{id}')->controller([$this, 'user']);
        $routes->add('user_fails', '/fails/{why}')->controller([$this, 'fails']);
    }

    public function user(string $id): Response
    {
        return new Response("user $id");
    }

    public function fails(string $why): Response
    {
        throw new LogicException("it fails: $why");
    }

    public function getProjectDir(): string
    {
        return __DIR__;
    }

    public function getCacheDir(): string
    {
        return sys_get_temp_dir() . '/cache';
    }

    public function getLogDir(): string
    {
        return sys_get_temp_dir() . '/log';
    }
}

$app = static fn (): Kernel => new Shop('prod', false);
$runtime = new Symfony\Component\Runtime\SymfonyRuntime(['disable_dotenv' => true, 'project_dir' => __DIR__]);
[$app, $arguments] = $runtime->getResolver($app)->resolve();
$app = $app(...$arguments);
exit($runtime->getRunner($app)->run());
