"""The sets of instructions: those of the processor at hand, and the one in use."""

import os

cdef extern from *:
    """
    #if defined(SKA_HAS_AVX2) && (defined(__GNUC__) || defined(__clang__))
    static int ska_has_avx2(void) {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
            && __builtin_cpu_supports("bmi2");
    }
    #else
    static int ska_has_avx2(void) { return 0; }
    #endif
    #if defined(SKA_HAS_AVX512) && (defined(__GNUC__) || defined(__clang__))
    static int ska_has_avx512(void) {
        return ska_has_avx2() && __builtin_cpu_supports("avx512f")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
            && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd");
    }
    #else
    static int ska_has_avx512(void) { return 0; }
    #endif
    """
    bint ska_has_avx2()
    bint ska_has_avx512()


def instruction_sets():
    """The sets that passes are compiled for and this processor has, the widest first."""
    return ["avx512"] * ska_has_avx512() + ["avx2"] * ska_has_avx2() + ["baseline"]


def instruction_set():
    """The widest of them, or the one that the environment asks for.

    The environment variable SK_ADAPTIVE_KERNEL is "avx512", "avx2" or "baseline", which runs
    everywhere. Results differ by rounding only.
    """
    available = instruction_sets()
    wanted = os.environ.get("SK_ADAPTIVE_KERNEL", available[0])
    if wanted not in available:
        raise ImportError(f"SK_ADAPTIVE_KERNEL={wanted!r}, but this processor has {available}")
    return wanted
