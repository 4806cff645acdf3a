"""What was checked: counts, and a line for each check."""


class Report:
    """With `quiet`, a line only for what failed."""

    def __init__(self, quiet=False):
        self.passed, self.failed, self.quiet = 0, 0, quiet

    def check(self, what, faults):
        """`faults` is a list of what is wrong; empty if nothing is. Whether nothing is."""
        self.passed += not faults
        self.failed += bool(faults)
        if faults or not self.quiet:
            print(f"{'FAILED' if faults else 'ok'} {what}", *(f"    {fault}" for fault in faults), sep="\n", flush=True)
        return not faults

    def conclude(self):
        """Tells the counts; the exit status."""
        print(f"{self.passed} passed, {self.failed} failed, 0 skipped")
        return 1 if self.failed else 0
