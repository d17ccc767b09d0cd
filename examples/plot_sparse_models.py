"""
Small models: which words are worth a weight
============================================

A model that is served has to be small, and most words of a text collection are noise. An L1
penalty leaves them without a weight. How many it leaves depends on the optimizer: AdaGrad moves
the weights of a row's words and then shrinks them, so that each message pushes its words off zero.
FTRL-Proximal compares the sum of all gradients so far with the penalties of all steps so far, and
a word on which messages do not agree never gets a weight.

Both learn the same messages here, with the same strengths of the penalty.
"""

import pickle

import matplotlib.pyplot as plt
import numpy as np
from _gallery import COLOURS, read_messages, use_style
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sk_adaptive import AdaptiveSGDClassifier

use_style()
texts, spam = read_messages()
train, test, y_train, y_test = train_test_split(texts, spam, test_size=0.25, random_state=0)
vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
X_train, X_test = vectorizer.fit_transform(train), vectorizer.transform(test)
print(f"{len(train)} messages with {X_train.shape[1]} words and pairs of words")


def trained(optimizer, alpha, seed=0):
    model = AdaptiveSGDClassifier(
        optimizer=optimizer,
        penalty="l1",
        alpha=alpha,
        max_iter=5,
        tol=None,
        early_stopping=False,
        random_state=seed,
    )
    return model.fit(X_train, y_train)


# %%
# Loss and coefficients
# ---------------------
#
# Each point is a strength of the penalty, and a mean over five orders of the messages. Lines of
# dots join the same strength.

STRENGTHS = 10 ** np.arange(-6.5, -3.2, 0.25)
NAMES = {"adagrad": "AdaGrad with L1", "ftrl": "FTRL-Proximal with L1"}
curves = {}
for optimizer in NAMES:
    points = np.empty((len(STRENGTHS), 2))
    for i, alpha in enumerate(STRENGTHS):
        models = [trained(optimizer, alpha, seed) for seed in range(5)]
        losses = [log_loss(y_test, model.predict_proba(X_test)) for model in models]
        points[i] = np.mean([np.count_nonzero(model.coef_) for model in models]), np.mean(losses)
    curves[optimizer] = points

figure, axis = plt.subplots(figsize=(8.5, 5))
for pair in zip(*curves.values(), strict=True):
    axis.plot(*np.transpose(pair), ":", color="0.7", linewidth=1)
for (optimizer, name), colour in zip(NAMES.items(), ("adagrad", "accent"), strict=True):
    axis.loglog(*curves[optimizer].T, "o-", color=COLOURS[colour], label=name, markersize=5)
axis.set_yticks([0.05, 0.1, 0.2], ["0.05", "0.1", "0.2"], minor=False)
axis.minorticks_off()
axis.set(xlabel="coefficients kept", ylabel="log loss of messages not seen")
axis.legend()

print(f"{'alpha':>10}{'AdaGrad':>20}{'FTRL':>20}")
for alpha, (kept, loss), (fewer, other) in zip(STRENGTHS, *curves.values(), strict=True):
    print(f"{alpha:10.1e}{kept:10.0f}{loss:10.4f}{fewer:10.0f}{other:10.4f}")

# %%
# At the same strength the losses are nearly the same, as both minimise the same objective, and FTRL
# gets by with a fraction of the coefficients. Read the other way: of two models of a thousand
# words, FTRL's is the better one.
#
# What is left
# ------------
#
# With a strong penalty the words with the largest weights are those that tell spam.

small = trained("ftrl", 1e-4)
words = vectorizer.get_feature_names_out()
(weights,) = small.coef_
largest = np.argsort(weights)[::-1][:8]
print(f"{np.count_nonzero(weights)} coefficients, the largest of")
print(", ".join(f"{words[word]} ({weights[word]:.1f})" for word in largest))

# %%
# What is saved
# -------------
#
# A zero takes as much room as any other coefficient, and the optimizer's memory of it, too, until
# ``strip_optimizer()`` leaves what predictions need. The model predicts the same, but it can't
# learn on.

before, expected = len(pickle.dumps(small)), small.predict_proba(X_test)
small.strip_optimizer()
after = len(pickle.dumps(small))
print(f"a pickle of {before / 1e3:.0f} kB, stripped {after / 1e3:.1f} kB")
assert np.array_equal(small.predict_proba(X_test), expected)
try:
    small.partial_fit(X_train, y_train)
except ValueError as error:
    print(error)

plt.show()
