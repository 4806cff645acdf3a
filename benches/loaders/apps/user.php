<?php
// The application under measurement: an answer by the path.
$id = (int) basename((string) $_SERVER['REQUEST_URI']);
header('Content-Type: text/plain');
echo "user $id";
