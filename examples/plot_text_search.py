"""
Twenty classes of text, and a search for parameters
===================================================

Which part of scientific Python is a paragraph about? The texts are real and on every computer
that has this package: the documentation of NumPy, SciPy and scikit-learn, and the class of a
paragraph is the subpackage that it documents. The model is a softmax of twenty classes, which one
pass over the rows trains. A search by successive halving [1]_ tries optimizers, rates and
penalties: all candidates have one epoch, the best third three, and the best third of these nine.

.. [1] K. Jamieson, A. Talwalkar (2016). Non-stochastic best arm identification and hyperparameter
   optimization. AISTATS.
"""

import inspect
import re
from importlib import import_module

import matplotlib.pyplot as plt
import numpy as np
from _gallery import COLOURS, NAMES, use_style
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from sklearn.model_selection import GroupShuffleSplit, HalvingGridSearchCV, StratifiedGroupKFold

from sk_adaptive import AdaptiveSGDClassifier
from sk_adaptive.kernel.optimizers import OPTIMIZERS

use_style()
MODULES = [
    *("numpy.ma", "numpy.random"),
    *("scipy.cluster", "scipy.fft", "scipy.integrate", "scipy.interpolate", "scipy.linalg"),
    *("scipy.ndimage", "scipy.optimize", "scipy.signal", "scipy.sparse", "scipy.special"),
    *("scipy.stats", "sklearn.cluster", "sklearn.datasets", "sklearn.decomposition"),
    *("sklearn.ensemble", "sklearn.linear_model", "sklearn.metrics", "sklearn.model_selection"),
]
PARAGRAPHS = 160  # of a class, at most


def paragraphs(name):
    """Paragraphs of prose about the public members of a module, and the members."""
    module = import_module("scipy.cluster.hierarchy" if name == "scipy.cluster" else name)
    found = {}  # what several members have, such as common parameters, counts once
    for member in sorted(vars(module)):
        thing = getattr(module, member)
        if member.startswith("_") or inspect.ismodule(thing):
            continue
        for text in re.split(r"\n\s*\n", inspect.getdoc(thing) or ""):
            if len(text) > 100 and ">>>" not in text:
                found.setdefault(text, f"{name}.{member}")
    kept = list(found.items())
    # some of each member rather than all of the first ones
    return [kept[i] for i in np.random.default_rng(0).permutation(len(kept))[:PARAGRAPHS]]


texts, members, classes = [], [], []
for name in MODULES:
    for text, member in paragraphs(name):
        texts.append(text)
        members.append(member)
        classes.append(name)
classes, members = np.array(classes), np.array(members)
print(f"{len(texts):,} paragraphs about {len(set(members)):,} members of {len(MODULES)} modules")

# %%
# What a member's documentation says in one paragraph it repeats in the next, so all paragraphs of
# a member are on the same side of each split.

split = GroupShuffleSplit(test_size=0.25, random_state=0).split(texts, groups=members)
train, test = next(split)
texts_train, texts_test = ([texts[i] for i in part] for part in (train, test))
vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english", token_pattern=r"[a-z]{3,}")
X_train, X_test = vectorizer.fit_transform(texts_train), vectorizer.transform(texts_test)
print(f"{X_train.shape[1]:,} words, {X_train.nnz / X_train.shape[0]:.0f} in a paragraph")

# %%
# The search
# ----------
#
# The rates are multiples of the one that the optimizer would choose for itself.

FACTORS = 3.0 ** np.arange(-2, 4)
grid, automatic = [], {}
for optimizer in OPTIMIZERS:
    model = AdaptiveSGDClassifier(optimizer=optimizer, max_iter=1, tol=None)
    automatic[optimizer] = model.fit(X_train, classes[train]).eta0_
    grid.append(
        {
            "optimizer": [optimizer],
            "eta0": list(automatic[optimizer] * FACTORS),
            # a weight decay is a larger number than a penalty
            "alpha": [1e-3, 1e-2] if OPTIMIZERS[optimizer].decoupled else [1e-6, 1e-5],
        }
    )
