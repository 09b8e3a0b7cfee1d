// Vectors as wide as the machine's, and rows of a sequence. For GCC and Clang.
//
// `real` is float or double, chosen on the compiler's command line (-Dreal=float).
// Sums always run over the rows of a tile, never across the lanes of a vector: so no
// order of addition is left to the compiler, and NaN and infinity travel as they must.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__AVX512F__)
constexpr int BYTES = 64, ROWS = 16;           // ROWS vectors fit into the registers
#elif defined(__AVX__)
constexpr int BYTES = 32, ROWS = 8;
#elif defined(__aarch64__)
constexpr int BYTES = 16, ROWS = 16;
#else
constexpr int BYTES = 16, ROWS = 8;
#endif

typedef real Vec __attribute__((vector_size(BYTES)));
typedef int64_t Int;
constexpr Int LANES = BYTES / sizeof(real);

struct Rows {                                  // a row for each time step
    real* first;
    Int step;
    real* operator[](Int t) const { return first + t * step; }
    Rows operator+(Int offset) const { return {first + offset, step}; }
    Rows reversed(Int T) const { return {first + (T - 1) * step, -step}; }
};

struct Matrix {                                // transposed without moving a number
    real* first;
    Int row, column;
    Matrix transposed() const { return {first, column, row}; }
    Matrix at(Int i, Int j) const
    {
        return {first ? first + i * row + j * column : first, row, column};
    }
};

struct Size { Int T, H, K, V; };

struct Array {                                 // a tensor and its strides, in elements
    real* data;
    Int b, t, h;
    Rows rows(Int b_, Int h_) const { return {data + b_ * b + h_ * h, t}; }
    Matrix matrix(Int b_, Int h_) const      // (B, H, V, K): t is the stride of V
    {
        return {data ? data + b_ * b + h_ * h : data, t, 1};
    }
};

static inline Vec load(const real* p, Int n)   // the first n lanes, the others zero
{
    Vec x = {};
    if (n >= LANES) memcpy(&x, p, sizeof x);
    else if (n == LANES / 2) memcpy(&x, p, sizeof x / 2);
    else memcpy(&x, p, n * sizeof(real));
    return x;
}

static inline void store(real* p, Vec x, Int n)
{
    if (n >= LANES) memcpy(p, &x, sizeof x);
    else if (n == LANES / 2) memcpy(p, &x, sizeof x / 2);
    else memcpy(p, &x, n * sizeof(real));
}

static inline real sum(Vec x)
{
    real lane[LANES], total = 0;
    memcpy(lane, &x, sizeof x);
    for (Int j = 0; j < LANES; j++) total += lane[j];
    return total;
}

static inline void load(Vec* S, Matrix W, Int rows, Int n)
{
    for (Int i = 0; i < rows; i++) {
        S[i] = Vec{};
        for (Int j = 0; j < n && j < LANES; j++)
            S[i][j] = W.first[i * W.row + j * W.column];
    }
}

static inline void store(Matrix W, const Vec* S, Int rows, Int n)
{
    for (Int i = 0; i < rows; i++)
        for (Int j = 0; j < n && j < LANES; j++)
            W.first[i * W.row + j * W.column] = S[i][j];
}
