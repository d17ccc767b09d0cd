"""
Larger than memory, and more than one worker
============================================

Rows that do not fit into memory are read, hashed, learned and forgotten, chunk by chunk. The
memory is that of the model and of one chunk, whatever the length of the file. Where rows are
spread over several workers, each may learn its own, and the models are averaged.

The scripts beside this one are made for use with your own data: ``out_of_core.py`` reads a CSV
file, saves while it learns and goes on from there; ``dask_partitions.py`` starts a cluster or
connects to one. Here their functions are called with little data.
"""

import tempfile
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from _gallery import COLOURS, use_style
from out_of_core import generate, read_chunks
from sklearn.metrics import log_loss

from sk_adaptive import AdaptiveSGDClassifier, ColumnHasher

use_style()

# %%
# Chunk by chunk
# --------------
#
# The file has 60,000 generated rows. The memory of this process's Python objects and arrays is
# measured by :mod:`tracemalloc`: its peak while a chunk is read and learned. The model learns the
# first 32,768 rows with eight rates side by side, and gives their memory back when it has settled
# on one. Beside it is the size of the hashed rows if they were kept.

N_ROWS, CHUNK = 60_000, 2000
hasher = ColumnHasher(2**18, missing="ignore")
model = AdaptiveSGDClassifier()
losses, peaks, hashed, as_read = [], [], [], []
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "clicks.csv"
    generate(path, N_ROWS)
    print(f"{N_ROWS:,} rows")
    tracemalloc.start()
    before = 0
    for values, clicks in read_chunks(path, "click", CHUNK):
        as_read.append(tracemalloc.get_traced_memory()[0] - before)
        X = hasher.transform(values)
        hashed.append(X.data.nbytes + X.indices.nbytes + X.indptr.nbytes)
        model.partial_fit(X, clicks, classes=[0, 1])
        losses.append(model.progressive_loss_)
        model.reset_progressive_loss()
        peaks.append(tracemalloc.get_traced_memory()[1])
        del values, clicks, X
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

n_read = CHUNK * np.arange(1, len(losses) + 1)
print(
    f"peak of memory: {peaks[1] / 1e6:.1f} MB in the second chunk, "
    f"{peaks[-1] / 1e6:.1f} MB in the last"
)
print(f"all rows: {sum(hashed) / 1e6:.1f} MB hashed, {sum(as_read) / 1e6:.1f} MB as read")
figure, axes = plt.subplots(1, 2, figsize=(10, 4))
axes[0].plot(n_read / 1000, losses, color=COLOURS["adagrad"])
axes[0].set(xlabel="rows read (thousands)", ylabel="progressive log loss of a chunk")
for name, sizes, style, colour in (
    ("all rows so far, as read", np.cumsum(as_read), ":", "accent"),
    ("all rows so far, hashed", np.cumsum(hashed), "--", "accent"),
    ("a chunk and the model", peaks, "-", "adagrad"),
):
    axes[1].plot(n_read / 1000, np.array(sizes) / 1e6, style, color=COLOURS[colour], label=name)
axes[1].set(xlabel="rows read (thousands)", ylabel="memory (MB)", ylim=(0, None))
axes[1].legend()

# %%
# Several workers
# ---------------
#
# With Dask the rows stay with the workers, and models travel. Four workers learn a partition
# each, one after the other, which is exactly the model of a single process; or all at the same
# time, and after each round their coefficients are averaged. This part is left out where Dask is
# not installed.

try:
    from dask.distributed import Client
    from dask_partitions import averaged, in_turn, learn, partition
except ImportError as error:
    print(f"left out: {error}")
else:
    N_WORKERS, SHAPE = 4, (5000, 2**16)
    X_test, y_test = partition(N_WORKERS, *SHAPE)

    def loss_of(model):
        return log_loss(y_test, model.predict_proba(X_test))

    single = AdaptiveSGDClassifier()
    steps = [single := learn(single, partition(number, *SHAPE)) for number in range(N_WORKERS)]
    rounds = []
    # threads, as the kernel releases the GIL; processes or machines need no other code
    with Client(
        processes=False, n_workers=N_WORKERS, threads_per_worker=1, dashboard_address=None
    ) as client:
        partitions = [client.submit(partition, number, *SHAPE) for number in range(N_WORKERS)]
        visitor = in_turn(client, partitions)
        averaged(client, partitions, 5, lambda name, model: rounds.append(loss_of(model)))
    same = np.array_equal(visitor.coef_, single.coef_)
    print(f"in turn: log loss {loss_of(visitor):.4f}, the model of a single process: {same}")
    print("averaged, round by round: " + " ".join(f"{loss:.4f}" for loss in rounds))

    figure, axis = plt.subplots(figsize=(8, 4))
    axis.plot(
        range(1, N_WORKERS + 1),
        [loss_of(m) for m in steps],
        "o-",
        color=COLOURS["adagrad"],
        label="one model, partition after partition",
    )
    axis.plot(
        range(1, 6), rounds, "s--", color=COLOURS["accent"], label="a model a partition, averaged"
    )
    axis.set(
        xlabel="partitions learned one after the other, or rounds",
        ylabel="log loss on other rows",
        xticks=range(1, 6),
    )
    axis.legend()

# %%
# The average of four models that have seen a quarter of the rows each is here as good as one that
# has seen all, as averaging takes away noise. A second round gains a little; more of them see the
# same rows again and again, and fit their noise, too.

plt.show()
