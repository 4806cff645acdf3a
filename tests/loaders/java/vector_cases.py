"""The contract's vectors, and what can be seen of the jar without an application."""

import base64

from java.rig import HERE, NEWEST, SOURCE, jdk
from world import Wrong, equal, vectors


def inside(world):
    """What asks the loader's own functions, and the jar with the agent's classes that they need."""
    jar = world.volume("java") / "obtrace-agent.jar"

    def build(folder):
        world.run(jdk(world), SOURCE / "build/Repack.java", "unpack", jar, folder)
        world.run(jdk(world, tool="javac"), "-nowarn", "-proc:none", "-cp", f"{folder}:{jar}", "-d", folder, HERE / "Vectors.java")

    return world.made("java-vectors", [jar, HERE / "Vectors.java"], build), jar


def asked(world, questions):
    """The answers to questions: a word and texts, an answer each."""
    classes, jar = inside(world)
    file = world.folder / "questions"
    lines = (" ".join([word, *("=" + base64.b64encode(text.encode()).decode() for text in texts)]) for word, texts in questions)
    file.write_text("\n".join(lines) + "\n")
    answers = world.run("sh", "-c", f"exec {jdk(world, NEWEST)} -cp {classes}:{jar} io.obtrace.zero.agent.Vectors < {file}").splitlines()
    equal(len(answers), len(questions), "answers")
    return [None if answer == "-" else base64.b64decode(answer).decode() for answer in answers]


def plays_the_vectors(world):
    """The contract's vectors of URLs, sampling, contexts and resources, by the loader's own functions; and each name that the lean
    profile switches on is one that the agent has, and has on: a wrong one would leave a library out, or in, without a word."""
    cases = [("url", [case["url"]], case["full"]) for case in vectors("url")["cases"]]
    cases += [("sampling", [case["ratio"], case["trace_id"]], "true" if case["sampled"] else "false") for case in vectors("sampling")["cases"]]
    for case in vectors("traceparent")["cases"]:
        context = case["context"]
        cases.append(("traceparent", [case["header"]],
                      context and f"{context['trace_id']} {context['span_id']} {'true' if context['sampled'] else 'false'}"))
    cases += [("resource", [*(f"{key}={text}" for key, text in case["env"].items()), name], value)
              for case in vectors("resource")["cases"] for name, value in case["attributes"].items()]
    cases.append(("lean", [], ""))
    wrong = [f"{word} {texts}: {seen!r}, not {wanted!r}"
             for (word, texts, wanted), seen in zip(cases, asked(world, [case[:2] for case in cases])) if seen != wanted]
    if wrong:
        raise Wrong(wrong)
    return f"{len(cases)} vectors"


def entry_classes_are_old(world):
    """A JVM that is too old for the agent would die of a class it cannot read: the entry's are Java 6's and use nothing newer than
    Java 7. (That two builds give the same jar is shown with the image.)"""
    jar = world.volume("java") / "obtrace-agent.jar"
    sources = sorted((SOURCE / "entry/io/obtrace/zero").glob("*.java"))
    world.run(jdk(world, tool="javac"), "-nowarn", "--release", "7", "-d", world.folder / "seven", *sources)
    names = [f"io/obtrace/zero/{source.stem}.class" for source in sources]
    world.run(jdk(world, tool="jar"), "--extract", "--file", jar, *names, folder=world.folder)
    for name in names:
        equal(int.from_bytes((world.folder / name).read_bytes()[6:8], "big"), 50, f"class file version of {name}")
    return f"{jar.stat().st_size / 2**20:.1f} MiB"


CASES = [plays_the_vectors, entry_classes_are_old]
