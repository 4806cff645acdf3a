<?php
// The last one: php -S ADDRESS -t php. A router script would run without the prepended file.
echo "php";
