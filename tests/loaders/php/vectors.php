<?php

// Plays the contract's vectors to the loader's own functions: a JSON object on standard input, the answer on standard output.
require '/obtrace/obtrace_php/request.php';
require '/obtrace/obtrace_php/state.php';
require '/obtrace/obtrace_php/failure.php';

use Obtrace\Zero\{Failure, Request, State};

$asked = json_decode(stream_get_contents(STDIN), true);
$answers = [];
foreach ($asked['contexts'] as $header) {
    $context = Request::context($header);
    $answers['contexts'][] = $context === null ? null : array_combine(['trace_id', 'span_id', 'sampled'], $context);
}
foreach ($asked['samples'] as [$ratio, $trace]) {
    $answers['samples'][] = Request::sampled($trace, $ratio);
}
foreach ($asked['resources'] as $variables) {
    $answers['resources'][] = (new State(new Request($variables), ''))->configured();
}
foreach ($asked['levels'] as $level) {
    $answers['levels'][] = Failure::severity(constant($level));
}
echo json_encode($answers);
