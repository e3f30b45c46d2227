#include "storage/codec.h"

#include "base/float32.h"
#include "base/memory.h"
#include "storage/fixed.h"

#include <math.h>
#include <string.h>
#include <zstd.h>

#define LEVEL 1
#define HEAD_BYTES 4
// How many values are looked at to choose the predictor and the raw planes.
#define SAMPLE 2048
// A plane whose bytes carry more bits than this is not worth packing.
#define RAW_BITS 7.8

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "chunks are written as memory has them");

enum coding { CODING_SAME, CODING_FLOAT32, CODING_FLOAT64, CODING_COUNT };
static const size_t widths[CODING_COUNT] = {0, sizeof(float), sizeof(double)};
enum predictor {
    PREDICTOR_CENTRE,
    PREDICTOR_XOR,
    PREDICTOR_DELTA,
    PREDICTOR_FIXED,
    PREDICTOR_COUNT
};

struct codec {
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
    size_t cap;            // values
    uint64_t *words;       // float32 chunks use the lower halves
    unsigned char *planes; // one after another
};

struct codec *codec_create(void) {
    struct codec *c = NEW(struct codec);
    do {
        c->pack = c->pack ? c->pack : ZSTD_createCCtx();
        c->unpack = c->unpack ? c->unpack : ZSTD_createDCtx();
    } while (!(c->pack && c->unpack) && memory_let_go());
    CHECK(c->pack && c->unpack);
    return c;
}

void codec_destroy(struct codec *c) {
    if (c) {
        ZSTD_freeCCtx(c->pack);
        ZSTD_freeDCtx(c->unpack);
        free(c->words);
        free(c->planes);
        free(c);
    }
}

static bool make_room(struct codec *c, size_t n) {
    if (n <= c->cap) {
        return true;
    }
    free(c->words);
    free(c->planes);
    c->words = try_alloc(n * sizeof *c->words);
    c->planes = try_alloc(n * sizeof(double));
    c->cap = c->words && c->planes ? n : 0;
    return c->cap > 0;
}

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static bool are_same(const double *values, size_t n) {
    uint64_t first = bits_of(values[0]);
    for (size_t i = 1; i < n; i++) {
        if (bits_of(values[i]) != first) {
            return false;
        }
    }
    return true;
}

// The values' bits as words, float32 where all are floats.
static enum coding load_words(struct codec *c, const double *values, size_t n) {
    if (!float32_fits(values, n)) {
        memcpy(c->words, values, n * sizeof *values);
        return CODING_FLOAT64;
    }
    float32_narrow(values, n, c->planes);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, c->planes + i * sizeof bits, sizeof bits);
        c->words[i] = bits;
    }
    return CODING_FLOAT32;
}

static inline uint64_t rotate_left(uint64_t v, enum coding coding) {
    return coding == CODING_FLOAT32 ? (uint32_t)(v << 1 | v >> 31) : v << 1 | v >> 63;
}

static inline uint64_t zigzag(uint64_t v, uint64_t before, enum coding coding) {
    uint64_t d = v - before;
    if (coding == CODING_FLOAT32) {
        uint32_t half = (uint32_t)d;
        return (half << 1) ^ (uint32_t)(0 - (half >> 31));
    }
    return d << 1 ^ (0 - (d >> 63));
}

// The word that is stored for v. `centre` stands in the highest byte.
static inline uint64_t to_stored(uint64_t v, uint64_t before, uint64_t centre,
                                 enum predictor predictor, enum coding coding) {
    if (predictor == PREDICTOR_CENTRE) {
        return rotate_left(v, coding) - centre;
    }
    return predictor == PREDICTOR_XOR ? v ^ before : zigzag(v, before, coding);
}

// Bits a byte of this distribution of n bytes carries.
static double entropy_bits(const uint32_t counts[256], size_t n) {
    double sum = 0;
    for (size_t i = 0; i < 256; i++) {
        sum += counts[i] ? counts[i] * log2((double)counts[i]) : 0;
    }
    return log2((double)n) - sum / (double)n;
}

struct choice {
    enum predictor predictor;
    unsigned raw, shift;
    double bits; // a value, as estimated
};

// The words' shape, and what is known of it.
struct shape {
    size_t rows, n;
    enum coding coding;
    size_t width; // bytes of a word
    const uint64_t *centres;
    const unsigned char *tops; // with float32
};

