"""
"and" and "jackpot": a step size for each word
==============================================

The word "and" is in every seventh message and says little about spam; "jackpot" is in two of
5,574, both of them spam. One step size for all would have to be small for the sake of the
frequent words, and a rare word would hardly learn from the few messages that it has. For this
AdaGrad was invented: the step size of a word shrinks as its own gradients add up.

The attribute ``effective_learning_rate_`` tells what the gradient of each coefficient is
multiplied by. Here we watch it while models learn real text messages, one at a time and in their
order: first by the textbook's formulas, with an ``eps`` next to zero, and then with the one that
the package derives from the rows.
"""

import matplotlib.pyplot as plt
import numpy as np
from _gallery import COLOURS, read_messages, use_style
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from sk_adaptive import AdaptiveSGDClassifier

use_style()
texts, spam = read_messages()
vectorizer = TfidfVectorizer(use_idf=False)
X = vectorizer.fit_transform(texts)
n_messages = X.getnnz(axis=0)
WORDS = {
    "and": COLOURS["text"],
    "call": COLOURS["rmsprop"],
    "prize": COLOURS["adagrad"],
    "jackpot": COLOURS["accent"],
}
columns = [vectorizer.vocabulary_[word] for word in WORDS]
for word, column in zip(WORDS, columns, strict=True):
    of_spam = spam[X[:, [column]].nonzero()[0]].mean()
    print(f"{word:8} is in {n_messages[column]:4} messages, {of_spam:4.0%} of them spam")

# %%
# Over time
# ---------
#
# Each line begins with the first message that has the word.

EVERY = 10
models = {
    "AdaGrad": AdaptiveSGDClassifier(optimizer="adagrad", eps=1e-10),
    "RMSProp": AdaptiveSGDClassifier(optimizer="rmsprop", eps=1e-8),
    "Adam, exact": AdaptiveSGDClassifier(optimizer="adam", eps=1e-8),
    "Adam, masked": AdaptiveSGDClassifier(optimizer="adam", eps=1e-8, sparse_update="masked"),
}
ranges = {
    "AdaGrad": (0.1, 1e4),
    "RMSProp": (1e-2, 1e6),
    "Adam, exact": (1e-2, 1e2),
    "Adam, masked": (0.1, 1e2),
}
starts = np.arange(0, X.shape[0], EVERY)
first = [X[:, [column]].nonzero()[0][0] for column in columns]
figure, axes = plt.subplots(2, 2, figsize=(10, 7.5), sharex=True)
for axis, (name, model) in zip(axes.flat, models.items(), strict=True):
    # the automatic rate, read from all rows rather than from the first ten, and no other beside it
    of_all = clone(model).set_params(eta0="1*auto").partial_fit(X, spam, classes=[0, 1])
    model.eta0 = of_all.eta0_
    rates = np.empty((len(starts), len(columns)))
    for i, start in enumerate(starts):
        rows = slice(start, start + EVERY)
        model.partial_fit(X[rows], spam[rows], classes=[0, 1])
        rates[i] = model.effective_learning_rate_[0, columns]
    for j, (word, colour) in enumerate(WORDS.items()):
        seen = starts + EVERY > first[j]
        axis.semilogy(starts[seen] + EVERY, rates[seen, j], color=colour, label=word, linewidth=1.2)
    axis.set(title=name, ylim=ranges[name])
    values = ", ".join(f"{w} {r:.3g}" for w, r in zip(WORDS, rates[-1], strict=True))
    print(f"{name:13} in the end: {values}")
axes[0, 0].legend(ncols=2)
for axis in axes[1]:
    axis.set_xlabel("messages")
for axis in axes[:, 0]:
    axis.set_ylabel("effective learning rate")

# %%
# AdaGrad's rates only fall: those of frequent words far, that of "jackpot" hardly. RMSProp
# remembers about a hundred messages. A frequent word occurs in that time, and its rate stays
# where it belongs. A rare one is forgotten: its rate grows by half a percent a message, until
# only ``eps`` limits it, and its next step is as if it had never been seen. Adam, with a memory
# of a thousand messages, does the same more slowly. In the masked form moments rest while a word
# is absent, so that the memory is of messages with the word; the rise in the beginning is the
# bias correction's, which counts all steps.
#
# All words
# ---------
#
# The lower row is of models with the defaults, so that ``eps`` comes from the rows.

automatic = {
    name: clone(model).set_params(eps=None).partial_fit(X, spam, classes=[0, 1])
    for name, model in models.items()
}
figure, axes = plt.subplots(2, 4, figsize=(12, 6.5), sharex=True, sharey=True)
for row, learned in zip(axes, (models, automatic), strict=True):
    for axis, (name, model) in zip(row, learned.items(), strict=True):
        rates = model.effective_learning_rate_[0]
        axis.loglog(n_messages, rates, ".", color="0.6", markersize=2, rasterized=True)
        for (word, colour), column in zip(WORDS.items(), columns, strict=True):
            axis.plot(
                n_messages[column], rates[column], "o", color=colour, label=word, markersize=8
            )
        axis.set(title=f"{name}, eps={model.eps_:.2g}", ylim=(1e-2, 1e6))
for axis in axes[1]:
    axis.set_xlabel("messages with the word")
for axis, which in zip(axes[:, 0], ("textbook", "automatic eps"), strict=True):
    axis.set_ylabel(f"effective learning rate\nafter all messages, {which}")
axes[0, -1].legend(loc="upper right")

# %%
# Each point is a word. Among words equally frequent those have the larger rates whose messages
# were predicted well without them: their gradients were small. By the textbook the first step of
# such a word is as long as any, though its message had been right without it: it learns noise. The
# automatic ``eps`` is of the size of a gradient that has something to tell, so that smaller ones
# make smaller steps.

plt.show()
