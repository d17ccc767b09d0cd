"""TextHasher: the matrix of HashingVectorizer, bit for bit."""

import io
import pickle
import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import HashingVectorizer

from sk_adaptive import TextHasher
from sk_adaptive.encoding import text_hasher

WORDS = r"(?u)\b\w\w+\b"


def assert_same(documents, **parameters):
    """HashingVectorizer and TextHasher make one matrix."""
    X = TextHasher(**parameters).transform(documents)
    wanted = HashingVectorizer(**parameters).transform(documents)
    assert type(X) is type(wanted)
    assert X.shape == wanted.shape
    for name in ("indptr", "indices", "data"):
        assert getattr(X, name).dtype == getattr(wanted, name).dtype
        np.testing.assert_array_equal(getattr(X, name), getattr(wanted, name))
    return X


@pytest.fixture
def fast(monkeypatch):
    """Fail where scikit-learn's code would be called."""
    real = HashingVectorizer.transform

    def of_scikit_learn(self, X):
        if isinstance(self, TextHasher):
            raise AssertionError("TextHasher went the slow way")
        return real(self, X)

    monkeypatch.setattr(HashingVectorizer, "transform", of_scikit_learn)


def random_documents(seed, n=50):
    """Of characters of ASCII, of Latin, of all planes, and of those whose small letter is long."""
    rng = np.random.default_rng(seed)
    plane = [c for c in range(0x10000) if not 0xD800 <= c < 0xE000]
    alphabets = [
        [*map(ord, "abAB_ \n\t.,1é"), 0xA0],
        [*range(0x180), *[0x20] * 80],
        [*plane, *[0x20] * 9000],
        [*rng.integers(0x10000, 0x110000, 2000), *map(ord, " \u2003\u3000\x85\x1c" * 50)],
        [*range(0x300, 0x600), *map(ord, "İΣσς \u0130ẞK" * 30)],
    ]
    documents = []
    for _ in range(n):
        alphabet = alphabets[rng.integers(len(alphabets))]
        length = int(rng.integers(200)) if rng.random() < 0.9 else 0
        documents.append("".join(map(chr, rng.choice(alphabet, length))))
    # around the 64 characters that words are found in at a time
    documents += ["a" * k + " " + "b" * (130 - k) for k in range(60, 70)]
    documents += ["ab " * 21 + "x" * k for k in range(5)] + ["ab" * 32, "ab" * 64, " ", "a", "ab"]
    return documents


NGRAMS = [(1, 1), (1, 2), (2, 3), (3, 3), (1, 6)]
PATTERNS = [WORDS, r"(?u)\b\w+\b", r"\S+", r"\w\w+", r"\b\w{2,}\b"]


@pytest.mark.parametrize("ngram_range", NGRAMS, ids=str)
@pytest.mark.parametrize(
    ("analyzer", "pattern"),
    [*product(["word"], PATTERNS), ("char", WORDS), ("char_wb", WORDS)],
)
def test_random_text(analyzer, pattern, ngram_range, fast):
    # other documents for each case
    documents = random_documents([*ngram_range, *map(ord, analyzer + pattern)])
    for parameters in (
        {},
        {"norm": "l1", "n_features": 11},
        {"norm": None, "binary": True},
        {"dtype": np.float32, "n_features": 64},
        {"lowercase": False, "alternate_sign": False, "norm": None},
    ):
        assert_same(
            documents,
            analyzer=analyzer,
            token_pattern=pattern,
            ngram_range=ngram_range,
            **parameters,
        )


@pytest.mark.parametrize(
    "parameters",
    [
        {"token_pattern": r"[a-z]+"},
        {"token_pattern": r"(?u)\b\S+\b"},
        {"token_pattern": r"(a)\w"},
        {"token_pattern": r"(?a)\b\w\w+\b"},
        {"strip_accents": "unicode"},
        {"strip_accents": "ascii", "analyzer": "char_wb"},
        {"tokenizer": str.split, "token_pattern": None},
        {"preprocessor": str.title},
        {"analyzer": str.split},
        {"ngram_range": (0, 2), "analyzer": "char"},
        {"dtype": np.int64, "norm": None},
    ],
    ids=str,
)
def test_what_is_not_fast_is_scikit_learns(parameters):
    assert_same(random_documents(7, 60), **parameters)


