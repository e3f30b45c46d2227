#include "storage/codec.h"

#include "base/float32.h"
#include "base/memory.h"
#include "storage/fixed.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <zstd.h>

#define LEVEL 1
#define HEAD_BYTES 4
// How many values are looked at to choose the predictor, and the raw planes.
#define CHOICE_SAMPLE 512
#define RAW_SAMPLE 2048
// Words that go into their planes together, through the vector unit.
#define SPLIT 256
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
    ZSTD_CCtx *pack; // this and the next: made when first needed
    ZSTD_DCtx *unpack;
    size_t cap;            // values
    uint64_t *words;       // of float32 chunks two in one
    unsigned char *planes; // one after another
};

// Of x log2 x, which is asked for again and again.
static double information[RAW_SAMPLE + 1];

static void fill_information(void) {
    for (size_t i = 1; i <= RAW_SAMPLE; i++) {
        information[i] = (double)i * log2((double)i);
    }
}

struct codec *codec_create(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_information);
    return NEW(struct codec);
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

static uint32_t *floats(const struct codec *c) {
    return (uint32_t *)(void *)c->words;
}

// The values' bits as words, float32 where all are floats.
static enum coding load_words(struct codec *c, const double *values, size_t n) {
    if (!float32_fits(values, n)) {
        memcpy(c->words, values, n * sizeof *values);
        return CODING_FLOAT64;
    }
    float32_narrow(values, n, c->words);
    return CODING_FLOAT32;
}

static inline uint64_t word_at(const struct codec *c, size_t i, enum coding coding) {
    return coding == CODING_FLOAT32 ? floats(c)[i] : c->words[i];
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
        sum += information[counts[i]];
    }
    return (information[n] - sum) / (double)n;
}

// What the planes' bytes say, of up to RAW_SAMPLE values: the bits a value, and the planes that are
// noise.
static double conclude(size_t width, const uint32_t counts[][256], size_t seen, unsigned *raw) {
    double sum = 0;
    *raw = 0;
    for (size_t p = 0; p < width; p++) {
        double bits = entropy_bits(counts[p], seen);
        // Few bytes look more orderly than they are.
        bool is_noise = bits > RAW_BITS - 255.0 / (1.4 * (double)seen);
        *raw |= is_noise ? 1u << p : 0;
        sum += is_noise ? 8 : bits;
    }
    return sum;
}

static inline void count_bytes(uint64_t word, size_t width, uint32_t counts[][256]) {
    for (size_t p = 0; p < width; p++) {
        counts[p][word >> 8 * p & 0xFF]++;
    }
}

struct choice {
    enum predictor predictor;
    unsigned shift;
    double bits; // a value, as estimated
};

// The words' shape, and what is known of it.
struct shape {
    size_t rows, n;
    enum coding coding;
    size_t width;              // bytes of a word
    unsigned char *of_rows;    // what is stored of each row: its centre, or its top
    const unsigned char *tops; // with float32
};

static uint64_t centre_of(const struct shape *s, uint64_t v) {
    uint64_t all = rotate_left(v, s->coding);
    return all >> 8 * (s->width - 1) << 8 * (s->width - 1);
}

// By the first values of every row, so that the sample shows how rows differ. A row's first value
// stands for its centre.
static struct choice judge(const struct codec *c, const struct shape *s, size_t piece,
                           enum predictor predictor) {
    uint32_t counts[sizeof(double)][256] = {0};
    for (size_t row = 0; row < s->rows; row++) {
        size_t first = row * s->n;
        uint64_t before = first ? word_at(c, first - 1, s->coding) : 0;
        uint64_t centre = centre_of(s, word_at(c, first, s->coding));
        for (size_t i = first; i < first + piece; i++) {
            uint64_t v = word_at(c, i, s->coding);
            count_bytes(to_stored(v, before, centre, predictor, s->coding), s->width, counts);
            before = v;
        }
    }
    unsigned raw;
    double bits = conclude(s->width, (const uint32_t(*)[256])counts, s->rows * piece, &raw);
    return (struct choice){.predictor = predictor, .bits = bits};
}

