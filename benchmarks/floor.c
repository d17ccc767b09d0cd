/* The least time of an epoch: a loop that only moves the memory that AdaGrad must.
 *
 * It reads each row once, in the given order, and reads and writes the whole record of each
 * non-zero once. In place of the arithmetic stands one addition, so that no compiler can drop the
 * loads and stores. What the memory takes can't be less than this unless several rows are
 * learned together.
 *
 * The records of later rows are fetched in two steps, into the second cache (`far` rows ahead) and
 * into the first (`near` rows ahead); a distance of 0 leaves the step out. The row itself, whose
 * place in memory is as random, is fetched twice as far ahead as the first of them needs it.
 *
 * Vector types are an extension that GCC and Clang share.
 */
#include <stdint.h>

#define LINE 64

typedef double record64 __attribute__((vector_size(32)));
typedef float record32 __attribute__((vector_size(16)));

static inline void fetch_lines(const void *begin, const void *end)
{
    for (const char *at = begin; at < (const char *)end; at += LINE)
        __builtin_prefetch(at, 0, 3);
}

#define DEFINE_PASS(NAME, RECORD, REAL)                                                        \
    double NAME(const int64_t *order, int64_t n_rows, const int32_t *indptr,                   \
                const int32_t *indices, const REAL *data, const double *targets,               \
                RECORD *records, int64_t far, int64_t near)                                    \
    {                                                                                          \
        const int64_t row_ahead = 2 * (far > near ? far : near);                               \
        double sum = 0.0;                                                                      \
        for (int64_t i = 0; i < n_rows; i++) {                                                 \
            if (row_ahead && i + 2 * row_ahead < n_rows)                                       \
                __builtin_prefetch(&indptr[order[i + 2 * row_ahead]], 0, 3);                   \
            if (row_ahead && i + row_ahead < n_rows) {                                         \
                const int64_t row = order[i + row_ahead];                                      \
                fetch_lines(&indices[indptr[row]], &indices[indptr[row + 1]]);                 \
                fetch_lines(&data[indptr[row]], &data[indptr[row + 1]]);                       \
                __builtin_prefetch(&targets[row], 0, 3);                                       \
            }                                                                                  \
            if (far && i + far < n_rows) {                                                     \
                const int64_t row = order[i + far];                                            \
                for (int32_t k = indptr[row]; k < indptr[row + 1]; k++)                        \
                    __builtin_prefetch(&records[indices[k]], 0, 2);                            \
            }                                                                                  \
            if (near && i + near < n_rows) {                                                   \
                const int64_t row = order[i + near];                                           \
                for (int32_t k = indptr[row]; k < indptr[row + 1]; k++)                        \
                    __builtin_prefetch(&records[indices[k]], 1, 3);                            \
            }                                                                                  \
            const int64_t row = order[i];                                                      \
            sum += targets[row];                                                               \
            for (int32_t k = indptr[row]; k < indptr[row + 1]; k++)                            \
                records[indices[k]] += data[k];                                                \
        }                                                                                      \
        return sum;                                                                            \
    }

DEFINE_PASS(pass_float64, record64, double)
DEFINE_PASS(pass_float32, record32, float)
