<?php

// WordPress' own class WP with what it has once a rewrite rule matched; there is no database.
require 'class-wp.php';

$wp = new WP();
$wp->matched_rule = '([^/]+)(?:/([0-9]+))?/?$';
echo 'a post';
