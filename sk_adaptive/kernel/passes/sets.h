/* The sets of instructions that a table of functions is compiled for: one source, compiled for each of
   them, defines the same table under another name. The build says which sets the compiler knows. */

#ifndef SKA_SETS_H
#define SKA_SETS_H

#include <string.h>

#define SKA_JOIN_(a, b) a##_##b
#define SKA_JOIN(a, b) SKA_JOIN_(a, b)

#ifdef SKA_HAS_AVX2
#define SKA_IF_AVX2(code) code
#else
#define SKA_IF_AVX2(code)
#endif
#ifdef SKA_HAS_AVX512
#define SKA_IF_AVX512(code) code
#else
#define SKA_IF_AVX512(code)
#endif

/* <name>_baseline, <name>_avx2, ..., and a function <name>_of(set): the table of the set of this name,
   which is one of those that are compiled. */
#define SKA_TABLES(type, name)                                                                     \
    extern const type SKA_JOIN(name, baseline);                                                    \
    SKA_IF_AVX2(extern const type SKA_JOIN(name, avx2);)                                           \
    SKA_IF_AVX512(extern const type SKA_JOIN(name, avx512);)                                       \
    static inline const type *SKA_JOIN(name, of)(const char *set) {                                \
        SKA_IF_AVX512(if (!strcmp(set, "avx512")) return &SKA_JOIN(name, avx512);)                 \
        SKA_IF_AVX2(if (!strcmp(set, "avx2")) return &SKA_JOIN(name, avx2);)                       \
        (void)set;                                                                                 \
        return &SKA_JOIN(name, baseline);                                                          \
    }

#endif