def test_stop_words(fast):
    documents = ["The cat sat on the mat", "a THE-the é", "Été the éte", "", *random_documents(8)]
    for stop_words in ("english", ["the", "été", "ab"], [], None):
        for parameters in ({}, {"ngram_range": (1, 3)}, {"token_pattern": r"\S+"}):
            assert_same(documents, stop_words=stop_words, **parameters)
    X = TextHasher(stop_words=["the"]).transform(documents)
    assert X[0].nnz == 4


def test_stop_words_that_no_token_is():
    with pytest.warns(UserWarning, match="stop_words may be inconsistent"):
        TextHasher(stop_words=["don't"]).transform(["don't"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same(["don't mind", "a\x00b"], stop_words=["don't", "\x00", "\ud800"])


def test_documents_of_every_kind(tmp_path, fast):
    texts = ["one two", "drei vier fünf", "", "six"]
    wanted = TextHasher().transform(texts)
    for documents in (
        tuple(texts),
        iter(texts),
        pd.Series(texts),
        np.array(texts),
        np.array(texts, dtype=object),
        [text.encode() for text in texts],
        (text for text in texts),
        dict.fromkeys(texts),
    ):
        X = TextHasher().transform(documents)
        assert (wanted != X).nnz == 0
    X = TextHasher(input="file").transform([io.StringIO(text) for text in texts])
    assert (wanted != X).nnz == 0
    paths = [tmp_path / str(k) for k in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="latin-1")
    X = TextHasher(input="filename", encoding="latin-1").transform(paths)
    assert (wanted != X).nnz == 0


class Text(str):
    """A string with small letters of its own."""

    def lower(self):
        return "small"


@pytest.mark.parametrize(
    "document",
    [None, 7, np.nan, b"\xff", ["a"], "a\ud800b", Text("ABC"), np.str_("One TWO")],
    ids=repr,
)
@pytest.mark.parametrize("analyzer", ["word", "char"])
def test_documents_that_are_not_as_they_should_be(document, analyzer):
    """scikit-learn says what is wrong with them, or knows what they are."""
    documents = ["one two", document, "three"]
    try:
        HashingVectorizer(analyzer=analyzer).transform(documents)
    except Exception as error:
        with pytest.raises(type(error)) as raised:
            TextHasher(analyzer=analyzer).transform(documents)
        assert str(raised.value) == str(error)
    else:
        assert_same(documents, analyzer=analyzer)


@pytest.mark.parametrize(
    ("parameters", "documents"),
    [
        ({}, "one string"),
        ({}, []),
        ({"ngram_range": (2, 1)}, ["a"]),
        ({"stop_words": "german"}, ["a"]),
        ({"norm": "l3"}, ["a"]),
        ({"analyzer": "words"}, ["a"]),
    ],
    ids=str,
)
def test_errors_are_scikit_learns(parameters, documents):
    for method in ("fit", "transform"):
        try:
            getattr(HashingVectorizer(**parameters), method)(documents)
        except Exception as error:
            with pytest.raises(type(error)) as raised:
                getattr(TextHasher(**parameters), method)(documents)
            assert str(raised.value).replace("TextHasher", "HashingVectorizer") == str(error)


def test_threads_and_chunks_change_no_bit(monkeypatch):
    documents = random_documents(9, 2000)
    monkeypatch.setattr(text_hasher, "MOST_DOCUMENTS", 700)
    monkeypatch.setattr(text_hasher, "LEAST_CHARACTERS_OF_A_THREAD", 1000)
    wanted = assert_same(documents, n_features=2**10)
    X = TextHasher(n_features=2**10, n_jobs=3).transform(iter(documents))
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(X, name), getattr(wanted, name))


def test_a_document_of_ten_megabytes(fast):
    rng = np.random.default_rng(0)
    words = rng.integers(10**5, size=1_500_000).astype(str)
    assert_same([" ".join(words), "one"], norm=None)


def test_it_is_a_hashing_vectorizer():
    hasher = TextHasher(ngram_range=(1, 2), n_jobs=2)
    assert set(hasher.get_params()) == {*HashingVectorizer().get_params(), "n_jobs"}
    defaults = HashingVectorizer().get_params()
    assert TextHasher().get_params() == {**defaults, "n_jobs": None}
    copy = pickle.loads(pickle.dumps(clone(hasher)))
    assert copy.get_params() == hasher.get_params()
    assert (copy.fit_transform(["one two"]) != hasher.transform(["one two"])).nnz == 0
