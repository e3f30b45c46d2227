// Chunks of values and segments of columns: back bit for bit, whatever the values; damage is seen.
#include "storage/codec.h"
#include "storage/segment.h"
#include "tests/unit/support/steps.h"

static struct codec *codec;

static void set_up(void) {
    codec = codec_create();
}

static void tear_down(void) {
    codec_destroy(codec);
}

// Packs rows of n values and compares what comes back; returns the bytes it took.
static size_t assert_back(const double *values, size_t rows, size_t n) {
    struct buf out = new_buf();
    double *back = calloc(rows * n, sizeof *back);
    ck_assert(codec_encode(codec, values, rows, n, &out));
    char *exact = exact_copy(out.data, out.len);
    ck_assert(codec_decode(codec, exact, out.len, back, rows, n));
    ck_assert_mem_eq(back, values, rows * n * sizeof *back);
    ck_assert(!codec_decode(codec, exact, out.len - 1, back, rows, n));
    ck_assert(out.data[0] == 0 || !codec_decode(codec, exact, out.len, back, rows, n + 1));
    size_t size = out.len;
    free(exact);
    free(back);
    buf_free(&out);
    return size;
}

START_TEST(test_special_values) {
    const double special[] = {0.0,
                              -0.0,
                              (double)NAN,
                              -(double)NAN,
                              (double)INFINITY,
                              -(double)INFINITY,
                              num_missing(),
                              0x1p-149,
                              0x1p-1074,
                              1e308,
                              from_bits(UINT64_C(0x7FF0000000000001)),
                              from_bits(UINT64_C(0xFFF8000000000123)),
                              from_bits(UINT64_C(0x7FF8181420000000)),
                              3.4028234663852886e38,
                              3.5e38,
                              1.0 / 3};
    for (size_t i = 0; i < COUNT(special); i++) {
        ck_assert_uint_le(assert_back(&special[i], 1, 1), 12);
        for (size_t k = 0; k < COUNT(special); k++) {
            const double four[] = {special[i], special[k], special[k], special[i]};
            assert_back(four, 1, 4);
            assert_back(four, 2, 2);
            assert_back(four, 4, 1);
        }
    }
    assert_back(special, 1, COUNT(special));
}
END_TEST

START_TEST(test_any_values) {
    uint64_t seed = 1;
    for (int i = 0; i < 300; i++) {
        size_t rows = 1 + random_below(&seed, 9), n = 1 + random_below(&seed, 900);
        double *values = malloc(rows * n * sizeof *values);
        enum values kind = (enum values)random_below(&seed, 3);
        for (size_t k = 0; k < rows * n; k++) {
            values[k] = random_value_of(&seed, kind);
        }
        assert_back(values, rows, n);
        free(values);
    }
}
END_TEST

// Noise about a slowly moving mean, of either sign, and among it a share of anything.
static void fill_noise(double *values, size_t n, uint64_t *seed, double mean, unsigned any) {
    for (size_t i = 0; i < n; i++) {
        mean += 0.03 * random_unit(seed);
        values[i] = (double)(float)(mean + 0.5 * random_unit(seed));
        if (any && random_below(seed, any) == 0) {
            values[i] = random_value_of(seed, VALUES_FLOAT);
        }
    }
}

START_TEST(test_noise_of_either_sign) {
    uint64_t seed = 11;
    enum { ROWS = 5, N = 600 };
    double *values = malloc(ROWS * N * sizeof *values);
    for (unsigned any = 0; any < 60; any += 1 + any / 2) {
        for (size_t row = 0; row < ROWS; row++) {
            fill_noise(values + row * N, N, &seed, (double)row / 2, any);
        }
        size_t size = assert_back(values, ROWS, N);
        // float32 takes 32 bits a value, of which the noise leaves few to save.
        ck_assert(any || size < ROWS * N * 32 / 10);
        assert_back(values, ROWS * N, 1);
        assert_back(values, 1, ROWS * N);
    }
    free(values);
}
END_TEST

// Without the checksum that stands before it: whatever the bytes say, it stays within them.
START_TEST(test_damaged_chunks) {
    uint64_t seed = 12;
    enum { ROWS = 3, N = 200 };
    double values[ROWS * N], back[ROWS * N];
    fill_noise(values, ROWS * N, &seed, 0, 50);
    struct buf out = new_buf();
    ck_assert(codec_encode(codec, values, ROWS, N, &out));
    for (int i = 0; i < 4000; i++) {
        size_t size = i % 4 ? out.len : random_below(&seed, out.len);
        char *copy = exact_copy(out.data, size);
        for (uint64_t k = random_below(&seed, 3); size && k < 3; k++) {
            size_t at = random_below(&seed, i % 2 && size > 40 ? 40 : size);
            copy[at] = (char)(copy[at] ^ (1 << random_below(&seed, 8)));
        }
        if (codec_decode(codec, copy, size, back, ROWS, N)) {
            ck_assert_uint_eq(size, out.len);
        }
        free(copy);
    }
    buf_free(&out);
}
END_TEST

// What a training run's statistics look like, and what they may take.
START_TEST(test_sizes) {
    enum { ROWS = 8, N = 1000 };
    static double walk[ROWS * N], noise[ROWS * N], same[ROWS * N], count[ROWS * N];
    uint64_t seed = 3;
    for (size_t r = 0; r < ROWS; r++) {
        double scale = exp2((double)r * 3 - 12), x = scale;
        for (size_t i = 0; i < N; i++) {
            x += 0.01 * scale * random_unit(&seed);
            walk[r * N + i] = (double)(float)x;
            noise[r * N + i] = (double)(float)(scale * exp(random_unit(&seed)));
            same[r * N + i] = 0.1;
            count[r * N + i] = (double)i;
        }
    }
    ck_assert_uint_le(assert_back(walk, ROWS, N), ROWS * N * 26 / 10);
    ck_assert_uint_le(assert_back(noise, ROWS, N), ROWS * N * 34 / 10);
    ck_assert_uint_eq(assert_back(same, ROWS, N), 12);
    ck_assert_uint_le(assert_back(count, ROWS, N), ROWS * N * 15 / 10);
}
END_TEST

