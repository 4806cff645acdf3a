<?php
// What PHP reads before every script, in words that PHP 5 understands. The command line is left alone: it serves no
// requests, and what serves from there (Swoole, RoadRunner, ReactPHP) runs one script for many of them.
if (PHP_SAPI !== 'cli' && defined('PHP_VERSION_ID') && PHP_VERSION_ID >= 80000 && !class_exists('Obtrace\Zero\Request', false)) {
    try {
        // The file says true once it is loaded to its end; nothing of ours stays in error_get_last().
        if ((@include dirname(__FILE__) . '/obtrace_php/request.php') !== true) {
            error_clear_last();
        }
    } catch (Throwable $obtrace_failure) {
        unset($obtrace_failure);
    }
}
// A file that php.ini names would run here if we were not.
if (function_exists('get_cfg_var') && get_cfg_var('obtrace.app_prepend')
    && get_cfg_var('obtrace.app_prepend') !== 'none' && get_cfg_var('obtrace.app_prepend') !== __FILE__) {
    require get_cfg_var('obtrace.app_prepend');
}
