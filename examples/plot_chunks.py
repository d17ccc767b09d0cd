"""
From a file of columns to a model, with flat memory
===================================================

A log of clicks is a table of strings and numbers, and often larger than memory. It is read in
chunks; :class:`~sk_adaptive.ColumnHasher` turns each into sparse rows, with crosses of columns;
:meth:`~sk_adaptive.AdaptiveSGDClassifier.partial_fit` learns them; and the chunk is forgotten. The
memory is that of the model and of one chunk, whatever the length of the file.
"""

import tempfile
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _gallery import COLOURS, use_style

from sk_adaptive import AdaptiveSGDClassifier, ColumnHasher

use_style()

# %%
# A log
# -----
#
# Categories follow Zipf's law, so that most of them are rare. Whether somebody clicks depends on
# the site, on the user, on how often the ad was seen, and on the pair of site and ad.

N_ROWS, CHUNK = 120_000, 4000


def rows(n, seed):
    rng = np.random.default_rng(seed)
    sizes = {"site": 500, "ad": 2000, "user": 50_000}
    table = {name: np.exp(rng.random(n) * np.log(k)).astype(int) for name, k in sizes.items()}
    truth = np.random.default_rng(0)
    margin = -2 + sum(truth.normal(0, 0.5, k + 1)[table[name]] for name, k in sizes.items())
    margin += truth.normal(0, 1.5, 1009)[(31 * table["site"] + table["ad"]) % 1009]
    seen = np.exp(rng.normal(1, 1, n)).astype(int)
    margin -= 0.3 * np.log1p(seen)
    frame = pd.DataFrame({name: [f"{name}{v}" for v in ids] for name, ids in table.items()})
    return frame.assign(seen=seen, click=(rng.random(n) < 1 / (1 + np.exp(-margin))).astype(int))


folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "clicks.csv"
for part in range(0, N_ROWS, CHUNK):
    rows(CHUNK, part + 1).to_csv(path, mode="a", header=part == 0, index=False)
print(f"{N_ROWS:,} rows, {path.stat().st_size / 1e6:.1f} MB")

# %%
# Chunk by chunk
# --------------
#
# Two models learn the same chunks: one without crosses, and one with the cross of site and ad. The
# number of times that the ad was seen goes into bins of its logarithm. Each chunk is learned by
# `partial_fit`, whose progressive loss is that of rows before they were learned.

CROSSES = {"columns alone": None, "with site and ad": [("site", "ad")]}
hashers = {
    title: ColumnHasher(2**18, interactions=crosses, numeric={"seen": "log_bins"})
    for title, crosses in CROSSES.items()
}
models = {title: AdaptiveSGDClassifier() for title in CROSSES}
losses, peaks, as_read = {title: [] for title in CROSSES}, [], []
tracemalloc.start()
for chunk in pd.read_csv(path, chunksize=CHUNK):
    as_read.append(chunk.memory_usage(deep=True).sum())
    clicks = chunk.pop("click")
    for title, model in models.items():
        X = hashers[title].transform(chunk)
        model.partial_fit(X, clicks, classes=[0, 1])
        losses[title].append(model.progressive_loss_)
        model.reset_progressive_loss()
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.reset_peak()
    del chunk, clicks, X
tracemalloc.stop()
for title, of_chunks in losses.items():
    print(f"{title}: log loss {np.mean(of_chunks[len(of_chunks) // 2 :]):.4f} in the second half")

# %%
# Memory
# ------
#
# Each model learns the first 32,768 rows with eight rates side by side, and gives their memory back
# when it has settled on one. From then on the peak of memory stays the same. Beside it is what all
# rows would take if they were kept as they are read.

n_read = CHUNK * np.arange(1, len(peaks) + 1) / 1000
figure, axes = plt.subplots(1, 2, figsize=(10, 4))
for (title, of_chunks), style in zip(losses.items(), ("--", "-"), strict=True):
    axes[0].plot(n_read, of_chunks, style, color=COLOURS["adagrad"], label=title)
axes[0].set(xlabel="rows read (thousands)", ylabel="progressive log loss of a chunk")
axes[0].legend()
axes[1].plot(
    n_read, np.cumsum(as_read) / 1e6, ":", color=COLOURS["accent"], label="all rows so far"
)
axes[1].plot(
    n_read, np.array(peaks) / 1e6, color=COLOURS["adagrad"], label="a chunk and the models"
)
axes[1].set(xlabel="rows read (thousands)", ylabel="memory (MB)", ylim=(0, None))
axes[1].legend()

# %%
# What was learned
# ----------------
#
# A hash has no way back, but :meth:`~sk_adaptive.ColumnHasher.explain` hashes some rows again, and
# finds what the largest coefficients are called.

sample = rows(5000, 0).drop(columns="click")
title = "with site and ad"
for name, coefficient in hashers[title].explain(models[title], sample, n=6):
    print(f"{coefficient:6.2f} {name}")

folder.cleanup()
plt.show()
