"""
Rate and strength as a map
==========================

How much do the learning rate and the strength of the penalty matter, and how do they depend on
each other and on the number of epochs? Here are 42 candidates, each scored by cross-validation
after every epoch. ``AdaptiveGridSearchCV`` trains them side by side, so an epoch reads the rows of
a fold once, and not 42 times. Its ``cv_results_`` has the form of GridSearchCV's, and so becomes a
table by pandas or, as here, a map by ``reshape``.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from _gallery import read_messages, use_style
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sk_adaptive import AdaptiveGridSearchCV, AdaptiveSGDClassifier

use_style()
texts, spam = read_messages()
train, test = train_test_split(np.arange(spam.size), test_size=0.25, stratify=spam, random_state=0)
vectorizer = TfidfVectorizer(sublinear_tf=True)
X_train = vectorizer.fit_transform([texts[i] for i in train])
X_test = vectorizer.transform([texts[i] for i in test])

# %%
# The search
# ----------
#
# Factors of three around the automatic rate, and of ten in the strength of the penalty. With
# ``prune=False`` nobody is given up early, as a map is to be without holes.

default = AdaptiveSGDClassifier(random_state=0).fit(X_train, spam[train])
automatic = AdaptiveSGDClassifier(max_iter=1, tol=None).fit(X_train, spam[train]).eta0_
factors, strengths = 3.0 ** np.arange(-2, 5), 10.0 ** np.arange(-7, -1)
search = AdaptiveGridSearchCV(
    AdaptiveSGDClassifier(max_iter=20, tol=None, early_stopping=True, random_state=0),
    {"alpha": strengths, "eta0": automatic * factors},
    prune=False,
)
begin = time.perf_counter()
search.fit(X_train, spam[train])
best = search.best_estimator_
print(
    f"{len(search.cv_results_['params'])} candidates, {search.n_splits_} folds and 20 epochs in "
    f"{time.perf_counter() - begin:.1f} s: {best.eta0 / automatic:.2g} times the automatic rate, "
    f"alpha={best.alpha:.0e}, {best.max_iter} epochs"
)

# %%
# The map
# -------
#
# On the left the least mean log loss of each candidate, on the right after how many epochs it was.

shape = strengths.size, factors.size
maps = {
    "mean log loss of the rows held out": -search.cv_results_["mean_test_score"].reshape(shape),
    "epochs until then": search.cv_results_["n_iter"].reshape(shape),
}
row, column = np.unravel_index(search.best_index_, shape)
figure, axes = plt.subplots(1, 2, figsize=(12, 4.6))
for axis, (title, values) in zip(axes, maps.items(), strict=True):
    is_loss = values.dtype.kind == "f"
    colours = "viridis_r" if is_loss else "Purples"
    image = axis.imshow(values, cmap=colours, aspect="auto", origin="lower", norm="log")
    middle = np.sqrt(values.min() * values.max())
    for place, value in np.ndenumerate(values):
        is_dark = value < middle if is_loss else value > middle
        axis.text(
            *place[::-1],
            f"{value:.3f}" if is_loss else value,
            ha="center",
            va="center",
            fontsize=9,
            color="black" if is_dark == is_loss else "white",
        )
    axis.add_patch(
        plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=2.5)
    )
    axis.set_xticks(range(factors.size), [f"{factor:.2g}" for factor in factors])
    axis.set_yticks(range(strengths.size), [f"{strength:.0e}" for strength in strengths])
    axis.set(title=title, xlabel="rate, relative to the automatic one", ylabel="alpha")
    axis.grid(False)
plt.show()

# %%
# A larger rate needs fewer epochs, up to where it learns single messages by heart. As long as the
# penalty is small, and every candidate may have the number of epochs that suits it, the map is flat
# around the automatic rate. So the defaults, which find the epochs and one of a few rates, leave
# little to gain.

for name, model in {"the search": search, "the defaults": default}.items():
    loss = log_loss(spam[test], model.predict_proba(X_test)[:, 1])
    print(f"{name:13} log loss of messages not seen {loss:.4f}")
