<?php

namespace Obtrace\Zero;

/** Makes the queue's folder. */
final class Folder
{
    /** Makes the first of these folders that can be made; a time of change that lets its first request send, or null. */
    public static function make(array $names): ?int
    {
        foreach ($names as $name) {
            // Whatever is there already is not ours: only we know that a folder is, and we looked.
            if (!mkdir($name, 0700)) {
                continue;
            }
            foreach (['queue', 'sender', 'dropped'] as $file) {
                if (!touch("$name/$file") || !chmod("$name/$file", 0600)) {
                    continue 2;
                }
            }
            // One second more: the clock may have turned since the request looked at it.
            $changed = time() - Queue::PERIOD - 1;
            touch($name, $changed);
            Queue::$folder = $name;
            return $changed;
        }
        return null;
    }
}
