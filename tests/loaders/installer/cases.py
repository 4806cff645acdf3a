"""The installer itself, as the static program that the image has: what needs root, real volumes and real runtimes."""

import contextlib
import filecmp
import json
import os
import shutil
import subprocess

from receiver import Receiver
from world import Missing, equal, expect, program

LARGE = 30 * 1024 * 1024
MOST_MEMORY = 10 * 1024
# What OpenShift gives a container, in the group that owns the volume.
ARBITRARY = ("setpriv", "--reuid", "1000650000", "--regid", "0", "--clear-groups", "--")


def installer(world):
    if not world.options.obtrace_loaders:
        raise Missing("no --obtrace-loaders")
    return world.options.obtrace_loaders.resolve()


def call(world, *arguments, before=(), by=None):
    """Runs the installer, or its copy `by`; its exit code and what it said on stderr."""
    done = subprocess.run([*before, by or installer(world), *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stderr


def made_loader(world, name, size=LARGE):
    """A folder as /agent with a loader of Java of that size: the large one is as large as the real one."""
    folder = world.folder / name
    if not folder.exists():
        (folder / "java/extra").mkdir(parents=True)
        (folder / "java/obtrace-agent.jar").write_bytes(os.urandom(size))
        (folder / "java/extra/notes.txt").write_text("notes\n")
        world.run(installer(world), "manifest", "--language", "java", folder / "java")
    return folder


@contextlib.contextmanager
def volume(world, name, *options):
    """A file system of its own, for as long as the block runs."""
    folder = world.folder / name
    folder.mkdir()
    world.run("mount", "-t", "tmpfs", *options, "tmpfs", folder)
    try:
        yield folder
    finally:
        world.run("umount", folder)


def static_program(world):
    """The program needs nothing of the image: it runs in a root directory that has nothing else, as any user."""
    told = world.run(program("file"), "--brief", installer(world))
    expect("static" in told and "dynamically linked" not in told, told)
    root = world.folder / "root"
    shutil.copytree(made_loader(world, "small", 4096), root / "agent")
    shutil.copy(installer(world), root / "obtrace-loaders")
    volume_in_root = root / "obtrace"
    volume_in_root.mkdir()
    volume_in_root.chmod(0o777)
    command = ["chroot", "--userspec=1000650000:0", root, "/obtrace-loaders", "copy", "--language", "java", "--to", "/obtrace"]
    done = subprocess.run(command, capture_output=True, text=True)
    equal((done.returncode, (root / "obtrace/obtrace-agent.jar").stat().st_size), (0, 4096), f"copy in an empty root: {done.stderr}")
    return told.split(",")[1].strip()


def resident_memory(world):
    """The init container may use 16 MiB: a loader of 30 MiB passes through a tenth of that."""
    agent, target, told = made_loader(world, "large"), world.folder / "copied", world.folder / "memory"
    measured = (program("time"), "-f", "%M", "-o", told)
    code, said = call(world, "copy", "--language", "java", "--from", agent, "--to", target, before=measured)
    equal(code, 0, said)
    peak = int(told.read_text())
    expect(peak < MOST_MEMORY, f"{peak} KiB")
    code, said = call(world, "copy", "--language", "java", "--from", agent, "--to", target, before=measured)
    again = int(told.read_text())
    expect(code == 0 and again < MOST_MEMORY, f"again: {code}, {again} KiB, {said}")
    return f"{peak} KiB, {again} KiB where it was complete"


def disk_full(world):
    """A volume that is too small shows no entry file and says how much is needed; once it has room, the copy succeeds."""
    agent = made_loader(world, "large")
    with volume(world, "full", "-o", "size=8m") as target:
        code, said = call(world, "copy", "--language", "java", "--from", agent, "--to", target)
        equal((code, sorted(os.listdir(target))), (1, []), said)
        expect("No space left" in said and "31 MiB are needed" in said and "larger size limit" in said, said)
        world.run("mount", "-o", "remount,size=64m", target)
        code, said = call(world, "copy", "--language", "java", "--from", agent, "--to", target)
        equal(code, 0, said)


def read_only_volume(world):
    """A read-only volume is refused with a reason, unless it has everything already."""
    agent = made_loader(world, "small", 4096)
    with volume(world, "read-only") as target:
        copy = ("copy", "--language", "java", "--from", agent, "--to", target)
        world.run("mount", "-o", "remount,ro", target)
        code, said = call(world, *copy)
        expect(code == 1 and "Read-only file system" in said and "mount the volume writable" in said, said)
        world.run("mount", "-o", "remount,rw", target)
        equal(call(world, *copy)[0], 0, "copy")
        world.run("mount", "-o", "remount,ro", target)
        code, said = call(world, *copy)
        expect(code == 0 and "already" in said, said)


def arbitrary_user(world):
    """Any user in the volume's group copies; any other user reads. A user who may not write is told who that is."""
    agent = made_loader(world, "small", 4096)
    # Where other users may reach it: builds may lie in a folder that is its owner's alone.
    reachable = shutil.copy(installer(world), world.folder / "obtrace-loaders")
    target = world.folder / "group-0"
    target.mkdir()
    target.chmod(0o2770)
    copy = ("copy", "--language", "java", "--from", agent, "--to", target)
    code, said = call(world, *copy, by=reachable, before=(*ARBITRARY, "sh", "-c", 'umask 077; exec "$@"', "sh"))
    equal(code, 0, said)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in target.rglob("*")}
    equal(modes, {"extra": "0o755", "notes.txt": "0o644", "obtrace-agent.jar": "0o644", "java.manifest": "0o644"}, "modes")
    target.chmod(0o755)
    (target / "obtrace-agent.jar").unlink()
    code, said = call(world, *copy, by=reachable, before=("setpriv", "--reuid", "4711", "--regid", "4711", "--clear-groups", "--"))
    expect(code == 1 and "Permission denied" in said and "user 4711 of group 4711" in said, said)


def embedded_loaders(world):
    """What is part of the program is, byte for byte, what was built."""
    listed = json.loads(world.run(installer(world), "list", "--json"))
    embedded = [it["language"] for it in listed if it.get("source") == "embedded"]
    expect({"python", "php", "ruby"} <= set(embedded) and "java" not in embedded, f"embedded: {embedded}")
    for language in embedded:
        target = world.folder / f"embedded-{language}"
        equal(call(world, "copy", "--language", language, "--to", target)[0], 0, language)
        files = [path.relative_to(target) for path in target.rglob("*") if path.is_file()]
        _, different, missing = filecmp.cmpfiles(target, world.options.agent_files / language, files, shallow=False)
        equal((different, missing), ([], []), f"{language} differs")
    return " ".join(embedded)


PROGRAMS = {
    "nodejs": ("app.js", "console.log('done'); process.exitCode = 3", "node"),
    "python": ("app.py", "import sys; print('done'); sys.exit(3)", "python3"),
    "php": ("app.php", "<?php echo \"done\\n\"; exit(preg_grep('/obtrace_loader/', get_included_files()) ? 3 : 4);", "php"),
    "ruby": ("app.rb", "puts 'done'; exit 3", "ruby"),
    "java": ("App.java", "class App { public static void main(String[] a) { System.out.println(\"done\"); System.exit(3); } }", "java"),
}


def programs_with_their_loader(world):
    """`run` starts real programs with the loader in them, from a folder whose path has a blank where the runtime can name
    one: same output, same exit code."""
    home = world.folder / "my home"
    home.mkdir()
    seen = []
    for language, (name, text, runtime) in PROGRAMS.items():
        if not (world.options.agent_files / language).is_dir():
            continue
        agent = home / "agent"
        shutil.copytree(world.options.agent_files / language, agent / language)
        (home / name).write_text(text)
        with Receiver() as receiver:
            environment = {"PATH": os.environ["PATH"], "HOME": str(home), "OBTRACE_DEBUG": "1", "TMPDIR": str(world.folder)}
            done = subprocess.run([installer(world), "run", "--from", agent, "--ingest", receiver.url, "--", program(runtime), name],
                                  cwd=home, env=environment, capture_output=True, text=True, timeout=120)
        equal((done.stdout, done.returncode), ("done\n", 3), f"{language}: {done.stderr[-800:]}")
        # PHP's says nothing where no server runs: its program tells by its exit code that the loader was read.
        expect(language == "php" or "[obtrace] " in done.stderr, f"{language}: the loader said nothing: {done.stderr[-800:]}")
        seen.append(language)
    expect(seen, "no loader is built")
    return " ".join(seen)


CASES = [static_program, resident_memory, disk_full, read_only_volume, arbitrary_user, embedded_loaders, programs_with_their_loader]
