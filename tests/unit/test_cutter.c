// Cutting a connection's bytes into messages, however they come.
#include "tests/unit/support/support.h"
#include "wire/cutter.h"
#include "wire/frame.h"

#define MAX 200

static struct buf stream;   // what the connection brings
static struct buf expected; // what is cut from it, as text
static struct buf got;

static void set_up(void) {
    stream = new_buf();
    expected = new_buf();
    got = new_buf();
}

static void tear_down(void) {
    buf_free(&stream);
    buf_free(&expected);
    buf_free(&got);
}

static void note(struct buf *to, enum cut cut, const char *bytes, size_t n) {
    buf_printf(to, "%d:%zu:", (int)cut, n);
    buf_put(to, bytes, n);
}

static void add_line(const char *text, const char *end) {
    note(&expected, CUT_LINE, text, strlen(text));
    buf_puts(&stream, text);
    buf_puts(&stream, end);
}

// A frame of n bytes in all; its content looks like lines and frames.
static void add_frame(size_t n) {
    char frame[MAX + 1] = {(char)FRAME_MAGIC, FRAME_VERSION};
    uint32_t following = (uint32_t)(n - FRAME_HEADER_BYTES);
    for (size_t i = 8; i < n; i++) {
        frame[i] = i % 3 ? '\n' : (char)FRAME_MAGIC;
    }
    memcpy(frame + 4, &following, sizeof following);
    note(&expected, CUT_FRAME, frame, n);
    buf_put(&stream, frame, n);
}

// Feeds bytes of an allocation of exactly their size.
static enum cut feed(struct cutter *c, const char *bytes, size_t n) {
    char *exact = exact_copy(bytes, n);
    struct slice left = {exact, n}, message = {0};
    enum cut cut = CUT_MORE;
    while (left.len) {
        cut = cutter_next(c, &left, &message);
        if (cut == CUT_TOO_LARGE || cut == CUT_UNKNOWN_FRAME) {
            break;
        }
        if (cut != CUT_MORE) {
            note(&got, cut, message.text, message.len);
        }
    }
    free(exact);
    return cut;
}

static void assert_cut_well(void) {
    ck_assert_uint_eq(got.len, expected.len);
    ck_assert_mem_eq(got.data, expected.data, expected.len);
    buf_clear(&got);
}

static void add_everything(void) {
    add_line("{\"type\":\"hello\"}", "\n");
    add_frame(48);
    add_frame(FRAME_HEADER_BYTES);
    add_line("", "\n");
    add_line("crlf\r", "\n");
    add_frame(MAX);
    add_frame(17);
    add_line("{\"a\":\"\xA7\"}", "\n");
    add_frame(64);
}

START_TEST(test_whole) {
    struct cutter c;
    cutter_init(&c, MAX);
    add_everything();
    feed(&c, stream.data, stream.len);
    assert_cut_well();
    ck_assert_ptr_null(c.partial.data); // nothing was copied
    cutter_free(&c);
}
END_TEST

START_TEST(test_two_reads) {
    add_everything();
    for (size_t cut = 0; cut <= stream.len; cut++) {
        struct cutter c;
        cutter_init(&c, MAX);
        feed(&c, stream.data, cut);
        feed(&c, stream.data + cut, stream.len - cut);
        assert_cut_well();
        cutter_free(&c);
    }
}
END_TEST

START_TEST(test_reads_of_any_size) {
    uint64_t seed = 1;
    add_everything();
    for (size_t most = 1; most < 80; most++) {
        struct cutter c;
        cutter_init(&c, MAX);
        for (size_t at = 0; at < stream.len;) {
            size_t n = 1 + random_below(&seed, most);
            n = n < stream.len - at ? n : stream.len - at;
            feed(&c, stream.data + at, n);
            at += n;
        }
        assert_cut_well();
        cutter_free(&c);
    }
}
END_TEST

static enum cut verdict(const char *bytes, size_t n, size_t first) {
    struct cutter c;
    cutter_init(&c, MAX);
    enum cut cut = feed(&c, bytes, first);
    if (cut == CUT_MORE && first < n) {
        cut = feed(&c, bytes + first, n - first);
    }
    cutter_free(&c);
    return cut;
}

// Judged by the header, before the rest of the frame has come; by the byte too many in a line.
START_TEST(test_refused) {
    char large[MAX + 2] = {0}, line[MAX + 2];
    memset(line, 'x', sizeof line);
    memcpy(large, "\xA7\x01\0\0\xB9\0\0\0", 8); // 185 + 16: one too many
    char other[FRAME_HEADER_BYTES] = "\xA7\x02";
    for (size_t first = 0; first <= FRAME_HEADER_BYTES; first++) {
        ck_assert_int_eq(verdict(large, FRAME_HEADER_BYTES, first), CUT_TOO_LARGE);
        ck_assert_int_eq(verdict(other, FRAME_HEADER_BYTES, first), CUT_UNKNOWN_FRAME);
    }
    large[4]--;
    ck_assert_int_eq(verdict(large, FRAME_HEADER_BYTES, 3), CUT_MORE);
    memcpy(large, "\xA7\x01\0\0\xff\xff\xff\xff", 8);
    ck_assert_int_eq(verdict(large, FRAME_HEADER_BYTES, 3), CUT_TOO_LARGE);
    for (size_t first = 0; first <= MAX; first++) {
        ck_assert_int_eq(verdict(line, MAX + 1, first), CUT_TOO_LARGE);
        ck_assert_int_eq(verdict(line, MAX, first), CUT_MORE);
    }
    line[MAX + 1] = '\n';
    ck_assert_int_eq(verdict(line, MAX + 2, MAX + 2), CUT_TOO_LARGE);
    line[MAX] = '\n';
    ck_assert_int_eq(verdict(line, MAX + 1, 7), CUT_LINE);
}
END_TEST

// A long message does not leave its memory with the connection for ever.
START_TEST(test_memory) {
    struct cutter c;
    cutter_init(&c, 1 << 20);
    char *line = calloc(1, 300000);
    ck_assert_ptr_nonnull(line);
    memset(line, 'x', 299999);
    line[299999] = '\n';
    feed(&c, line, 100);
    feed(&c, line + 100, 299900);
    ck_assert_uint_gt(c.partial.cap, 299999);
    feed(&c, "y", 1);
    ck_assert_uint_lt(c.partial.cap, 1000);
    ck_assert_uint_eq(c.partial.len, 1);
    free(line);
    cutter_free(&c);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {test_whole, test_two_reads, test_reads_of_any_size, test_refused,
                                  test_memory};
    Suite *suite = suite_create("cutter");
    TCase *cases = tcase_create("cutter");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    for (size_t i = 0; i < COUNT(tests); i++) {
        tcase_add_test(cases, tests[i]);
    }
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