// What the planes' bytes say, of so many values.
static void conclude(struct choice *choice, size_t width, const uint32_t counts[][256],
                     size_t seen) {
    for (size_t p = 0; p < width; p++) {
        double bits = entropy_bits(counts[p], seen);
        // Few bytes look more orderly than they are.
        bool is_noise = bits > RAW_BITS - 255.0 / (1.4 * (double)seen);
        choice->raw |= is_noise ? 1u << p : 0;
        choice->bits += is_noise ? 8 : bits;
    }
}

static struct choice judge(const struct codec *c, const struct shape *s, size_t sample,
                           enum predictor predictor) {
    uint32_t counts[sizeof(double)][256] = {0};
    uint64_t before = 0;
    size_t stride = s->rows * s->n / sample, seen = 0;
    // A piece of every row, so that the sample shows how rows differ.
    for (size_t i = 0; i < s->rows * s->n; i++) {
        size_t row = i / s->n;
        if (stride > 1 && i - row * s->n >= (s->n + stride - 1) / stride) {
            i = (row + 1) * s->n - 1;
            before = c->words[i];
            continue;
        }
        uint64_t stored = to_stored(c->words[i], before, s->centres[row], predictor, s->coding);
        before = c->words[i];
        for (size_t p = 0; p < s->width; p++) {
            counts[p][stored >> 8 * p & 0xFF]++;
        }
        seen++;
    }
    struct choice choice = {.predictor = predictor};
    conclude(&choice, s->width, counts, seen);
    return choice;
}

// By the first values of every row.
static struct choice judge_fixed(const struct codec *c, const struct shape *s, size_t sample) {
    uint32_t counts[FIXED_PLANES][256] = {0};
    size_t piece = (sample + s->rows - 1) / s->rows;
    struct fixed_rows rows = {.rows = s->rows, .n = s->n, .tops = s->tops};
    rows.shift = fixed_choose_shift(&rows, c->words, piece);
    size_t rests = fixed_count(&rows, c->words, piece, counts), seen = piece * s->rows;
    struct choice choice = {
        .predictor = PREDICTOR_FIXED, .shift = rows.shift, .bits = (double)rests / (double)seen};
    conclude(&choice, s->width, counts, seen);
    return choice;
}

static struct choice choose(const struct codec *c, const struct shape *s) {
    size_t n = s->rows * s->n, sample = n < SAMPLE ? n : SAMPLE;
    struct choice best = judge(c, s, sample, PREDICTOR_CENTRE);
    for (enum predictor p = PREDICTOR_XOR; p <= PREDICTOR_DELTA; p++) {
        struct choice other = judge(c, s, sample, p);
        best = other.bits < best.bits ? other : best;
    }
    if (s->coding == CODING_FLOAT32) {
        struct choice other = judge_fixed(c, s, sample);
        best = other.bits < best.bits ? other : best;
    }
    return best;
}

// The highest byte that is most frequent in each row.
static void find_centres(const struct codec *c, struct shape *s, uint64_t *centres) {
    unsigned shift = 8 * ((unsigned)s->width - 1);
    for (size_t row = 0; row < s->rows; row++) {
        uint32_t counts[256] = {0};
        size_t most = 0;
        for (size_t i = 0; i < s->n; i++) {
            counts[rotate_left(c->words[row * s->n + i], s->coding) >> shift & 0xFF]++;
        }
        for (size_t b = 1; b < 256; b++) {
            most = counts[b] > counts[most] ? b : most;
        }
        centres[row] = (uint64_t)most << shift;
    }
    s->centres = centres;
}

// Where each plane goes: the raw ones first, then those to be packed.
static size_t place_planes(unsigned char *planes, size_t n, size_t width, unsigned raw,
                           unsigned char *at[sizeof(double)]) {
    size_t n_raw = 0, n_packed = 0;
    for (size_t p = 0; p < width; p++) {
        n_raw += raw >> p & 1;
    }
    for (size_t p = 0, next = 0; p < width; p++) {
        bool is_raw = raw >> p & 1;
        at[p] = planes + n * (is_raw ? next++ : n_raw + n_packed++);
    }
    return n_raw;
}

static void split(const struct codec *c, const struct shape *s, enum predictor predictor,
                  unsigned char *const at[sizeof(double)]) {
    uint64_t before = 0;
    for (size_t row = 0, i = 0; row < s->rows; row++) {
        for (size_t end = i + s->n; i < end; i++) {
            uint64_t v = c->words[i];
            uint64_t stored = to_stored(v, before, s->centres[row], predictor, s->coding);
            before = v;
            for (size_t p = 0; p < s->width; p++) {
                at[p][i] = (unsigned char)(stored >> 8 * p);
            }
        }
    }
}