static struct choice judge_fixed(const struct codec *c, const struct shape *s, size_t piece) {
    struct fixed_counts counts;
    struct fixed_rows rows = {.rows = s->rows, .n = s->n, .tops = s->tops};
    rows.shift = fixed_choose_shift(&rows, floats(c), piece);
    fixed_count(&rows, floats(c), piece, &counts);
    unsigned raw;
    double bits = conclude(s->width, (const uint32_t(*)[256])counts.bytes, counts.seen, &raw);
    return (struct choice){.predictor = PREDICTOR_FIXED,
                           .shift = rows.shift,
                           .bits = bits + (double)counts.rest_bits / (double)counts.seen};
}

static struct choice choose(const struct codec *c, const struct shape *s) {
    size_t piece = (CHOICE_SAMPLE + s->rows - 1) / s->rows;
    struct shape seen = *s;
    piece = piece < s->n ? piece : s->n;
    seen.rows = s->rows < RAW_SAMPLE ? s->rows : RAW_SAMPLE;
    struct choice best = judge(c, &seen, piece, PREDICTOR_CENTRE);
    for (enum predictor p = PREDICTOR_XOR; p <= PREDICTOR_DELTA; p++) {
        struct choice other = judge(c, &seen, piece, p);
        best = other.bits < best.bits ? other : best;
    }
    if (s->coding == CODING_FLOAT32) {
        struct choice other = judge_fixed(c, &seen, piece);
        best = other.bits < best.bits ? other : best;
    }
    return best;
}

// The highest byte that is most frequent in each row.
static void find_centres(const struct codec *c, const struct shape *s) {
    unsigned shift = 8 * ((unsigned)s->width - 1);
    for (size_t row = 0; row < s->rows; row++) {
        uint32_t counts[256] = {0};
        size_t most = 0;
        for (size_t i = row * s->n; i < (row + 1) * s->n; i++) {
            counts[rotate_left(word_at(c, i, s->coding), s->coding) >> shift & 0xFF]++;
        }
        for (size_t b = 1; b < 256; b++) {
            most = counts[b] > counts[most] ? b : most;
        }
        s->of_rows[row] = (unsigned char)most;
    }
}

// Puts the words that are stored in the place of the values' bits.
static void transform(struct codec *c, const struct shape *s, enum predictor predictor) {
    uint64_t before = 0;
    for (size_t row = 0, i = 0; row < s->rows; row++) {
        uint64_t centre = (uint64_t)s->of_rows[row] << 8 * (s->width - 1);
        for (size_t end = i + s->n; i < end; i++) {
            uint64_t v = word_at(c, i, s->coding);
            uint64_t stored = to_stored(v, before, centre, predictor, s->coding);
            before = v;
            if (s->coding == CODING_FLOAT32) {
                floats(c)[i] = (uint32_t)stored;
            } else {
                c->words[i] = stored;
            }
        }
    }
}

