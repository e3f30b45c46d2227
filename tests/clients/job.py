"""A training job for the fault matrix: steps at a pace, and how long each call of the client took.

    job.py SERVER RUN STEPS PACE_MS [FIRST_STEP [REWIND]]

An event `mark` stands before each step, and a scalar `mark` with each.
Prints `started` when the first step is done, and at the end a JSON object: steps, the worst call in milliseconds (but
for the first, in which Python loads what it has not used yet), the client's counters.
"""
import json
import os
import sys
import time

import pyrometer


def main():
    server, name, steps, pace_ms, *rest = sys.argv[1:]
    first = int(rest[0]) if rest else 0
    resume = {"rewind": int(rest[1])} if len(rest) > 1 else "continue"
    run = pyrometer.init(name, [(f"layer{i}", 1000) for i in range(20)], server=server, first_step=first, resume=resume,
                         token=os.environ.get("JOB_TOKEN"), loss="mse",
                         optimizer={"name": "sgd", "lr": 0.1})
    worst = 0.0
    columns = {key: [0.5 + i for i in range(20)] for key in ("w_mean", "w_var", "g_mean", "g_var", "u_mean", "u_var")}
    for step in range(first, int(steps)):
        if os.environ.get("JOB_FORKS") and step % 50 == 25:
            child = os.fork()
            if child == 0:
                run.step(1.0)  # the run is the parent's: nothing comes of it
                os._exit(0)
            os.waitpid(child, 0)
        began = time.perf_counter()
        run.event("mark")
        run.log_layers(step, 1.0 / (step + 1), columns)
        run.scalars({"mark": step})
        if step > first:
            worst = max(worst, time.perf_counter() - began)
        else:
            print("started", flush=True)
        time.sleep(float(pace_ms) / 1000)
    run.finish(timeout=float(os.environ.get("JOB_FINISH_S", "5")))
    print(json.dumps({"steps": int(steps) - first, "worst_ms": 1000 * worst, **run.counters()}), flush=True)


main()