// What stands between the head and the planes, and the planes into c->planes.
static bool put_rows(struct codec *c, const struct shape *s, const struct choice *choice,
                     unsigned char *const at[sizeof(double)], struct buf *out) {
    if (choice->predictor != PREDICTOR_FIXED) {
        for (size_t row = 0; choice->predictor == PREDICTOR_CENTRE && row < s->rows; row++) {
            buf_putc(out, (char)(s->centres[row] >> 8 * (s->width - 1)));
        }
        split(c, s, choice->predictor, at);
        return !out->failed;
    }
    const struct fixed_rows rows = {s->rows, s->n, s->tops, choice->shift};
    size_t start = out->len + s->rows, bound = FIXED_REST_BYTES(s->rows * s->n);
    uint32_t size = 0;
    buf_put(out, s->tops, s->rows);
    buf_put(out, &size, sizeof size);
    unsigned char *to = (unsigned char *)buf_reserve(out, bound);
    if (!to) {
        return false;
    }
    size = (uint32_t)fixed_split(&rows, c->words, at, to);
    memcpy(out->data + start, &size, sizeof size);
    out->len += size;
    return true;
}

static bool put_planes(struct codec *c, const struct shape *s, const struct choice *choice,
                       struct buf *out) {
    unsigned char *at[sizeof(double)];
    size_t n = s->rows * s->n;
    size_t n_raw = place_planes(c->planes, n, s->width, choice->raw, at);
    if (!put_rows(c, s, choice, at, out)) {
        return false;
    }
    buf_put(out, c->planes, n * n_raw);
    size_t packed = n * (s->width - n_raw);
    if (packed == 0) {
        return !out->failed;
    }
    size_t bound = ZSTD_compressBound(packed);
    char *to = buf_reserve(out, bound);
    size_t size =
        to ? ZSTD_compressCCtx(c->pack, to, bound, c->planes + n * n_raw, packed, LEVEL) : 0;
    if (!to || ZSTD_isError(size)) {
        return false;
    }
    out->len += size;
    return true;
}

bool codec_encode(struct codec *c, const double *values, size_t rows, size_t n, struct buf *out) {
    unsigned char head[HEAD_BYTES] = {CODING_SAME};
    if (are_same(values, rows * n)) {
        buf_put(out, head, sizeof head);
        buf_put(out, values, sizeof *values);
        return !out->failed;
    }
    uint64_t *centres = try_alloc(rows * (sizeof *centres + 1));
    if (!centres || !make_room(c, rows * n)) {
        free(centres);
        return false;
    }
    unsigned char *tops = (unsigned char *)(centres + rows);
    struct shape s = {.rows = rows, .n = n, .coding = load_words(c, values, rows * n)};
    s.width = widths[s.coding];
    s.tops = tops;
    find_centres(c, &s, centres);
    if (s.coding == CODING_FLOAT32) {
        fixed_find_tops(c->words, rows, n, tops);
    }
    struct choice choice = choose(c, &s);
    head[0] = (unsigned char)s.coding;
    head[1] = (unsigned char)choice.predictor;
    head[2] = (unsigned char)choice.raw;
    head[3] = (unsigned char)choice.shift;
    buf_put(out, head, sizeof head);
    bool good = put_planes(c, &s, &choice, out);
    free(centres);
    return good;
}

static inline uint64_t from_stored(uint64_t stored, uint64_t before, enum predictor predictor) {
    return predictor == PREDICTOR_XOR ? stored ^ before
                                      : before + (stored >> 1 ^ (0 - (stored & 1)));
}

// `centres`: a byte a row, with predictor 0. The floats go to c->words, packed.
static void join_floats(struct codec *c, unsigned char *const at[sizeof(double)],
                        const struct shape *s, enum predictor predictor,
                        const unsigned char *centres) {
    const unsigned char *p0 = at[0], *p1 = at[1], *p2 = at[2], *p3 = at[3];
    unsigned char *to = (unsigned char *)c->words;
    uint32_t before = 0;
    for (size_t row = 0, i = 0; row < s->rows; row++) {
        uint32_t centre = predictor == PREDICTOR_CENTRE ? (uint32_t)centres[row] << 24 : 0;
        for (size_t end = i + s->n; i < end; i++, to += sizeof before) {
            uint32_t stored = (uint32_t)p0[i] | (uint32_t)p1[i] << 8 | (uint32_t)p2[i] << 16 |
                              (uint32_t)p3[i] << 24;
            if (predictor == PREDICTOR_CENTRE) {
                stored += centre;
                before = stored >> 1 | stored << 31;
            } else {
                before = (uint32_t)from_stored(stored, before, predictor);
            }
            memcpy(to, &before, sizeof before);
        }
    }
}

