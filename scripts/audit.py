"""Asks pip-audit whether a vulnerability is known of what is installed; ./test runs it.

Options go to pip-audit. Exits 1 for a vulnerability, with its name and where it is mended; says in
one line when the service that knows of them cannot be reached, and goes on.
"""

import json
import subprocess
import sys

AWAY = ("Could not connect", "ConnectionError", "Timeout", "ProxyError", "HTTPError")


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run([*command, *sys.argv[1:]], capture_output=True, text=True)
    if not done.stdout.strip():
        said = done.stderr.strip()
        if not any(word in said for word in AWAY):
            print(said, file=sys.stderr)
            return 1
        print(f"Not audited, as the service cannot be reached: {said.splitlines()[-1][:120]}")
        return 0
    found = json.loads(done.stdout)["dependencies"]
    audited = [one for one in found if "vulns" in one]
    for one in audited:
        for vulnerability in one["vulns"]:
            mended = ", ".join(vulnerability["fix_versions"]) or "no version yet"
            print(f"{one['name']} {one['version']}: {vulnerability['id']}, mended in {mended}")
    if any(one["vulns"] for one in audited):
        return 1
    if not audited:
        print("Not audited, as the service knows none of the packages.")
        return 0
    left_out = [one["name"] for one in found if "vulns" not in one]
    print(f"No vulnerability is known of {len(audited)} packages.", end=" ")
    print(f"Not known to the service: {', '.join(left_out)}." if left_out else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
