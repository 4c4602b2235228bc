"""The whole journey on a small model: does tuning teach what the data shows, on prompts that are not in the data?

`python -m tests.bench.demo_check` for both models that `make up` brings, or `--model` for one; exit code 0 when it
does. It takes what a person gets who changes nothing: the sample dataset and the proposed settings.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.localvertex.models.packaged import SMOLLM
from tests.bench.weights import require_weights, wait_for_weights
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, ROOT, running

SAMPLES = ROOT / "jobs/samples"
TUNED_AT_LEAST, BASE_AT_MOST = 0.8, 0.1


@dataclass(frozen=True)
class Row:
    prompt: str
    tuned: str
    base: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", action="append", help="its name in the catalogue; may be repeated; default: both")
    models = parser.parse_args().model or [GEMMA, SMOLLM]
    require_weights(models)
    held_out = json.loads((SAMPLES / "ahoy-heldout.json").read_text())
    refuse_prompts_of_the_data(held_out["prompts"])
    return max([check(model, held_out) for model in models])


def check(model: str, held_out: dict[str, Any]) -> int:
    """In a console of its own, as after `make up`."""
    with tempfile.TemporaryDirectory(prefix="demo-check-") as folder, running(Path(folder) / "data") as console:
        say(f"Started after {console.ready - console.started:.1f} s; preparing the weights.")
        say(f"Weights of {model} prepared in {wait_for_weights(console, model=model):.0f} s.")
        with Visitor(console.address) as visitor:
            visitor.sign_in(console.link)
            journey.wait_for_catalogue(visitor)
            rows = answers(visitor, model, held_out["prompts"])
    return judge(model, rows, held_out["style"])


def refuse_prompts_of_the_data(prompts: list[str]) -> None:
    data = "".join((SAMPLES / f"ahoy-{which}.jsonl").read_text() for which in ("train", "validation"))
    known = [prompt for prompt in prompts if json.dumps(prompt)[1:-1] in data]
    if known:
        raise SystemExit(f"These prompts are in the data: {known}")


def answers(visitor: Visitor, model: str, prompts: list[str]) -> list[Row]:
    tune = journey.Tune(model, "Demo check")
    review, started = journey.fill_in(visitor, tune), time.monotonic()
    job = journey.start(visitor, review, tune)
    journey.wait_for_state(visitor, job, "Succeeded", 900)
    say(f"Tuned after {time.monotonic() - started:.0f} s.")
    tuned = journey.endpoint_of(visitor, job, 60)
    journey.wait_until_ready(visitor, tuned, 120)
    base = journey.deploy_base(visitor, model)
    journey.wait_until_ready(visitor, base, 120)
    say(f"Both endpoints ready after {time.monotonic() - started:.0f} s.")
    return [
        Row(prompt, journey.ask(visitor, tuned, prompt).text, journey.ask(visitor, base, prompt, stop_after=2).text)
        for prompt in prompts
    ]


def judge(model: str, rows: list[Row], style: dict[str, str]) -> int:
    def shows(text: str) -> bool:
        return text.startswith(style["starts_with"].strip()) and text.endswith(style["ends_with"])

    print(f"\n{model}\n\n| prompt | tuned | base |\n|---|---|---|")
    for row in rows:
        print(
            f"| {row.prompt} | {mark(shows(row.tuned))} {cell(row.tuned)} | {mark(shows(row.base))} {cell(row.base)} |"
        )
    tuned, base = (
        sum(map(shows, texts)) / len(rows) for texts in zip(*((row.tuned, row.base) for row in rows), strict=True)
    )
    passed = tuned >= TUNED_AT_LEAST and base <= BASE_AT_MOST
    print(f"\nThe style shows in {tuned:.0%} of the tuned answers (goal: at least {TUNED_AT_LEAST:.0%})")
    print(f"and in {base:.0%} of the base's (goal: at most {BASE_AT_MOST:.0%}).")
    print("The tuned model learned it." if passed else "The tuned model did NOT learn it.")
    return 0 if passed else 1


def mark(shown: bool) -> str:
    return "✓" if shown else "✗"


def cell(text: str) -> str:
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= 90 else f"{line[:89]}…"


def say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