static void join_doubles(unsigned char *const at[sizeof(double)], const struct shape *s,
                         enum predictor predictor, const unsigned char *centres, double *values) {
    uint64_t before = 0;
    for (size_t i = 0; i < s->rows * s->n; i++) {
        uint64_t stored = 0;
        for (size_t p = 0; p < sizeof(double); p++) {
            stored |= (uint64_t)at[p][i] << 8 * p;
        }
        if (predictor == PREDICTOR_CENTRE) {
            stored += (uint64_t)centres[i / s->n] << 56;
            before = stored >> 1 | stored << 63;
        } else {
            before = from_stored(stored, before, predictor);
        }
        memcpy(&values[i], &before, sizeof before);
    }
}

// Brings all planes into c->planes. False when their sizes are not those of n values.
static bool unpack(struct codec *c, const unsigned char *bytes, size_t size, size_t raw_bytes,
                   size_t packed_bytes) {
    if (size < raw_bytes || (packed_bytes == 0 && size != raw_bytes)) {
        return false;
    }
    memcpy(c->planes, bytes, raw_bytes);
    return packed_bytes == 0 ||
           ZSTD_decompressDCtx(c->unpack, c->planes + raw_bytes, packed_bytes, bytes + raw_bytes,
                               size - raw_bytes) == packed_bytes;
}

static bool decode_same(const unsigned char *bytes, size_t size, double *values, size_t n) {
    if (size != sizeof *values) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(&values[i], bytes, sizeof *values);
    }
    return true;
}

// What stands between the head and the planes: a byte a row and, with the fixed predictor, rests.
struct row_bytes {
    const unsigned char *of_rows, *rests;
    size_t size, rests_size;
};

static bool find_row_bytes(const struct shape *s, enum predictor predictor,
                           const unsigned char *bytes, size_t size, struct row_bytes *out) {
    *out = (struct row_bytes){.of_rows = bytes};
    if (predictor == PREDICTOR_XOR || predictor == PREDICTOR_DELTA) {
        return true;
    }
    out->size = s->rows;
    if (predictor == PREDICTOR_CENTRE) {
        return size >= out->size;
    }
    uint32_t rests;
    if (s->coding != CODING_FLOAT32 || size < s->rows + sizeof rests) {
        return false;
    }
    memcpy(&rests, bytes + s->rows, sizeof rests);
    out->size += sizeof rests;
    out->rests = bytes + out->size;
    out->rests_size = rests;
    if (size - out->size < rests) {
        return false;
    }
    out->size += rests;
    return true;
}

bool codec_decode(struct codec *c, const void *bytes, size_t size, double *values, size_t rows,
                  size_t n) {
    const unsigned char *p = bytes;
    if (size < HEAD_BYTES || p[0] >= CODING_COUNT || p[1] >= PREDICTOR_COUNT ||
        p[3] > (p[1] == PREDICTOR_FIXED ? FIXED_SHIFT_MAX : 0)) {
        return false;
    }
    struct shape s = {.rows = rows, .n = n, .coding = (enum coding)p[0], .width = widths[p[0]]};
    enum predictor predictor = (enum predictor)p[1];
    unsigned raw = p[2], shift = p[3];
    p += HEAD_BYTES;
    size -= HEAD_BYTES;
    if (s.coding == CODING_SAME) {
        return decode_same(p, size, values, rows * n);
    }
    struct row_bytes more;
    if (raw >> s.width || !find_row_bytes(&s, predictor, p, size, &more) ||
        !make_room(c, rows * n)) {
        return false;
    }
    unsigned char *at[sizeof(double)];
    size_t n_raw = place_planes(c->planes, rows * n, s.width, raw, at);
    if (!unpack(c, p + more.size, size - more.size, rows * n * n_raw,
                rows * n * (s.width - n_raw))) {
        return false;
    }
    if (s.coding == CODING_FLOAT64) {
        join_doubles(at, &s, predictor, more.of_rows, values);
        return true;
    }
    if (predictor == PREDICTOR_FIXED) {
        const struct fixed_rows fixed = {rows, n, more.of_rows, shift};
        if (!fixed_join(&fixed, at, more.rests, more.rests_size, (uint32_t *)(void *)c->words)) {
            return false;
        }
    } else {
        join_floats(c, at, &s, predictor, more.of_rows);
    }
    float32_widen(c->words, rows * n, values);
    return true;
}
