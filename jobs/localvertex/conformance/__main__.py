"""The command line."""

import argparse
import json
import os
import sys
import time
from typing import Any

import httpx

from jobs.localvertex.conformance.pairs import Pair, read_pairs
from jobs.localvertex.conformance.replay import FAILED, PASSED, SKIPPED, Replay, Result, is_local

DESCRIPTION = """\
Sends requests that Google documents or publishes to a server and compares the answers by their shape. Without --paid
nothing is sent that costs money. What a run makes it takes away again."""
EPILOG = """\
examples:
  python -m jobs.localvertex.conformance --endpoint http://127.0.0.1:9090 --paid
  gcloud auth print-access-token | python -m jobs.localvertex.conformance --token - \\
    --endpoint https://us-central1-aiplatform.googleapis.com --project my-project

exit status: 0 when nothing failed, 1 when something did, 2 when the server cannot be asked."""
TOKEN_VARIABLE = "VERTEX_TOKEN"  # noqa: S105 - its name, not a token
SMALLEST, SMALLEST_HERE = "google/gemma3@gemma-3-1b-it", "google/gemma3@gemma-3-270m"  # that can be tuned
SECONDS = 120.0
TOO_LARGE = 1_600_000  # for a shared endpoint


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m jobs.localvertex.conformance",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--endpoint", metavar="URL", help="address of the server; for Google, that of the region")
    parser.add_argument("--project", default="conformance", help="project id (default: %(default)s)")
    parser.add_argument("--location", default="us-central1", help="region (default: %(default)s)")
    token_help = f"access token, - to read it from the input; or set {TOKEN_VARIABLE}"
    parser.add_argument("--token", default="", help=token_help)
    parser.add_argument("--bucket", default="", help="bucket for tuning; its files stay in a folder of this run")
    parser.add_argument("--dataset", default="", metavar="URI", help="gs://… of a dataset in JSON lines to tune with")
    parser.add_argument("--weights", default="", metavar="URI", help="gs://… of a folder with a model's weights")
    parser.add_argument(
        "--model", default="", help=f"open model (default: {SMALLEST}, {SMALLEST_HERE} of a local server)"
    )
    parser.add_argument("--machine", default="g2-standard-12", help="machine to deploy to (default: %(default)s)")
    parser.add_argument("--paid", action="store_true", help="also what costs money at Google: tuning and deploying")
    parser.add_argument("--only", default="", metavar="TEXT", help="pairs with this in their id or call")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    parser.add_argument("--list", action="store_true", help="tell the pairs and their sources, and send nothing")
    found = parser.parse_args(argv)
    if not found.endpoint and not found.list:
        parser.error("--endpoint is required")
    return found


def values_of(options: argparse.Namespace) -> dict[str, str]:
    """What fills the requests. Names have the time in them, so that runs do not meet."""
    publisher, _, model = options.model.partition("/")
    family, _, version = model.partition("@")
    given = {"bucket": options.bucket, "dataset": options.dataset, "weights": options.weights.rstrip("/")}
    return {
        "project": options.project,
        "location": options.location,
        "parent": f"projects/{options.project}/locations/{options.location}",
        "run": f"c{int(time.time())}",
        "base": options.model,
        "publisher_model": f"publishers/{publisher}/models/{family}@{version}",
        "publisher": publisher,
        "family": family,
        "machine": options.machine,
        "large": "x" * TOO_LARGE,
        **{key: value for key, value in given.items() if value},
    }


def as_json(result: Result) -> dict[str, Any]:
    pair = result.pair
    return {
        "id": pair.id,
        "call": pair.call,
        "source": pair.source,
        "basis": pair.basis,
        "outcome": result.outcome,
        "reasons": list(result.reasons),
        "knownToDiffer": dict(result.differs),
    }


def line_of(result: Result) -> str:
    notes = [*result.reasons, *(f"known to differ: {text}" for text in result.differs.values())]
    return f"{result.outcome:8}{result.pair.id}" + "".join(f"\n        {note}" for note in notes)


def choose(only: str) -> list[Pair]:
    return [pair for pair in read_pairs() if only in pair.id or only in pair.call]


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    pairs = choose(options.only)
    if options.list:
        print("\n".join(f"{pair.id}\t{pair.call}\t{pair.basis}\t{pair.source}" for pair in pairs))
        return 0
    token = options.token or os.environ.get(TOKEN_VARIABLE, "")
    if options.token == "-":  # noqa: S105 - the sign for the input
        token = sys.stdin.readline().strip()
    headers = {"Authorization": f"Bearer {token}", "x-goog-user-project": options.project} if token else {}
    secure = options.endpoint.startswith("https:")
    with httpx.Client(base_url=options.endpoint, headers=headers, timeout=SECONDS, trust_env=secure) as http:
        try:
            local = is_local(http)
        except httpx.HTTPError as error:
            print(f"{options.endpoint} does not answer: {error}", file=sys.stderr)
            return 2
        options.model = options.model or (SMALLEST_HERE if local else SMALLEST)
        replay = Replay(http, values_of(options), paid=options.paid, local=local)
        results = [_tell(one, quiet=options.json) for one in replay.run(pairs)]
    counts = {outcome: sum(one.outcome == outcome for one in results) for outcome in (PASSED, FAILED, SKIPPED)}
    if options.json:
        found = {"counts": counts, "leftBehind": replay.left_behind, "pairs": [as_json(one) for one in results]}
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for left in replay.left_behind:
            print(f"left behind: {left}", file=sys.stderr)
        print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts[FAILED] or replay.left_behind else 0


def _tell(result: Result, *, quiet: bool) -> Result:
    if not quiet:
        print(line_of(result), flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
