"""
Spam in text messages (a script)
================================

A tf-idf pipeline beside SGDClassifier and LogisticRegression.
"""

import gzip
import time
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sk_adaptive import AdaptiveSGDClassifier

with gzip.open(Path(__file__).parent / "data" / "sms_spam.tsv.gz", "rt", encoding="utf-8") as file:
    rows = [line.rstrip("\n").split("\t", 2) for line in file]
texts = [row[2] for row in rows]
labels = np.array([int(row[1]) for row in rows])
X_train, X_test, y_train, y_test = train_test_split(
    texts, labels, test_size=0.25, stratify=labels, random_state=0
)

models = {
    "AdaptiveSGDClassifier": AdaptiveSGDClassifier(random_state=0),
    "SGDClassifier": SGDClassifier(loss="log_loss", random_state=0),
    "LogisticRegression": LogisticRegression(),
}
print(f"{'model':24}{'log loss':>10}{'accuracy':>10}{'seconds':>9}")
for name, model in models.items():
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), model)
    begin = time.perf_counter()
    pipeline.fit(X_train, y_train)
    seconds = time.perf_counter() - begin
    probability = pipeline.predict_proba(X_test)
    print(
        f"{name:24}{log_loss(y_test, probability):10.4f}"
        f"{accuracy_score(y_test, probability[:, 1] > 0.5):10.4f}{seconds:9.2f}"
    )
