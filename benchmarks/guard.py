"""What the property tests of the guard count: hostile command sequences, starts that cannot brake in time, and how far out of the box an arm comes.

`python benchmarks/guard.py` runs them and writes `docs/results/guard.json`; some minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from isthmus_evidence.results import Results

TESTS = "tests/core/test_guard.py"
EXAMPLES = 51  # of 2000 sequences; `make test` has fewer


def main() -> int:
    """Run the tests; nothing is recorded where one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, default=Path("docs/results/guard.json"), help="file of figures to write")
    results = Results(parser.parse_args().record, "hypothesis")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", TESTS, "-q", "-k", "no_random", "-o", "junit_family=xunit1", f"--junitxml={report}"],
            check=True,
            env={**os.environ, "ISTHMUS_EXAMPLES": str(EXAMPLES)},
        )
        cases = ElementTree.parse(report).getroot().iter("testcase")
        for case in cases:
            told = {found.attrib["name"]: found.attrib["value"] for found in case.iter("property")}
            numbers = {name: float(value) if "." in value else int(value) for name, value in told.items() if name != "what"}
            results.add(told["what"], {"what": told["what"], **numbers}, ("guard",))
            print(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
