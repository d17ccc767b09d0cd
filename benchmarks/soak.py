"""An hour's life in minutes: many updates of one feature each, interrupted at random.

A timer raises KeyboardInterrupt at random moments within `partial_fit`. After each the clock `t_`
tells how many rows of the call have been learned, and the others are given again. In the end, every
row has been learned once: a second model that has never been interrupted has the same
weights, bit for bit. Memory is printed along the way and has to stay flat.
"""

import argparse
import signal
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from sk_adaptive import AdaptiveSGDClassifier

# Of calls: within the largest ones, which the kernel learns in parts, an interrupt is heard.
SIZES, SHARES = (1_000, 10_000, 100_000, 2_500_000), (0.4, 0.3, 0.25, 0.05)


def resident():
    """Memory of this process in megabytes; NaN where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("nan")
    return pages * 4096 / 1e6


def batches(n_features, n_rows):
    """Rows of one feature each, ever new, and labels; the same whenever it is called."""
    rng = np.random.default_rng(0)
    while n_rows:
        n = min(n_rows, int(rng.choice(SIZES, p=SHARES)))
        n_rows -= n
        # frequent ones and rare ones
        features = (n_features ** rng.random(n)).astype(np.int64) - 1
        labels = (rng.random(n) < 0.1).astype(np.int64)
        # and no reference to the rows is kept here
        yield (
            sp.csr_matrix((np.ones(n), features, np.arange(n + 1)), (n, n_features)),
            labels,
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--updates", type=float, default=1e8, help="in all (1e8)")
    parser.add_argument("--bits", type=int, default=20, help="2^BITS features (20)")
    parser.add_argument("--optimizer", default="adagrad", help="(adagrad)")
    parser.add_argument(
        "--pace", type=float, default=0.3, help="mean microseconds a row to an interrupt (0.3)"
    )
    parser.add_argument("--quick", action="store_true", help="10^6 updates")
    arguments = parser.parse_args()
    n_updates = int(1e6 if arguments.quick else arguments.updates)
    rng = np.random.default_rng()
    model = AdaptiveSGDClassifier(optimizer=arguments.optimizer, eta0=0.1)
    interrupts = within = learned = report = 0
    due = False

    def interrupt(number, frame):
        # the timer may come late, when the call has ended
        if due:
            raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)
    begin = time.perf_counter()
    print(f"{'updates':>12}{'interrupts':>12}{'within':>9}{'MB':>8}{'seconds':>9}{'loss':>9}")
    for X, y in batches(1 << arguments.bits, n_updates):
        n, done = X.shape[0], 0
        while done < n:
            before = getattr(model, "t_", 1)
            try:
                mean = 0.005 + 1e-6 * arguments.pace * (n - done)
                signal.setitimer(signal.ITIMER_REAL, rng.exponential(mean))
                due = True
                model.partial_fit(X[done:], y[done:], classes=[0, 1])
                due = False
            except KeyboardInterrupt:
                due = False
                interrupts += 1
                within += before < getattr(model, "t_", 1) < before + n - done
            done += getattr(model, "t_", 1) - before
        learned += n
        assert done == n and model.t_ == learned + 1
        if learned >= report or learned == n_updates:
            report += n_updates / 20
            # what is left is the model's
            X = y = None
            print(
                f"{learned:12,}{interrupts:12,}{within:9,}{resident():8.1f}"
                f"{time.perf_counter() - begin:9.1f}{model.progressive_loss_:9.5f}",
                flush=True,
            )
            model.reset_progressive_loss()
    signal.setitimer(signal.ITIMER_REAL, 0)
    twin = AdaptiveSGDClassifier(optimizer=arguments.optimizer, eta0=0.1)
    for X, y in batches(1 << arguments.bits, n_updates):
        twin.partial_fit(X, y, classes=[0, 1])
    same = np.array_equal(model.coef_, twin.coef_) and model.intercept_ == twin.intercept_
    print("as a model that was never interrupted:", "yes, bit for bit" if same else "NO")


if __name__ == "__main__":
    main()
