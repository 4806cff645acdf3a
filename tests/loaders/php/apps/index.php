<?php

// Everything that goes through one script: each path is a case.
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
switch ($path) {
    case '/':
        echo "hello\n";
        break;
    case '/context':
        echo stream_context_get_options(stream_context_get_default())['http']['header'][0] ?? 'none';
        break;
    case '/status':
        http_response_code((int) $_GET['code']);
        echo 'status';
        break;
    case '/exit':
        register_shutdown_function(static function () {
            echo " and then\n";
            exit(3);
        });
        echo 'left';
        exit(1);
    case '/throw':
        throw new RuntimeException('no stock in the shop', 7);
    case '/nothing':
        throw new DomainException();
    case '/fatal':
        (static function (string $secret) {
            missing_function($secret);
        })('password');
        break;
    case '/user-error':
        trigger_error('given up', E_USER_ERROR);
        break;
    case '/memory':
        $pieces = [];
        while (true) {
            $pieces[] = str_repeat('x', 100_000);
        }
        break;
    case '/full':
        // As near to the limit as one can get without crossing it.
        $limit = 16 * 1024 * 1024;
        ini_set('memory_limit', (string) $limit);
        $pieces = [];
        while (memory_get_usage(true) + 2_097_152 <= $limit) {
            $pieces[] = str_repeat('x', 1_000_000);
        }
        echo 'full';
        break;
    case '/time':
        set_time_limit(1);
        while (true) {
            hash('sha256', 'x');
        }
        break;
    case '/buffers':
        ob_start(static fn (string $text): string => strtoupper($text));
        echo 'buffered';
        break;
    case '/handlers':
        set_error_handler(static function (int $level, string $message) {
            throw new ErrorException($message, 0, $level);
        });
        register_shutdown_function(static function () {
            echo error_get_last() === null ? 'nothing' : error_get_last()['message'];
        });
        break;
    case '/warn':
        echo $undefined ?? 'x', @file_get_contents('/does/not/exist') === false ? 'no file' : '';
        echo ' ', error_get_last()['message'];
        break;
    case '/session':
        session_save_path(sys_get_temp_dir());
        session_start();
        $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
        echo $_SESSION['n'];
        break;
    case '/destructor':
        $GLOBALS['last'] = new class {
            public function __destruct()
            {
                echo ' at last';
            }
        };
        echo 'first';
        break;
    case '/state':
        unset($_SERVER['REQUEST_METHOD'], $_SERVER['REQUEST_URI']);
        $_SERVER['REQUEST_URI'] = '/changed';
        echo implode(',', array_keys(array_diff_key($GLOBALS, ['_GET' => 1, '_POST' => 1, '_COOKIE' => 1, '_FILES' => 1, '_SERVER' => 1, '_ENV' => 1, '_REQUEST' => 1])));
        break;
    case '/finish':
        // The answer is out before the work is done.
        ob_start();
        echo 'early';
        ob_end_flush();
        function_exists('fastcgi_finish_request') && fastcgi_finish_request();
        echo ' and late';
        usleep(1000);
        break;
    case '/handled':
        set_exception_handler(static function (Throwable $thrown) {
            http_response_code(502);
            echo 'handled: ', $thrown->getMessage();
            exit(4);
        });
        throw new LogicException('no stock');
    case '/stream':
        header_register_callback(static fn () => header('X-Own: callback'));
        header('X-Accel-Buffering: no');
        foreach (['one', 'two', 'three'] as $piece) {
            echo $piece;
            flush();
        }
        break;
    case '/last-words':
        // What goes wrong after the first shutdown function.
        register_shutdown_function(static function () {
            throw new RuntimeException('too late');
        });
        echo 'first';
        break;
    case '/call':
        echo file_get_contents($_GET['url']);
        break;
    case '/burst':
        echo str_repeat('.', 10);
        break;
    default:
        http_response_code(404);
        echo 'not found';
}
