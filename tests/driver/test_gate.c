/* SPDX-License-Identifier: MIT */
/* What a TLS client may say in clear, cut into pieces of any size. */
#include <check.h>
#include <string.h>

#include "event/gate.h"
#include "world.h"

/* A record's header, and a message's: type, length. */
#define RECORD(type, length) type, 3, 1, (length) >> 8, (length)&0xff
#define MESSAGE(type, length) type, 0, (length) >> 8, (length)&0xff

enum { ALERT = 21, HANDSHAKE = 22, DATA = 23, CCS = 20, HELLO = 1, FINISHED = 20 };

/* What is said: bytes, and how many more that have no meaning. */
struct script {
    const char *name;
    bool allowed;
    struct {
        uint8_t bytes[9];
        uint8_t count;
        uint16_t more;
    } parts[4];
};

static const struct script scripts[] = {
    {"a hello", true, {{{RECORD(HANDSHAKE, 240), MESSAGE(HELLO, 236)}, 9, 236}}},
    {"the longest", true, {{{RECORD(HANDSHAKE, 8192), MESSAGE(HELLO, 8188)}, 9, 8188}}},
    {"and what follows it",
     true,
     {{{RECORD(HANDSHAKE, 240), MESSAGE(HELLO, 236)}, 9, 236},
      {{RECORD(CCS, 1)}, 5, 1},
      {{RECORD(DATA, 16640)}, 5, 16640},
      {{RECORD(ALERT, 2)}, 5, 2}}},
    {"too long", false, {{{RECORD(HANDSHAKE, 8193)}, 5, 0}}},
    {"a part of one", false, {{{RECORD(HANDSHAKE, 240), MESSAGE(HELLO, 237)}, 9, 0}}},
    {"more than one", false, {{{RECORD(HANDSHAKE, 240), MESSAGE(HELLO, 200)}, 9, 0}}},
    {"not even a header", false, {{{RECORD(HANDSHAKE, 3)}, 5, 0}}},
    {"another message", false, {{{RECORD(HANDSHAKE, 36), MESSAGE(FINISHED, 32)}, 9, 0}}},
    {"a second hello",
     false,
     {{{RECORD(HANDSHAKE, 240), MESSAGE(HELLO, 236)}, 9, 236}, {{RECORD(HANDSHAKE, 240)}, 5, 0}}},
    {"a late hello that is too long",
     false,
     {{{RECORD(CCS, 1)}, 5, 1}, {{RECORD(HANDSHAKE, 9000)}, 5, 0}}},
};

static uint8_t said[40000];

static size_t write_down(const struct script *script)
{
    size_t n = 0;

    for (unsigned i = 0; i < 4; i++) {
        memcpy(said + n, script->parts[i].bytes, script->parts[i].count);
        n += script->parts[i].count;
        memset(said + n, HANDSHAKE, script->parts[i].more); /* as misleading as it gets */
        n += script->parts[i].more;
    }
    return n;
}

/* How much passes, in pieces of one size. */
static size_t passes(size_t n, size_t piece)
{
    struct braid_gate gate = {.fill = 0};
    size_t done = 0;

    while (done < n) {
        size_t len = n - done < piece ? n - done : piece;

        if (!braid_gate_pass(&gate, said + done, len)) {
            ck_assert(!braid_gate_pass(&gate, said, 1)); /* it stays shut */
            return done;
        }
        done += len;
    }
    return done;
}

START_TEST(says)
{
    const struct script *script = &scripts[_i];
    size_t n = write_down(script);

    ck_assert_int_eq(passes(n, 1) == n, script->allowed);
    if (!script->allowed)
        ck_assert_msg(passes(n, 1) == n - 1, "%s: not before the last byte", script->name);
    for (size_t piece = 2; piece < 20; piece++)
        ck_assert_msg((passes(n, piece) == n) == script->allowed, "%s in %zu", script->name, piece);
    ck_assert_int_eq(passes(n, n) == n, script->allowed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate");
    TCase *cases = tcase_create("gate");

    tcase_add_loop_test(cases, says, 0, sizeof scripts / sizeof scripts[0]);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
