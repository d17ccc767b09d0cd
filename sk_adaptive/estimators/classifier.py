"""The classifier."""

from numbers import Real

import numpy as np
from scipy.special import xlogy
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from ..data.categories import find_classes
from ..data.class_values import as_given, is_text
from ..data.growing import (
    first_categories,
    grows,
    in_order,
    n_outputs_for,
    names_of_labels,
    targets_of_categories,
)
from ..kernel.losses import CLASSIFICATION_LOSSES
from ..model.wider import with_outputs
from .base import AdaptiveSGD
from .locking import one_at_a_time


def _has_probabilities(estimator):
    spec = CLASSIFICATION_LOSSES.get(estimator.loss)
    if spec is None or not spec.make.has_probabilities:
        raise AttributeError(f"probability estimates are not available for loss={estimator.loss!r}")
    return True


class AdaptiveSGDClassifier(ClassifierMixin, AdaptiveSGD):
    """Linear classifiers trained by SGD with a step size for each feature.

    Logistic regression, linear support vector machines and others for sparse data, trained
    by AdaGrad, RMSProp, Adam, AdamW or FTRL-Proximal. `partial_fit` learns from a stream.

    Parameters
    ----------
    loss : {'log_loss', 'hinge', 'squared_hinge', 'modified_huber', 'perceptron', \
            'squared_error', 'huber', 'epsilon_insensitive', 'squared_epsilon_insensitive'}, \
            default='log_loss'
        The loss to minimise. 'log_loss' is logistic regression, 'hinge' the linear support vector
        machine. 'log_loss' and 'modified_huber' give probabilities. The last four are regressions
        on targets of -1 and 1.
    optimizer : {'adagrad', 'rmsprop', 'adam', 'adamw', 'ftrl'}, default='adagrad'
        The update rule. In the formulas g is the gradient of the mini-batch's mean loss with
        respect to one coefficient w, and eta is the learning rate of the step:

        - 'adagrad': ``G += g**2``; ``w -= eta * g / sqrt(G + eps)`` [1]_.
        - 'rmsprop': ``v = rho * v + (1 - rho) * g**2``;
          ``w -= eta * g / (sqrt(v) + eps)`` [2]_.
        - 'adam': ``m = beta_1 * m + (1 - beta_1) * g``;
          ``v = beta_2 * v + (1 - beta_2) * g**2``;
          ``w -= eta * m_hat / (sqrt(v_hat) + eps)`` with the bias-corrected
          ``m_hat = m / (1 - beta_1**t)`` and ``v_hat = v / (1 - beta_2**t)`` [3]_.
        - 'adamw': ``w *= 1 - eta * alpha``, then as 'adam' [4]_.
        - 'ftrl': ``sigma = (sqrt(n + g**2 + eps) - sqrt(n + eps)) / eta``; ``n += g**2``;
          ``z += g - sigma * w``; ``w = -sign(z) * max(abs(z) - l1 * t, 0) / (sqrt(n + eps) / eta
          + l2 * t)`` after step t, with the strengths l1 and l2 of the penalty [7]_. Without a
          penalty it is 'adagrad'. With L1 it keeps far fewer coefficients.
    penalty : {'l2', 'l1', 'elasticnet'} or None, default='l2'
        The penalty on the coefficients; the intercept has none. It is not part of the gradients
        that the optimizer sees. A proximal step in the optimizer's own metric applies it, also for
        the time that a feature was absent. With 'adamw' it is the decoupled weight decay. The
        formula of 'ftrl' contains the penalties of all steps so far. 'l1' by itself is no
        selection of features: with ``alpha='auto'`` it is so weak that most coefficients stay.
        Zeros need a larger `alpha`, as a search finds it, and 'ftrl' keeps the fewest.
    alpha : float or str, default='auto'
        Strength of the penalty, in [0, inf). 'auto' is 3e-7 in the units of the rows of the first
        call, so that units do not matter: the penalty's gradient on a coefficient of typical size
        is 3e-7 times a typical gradient of the loss, both before anything is learned. With 'adamw'
        it is 3e-7 over the typical size. If `eta0` and `eps` are numbers, it is 3e-7. '100*auto' is
        a hundred times as much, and so on.
    l1_ratio : float or None, default=0.15
        Share of L1 in 'elasticnet', in [0, 1]. The penalty is
        ``alpha * (l1_ratio * |w| + (1 - l1_ratio) * w**2 / 2)``.
    positive : bool, default=False
        Whether coefficients may not be negative.
    bounds : (low, high) or None, default=None
        The least and the largest coefficient: numbers, or arrays of a number for each feature, with
        low <= 0 <= high. They hold after every step, for all outputs, and not for the intercept.
        Coefficients that are given are brought within them. With 'adam' and 'adamw' they need
        ``sparse_update='masked'`` or ``penalty=None``.
    penalty_factor : array-like of shape (n_features,) or None, default=None
        What the penalty is multiplied by, for each feature, in [0, inf). 0 leaves a coefficient
        without a penalty. With 'adamw' it needs ``sparse_update='masked'``.
    fit_intercept : bool, default=True
        Whether to learn an intercept. Every step moves it, and it has no penalty. It is the
        coefficient of a constant feature that is as large as the rows of the first call are: the
        root of their mean squared norm. It starts at the log odds of the classes with 'log_loss'
        and at 0 with other losses, unless there are coefficients or intercepts to start from. If
        `eta0` and `eps` are numbers, the constant is 1 and the start is 0.
    max_iter : int, default=100
        The largest number of epochs of `fit`; where it compares rates, of each run.
    tol : float or None, default=1e-3
        The gain that an epoch must make for `fit` to go on. `fit` stops when, for
        `n_iter_no_change` epochs in a row, the training objective (penalty included) fell less
        than `tol` times the loss of the best constant below its best. So neither the loss nor the
        shares of the classes matter to `tol`. With `early_stopping` the score has to improve
        instead: with ``scoring='loss'`` by the same amount, or by 10 times `tol` times the loss of
        these rows where that is less; by `tol` itself with another score. With None only `max_iter`
        stops `fit`.
    shuffle : bool, default=True
        Whether to shuffle the rows before each epoch.
    batch_size : int, default=1
        Rows per step. The last step of an epoch, or of a call of `partial_fit`, may have fewer. A
        number larger than the number of rows means all rows.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        The learning rate of step t, counted from 1:

        - 'constant': `eta0`.
        - 'invscaling': ``eta0 / t**power_t``. Not for 'ftrl'.
        - 'adaptive': `eta0`, divided by 5 each time that `fit` would stop by `tol`, until it is
          less than a millionth of that.
    eta0 : float or str, default='auto'
        The initial learning rate, in (0, inf). 'auto' derives it from the rows of the first call
        and the optimizer. If `fit` sets rows aside and `refit` is True, it also tries three times
        that rate with a larger `eps`, three and nine times it, a third of it, and a smaller `eps`,
        and takes what predicts these rows better, by more than a standard error of the loss.
        `partial_fit` learns the first 32,768 rows with eight rates side by side, each twice the one
        before; the model is their mean, weighted by exp(-loss so far), see `mixture_weights_`
        [8]_. Then the best of them goes on alone. Rows that come again, as in a loop over few rows,
        end that at once. It begins anew when `optimizer`, `sparse_update` or `normalize` changes.
        '3*auto' is three times the derived rate, and so on; no other rate is tried then. `eta0_`
        tells the result.

        With 'search' `fit` does the same.
        `partial_fit` learns all rows with sixteen models, for streams that change. Eight differ by
        the rate alone; the others forget, or have another `eps`. There are none of these if `rho`,
        or `eps`, is given. It does not weigh them by rows that come again. The loss 'perceptron'
        can't tell rates apart there, as it is 0 for a model that predicts 0. After `fit`,
        `partial_fit` goes on with the rate that was found.
    power_t : float, default=0.5
        The exponent of 'invscaling', in [0, inf). With the other schedules a negative value causes
        a `FutureWarning`, as in scikit-learn.
    rho : float or None, default=None
        How much of its sum of squared gradients a coefficient keeps, in [0, 1]. 'adagrad' and
        'ftrl' multiply the sum by `rho` at each occurrence of the feature, 'rmsprop' multiplies
        its mean at each step, where `rho` must be less than 1. What has been added is halved by
        ``log(0.5) / log(rho)`` occurrences or steps: 69 with .99, 693 with .999. None is 1 for
        'adagrad' and 'ftrl', which forget nothing, and .99 for 'rmsprop'.
    beta_1 : float, default=0.9
        The memory of the first moment of 'adam' and 'adamw', in [0, 1). With
        ``sparse_update='exact'`` it must be less than ``sqrt(beta_2)``.
    beta_2 : float, default=0.999
        The memory of the second moment of 'adam' and 'adamw', in (0, 1).
    eps : float, str or None, default=None
        Added to the denominator, in (0, inf). None or 'auto' derives it from the rows of the first
        call, anew when `eta0` is derived anew; '10*auto' is ten times as much, and so on. The
        derived number makes the first steps of a coefficient short if its gradients are small. For
        'adagrad' and 'ftrl' it is the square of a typical gradient before anything is learned, for
        the others 0.03 to 0.3 times that gradient. With batches it is that of one row, over
        `batch_size`. Where `fit` tries other rates, it also tries 10 and 100 times that number at
        three times the rate, with 'rmsprop', 'adam' and 'adamw' 100 times it at 30 times the rate.
        `eps_` tells the result.
    sparse_update : {'exact', 'masked'}, default='exact'
        What a step does to coefficients of features that its rows lack. 'exact': what the formulas
        say for a gradient of zero, so that the result is that of the dense algorithm, at the cost
        of the sparse one. 'masked': they and their moments do not change, as in lazy Adam; the
        penalty is charged all the same. For 'adagrad' and 'ftrl' the two are one.
    normalize : bool, 'auto' or 'standardize', default='auto'
        Whether features are brought to one scale. True: each is divided by the largest size it has
        had, so that the unit of a column does not matter. `fit` takes the largest size in all rows,
        `partial_fit` that in the rows so far [6]_. Sparse rows stay sparse. 'standardize': columns
        that more than 30 % of the rows have are centred and divided by their standard deviation, as
        the rows of `fit` or of the first `partial_fit` tell them, if there are at least 100 rows
        and they do not have one norm as tf-idf rows have; all other columns stay sparse and as they
        are. 'auto': the same where `eta0`, `eps` and `alpha` are automatic, and otherwise nothing,
        as a number is then in the unit of the columns as given. With 'standardize' numbers are in
        the unit of the scaled columns. Either way `coef_` and `intercept_` belong to the features
        as given; the penalty is on the coefficients of the normalised features, and
        `optimizer_state_` is theirs. False: neither.
    epsilon : float, default=0.1
        The threshold of the losses 'huber', 'epsilon_insensitive' and
        'squared_epsilon_insensitive', in [0, inf).
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Factors of the rows' losses by class. 'balanced' is ``n_samples / (n_classes *
        np.bincount(y))``, and not available for `partial_fit`. With several labels a row the keys
        of the dict are 0 and 1 and serve every label, a list has a dict for each label, and
        'balanced' balances each label.
    multi_class : {'auto', 'multinomial', 'ovr'}, default='auto'
        The model of more than two classes. 'multinomial' minimises the cross-entropy of the
        softmax, and needs 'log_loss'. 'ovr' trains each class against the rest. 'auto' is
        'multinomial' for 'log_loss' and 'ovr' for other losses. Both train all classes in one pass
        over the data.
    majority_sampling : float or None, default=None
        Of two classes, the share of the rows of the frequent one that are learned, in (0, 1]. Their
        losses are divided by it, so that the objective, and probabilities, stay what they are.
        `fit` learns another sample in each epoch, `partial_fit` a sample of all rows. Frequent is
        the class of more rows of `fit`, or of the first call of `partial_fit`.
    early_stopping : bool or 'auto', default='auto'
        Whether `fit` stops by the score of rows that it does not learn. These rows are `X_val`,
        `y_val` and `sample_weight_val` of `fit`; then `fit` ends with the weights of the epoch
        with the best score, the first of equal ones. Without `X_val` a part of the training rows
        is set aside at random and stratified by class (not stratified if a class has a single row,
        or a part has fewer rows than there are classes); see `refit`. 'auto' does so with `X_val`,
        or if the rows set aside are enough to tell epochs apart, unless `tol` is None. They are
        enough if they count as 50 or more. A row counts by the size of its gradient before
        anything is learned, so rows of a frequent class and rows of little weight count little.
    scoring : str, callable or None, default='loss'
        The score of early stopping. 'loss' is the negative mean of the losses, weighted by the
        sample weights, without the penalty. Otherwise the name of a scorer of scikit-learn; a
        function of an estimator, X and y that returns a number, of which more is better; or None
        for the accuracy. Sample and class weights are passed to scorers that take a
        `sample_weight`.
    refit : bool, default=True
        Whether `fit` finally learns all rows, if it has set some aside. It then starts anew, at
        the rate and for the number of epochs that gave the best score, see `eta0`. If False, `fit`
        ends with the weights of the best epoch, and has not learned the rows set aside. Where rows
        count as 524,288 or more, see `early_stopping`, rates are compared on an eighth of them. The
        others are learned once, but for those set aside, which count as 8,192. This run ends after
        a fifth of `n_iter_no_change`, with the weights of its best epoch.
    validation_fraction : float, default=0.1
        The part of the rows to set aside, in (0, 1).
    n_iter_no_change : int, default=5
        The number of epochs in a row without enough gain after which `fit` stops, see `tol`. Of
        very many rows a fifth of it, see `refit`.
    warm_start : bool, default=False
        Whether `fit` starts at the coefficients of the previous call. The optimizer's moments
        start anew.
    average : bool, int, 'auto' or 'suffix', default='auto'
        Whether `coef_`, `intercept_` and predictions are averages over the steps. An int: over the
        steps from this one on, counted from 1. A step counts by its learning rate, so with a
        constant rate this is the mean of the weights after each step (while a penalty shrinks a
        weight, the mean is over the shrinking, too). Training does not change. Before the first
        averaged step the attributes are the weights. An assignment to them sets weights and
        average. Another `fit` averages anew. 'suffix': `fit` scores, and ends with, the mean of the
        weights over the last part of a run, in which later ones count more [9]_; `coef_` is that
        mean, and further training starts from it. In `partial_fit` nothing is averaged. 'auto' is
        'suffix' where `fit` scores rows that it does not learn (see `early_stopping`), for rows
        that do not have one norm, as tf-idf rows have, and with RMSProp, Adam and AdamW for all;
        not with the "adaptive" rate. Elsewhere nothing is averaged.
    n_jobs : int or None, default=None
        Threads that share the outputs (one-vs-rest classes, labels or targets, if there are more
        than a vector of the processor holds, 4 to 16), the models of ``eta0="search"`` in
        `partial_fit`, the rows that are predicted and the features of `coef_`. None is one
        thread, or what ``joblib.parallel_config`` says; -1 is one for each core. The result does
        not depend on it.
    verbose : int, default=0
        If 1 or more, `fit` prints a line for each epoch and the reason for stopping. The time left
        is that up to `max_iter`.
    random_state : int, RandomState instance or None, default=None
        Determines the order of the rows and the rows that are set aside.

    Attributes
    ----------
    coef_ : ndarray or CSR matrix of shape (1, n_features) or (n_classes, n_features)
        Coefficients, of the second shape with more than two classes or several labels. It is
        a copy: to change the model, assign to it.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts, a copy as `coef_` is.
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted; with several labels a row the numbers of the labels, or the names
        that the first call of `partial_fit` gave them.
    n_iter_ : int
        Number of epochs of the last `fit`. With `refit` those in which all rows were learned.
    best_iteration_ : int
        The epoch of the last `fit` with the best score, counted from 1; without `early_stopping`
        the last epoch. `fit` ended with the weights of that epoch, or with `refit` learned all
        rows for that number of epochs.
    stopped_by_ : {'tol', 'callback', 'max_iter'}
        What ended the last `fit`. With `refit` it is what ended the run without the rows set
        aside.
    validation_scores_ : list of float or None
        The score of each epoch of the last `fit`, see `scoring`. None without `early_stopping`.
        With `refit` they belong to the best run without the rows set aside, so there may be more
        of them than `n_iter_`.
    t_ : int
        Number of steps done, plus 1.
    eta0_ : float
        The learning rate that `eta0` led to, and with the 'adaptive' schedule training. Of several
        rates side by side it is the mean, weighted by `mixture_weights_`.
    mixture_weights_ : ndarray of shape (n_models,)
        After `partial_fit` with ``eta0='search'``, or 'auto' that has not settled yet, only: the
        weights of the models, whose mean is this model. Their sum is 1. `coef_`, `intercept_`,
        `optimizer_state_` and `effective_learning_rate_` are such means, too, and averages are
        means of averages. A model that a step would have made infinite keeps the weight 0.
    mixture_rates_ : ndarray of shape (n_models,)
        The learning rates of these models.
    mixture_memories_ : ndarray of shape (n_models,)
        The `rho` of these models, with an optimizer that has one. Weights that move to models with
        a `rho` below the others' tell of rows that change.
    mixture_eps_ : ndarray of shape (n_models,) or (n_models, n_targets)
        The `eps` of these models.
    eps_ : float
        The number that `eps` led to.
    loss_curve_ : list of float
        Mean training objective of each epoch of the last `fit`: the loss of each row just before
        it was learned, plus the penalty at the end of the epoch. The decay of 'adamw' is no penalty
        of an objective, and is not added.
    progressive_calibration_ : float
        Of two classes with the loss 'log_loss', and of the rows of `progressive_loss_`: the sum of
        the probabilities of the second class, each before the row was learned, over the weight of
        its rows. Probabilities are calibrated on average where it is 1. NaN before there are some.
    progressive_normalized_entropy_ : float
        Likewise, `progressive_loss_` over that of the share of the second class as the
        probability of each row. Less than 1 is better than this constant [10]_.
    progressive_loss_ : float
        Progressive validation: the mean loss of rows, each just before it was learned. The rows
        are those of the first epoch of the last `fit`, which were all new then, and those that
        `partial_fit` has learned since, or since `reset_progressive_loss`. It is the sum of the
        losses times their sample weights, over the sum of the sample weights. `class_weight` is
        part of the losses. NaN before the first row.
    optimizer_state_ : mapping of str to ndarray of the shape of `coef_`
        What the optimizer remembers of each coefficient after the last step: for 'adagrad'
        'sum_of_squared_gradients' (G), for 'rmsprop' 'mean_squared_gradient' (v), for 'adam' and
        'adamw' 'first_moment' (m) and 'second_moment' (v), which are not bias-corrected, for 'ftrl'
        'z' and 'n'. With ``sparse_update='masked'`` m and v are as of the last step that had a
        gradient. Intercepts are not in it. Read-only, and float64 as squares have twice the range.
        It is exactly 0 for a coefficient that has never had a gradient, but for the z of a
        coefficient that was given. Of a G or n much less than `eps` only the first digits are
        known, or none. With `normalize` it is of the features over their sizes.
        Each reading is a pass over all features.
    effective_learning_rate_ : ndarray of the shape of `coef_`
        The learning rate of each coefficient, of the last step, or before it of the first:
        ``eta / sqrt(G + eps)`` for 'adagrad', ``eta / sqrt(n + eps)`` for 'ftrl',
        ``eta / (sqrt(v) + eps)`` for 'rmsprop', which multiply the gradient, and
        ``eta / (sqrt(v_hat) + eps)`` for 'adam' and 'adamw', which multiplies `m_hat`. Where G, n
        or v is 0 it is as large as `eps` lets it be.
        Otherwise like `optimizer_state_`.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, where all are strings.

    See Also
    --------
    AdaptiveSGDRegressor : The same for regression.
    sklearn.linear_model.SGDClassifier : One step size for all features.

    Notes
    -----
    The time of a step depends on the non-zeros of its rows, not on the number of features. A
    float32 `X` makes a float32 model; any other `X` makes a float64 model.

    With a short memory, 'rmsprop' and 'adam' are biased for features that are rarer than the
    memory is long, whatever the step [5]_.

    References
    ----------
    .. [1] Duchi J., Hazan E., Singer Y. (2011). Adaptive subgradient methods for online learning
       and stochastic optimization. Journal of Machine Learning Research 12.
    .. [2] Tieleman T., Hinton G. (2012). Lecture 6.5: RMSProp. Neural networks for machine
       learning.
    .. [3] Kingma D., Ba J. (2015). Adam: a method for stochastic optimization. ICLR.
    .. [4] Loshchilov I., Hutter F. (2019). Decoupled weight decay regularization. ICLR.
    .. [5] Reddi S., Kale S., Kumar S. (2018). On the convergence of Adam and beyond. ICLR.
    .. [6] Ross S., Mineiro P., Langford J. (2013). Normalized online learning. Conference on
       Uncertainty in Artificial Intelligence.
    .. [7] McMahan H. B. et al. (2013). Ad click prediction: a view from the trenches. KDD.
    .. [8] Vovk V. (1990). Aggregating strategies. Conference on Computational Learning Theory.
    .. [9] Shamir O., Zhang T. (2013). Stochastic gradient descent for non-smooth optimization:
       convergence results and optimal averaging schemes. ICML.
    .. [10] He X. et al. (2014). Practical lessons from predicting clicks on ads at Facebook. ADKDD.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_adaptive import AdaptiveSGDClassifier
    >>> texts = ["win a prize now", "see you at lunch", "free prize call now", "lunch tomorrow?"]
    >>> spam = [1, 0, 1, 0]
    >>> model = make_pipeline(TfidfVectorizer(), AdaptiveSGDClassifier(random_state=0))
    >>> model.fit(texts, spam).predict(["a free prize", "lunch?"])
    array([1, 0])
    """

    _parameter_constraints: dict = {
        **AdaptiveSGD._parameter_constraints,
        "loss": [StrOptions(set(CLASSIFICATION_LOSSES))],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "multi_class": [StrOptions({"auto", "multinomial", "ovr"})],
        "majority_sampling": [Interval(Real, 0, 1, closed="right"), None],
    }

    def __init__(
        self,
        loss="log_loss",
        *,
        optimizer="adagrad",
        penalty="l2",
        alpha="auto",
        l1_ratio=0.15,
        positive=False,
        bounds=None,
        penalty_factor=None,
        fit_intercept=True,
        max_iter=100,
        tol=1e-3,
        shuffle=True,
        batch_size=1,
        learning_rate="constant",
        eta0="auto",
        power_t=0.5,
        rho=None,
        beta_1=0.9,
        beta_2=0.999,
        eps=None,
        sparse_update="exact",
        normalize="auto",
        epsilon=0.1,
        class_weight=None,
        multi_class="auto",
        majority_sampling=None,
        early_stopping="auto",
        scoring="loss",
        refit=True,
        validation_fraction=0.1,
        n_iter_no_change=5,
        warm_start=False,
        average="auto",
        n_jobs=None,
        verbose=0,
        random_state=None,
    ):
        self.loss = loss
        self.optimizer = optimizer
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.positive = positive
        self.bounds = bounds
        self.penalty_factor = penalty_factor
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.rho = rho
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps
        self.sparse_update = sparse_update
        self.normalize = normalize
        self.epsilon = epsilon
        self.class_weight = class_weight
        self.multi_class = multi_class
        self.majority_sampling = majority_sampling
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.refit = refit
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.average = average
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    # -- targets --

    @property
    def _targets(self):
        spec = CLASSIFICATION_LOSSES[self.loss]
        return targets_of_categories(
            self.classes_,
            self._label_format,
            spec.loss_of(self),
            None if self.multi_class == "ovr" else spec.multinomial,
            self.class_weight,
            self._places,
            self._n_outputs,
        )

    # Of classes that appear later, see `GrowingTargets`: which output each has, how many outputs
    # there are, and how many classes at most; or None.
    _places = _n_outputs = _most_classes = None

    def _find_targets(self, y, classes=None, complete=True):
        for name in ("_places", "_n_outputs", "_most_classes", "_drawn"):
            self.__dict__.pop(name, None)
        if not complete and grows(classes):
            names = self.__dict__.pop("_label_names", None)
            y, self.classes_, self._label_format, self._most_classes = first_categories(
                y, classes, names
            )
            self._places = np.arange(self.classes_.size)
            self._n_outputs = n_outputs_for(self.classes_.size, self._most_classes)
        else:
            y, self.classes_, self._label_format = find_classes(y, classes, complete)
        return y

    def _named_labels(self, y, classes, first_call):
        if not (grows(classes) if first_call else self._places is not None):
            return y
        names = names_of_labels(y)
        if names is None:
            return y
        if first_call:
            self._label_names = names
        elif self._label_format is not None and is_text(self.classes_):
            y, self._label_names = in_order(y, names, self.classes_)
        return y

    def _find_new_classes(self, targets, y, classes):
        if self._places is None:
            if grows(classes):
                raise ValueError(
                    f"classes={classes!r} is for the first call of partial_fit: this model has all "
                    "its classes."
                )
            return
        before = "grow" if self._most_classes is None else ("grow", self._most_classes)
        if grows(classes) and classes != before:
            raise ValueError(
                f"classes={classes!r} is not the same as on the first call of partial_fit, was "
                f"{before!r}."
            )
        new = targets.new_classes(y, self.__dict__.pop("_label_names", None))
        if not new.size:
            return
        classes, places, n_outputs = targets.grown(new, self._most_classes)
        if n_outputs > self._n_outputs:
            # the last output has no class yet
            last = np.full(n_outputs - self._n_outputs, self._n_outputs - 1)
            outputs = np.append(np.arange(self._n_outputs), last)
            self._adopt(with_outputs(self._model, outputs))
        else:
            self._cache.pop("coef", None)
        self.__dict__.update(classes_=classes, _places=places, _n_outputs=n_outputs)

    def _find_targets_of_assigned(self, classes):
        if "classes_" not in self.__dict__:
            if classes is None:
                return False
            self.classes_ = np.unique(classes)
        self.classes_ = np.asarray(self.classes_)
        self._label_format = None
        n_outputs, n_classes = len(np.atleast_2d(self.coef_)), self.classes_.size
        if n_outputs != (1 if n_classes == 2 else n_classes):
            raise ValueError(f"coef_ has {n_outputs} row(s), but there are {n_classes} classes.")
        return True

    # -- training --

    def _check_parameters(self, for_fit):
        super()._check_parameters(for_fit)
        if (
            self.multi_class == "multinomial"
            and CLASSIFICATION_LOSSES[self.loss].multinomial is None
        ):
            raise ValueError(f"multi_class='multinomial' needs loss='log_loss', not {self.loss!r}")
        if not for_fit and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. In order to use "
                "'balanced' weights, use compute_class_weight('balanced', classes=classes, "
                "y=y). In place of y you can use a large enough sample of the full training "
                "set target to properly estimate the class frequency distributions. Pass the "
                "resulting weights as the class_weight parameter."
            )

    @one_at_a_time
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        coef_init=None,
        intercept_init=None,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        offset=None,
        offset_val=None,
    ):
        """Learn from all rows, epoch after epoch, until the model no longer improves.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data. It is not changed.
        y : array-like of shape (n_samples,), or array or sparse matrix (n_samples, n_labels)
            Classes; or several labels per row, as 0 and 1.
        coef_init : array or sparse matrix of shape (n_outputs, n_features), default=None
            Coefficients to start from.
        intercept_init : array of shape (n_outputs,), default=None
            Intercepts to start from.
        sample_weight : array-like of shape (n_samples,), default=None
            Factors of the rows' losses, not negative. A row of weight 0 is ignored.
        X_val : array-like or sparse matrix of shape (n_val, n_features), default=None
            Rows to validate on, see `early_stopping`. `Pipeline(..., transform_input=["X_val"])`
            transforms them as it transforms X.
        y_val : as y, of shape (n_val,) or (n_val, n_labels), default=None
            Classes or labels of these rows.
        sample_weight_val : array-like of shape (n_val,), default=None
            Factors of the losses of these rows, not negative. `class_weight` does not
            apply to these rows. It does apply to training rows that are set aside.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Added to the raw predictions of the rows, and not learned: a column for each output, if
            there are several. Predictions need those of their rows.
        offset_val : as offset, for the rows of X_val, default=None
            Needed with `X_val` if there is an `offset`.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input is not valid, if a step would make a coefficient infinite, or if
            a validation score is not finite. The estimator is then as it was before the call,
            and also if a callback raises.
        """
        validation_data = X_val, y_val, sample_weight_val, offset_val
        return self._fit(X, y, sample_weight, offset, coef_init, intercept_init, validation_data)

    def partial_fit(self, X, y, classes=None, sample_weight=None, *, offset=None):
        """Learn from rows once, in their order.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to learn from. It is not changed.
        y : array-like of shape (n_samples,), or array or sparse matrix (n_samples, n_labels)
            Classes; or several labels per row, as 0 and 1.
        classes : array-like of shape (n_classes,), 'grow' or ('grow', int), default=None
            All classes of all calls. The first call needs them, unless y is a matrix of
            labels. Then they are the names of its columns, in their order, and by default the
            numbers of the columns. With 'grow' in the first call, classes are known when a y has
            them, see `classes_`; the number, if it is given, is that of all there will be. A class
            that appears is what it would be if it had been named at the start. Labels that appear
            are new columns of y.
        sample_weight : array-like of shape (n_samples,), default=None
            Factors of the rows' losses, not negative.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Added to the raw predictions of the rows, and not learned: a column for each output, if
            there are several. Predictions need those of their rows.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input is not valid. The estimator is then as it was before the call. Or if
            a step would make a coefficient infinite. The error names the row, and the
            rows before it have been learned.

        Notes
        -----
        The checks are fastest for a CSR matrix of the model's precision and targets in an array.
        """
        return self._partial_fit(X, y, sample_weight, classes, offset)

    # -- prediction --

    def decision_function(self, X, *, offset=None):
        """Compute the raw predictions of rows: the linear model itself.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Added to the raw predictions, as in `fit`.

        Returns
        -------
        raw_predictions : ndarray of shape (n_samples,) or (n_samples, n_classes)
            With two classes, positive numbers predict the second class.
        """
        raw, targets = self._raw_predictions(X, "_targets", offset=offset)
        return targets.decision(raw)

    def predict(self, X, *, offset=None):
        """Predict classes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Added to the raw predictions, as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,), or array or CSR matrix (n_samples, n_labels)
            Classes; or labels as 0 and 1, sparse if the labels of the first call were.
        """
        raw, targets = self._raw_predictions(X, "_targets", offset=offset)
        return targets.decode(raw)

    @available_if(_has_probabilities)
    def predict_proba(self, X, *, offset=None):
        """Estimate probabilities of the classes, for the losses 'log_loss' and 'modified_huber'.

        They are the softmax of the raw predictions. With one-vs-rest they are the probability of
        each class by itself, divided by the sum. With several labels per row each label has its
        own probability.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Added to the raw predictions, as in `fit`.

        Returns
        -------
        probabilities : float64 ndarray of shape (n_samples, n_classes)
        """
        raw, targets = self._raw_predictions(X, "_targets", offset=offset)
        raw = raw.astype(np.float64, copy=False)
        return targets.probabilities(raw, targets.label_format is None, targets.loss.probabilities)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X, *, offset=None):
        """Compute the logarithms of `predict_proba`, exact even where that is rounded to 0.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Added to the raw predictions, as in `fit`.

        Returns
        -------
        log_probabilities : float64 ndarray of shape (n_samples, n_classes)
        """
        raw, targets = self._raw_predictions(X, "_targets", offset=offset)
        raw = raw.astype(np.float64, copy=False)
        of_loss = targets.loss.log_probabilities
        return targets.probabilities(raw, targets.label_format is None, of_loss)

    def _told_of_rows(self, name):
        """Of two classes sums over rows, see `Model.progressive_loss`."""
        with self._lock:
            model = self._model_for(name)
            if model.n_outputs > 1 or self.loss != "log_loss":
                raise AttributeError(
                    f"{type(self).__name__!r} object has {name!r} with two classes and "
                    "loss='log_loss' only."
                )
            return model.progressive_loss

    @property
    def progressive_calibration_(self):
        *_, residual, positive, _ = self._told_of_rows("progressive_calibration_")
        # the derivative of a row's loss is its probability, less 1 if it is of the second class
        return float((residual + positive) / positive) if positive > 0 else np.nan

    @property
    def progressive_normalized_entropy_(self):
        loss, _, _, *of_classes = self._told_of_rows("progressive_normalized_entropy_")
        entropy = -xlogy(of_classes, np.divide(of_classes, sum(of_classes) or 1.0)).sum()
        return float(loss / entropy) if entropy > 0 else np.nan

    def score(self, X, y, sample_weight=None, *, offset=None):
        """Compute the accuracy of `predict`, with several labels per row that of whole rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), or array or sparse matrix (n_samples, n_labels)
            Classes; or several labels per row, as 0 and 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Added to the raw predictions, as in `fit`.

        Returns
        -------
        accuracy : float
        """
        return ClassifierMixin.score(self._beside(offset), X, as_given(y, "y"), sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
