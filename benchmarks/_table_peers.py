"""What end_to_end.py runs: a pipeline of each library, from rows as they are given to a model.

Each takes a job, a dict with the table (or texts) and y or the paths of files, and returns a
function that predicts the probabilities of new rows.
"""

import importlib
import string
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

from sk_adaptive import AdaptiveSGDClassifier, ColumnHasher, TextHasher

BITS = 20
TEN = list(combinations([f"C{k}" for k in (3, 8, 13, 18, 23)], 2))
LETTERS = string.ascii_letters + string.digits
CHUNK = 50_000


def ours(kind, interactions, job, n_jobs=None, **parameters):
    numeric = "log_bins" if any(name.startswith("I") for name in job["table"]) else "value"
    hasher = ColumnHasher(1 << BITS, interactions=interactions, numeric=numeric, n_jobs=n_jobs)
    model = AdaptiveSGDClassifier(**parameters)
    model.partial_fit(hasher.transform(job["table"]), job["y"], classes=[0, 1])
    return lambda table: model.predict_proba(hasher.transform(table))[:, 1]


def names_and_strings(table):
    """What FeatureHasher takes, made in Python."""
    strings = [f"{name}=" for name in table if table[name].dtype.kind not in "if"]
    values = table[[name[:-1] for name in strings]].to_numpy(dtype=object).tolist()
    rows = [[name + value for name, value in zip(strings, row, strict=True)] for row in values]
    return rows


def of_pipeline(encode, job):
    X = encode.fit_transform(job["table"], job["y"])
    model = SGDClassifier(loss="log_loss").partial_fit(X, job["y"], classes=[0, 1])
    return lambda table: model.predict_proba(encode.transform(table))[:, 1]


def one_hot(job):
    numbers = [name for name in job["table"] if name.startswith("I")]
    strings = [name for name in job["table"] if name.startswith("C")]
    encoder = OneHotEncoder(handle_unknown="ignore"), strings
    return of_pipeline(make_column_transformer(encoder, (StandardScaler(), numbers)), job)


def feature_hasher(job):
    hasher = FeatureHasher(1 << BITS, input_type="string", alternate_sign=False)
    X = hasher.transform(names_and_strings(job["table"]))
    model = SGDClassifier(loss="log_loss").partial_fit(X, job["y"], classes=[0, 1])
    return lambda table: model.predict_proba(hasher.transform(names_and_strings(table)))[:, 1]


def target_encoder(job):
    encoder = make_pipeline(TargetEncoder(random_state=0), StandardScaler())
    return of_pipeline(encoder, job)


def ftrl(interactions, job):
    dt = importlib.import_module("datatable")
    dt.options.nthreads = 1
    model = importlib.import_module("datatable.models").Ftrl(nbins=1 << BITS)
    if interactions:
        model.interactions = interactions
    model.fit(dt.Frame(job["table"]), dt.Frame(y=job["y"].astype(bool)))

    def predict(table):
        return model.predict(dt.Frame(table))["True"].to_numpy()[:, 0].astype(float)

    return predict


def wabbit(interactions, job):
    """From its text file, and to a file of predictions; a name of two letters for each cross."""
    module = importlib.import_module("vowpalwabbit")
    letter = dict(zip(job["names"], LETTERS, strict=False))
    crosses = [option for a, b in interactions or [] for option in ("-q", letter[a] + letter[b])]
    options = ["-b", str(BITS), "--loss_function", "logistic", "--quiet", *crosses]
    saved = f"{job['wabbit']}.model"
    module.Workspace(arg_list=["-d", job["wabbit"], "-f", saved, *options]).finish()

    def predict(table):
        to = f"{saved}.predictions"
        arguments = ["-t", "-i", saved, "-d", job["wabbit_new"], "-p", to, "--quiet"]
        module.Workspace(arg_list=arguments).finish()
        return expit(np.loadtxt(to, usecols=0))

    return predict