search = HalvingGridSearchCV(
    AdaptiveSGDClassifier(tol=None, random_state=0),
    grid,
    resource="max_iter",
    min_resources=1,
    max_resources=9,
    factor=3,
    scoring="neg_log_loss",
    cv=StratifiedGroupKFold(3),
    random_state=0,
)
search.fit(X_train, classes[train], groups=members[train])
best = search.best_params_
print(
    f"{search.n_candidates_} candidates with {search.n_resources_} epochs. The best: "
    f"{best['optimizer']}, alpha={best['alpha']:.0e}, "
    f"{best['eta0'] / automatic[best['optimizer']]:.2g} times the automatic rate"
)

results = search.cv_results_
losses = {}  # of a candidate, by its number of epochs
for parameters, score in zip(results["params"], results["mean_test_score"], strict=True):
    key = parameters["optimizer"], parameters["alpha"], parameters["eta0"]
    losses.setdefault(key, {})[parameters["max_iter"]] = -score

figure, axes = plt.subplots(1, 2, figsize=(11, 4.5))
for optimizer, rate in automatic.items():
    of_optimizer = {key: curve for key, curve in losses.items() if key[0] == optimizer}
    of_rate = [
        min(curve[1] for key, curve in of_optimizer.items() if np.isclose(key[2], rate * factor))
        for factor in FACTORS
    ]
    style = {"color": COLOURS[optimizer], "label": NAMES[optimizer]}
    # AdamW's curve falls on Adam's
    width = 5 if optimizer == "adam" else 1.8
    axes[0].plot(FACTORS, of_rate, "o-", linewidth=width, **style)
    for curve in of_optimizer.values():
        axes[1].plot(list(curve), list(curve.values()), "o-", linewidth=1.2, markersize=5, **style)
        style["label"] = None
axes[0].set(
    title="after one epoch, the better penalty",
    xscale="log",
    xlabel="rate, relative to the automatic one",
    ylabel="cross-validated log loss",
    ylim=(0.9, 3.2),
)
axes[1].set(
    title="those with the best losses",
    xscale="log",
    xlabel="epochs",
    xticks=search.n_resources_,
    xticklabels=search.n_resources_,
    ylim=(1.1, 1.6),
)
axes[1].minorticks_off()
axes[0].legend()

# %%
# The automatic rates are meant for as many epochs as it takes. With few of them larger ones are
# better: three times AdaGrad's, and even more for the others.
#
# On texts not seen
# -----------------
#
# The best candidate beside a model of which nothing was tuned. That one may take more epochs than
# the search had to give, and does as well.

for name, model in {
    "the search's": search,
    "the defaults'": AdaptiveSGDClassifier(random_state=0).fit(X_train, classes[train]),
}.items():
    loss = log_loss(classes[test], model.predict_proba(X_test))
    accuracy = accuracy_score(classes[test], model.predict(X_test))
    print(f"{name:14} log loss {loss:.3f}, accuracy {accuracy:.1%}")

figure, axis = plt.subplots(figsize=(8.5, 7.5))
counts = confusion_matrix(classes[test], search.predict(X_test), labels=MODULES, normalize="true")
image = axis.imshow(100 * counts, cmap="Blues", vmin=0, vmax=100)
for (i, j), share in np.ndenumerate(counts):
    if share >= 0.05:
        colour = "white" if share > 0.5 else "black"
        axis.text(j, i, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=9)
axis.set_xticks(range(len(MODULES)), MODULES, rotation=90)
axis.set_yticks(range(len(MODULES)), MODULES)
axis.set(xlabel="predicted", ylabel="true")
axis.grid(False)
figure.colorbar(image, label="% of the paragraphs of a class", shrink=0.7)
plt.show()