// The planes of the stored words that are noise.
static unsigned find_raw(const struct codec *c, const struct shape *s) {
    uint32_t counts[sizeof(double)][256] = {0};
    size_t n = s->rows * s->n, stride = (n + RAW_SAMPLE - 1) / RAW_SAMPLE, seen = 0;
    for (size_t i = 0; i < n; i += stride, seen++) {
        count_bytes(word_at(c, i, s->coding), s->width, counts);
    }
    unsigned raw;
    conclude(s->width, (const uint32_t(*)[256])counts, seen, &raw);
    return raw;
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

static void split_floats(const uint32_t *restrict words, size_t n, unsigned shift,
                         unsigned char *restrict to) {
    size_t i = 0;
    for (; i + SPLIT <= n; i += SPLIT) {
        for (size_t k = 0; k < SPLIT; k++) {
            to[i + k] = (unsigned char)(words[i + k] >> shift);
        }
    }
    for (; i < n; i++) {
        to[i] = (unsigned char)(words[i] >> shift);
    }
}

static void split_doubles(const uint64_t *restrict words, size_t n, unsigned shift,
                          unsigned char *restrict to) {
    for (size_t i = 0; i < n; i++) {
        to[i] = (unsigned char)(words[i] >> shift);
    }
}

static void split(const struct codec *c, const struct shape *s,
                  unsigned char *const at[sizeof(double)]) {
    for (unsigned p = 0; p < s->width; p++) {
        if (s->coding == CODING_FLOAT32) {
            split_floats(floats(c), s->rows * s->n, 8 * p, at[p]);
        } else {
            split_doubles(c->words, s->rows * s->n, 8 * p, at[p]);
        }
    }
}

// What stands between the head and the planes; the words in c->words are those to be stored then.
static bool put_rows(struct codec *c, const struct shape *s, const struct choice *choice,
                     struct buf *out) {
    if (choice->predictor != PREDICTOR_FIXED) {
        if (choice->predictor == PREDICTOR_CENTRE) {
            find_centres(c, s);
            buf_put(out, s->of_rows, s->rows);
        }
        transform(c, s, choice->predictor);
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
    size = (uint32_t)fixed_split(&rows, floats(c), to);
    memcpy(out->data + start, &size, sizeof size);
    out->len += size;
    return true;
}

static size_t pack(struct codec *c, char *to, size_t cap, const unsigned char *bytes, size_t size) {
    do {
        c->pack = c->pack ? c->pack : ZSTD_createCCtx();
    } while (!c->pack && memory_let_go());
    return c->pack ? ZSTD_compressCCtx(c->pack, to, cap, bytes, size, LEVEL) : 0;
}

static bool put_planes(struct codec *c, const struct shape *s, unsigned raw, struct buf *out) {
    unsigned char *at[sizeof(double)];
    size_t n = s->rows * s->n, n_raw = place_planes(c->planes, n, s->width, raw, at);
    split(c, s, at);
    buf_put(out, c->planes, n * n_raw);
    size_t packed = n * (s->width - n_raw);
    if (packed == 0) {
        return !out->failed;
    }
    size_t bound = ZSTD_compressBound(packed);
    char *to = buf_reserve(out, bound);
    size_t size = to ? pack(c, to, bound, c->planes + n * n_raw, packed) : 0;
    if (size == 0 || ZSTD_isError(size)) {
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
    unsigned char *of_rows = try_calloc(rows, 1);
    if (!of_rows || !make_room(c, rows * n)) {
        free(of_rows);
        return false;
    }
    struct shape s = {.rows = rows, .n = n, .of_rows = of_rows, .tops = of_rows};
    s.coding = load_words(c, values, rows * n);
    s.width = widths[s.coding];
    if (s.coding == CODING_FLOAT32) {
        fixed_find_tops(floats(c), rows, n, of_rows);
    }
    struct choice choice = choose(c, &s);
    head[0] = (unsigned char)s.coding;
    head[1] = (unsigned char)choice.predictor;
    head[3] = (unsigned char)choice.shift;
    size_t start = out->len;
    buf_put(out, head, sizeof head);
    bool good = put_rows(c, &s, &choice, out);
    if (good) {
        unsigned raw = find_raw(c, &s);
        out->data[start + 2] = (char)raw;
        good = put_planes(c, &s, raw, out);
    }
    free(of_rows);
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
    if (packed_bytes == 0) {
        return true;
    }
    do {
        c->unpack = c->unpack ? c->unpack : ZSTD_createDCtx();
    } while (!c->unpack && memory_let_go());
    return c->unpack &&
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
        if (!fixed_join(&fixed, at, more.rests, more.rests_size, floats(c))) {
            return false;
        }
    } else {
        join_floats(c, at, &s, predictor, more.of_rows);
    }
    float32_widen(c->words, rows * n, values);
    return true;
}
