"""Reading all weights, and handing a state over to other parameters: features by the hundred."""

# Features handled at once where all of them are read or rewritten.
cdef enum:
    SWEEP = 256


cdef struct Sweep:
    Touch touch
    int32_t[SWEEP] features


cdef void name_sweep(
    Sweep* sweep, const int32_t* features, Py_ssize_t start, Py_ssize_t n_all
) noexcept nogil:
    """The next features: from `start` on, of the list `features` if it is not NULL.

    Those that follow in the list are fetched when these are read.
    """
    cdef Py_ssize_t j
    memset(&sweep.touch, 0, sizeof(Touch))
    sweep.touch.n = min(<Py_ssize_t>SWEEP, n_all - start)
    if features != NULL:
        sweep.touch.columns = features + start
        sweep.touch.ahead = features + start + sweep.touch.n
        sweep.touch.n_ahead = min(<Py_ssize_t>SWEEP, n_all - start - sweep.touch.n)
        return
    for j in range(sweep.touch.n):
        sweep.features[j] = <int32_t>(start + j)
    sweep.touch.columns = sweep.features


cdef void read_sweep(
    Optimizer o, Sweep* sweep, const int32_t* features, Py_ssize_t start, Py_ssize_t n_all,
    bint whole,
) noexcept nogil:
    """Read weights after step t, and if `whole` moments, to the working set."""
    name_sweep(sweep, features, start, n_all)
    o.passes.read(&o.m, &sweep.touch, whole)


cdef read_weights(Optimizer o, const int32_t[::1] features, real[:, :] out):
    cdef Sweep sweep
    cdef Py_ssize_t start = 0, j, k, n_all = features.shape[0]
    cdef double span = o.clock.learning_rate_sum - o.clock.average_start
    if not o.reserve(SWEEP):
        raise MemoryError
    with nogil:
        o.set_time(o.clock.t)
        while start < n_all:
            read_sweep(o, &sweep, &features[0], start, n_all, o.averaged)
            if o.averaged and span > 0:
                load_integrals(o, &sweep.touch)
                for j in range(sweep.touch.n * o.m.width):
                    o.m.w[j] = <real>(o.integral[j] / span)
            for k in range(o.m.n_outputs):
                for j in range(sweep.touch.n):
                    out[k, start + j] = o.m.w[j * o.m.width + k]
            start += SWEEP


cdef penalties_of(Optimizer o, const int32_t[::1] features):
    cdef Sweep sweep
    cdef Py_ssize_t start = 0, n_all = features.shape[0]
    cdef double[:, ::1] sums
    totals = np.zeros(o.m.n_outputs)
    if not (any(o.l1) or any(o.l2)):
        return totals
    sums = of_all = np.zeros((2, o.m.width))
    if not o.reserve(SWEEP):
        raise MemoryError
    with nogil:
        o.set_time(o.clock.t)
        while start < n_all:
            read_sweep(o, &sweep, &features[0], start, n_all, False)
            if o.is_controlled:
                add_factored_sizes(o, &sweep.touch, sums)
            else:
                kernel.add_sizes(o.m.w, sweep.touch.n, o.m.width, &sums[0, 0], &sums[1, 0])
            start += SWEEP
    for sizes, strength in zip(of_all, (o.l1, 0.5 * np.asarray(o.l2))):
        # infinity times 0 would be no number
        np.add(totals, sizes[:o.m.n_outputs] * strength, out=totals, where=np.greater(strength, 0))
    return totals


cdef void add_factored_sizes(Optimizer o, const Touch* touch, double[:, ::1] sums) noexcept nogil:
    """The kernel's `add_sizes` of weights whose penalties have factors."""
    cdef Py_ssize_t j, k
    cdef double w, factor
    for j in range(touch.n):
        factor = o.factor_of(touch.columns[j])
        for k in range(o.m.n_outputs):
            w = o.m.w[j * o.m.width + k]
            sums[0, k] += factor * fabs(w)
            sums[1, k] += factor * w * w


cdef hand_over(Optimizer old, Optimizer new, real[:, ::1] coef):
    cdef Sweep sweep
    cdef Py_ssize_t start = 0, i, j, k, n, width = old.m.width
    cdef bint replace = coef.shape[0] > 0
    cdef double span = max(old.clock.learning_rate_sum - old.clock.average_start, 0.0)
    if type(old) is not type(new):
        raise TypeError("the other optimizer must be of the same class")
    if not (old.reserve(SWEEP) and new.reserve(SWEEP)):
        raise MemoryError
    new.clock.t = old.clock.t
    new.clock.learning_rate_sum = old.clock.learning_rate_sum
    with nogil:
        old.set_time(old.clock.t)
        new.set_time(old.clock.t)
        # so far, whatever the next step charges
        new.m.charged_after_store = new.m.learning_rate_sum
        while start < old.n_features:
            read_sweep(old, &sweep, NULL, start, old.n_features, True)
            n = sweep.touch.n * width
            if old.averaged:
                load_integrals(old, &sweep.touch)
            if replace:
                for k in range(old.m.n_outputs):
                    for j in range(sweep.touch.n):
                        old.m.w[j * width + k] = coef[k, start + j]
                        if old.averaged:
                            old.integral[j * width + k] = span * coef[k, start + j]
            if has_state(old, n):  # untouched records stay untouched memory
                new.take_over(old, padded(n))
                memcpy(new.m.w, old.m.w, padded(n) * sizeof(real))
                new.passes.settle(&new.m, &sweep.touch)
                new.passes.store(&new.m, &sweep.touch)
                if new.averaged:
                    for j in range(sweep.touch.n):
                        for k in range(new.m.n_outputs):
                            i = j * width + k
                            new.integral[i] = (
                                (old.integral[i] if old.averaged else 0.0)
                                + new.integral_of_tail(i, k))
                    store_integrals(new, &sweep.touch, new.clock.learning_rate_sum)
            start += SWEEP
        new.set_time(old.clock.t)


cdef bint has_state(Optimizer o, Py_ssize_t n) noexcept nogil:
    """Whether a number of the working set is not 0."""
    cdef Py_ssize_t i
    for i in range(n):
        if o.m.w[i] != 0 or o.m.first[i] != 0 or (o.passes.has.second and o.m.second[i] != 0):
            return True
        if o.averaged and o.integral[i] != 0:
            return True
    return False
