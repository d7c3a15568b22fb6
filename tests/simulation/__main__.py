# ruff: noqa: T201  (a command prints)
"""`python -m tests.simulation --seed N [--days D] [-v]` or `--seeds A..B`: docs/simulation.md."""

import argparse
import json
import logging
import sys
import time

from tests.simulation.run import Found, Ground, live


def main() -> int:
    """Run the seeds asked for; the exit code says whether all held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", help="A..B, both included")
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("-v", "--verbose", action="store_true", help="print the whole story")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failing seed")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if args.seeds:
        first, last = (int(n) for n in args.seeds.split(".."))
    else:
        first = last = args.seed if args.seed is not None else time.time_ns() % 10**9
    ground, began = Ground(), time.perf_counter()
    found: list[Found] = []
    for seed in range(first, last + 1):
        one = live(seed, ground, args.days, args.verbose)
        found.append(one)
        if one.violation is not None:
            if not args.verbose and not args.keep_going:
                print("\n".join(one.story))
            print(f"seed {seed} fails: {one.violation}")
            print(f"replay: python -m tests.simulation --seed {seed} --days {args.days} -v")
            if not args.keep_going:
                break
    ground.close()
    took_s = time.perf_counter() - began
    print(json.dumps({
        "seeds": len(found), "days": args.days, "events": sum(f.events for f in found),
        "commits": sum(f.commits for f in found), "sms": sum(f.sms for f in found),
        "crashes": sum(f.crashes for f in found),
        "failed": [f.seed for f in found if f.violation],
        "seeds_per_minute": round(60 * len(found) / took_s, 1),
    }))  # fmt: skip
    return 1 if any(f.violation for f in found) else 0


if __name__ == "__main__":
    sys.exit(main())
