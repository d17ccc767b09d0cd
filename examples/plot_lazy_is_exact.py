"""
Lazy is exact
=============

A message has fifteen words of a vocabulary of thousands. The textbook's Adam moves *every*
coefficient at *every* step: where a word is absent its gradient is zero, but its momentum pushes
on and its moments decay. Done as it is written, a step costs as much as there are features.
Masked Adam, which other libraries offer for sparse gradients, leaves absent coefficients alone:
cheap, but another algorithm. Here ``sparse_update="exact"``, the default, is cheap and gives the
textbook's result.

All three learn the same real text messages, one at a time, in their order.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from _gallery import COLOURS, read_messages, use_style
from sklearn.feature_extraction.text import TfidfVectorizer

from sk_adaptive import AdaptiveSGDClassifier, TextHasher

use_style()
texts, spam = read_messages()
texts, spam = texts[:1500], spam[:1500]
ETA0, BETA_1, BETA_2, EPS = 0.02, 0.9, 0.999, 1e-8
STYLES = {
    "exact": {"color": COLOURS["adam"]},
    "masked": {"color": COLOURS["accent"], "linestyle": "--"},
    "dense": {"color": COLOURS["text"]},
}


def textbook_adam(X, y, recorded=0):
    """Kingma and Ba's formulas: all coefficients, the intercept last, and the path of one."""
    w, m, v = np.zeros((3, X.shape[1] + 1))
    path = []
    for t in range(1, X.shape[0] + 1):
        entries = slice(X.indptr[t - 1], X.indptr[t])
        row = np.zeros(len(w))
        row[X.indices[entries]] = X.data[entries]
        row[-1] = 1.0
        g = (1 / (1 + np.exp(-row @ w)) - y[t - 1]) * row
        m = BETA_1 * m + (1 - BETA_1) * g
        v = BETA_2 * v + (1 - BETA_2) * g**2
        w -= ETA0 * m / (1 - BETA_1**t) / (np.sqrt(v / (1 - BETA_2**t)) + EPS)
        path.append(w[recorded])
    return w, path


def model(sparse_update):
    return AdaptiveSGDClassifier(
        optimizer="adam", eta0=ETA0, eps=EPS, penalty=None, sparse_update=sparse_update
    )


# %%
# One word
# --------
#
# The coefficient of a word is moved by the messages that contain it, marked by ticks, and then by
# its momentum for some fifty steps more. Masked Adam's stands still in between.

WORD = "prize"
vectorizer = TfidfVectorizer(use_idf=False)
X = vectorizer.fit_transform(texts)
column = vectorizer.vocabulary_[WORD]
steps = np.arange(1, len(texts) + 1)
_, dense = textbook_adam(X, spam, recorded=column)

figure, axis = plt.subplots(figsize=(9, 4))
axis.plot(steps, dense, color=COLOURS["text"], linewidth=5, alpha=0.5, label="textbook, dense")
for sparse_update in ("exact", "masked"):
    learner = model(sparse_update)
    path = [
        learner.partial_fit(X[i], spam[i : i + 1], classes=[0, 1]).coef_[0, column]
        for i in range(len(texts))
    ]
    axis.plot(steps, path, label=sparse_update, **STYLES[sparse_update])
with_word = steps[X[:, [column]].getnnz(axis=1) > 0]
axis.plot(with_word, np.full(len(with_word), -0.2), "|", color=COLOURS["text"], markersize=12)
axis.set(xlabel="messages", ylabel=f'coefficient of "{WORD}"')
axis.legend(title="Adam")

# %%
# Difference and cost
# -------------------
#
# Now the words are hashed to more and more features, most of which no message has. The difference
# is the largest of any coefficient after all messages, relative to the largest coefficient. The
# time is that of learning a message, in the best of three more passes.

bits = np.arange(5, 21, 2)
dense_bits = bits[bits <= 13]  # beyond that dense Adam takes too long for an example
times = {"dense": [], "exact": [], "masked": []}
differences = {"exact": [], "masked": []}


for b in bits:
    X = TextHasher(n_features=2**b, alternate_sign=False).transform(texts)
    if b in dense_bits:
        begin = time.perf_counter()
        expected, _ = textbook_adam(X, spam)
        times["dense"].append(time.perf_counter() - begin)
    for sparse_update in ("exact", "masked"):
        learner = model(sparse_update).partial_fit(X, spam, classes=[0, 1])
        if b in dense_bits:
            difference = np.abs(learner.coef_[0] - expected[:-1]).max() / np.abs(expected).max()
            differences[sparse_update].append(difference)
        passes = []
        for _ in range(3):
            begin = time.perf_counter()
            learner.partial_fit(X, spam)
            passes.append(time.perf_counter() - begin)
        times[sparse_update].append(min(passes))

print("features           " + "".join(f"{2**b:10,}" for b in bits))
for name, seconds in times.items():
    per_message = 1e6 * np.array(seconds) / len(texts)
    print(f"{name:6} microseconds " + "".join(f"{t:10.2f}" for t in per_message))
for name, values in differences.items():
    print(f"{name:6} differs by  " + "".join(f"{value:10.1e}" for value in values))

figure, axes = plt.subplots(1, 2, figsize=(10, 4))
for name, values in differences.items():
    axes[0].loglog(2**dense_bits, values, marker="o", label=name, **STYLES[name])
for name, seconds in times.items():
    per_message = 1e6 * np.array(seconds) / len(texts)
    axes[1].loglog(2 ** bits[: len(seconds)], per_message, marker="o", label=name, **STYLES[name])
axes[0].set(xlabel="features", ylabel="relative difference from the textbook", ylim=(1e-17, 10))
axes[1].set(xlabel="features", ylabel="microseconds a message")
for axis in axes:
    axis.legend()

# %%
# The exact form agrees to the last digits of double precision, where masked Adam is another
# model. Its time hardly depends on the number of features, like that of the masked form: only the
# caches notice.

plt.show()
