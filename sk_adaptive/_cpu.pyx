"""What the processor at hand can do."""

cdef extern from *:
    """
    static int ska_has_avx2(void) {
    #if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
            && __builtin_cpu_supports("bmi2");
    #else
        return 0;
    #endif
    }
    """
    bint ska_has_avx2()


def has_avx2():
    """Whether code compiled for x86-64-v3 (AVX2, FMA, BMI2) runs here."""
    return ska_has_avx2()
