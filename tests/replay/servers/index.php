<?php
// Does what the query says.
if (isset($_GET['code'])) {
    http_response_code((int) $_GET['code']);
}
if (isset($_GET['to'])) {
    header('Location: ' . $_GET['to']);
}
if (isset($_GET['complains'])) {
    error_log('canary-complaint');
}
if (isset($_GET['throws'])) {
    throw new Exception('canary-exception');
}
if (isset($_GET['sleep'])) {
    usleep((int) $_GET['sleep'] * 1000);
}
if (isset($_GET['big'])) {
    for ($left = (int) $_GET['big']; $left > 0; $left -= 8000) {
        echo str_repeat('b', min($left, 8000));
    }
    exit;
}
echo strlen(file_get_contents('php://input')), "\n";