// -- segments ------------------------------------------------------------------------------------

static bool read_memory(void *context, size_t block, size_t offset, size_t size, void *to) {
    struct packed *p = context;
    size_t start = block ? p->ends[block - 1] : 0;
    if (block >= p->n_blocks || offset + size > p->ends[block] - start) {
        return false;
    }
    memcpy(to, p->blocks.data + start + offset, size);
    return true;
}

// Steps of a few shapes; returns the packed segment.
static void pack_steps(struct packed *p, uint64_t *seed, size_t n, size_t layers) {
    struct builder *b = builder_create(SEGMENT_STEPS, 0);
    struct step s;
    step_init(&s);
    for (size_t i = 0; i < n; i++) {
        random_step(&s, seed, layers, (int64_t)(i * i), VALUES_ANY_BITS);
        ck_assert(builder_add_step(b, &s));
    }
    packed_init(p);
    ck_assert(builder_pack(b, codec, p));
    step_free(&s);
    builder_destroy(b);
}

// Reads all of it. False when something in it is damaged.
static bool read_all(struct packed *p, const void *head, size_t size) {
    struct segment s;
    if (segment_parse(&s, head, size)) {
        return false;
    }
    double *values = malloc((SEGMENT_N_MAX + SEGMENT_CHUNK_VALUES) * sizeof *values);
    bool good = true;
    for (size_t i = 0; i < s.n_columns; i++) {
        for (size_t k = 0; k < s.columns[i].n_chunks; k++) {
            good = segment_read_chunk(&s, &s.columns[i], k, codec, read_memory, p, values) && good;
        }
    }
    free(values);
    segment_free(&s);
    return good;
}

START_TEST(test_a_segment_that_is_damaged) {
    uint64_t seed = 7;
    struct packed p;
    pack_steps(&p, &seed, 40, 3);
    ck_assert(read_all(&p, p.head.data, p.head.len));
    for (size_t n = 0; n < p.head.len; n++) {
        char *cut = exact_copy(p.head.data, n);
        ck_assert(!read_all(&p, cut, n));
        free(cut);
    }
    for (size_t i = 0; i < p.blocks.len; i += 1 + p.blocks.len / 3000) {
        char was = p.blocks.data[i];
        p.blocks.data[i] = (char)(was ^ (1 << random_below(&seed, 8)));
        ck_assert(!read_all(&p, p.head.data, p.head.len));
        p.blocks.data[i] = was;
    }
    ck_assert(read_all(&p, p.head.data, p.head.len));
    packed_free(&p);
}
END_TEST

START_TEST(test_a_head_of_any_bits) {
    uint64_t seed = 8;
    struct packed p;
    pack_steps(&p, &seed, 20, 2);
    for (int i = 0; i < 3000; i++) {
        char *copy = exact_copy(p.head.data, p.head.len);
        size_t at = random_below(&seed, p.head.len);
        copy[at] = (char)(copy[at] ^ (1 << random_below(&seed, 8)));
        ck_assert(!read_all(&p, copy, p.head.len));
        free(copy);
    }
    packed_free(&p);
}
END_TEST

START_TEST(test_what_does_not_fit) {
    struct builder *b = builder_create(SEGMENT_STEPS, 0);
    struct step s;
    step_init(&s);
    step_clear(&s, 3);
    s.step = 4;
    ck_assert(builder_add_step(b, &s));
    step_clear(&s, 2); // another number of layers
    ck_assert(!builder_add_step(b, &s));
    ck_assert_uint_eq(builder_n(b), 1);
    step_clear(&s, 3);
    ck_assert(step_add_column(&s, STAT_W_VAR, NULL, 0) != NULL);
    memset(s.columns[0].values, 0, 3 * sizeof(double));
    s.step = 9;
    ck_assert(builder_add_step(b, &s));
    ck_assert_int_eq(builder_step(b, 1), 9);
    struct packed p;
    packed_init(&p);
    ck_assert(builder_pack(b, codec, &p));
    struct segment seg;
    ck_assert_int_eq(segment_parse(&seg, p.head.data, p.head.len), 0);
    ck_assert_uint_eq(seg.n, 2);
    ck_assert_uint_eq(seg.shapes[seg.shape_of[0]][0], 0);
    ck_assert_uint_eq(seg.shapes[seg.shape_of[1]][0], 1);
    const struct segment_column *c =
        segment_find(&seg, &(struct column_key){.kind = COLUMN_STATISTIC, .id = STAT_W_VAR});
    double values[6];
    ck_assert_ptr_nonnull(c);
    ck_assert(segment_read_chunk(&seg, c, 0, codec, read_memory, &p, values));
    ck_assert(num_is_missing(values[0]) && num_is_missing(values[2]));
    ASSERT_SAME_BITS(values[1], 0.0);
    segment_free(&seg);
    packed_free(&p);
    step_free(&s);
    builder_destroy(b);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        test_special_values,       test_any_values,       test_sizes,
        test_noise_of_either_sign, test_damaged_chunks,   test_a_segment_that_is_damaged,
        test_a_head_of_any_bits,   test_what_does_not_fit};
    Suite *suite = suite_create("codec");
    TCase *cases = tcase_create("codec");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_set_timeout(cases, 120);
    for (size_t i = 0; i < COUNT(tests); i++) {
        tcase_add_test(cases, tests[i]);
    }
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
