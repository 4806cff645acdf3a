<?php

namespace OpenTelemetry\SDK\Trace;

class TracerProvider
{
}

echo "an SDK of its own\n";
