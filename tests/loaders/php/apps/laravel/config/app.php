<?php

return ['env' => 'production', 'debug' => false, 'timezone' => 'UTC', 'locale' => 'en', 'cipher' => 'AES-256-CBC', 'aliases' => [],
    'key' => 'base64:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=',
    'providers' => [Illuminate\Filesystem\FilesystemServiceProvider::class, Illuminate\View\ViewServiceProvider::class,
        Illuminate\Foundation\Providers\FoundationServiceProvider::class]];
