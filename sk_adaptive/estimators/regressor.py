"""The regressor."""

from numbers import Real

from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from ..data.targets import NumberTargets, find_numbers
from ..kernel.losses import REGRESSION_LOSSES
from .base import AdaptiveSGD
from .locking import one_at_a_time


class AdaptiveSGDRegressor(RegressorMixin, AdaptiveSGD):
    """Linear regressions trained by SGD with a step size for each feature.

    Least squares, robust, quantile, Poisson, gamma and Tweedie regression for sparse data, trained
    by AdaGrad, RMSProp, Adam, AdamW or FTRL-Proximal. `partial_fit` learns from a stream.

    Parameters
    ----------
    loss : {'squared_error', 'huber', 'epsilon_insensitive', 'squared_epsilon_insensitive', \
            'quantile', 'expectile', 'poisson', 'gamma', 'tweedie', 'log_loss'}, \
            default='squared_error'
        The loss to minimise. 'squared_error' is least squares, divided by 2. 'huber' is linear
        beyond `epsilon`. The epsilon-insensitive losses ignore errors up to `epsilon`; the first
        is the linear support vector regression. 'quantile' estimates `quantile`, and 'expectile'
        `expectile`. 'poisson', 'gamma' and 'tweedie' are half the deviance of these distributions;
        predictions are the exponential of the linear model. With 'poisson' `y` is not negative,
        with 'gamma' it is positive; of 'tweedie' see `power`. 'log_loss' is logistic regression on
        targets that are probabilities, in [0, 1], and predictions are probabilities.
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
        root of their mean squared norm. It starts at the median of `y`, with 'poisson', 'gamma'
        and 'tweedie' at the logarithm of its mean, with 'log_loss' at the log odds of its mean,
        unless there are coefficients or intercepts to start from. If `eta0` and `eps` are numbers,
        the constant is 1 and the start is 0.
    max_iter : int, default=100
        The largest number of epochs of `fit`; where it compares rates, of each run.
    tol : float or None, default=3e-4
        The gain that an epoch must make for `fit` to go on. `fit` stops when, for
        `n_iter_no_change` epochs in a row, the training objective (penalty included) fell less
        than `tol` times the loss of the best constant below its best. So the unit of `y` does not
        matter. With `early_stopping` the score has to improve instead: with ``scoring='loss'`` by
        the same amount, or by 10 times `tol` times the loss of these rows where that is less; by
        `tol` itself with another score. With None only `max_iter` stops `fit`.
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
        or `eps`, is given. It does not weigh them by rows that come again. The loss is in the unit
        of the targets of the first call. After `fit`, `partial_fit` goes on with the rate that was
        found.

        The automatic rate is proportional to the mean distance of `y` from its median. With
        'poisson', 'gamma', 'tweedie' and 'log_loss' it does not depend on `y`. Of several
        targets each has its own, and what is compared are multiples for all; `eta0_` is then the
        geometric mean.
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
    quantile : float, default=0.5
        The quantile that 'quantile' estimates, in (0, 1).
    expectile : float, default=0.5
        The expectile that 'expectile' estimates, in (0, 1). 0.5 is the mean.
    power : float, default=1.5
        The power of the mean that the variance of 'tweedie' follows, in [1, 2], as in
        scikit-learn's TweedieRegressor. 1 is 'poisson', 2 is 'gamma' with positive `y`; between
        them `y` may be 0 and is otherwise continuous.
    early_stopping : bool or 'auto', default='auto'
        Whether `fit` stops by the score of rows that it does not learn. These rows are `X_val`,
        `y_val` and `sample_weight_val` of `fit`; then `fit` ends with the weights of the epoch
        with the best score, the first of equal ones. Without `X_val` a part of the training rows
        is set aside at random; see `refit`. 'auto' does so with `X_val`, or if the rows set aside
        are enough to tell epochs apart, unless `tol` is None. They are enough if they count as 50
        or more. A row counts by the size of its gradient before anything is learned, so outliers
        and rows of little weight count little.
    scoring : str, callable or None, default='loss'
        The score of early stopping. 'loss' is the negative mean of the losses, weighted by the
        sample weights, without the penalty. Otherwise the name of a scorer of scikit-learn; a
        function of an estimator, X and y that returns a number, of which more is better; or None
        for R2. Sample weights are passed to scorers that take a `sample_weight`.
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
        'suffix' where `fit` scores rows that it does not learn (see `early_stopping`), but not with
        the "adaptive" rate. Elsewhere nothing is averaged.
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
    coef_ : ndarray or CSR matrix of shape (n_features,) or (n_targets, n_features)
        Coefficients, of the second shape if y is a matrix. It is a copy: to change the model,
        assign to it.
    intercept_ : ndarray of shape (1,) or (n_targets,)
        Intercepts, a copy as `coef_` is.
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
        rates side by side it is the mean, weighted by `mixture_weights_`. Several targets have
        automatic rates in their own units, of which this is the geometric mean.
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
    eps_ : float or ndarray of shape (n_targets,)
        The number that `eps` led to, or those of several targets of other units.
    loss_curve_ : list of float
        Mean training objective of each epoch of the last `fit`: the loss of each row just before
        it was learned, plus the penalty at the end of the epoch. The decay of 'adamw' is no penalty
        of an objective, and is not added. Targets of other units count by their own.
    progressive_loss_ : float
        Progressive validation: the mean loss of rows, each just before it was learned. The rows
        are those of the first epoch of the last `fit`, which were all new then, and those that
        `partial_fit` has learned since, or since `reset_progressive_loss`. It is the sum of the
        losses times their sample weights, over the sum of the sample weights. NaN before the first
        row.
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
    AdaptiveSGDClassifier : The same for classification.
    sklearn.linear_model.SGDRegressor : One step size for all features.

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

    Examples
    --------
    >>> import numpy as np
    >>> from sk_adaptive import AdaptiveSGDRegressor
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> y = X @ [1.0, -2.0, 0.5] + 3.0
    >>> model = AdaptiveSGDRegressor(learning_rate="adaptive", random_state=0).fit(X, y)
    >>> print(model.coef_.round(2), model.intercept_.round(2))
    [ 1.  -2.   0.5] [3.]
    """

    _parameter_constraints: dict = {
        **AdaptiveSGD._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES))],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "expectile": [Interval(Real, 0, 1, closed="neither")],
        "power": [Interval(Real, 1, 2, closed="both")],
    }

    def __init__(
        self,
        loss="squared_error",
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
        tol=3e-4,
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
        quantile=0.5,
        expectile=0.5,
        power=1.5,
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
        self.quantile = quantile
        self.expectile = expectile
        self.power = power
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
        loss = REGRESSION_LOSSES[self.loss].loss_of(self)
        return NumberTargets(self._target_shape, loss, self.loss)

    def _find_targets(self, y, classes=None, complete=True):
        y = find_numbers(y)
        self._target_shape = y.shape[1:]
        return y

    def _find_targets_of_assigned(self, classes):
        self._target_shape = () if self.coef_.ndim == 1 else self.coef_.shape[:1]
        return True

    # -- training --

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
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        coef_init : array or sparse matrix of shape (n_outputs, n_features), default=None
            Coefficients to start from.
        intercept_init : array of shape (n_outputs,), default=None
            Intercepts to start from.
        sample_weight : array-like of shape (n_samples,), default=None
            Factors of the rows' losses, not negative. A row of weight 0 is ignored.
        X_val : array-like or sparse matrix of shape (n_val, n_features), default=None
            Rows to validate on, see `early_stopping`. In a `Pipeline` they can be transformed as
            X is with `Pipeline(..., transform_input=["X_val"])`.
        y_val : array-like of shape (n_val,) or (n_val, n_targets), default=None
            Targets of these rows.
        sample_weight_val : array-like of shape (n_val,), default=None
            Factors of the losses of these rows, not negative.
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

    def partial_fit(self, X, y, sample_weight=None, *, offset=None):
        """Learn from rows once, in their order.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to learn from. It is not changed.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
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
        Rows in a CSR matrix of the model's precision, and targets in an array, cost least to check.
        """
        return self._partial_fit(X, y, sample_weight, offset=offset)

    # -- prediction --

    def predict(self, X, *, offset=None):
        """Predict targets.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Added to the raw predictions, as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        raw, targets = self._raw_predictions(X, "_targets", offset=offset)
        return targets.decode(raw)

    def score(self, X, y, sample_weight=None, *, offset=None):
        """Compute R2, the coefficient of determination of `predict`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Added to the raw predictions, as in `fit`.

        Returns
        -------
        r2 : float
        """
        return RegressorMixin.score(self._beside(offset), X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = REGRESSION_LOSSES[self.loss].make.link == "log"
        return tags