def river(job):
    models = importlib.import_module("river.linear_model")
    optim = importlib.import_module("river.optim")
    model = models.LogisticRegression(optim.AdaGrad(0.1))
    few = job["table"][: len(job["table"]) // 20]
    for row, label in zip(names_and_strings(few), job["y"].tolist(), strict=False):
        model.learn_one(dict.fromkeys(row, 1), label)
    job["share"] = 1 / 20

    def predict(table):
        rows = names_and_strings(table)
        return np.array([model.predict_proba_one(dict.fromkeys(row, 1))[True] for row in rows])

    return predict


def ours_from_arrow(interactions, job):
    csv = importlib.import_module("pyarrow.csv")
    string_type = importlib.import_module("pyarrow").string()
    hasher = ColumnHasher(1 << BITS, interactions=interactions, numeric="log_bins")
    model = AdaptiveSGDClassifier()
    text = {name: string_type for name in job["names"] if name.startswith("C")}
    options = {
        "read_options": csv.ReadOptions(block_size=1 << 23, use_threads=False),
        "convert_options": csv.ConvertOptions(column_types=text),
    }

    def batches(path):
        for batch in csv.open_csv(path, **options):
            yield hasher.transform(batch.select(job["names"])), batch["y"].to_numpy()

    for X, y in batches(job["csv"]):
        model.partial_fit(X, y, classes=[0, 1])
    return lambda table: np.concatenate(
        [model.predict_proba(X)[:, 1] for X, _ in batches(job["csv_new"])]
    )


def ours_from_pandas(interactions, job):
    hasher = ColumnHasher(1 << BITS, interactions=interactions, numeric="log_bins")
    model = AdaptiveSGDClassifier()
    text = {name: object for name in job["names"] if name.startswith("C")}
    read = partial(pd.read_csv, dtype=text, chunksize=CHUNK)
    for chunk in read(job["csv"]):
        y = chunk.pop("y")
        model.partial_fit(hasher.transform(chunk), y, classes=[0, 1])
    return lambda table: np.concatenate(
        [
            model.predict_proba(hasher.transform(chunk.drop(columns="y")))[:, 1]
            for chunk in read(job["csv_new"])
        ]
    )


def ftrl_from_csv(interactions, job):
    dt = importlib.import_module("datatable")
    dt.options.nthreads = 1
    job["table"] = dt.fread(job["csv"])
    job["y"] = job["table"]["y"].to_numpy()[:, 0]
    del job["table"]["y"]
    predict = ftrl(interactions, job)
    return lambda table: predict(dt.fread(job["csv_new"])[:, job["names"]])


def texts(vectorizer, model, job):
    model.partial_fit(vectorizer.fit_transform(job["table"]), job["y"], np.unique(job["y"]))
    return lambda new: model.predict_proba(vectorizer.transform(new))


def fast_text(job):
    module = importlib.import_module("fasttext")
    path = f"{job['folder']}/fasttext.txt"
    with open(path, "w", encoding="utf-8") as file:
        for text, label in zip(job["table"], job["y"], strict=True):
            file.write(f"__label__{label} {' '.join(text.split())}\n")
    model = module.train_supervised(path, epoch=1, thread=1, verbose=0, wordNgrams=1)
    classes = [f"__label__{label}" for label in np.unique(job["y"])]

    def predict(new):
        # its own wrapper asks NumPy for what NumPy 2 has no more
        found = [model.f.predict(" ".join(t.split()) + "\n", -1, 0.0, "strict") for t in new]
        return np.array([[dict(map(reversed, p)).get(c, 0.0) for c in classes] for p in found])

    return predict


def sgd():
    return SGDClassifier(loss="log_loss", random_state=0)


def peers_of(part):
    """The lines of a part: how the table is kept, and what is called."""
    if part == "text":
        hashing = {"n_features": 1 << BITS}
        return {
            "TextHasher, ours": partial(texts, TextHasher(**hashing), AdaptiveSGDClassifier()),
            "HashingVectorizer, SGD": partial(texts, HashingVectorizer(**hashing), sgd()),
            "TfidfVectorizer, SGD": partial(texts, TfidfVectorizer(), sgd()),
            "HashingVectorizer, ours": partial(
                texts, HashingVectorizer(**hashing), AdaptiveSGDClassifier()
            ),
            "fastText, one epoch": fast_text,
        }
    if part == "foods":
        cross = [("A", "B")]
        return {
            "ours, str": partial(ours, "str", cross),
            "ours, category": partial(ours, "category", cross),
            "datatable Ftrl": partial(ftrl, cross),
            "Vowpal Wabbit, its text": partial(wabbit, cross),
        }
    lines = {}
    for title, crosses in (("", None), (", ten crosses", TEN)):
        if part == "clicks":
            for kind in ("object", "category", "str"):
                lines[f"ours, {kind}{title}"] = partial(ours, kind, crosses)
            lines[f"ours, category, 2 threads{title}"] = partial(
                ours, "category", crosses, n_jobs=2
            )
            lines[f"datatable Ftrl{title}"] = partial(ftrl, crosses)
        else:
            lines[f"ours, pyarrow{title}"] = partial(ours_from_arrow, crosses)
            lines[f"ours, pandas{title}"] = partial(ours_from_pandas, crosses)
            lines[f"datatable Ftrl{title}"] = partial(ftrl_from_csv, crosses)
        lines[f"Vowpal Wabbit, its text{title}"] = partial(wabbit, crosses)
    if part == "clicks":
        lines |= {
            "OneHotEncoder, SGD": one_hot,
            "FeatureHasher, SGD": feature_hasher,
            "TargetEncoder, SGD": target_encoder,
            "river, of 1/20 of the rows": river,
        }
    return lines
