/* SPDX-License-Identifier: MIT */
#include "single.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"

#define OUT_MAX (4u << 20)

typedef unsigned long long ull;

/* ---- text ---- */

__attribute__((format(printf, 3, 4))) static void say(char *text, size_t size, const char *format,
                                                      ...)
{
    size_t fill = strlen(text);
    va_list args;

    if (fill > 0 && fill + 1 < size) {
        text[fill++] = ' ';
        text[fill] = '\0';
    }
    va_start(args, format);
    vsnprintf(text + fill, size - fill, format, args);
    va_end(args);
}

#define SAY(...) say(s->said, sizeof s->said, __VA_ARGS__)

static void tell_hello(struct single *s, const uint8_t *payload, size_t len)
{
    struct braid_hello hello;
    const char *kind = "join";

    MUST(braid_wire_read_hello(payload, len, &hello) == 0);
    MUST(hello.session == PAIR_ID);
    if (hello.flags != 0)
        kind = hello.flags == BRAID_HELLO_CREATE ? "create" : "reply";
    SAY("HELLO %u %s %llu/%llu", hello.subflow, kind, (ull)hello.ack, (ull)hello.limit);
    if (hello.status != 0)
        SAY("status %u", hello.status);
}

static void tell_ack(struct single *s, const uint8_t *payload, size_t len)
{
    struct braid_ack ack;

    MUST(braid_wire_read_ack(payload, len, &ack) == 0);
    SAY("ACK %llu/%llu", (ull)ack.ack, (ull)ack.limit);
    for (unsigned i = 0; i < ack.count; i++)
        SAY("%u:%llu", ack.counts[i].subflow, (ull)ack.counts[i].bytes);
}

static void tell_code(struct single *s, const char *name, const uint8_t *payload, size_t len)
{
    uint16_t code;

    MUST(braid_wire_read_code(payload, len, &code) == 0);
    SAY("%s %u", name, code);
}

static void tell_data(struct single *s, uint8_t flags, const uint8_t *payload, size_t len)
{
    struct braid_reader r = {payload, len, false};
    uint64_t offset = braid_read_u64(&r);

    MUST(pair_same(PAIR_LOCAL, offset, r.at, r.left));
    SAY("%s %llu+%zu", flags == 0 ? "DATA" : "AGAIN", (ull)offset, r.left);
}

static void tell_frame(struct single *s, struct single_flow *flow, const uint8_t *frame, size_t len)
{
    const uint8_t *payload = frame + BRAID_FRAME_HEAD;
    uint64_t value;
    uint32_t held;

    switch ((enum braid_frame_type)frame[0]) {
    case BRAID_FRAME_HELLO:
        tell_hello(s, payload, len);
        break;
    case BRAID_FRAME_DATA:
        tell_data(s, frame[1], payload, len);
        break;
    case BRAID_FRAME_ACK:
        tell_ack(s, payload, len);
        break;
    case BRAID_FRAME_PING:
        MUST(braid_wire_read_ping(payload, len, &flow->ping) == 0);
        SAY("PING");
        break;
    case BRAID_FRAME_PONG:
        MUST(braid_wire_read_pong(payload, len, &value, &held) == 0);
        SAY("PONG %llu+%u", (ull)value, held);
        break;
    case BRAID_FRAME_FIN:
        MUST(braid_wire_read_fin(payload, len, &value) == 0);
        SAY("FIN %llu", (ull)value);
        break;
    case BRAID_FRAME_RESET:
        tell_code(s, "RESET", payload, len);
        break;
    case BRAID_FRAME_CLOSE:
        tell_code(s, "CLOSE", payload, len);
        break;
    case BRAID_FRAME_CONNECT_RESULT:
        tell_code(s, "RESULT", payload, len);
        break;
    case BRAID_FRAME_SUBFLOW_CLOSE:
        MUST(len == 4);
        SAY("GONE %u:%u", payload[0] << 8 | payload[1], payload[2] << 8 | payload[3]);
        break;
    default:
        SAY("TYPE %u", frame[0]);
        break;
    }
}

const char *single_said(struct single *s, unsigned i)
{
    struct single_flow *flow = &s->flow[i];
    size_t at = 0;

    s->said[0] = '\0';
    if (!flow->greeted && s->config.role == BRAID_LOCAL && flow->out_len >= BRAID_PREAMBLE_SIZE) {
        struct braid_preamble preamble;

        MUST(braid_wire_read_preamble(flow->out, &preamble) == 0);
        MUST(preamble.session == PAIR_ID && preamble.security == 0 && preamble.flags == 0);
        flow->greeted = true;
        at = BRAID_PREAMBLE_SIZE;
    }
    while (flow->out_len - at >= BRAID_FRAME_HEAD) {
        const uint8_t *frame = flow->out + at;
        size_t len = (size_t)frame[2] << 8 | frame[3];

        if (flow->out_len - at < BRAID_FRAME_HEAD + len)
            break;
        tell_frame(s, flow, frame, len);
        at += BRAID_FRAME_HEAD + len;
    }
    flow->out_len -= at;
    memmove(flow->out, flow->out + at, flow->out_len);
    return s->said;
}

/* ---- actions ---- */

static void act(struct single *s)
{
    static const char *const names[] = {"NONE", "ESTABLISHED", "RESULT", "READABLE", "WRITABLE",
                                        "EOF",  "DIAL",        "",       "CLOSED"};
    struct braid_action action;

    while (!s->closed && braid_session_next_action(s->session, &action)) {
        if (action.type == BRAID_ACTION_CLOSE_SUBFLOW) {
            struct single_flow *flow = action.user;

            MUST(flow->subflow == action.subflow);
            flow->subflow = NULL;
            say(s->acted, sizeof s->acted, "CLOSE_SUBFLOW %d:%d", (int)(flow - s->flow),
                action.error);
        } else if (action.type == BRAID_ACTION_RESULT || action.type == BRAID_ACTION_CLOSED) {
            say(s->acted, sizeof s->acted, "%s %d", names[action.type], action.error);
        } else {
            say(s->acted, sizeof s->acted, "%s", names[action.type]);
        }
        if (action.type == BRAID_ACTION_CLOSED) {
            s->closed = true;
            s->error = action.error;
        }
    }
}

const char *single_acted(struct single *s)
{
    static char text[sizeof s->acted];

    act(s);
    memcpy(text, s->acted, sizeof text);
    s->acted[0] = '\0';
    return text;
}

/* ---- life ---- */

void single_init(struct single *s, enum braid_role role)
{
    memset(s, 0, sizeof *s);
    s->pool = braid_pool_new(0);
    MUST(s->pool != NULL);
    s->now = SINGLE_START;
    s->config = (struct braid_session_config){
        .role = role,
        .id = PAIR_ID,
        .token = "0123456789abcde",
        .instance = 0x55,
        .seed = 0x5eed,
        .subflows = 4,
        .max_subflows = 4,
        .grace = 60000000,
        .window = 8u << 20,
    };
}

void single_open(struct single *s)
{
    s->session = braid_session_new(s->pool, &s->config, s->now);
    MUST(s->session != NULL);
}

void single_free(struct single *s)
{
    braid_session_free(s->session);
    for (int i = 0; i < SINGLE_FLOWS; i++)
        free(s->flow[i].out);
    MUST(braid_pool_used(s->pool) == 0);
    braid_pool_free(s->pool);
}

static void be_quiet(struct single *s, unsigned n)
{
    single_send(s);
    for (unsigned i = 0; i < n; i++)
        single_said(s, i);
    single_acted(s);
}

void single_local(struct single *s, unsigned n)
{
    single_init(s, BRAID_LOCAL);
    s->config.subflows = s->config.first = n;
    single_open(s);
    for (unsigned i = 0; i < n; i++)
        MUST(single_add(s, i) == 0);
    single_send(s);
    for (unsigned i = 0; i < n; i++)
        MUST(feed_hello(s, i, BRAID_OK, 0, 262144, SINGLE_INSTANCE) == 0);
    MUST(feed_code(s, 0, BRAID_FRAME_CONNECT_RESULT, BRAID_OK) == 0);
    be_quiet(s, n);
}

void single_remote(struct single *s, unsigned n)
{
    single_init(s, BRAID_REMOTE);
    single_open(s);
    for (unsigned i = 0; i < n; i++)
        MUST(single_add(s, i) == 0);
    braid_session_answer(s->session, BRAID_OK, s->now);
    be_quiet(s, n);
}

int single_join(struct single *s, unsigned i, const struct braid_hello *hello)
{
    struct single_flow *flow = &s->flow[i];
    int error;

    MUST(flow->subflow == NULL);
    flow->out_len = 0;
    flow->greeted = false;
    flow->index = hello->subflow;
    flow->subflow = braid_subflow_join(s->session, hello, flow, &error, s->now);
    MUST((flow->subflow == NULL) == (error != BRAID_OK));
    return error;
}

int single_add(struct single *s, unsigned i)
{
    struct single_flow *flow = &s->flow[i];
    struct braid_hello hello = {
        .max_version = 1,
        .subflow = s->next_index,
        .flags = BRAID_HELLO_CREATE,
        .session = PAIR_ID,
        .token = "0123456789abcde",
        .limit = 262144,
        .instance = SINGLE_INSTANCE,
    };

    s->next_index++;
    if (s->config.role == BRAID_REMOTE)
        return single_join(s, i, &hello);
    MUST(flow->subflow == NULL);
    flow->out_len = 0;
    flow->greeted = false;
    flow->index = hello.subflow;
    flow->subflow = braid_subflow_add(s->session, 0, flow, s->now);
    if (flow->subflow == NULL)
        s->next_index--;
    return flow->subflow != NULL ? 0 : -1;
}

void single_lose(struct single *s, unsigned i)
{
    MUST(s->flow[i].subflow != NULL);
    braid_subflow_lost(s->flow[i].subflow, BRAID_ERR_SUBFLOW_LOST, s->now);
    s->flow[i].subflow = NULL;
}

/* ---- the application ---- */

size_t single_write(struct single *s, size_t n)
{
    struct iovec v[8];
    int count = braid_session_reserve(s->session, v, 8);
    size_t done = 0;

    for (int i = 0; i < count && done < n; i++) {
        size_t part = v[i].iov_len < n - done ? v[i].iov_len : n - done;

        pair_fill(PAIR_LOCAL, s->committed + done, v[i].iov_base, part);
        done += part;
    }
    if (count > 0)
        braid_session_commit(s->session, done, s->now);
    s->committed += done;
    return done;
}

size_t single_read(struct single *s, size_t n)
{
    struct iovec v[64];
    int count = braid_session_peek(s->session, v, 64);
    size_t done = 0;

    for (int i = 0; i < count && done < n; i++) {
        size_t part = v[i].iov_len < n - done ? v[i].iov_len : n - done;

        MUST(pair_same(PAIR_REMOTE, s->drained + done, v[i].iov_base, part));
        done += part;
    }
    braid_session_drain(s->session, done, s->now);
    s->drained += done;
    return done;
}

/* ---- what it says ---- */

bool single_send_some(struct single *s, size_t n, int pieces)
{
    struct braid_subflow *subflow = braid_session_next_sender(s->session, s->now);
    struct single_flow *flow;
    struct iovec v[64];
    size_t total = 0;
    int count;

    if (subflow == NULL)
        return false;
    flow = braid_subflow_user(subflow);
    MUST(flow->subflow == subflow);
    if (flow->out == NULL)
        flow->out = malloc(OUT_MAX);
    MUST(flow->out != NULL);
    count = braid_subflow_pull(subflow, v, pieces, s->now);
    MUST(count <= pieces);
    for (int i = 0; i < count && total < n; i++) {
        size_t part = v[i].iov_len < n - total ? v[i].iov_len : n - total;

        MUST(flow->out_len + part <= OUT_MAX);
        memcpy(flow->out + flow->out_len, v[i].iov_base, part);
        flow->out_len += part;
        total += part;
    }
    braid_subflow_pulled(subflow, total, s->now);
    return true;
}

void single_send(struct single *s)
{
    int turns = 0;

    while (single_send_some(s, SIZE_MAX, 64))
        MUST(turns++ < 10000);
}

void single_sleep(struct single *s, uint64_t microseconds)
{
    s->now += microseconds;
    braid_session_on_time(s->session, s->now);
    MUST(braid_session_deadline(s->session) > s->now);
}

/* ---- what it is told ---- */

int single_feed(struct single *s, unsigned i, const void *bytes, size_t len)
{
    struct braid_chunk *chunk = braid_chunk_new(s->pool, 1);

    MUST(chunk != NULL && len <= chunk->size && s->flow[i].subflow != NULL);
    memcpy(chunk->data, bytes, len);
    chunk->fill = (uint32_t)len;
    s->feed_error = braid_subflow_feed(s->flow[i].subflow, chunk, 0, (uint32_t)len, s->now);
    braid_chunk_unref(chunk);
    return s->feed_error;
}

static uint8_t frame[70000];

static struct braid_writer begin(void)
{
    return (struct braid_writer){frame, sizeof frame, false};
}

static int end(struct single *s, unsigned i, const struct braid_writer *w)
{
    MUST(!w->failed);
    return single_feed(s, i, frame, sizeof frame - w->left);
}

int feed_hello(struct single *s, unsigned i, int status, uint64_t ack, uint64_t limit,
               uint64_t instance)
{
    struct braid_writer w = begin();
    struct braid_hello hello = {
        .max_version = 1,
        .subflow = s->flow[i].index,
        .flags = BRAID_HELLO_REPLY,
        .session = PAIR_ID,
        .ack = ack,
        .limit = limit,
        .instance = instance,
        .status = (uint16_t)status,
    };

    braid_wire_write_hello(&w, &hello, 0);
    return end(s, i, &w);
}

int feed_data(struct single *s, unsigned i, uint64_t offset, uint32_t len, uint8_t flags)
{
    struct braid_writer w = begin();
    uint8_t head[12];

    braid_wire_write_data_head(head, offset, len, flags);
    braid_write_bytes(&w, head, sizeof head);
    for (uint32_t k = 0; k < len; k++)
        braid_write_uint(&w, pair_byte(PAIR_REMOTE, offset + k), 1);
    return end(s, i, &w);
}

int feed_ack(struct single *s, unsigned i, uint64_t ack, uint64_t limit, unsigned count,
             const uint64_t *pairs)
{
    struct braid_writer w = begin();
    struct braid_ack out = {.ack = ack, .limit = limit, .count = count};

    for (unsigned k = 0; k < count; k++)
        out.counts[k] = (struct braid_ack_count){(uint16_t)pairs[2 * k], pairs[2 * k + 1]};
    braid_wire_write_ack(&w, &out);
    return end(s, i, &w);
}

int feed_fin(struct single *s, unsigned i, uint64_t final)
{
    struct braid_writer w = begin();

    braid_wire_write_fin(&w, final);
    return end(s, i, &w);
}

int feed_code(struct single *s, unsigned i, enum braid_frame_type type, int code)
{
    struct braid_writer w = begin();

    braid_wire_write_code(&w, (uint8_t)type, (uint16_t)code, "");
    return end(s, i, &w);
}

int feed_subflow_close(struct single *s, unsigned i, unsigned subflow, int code)
{
    struct braid_writer w = begin();

    braid_wire_write_subflow_close(&w, (uint16_t)subflow, (uint16_t)code);
    return end(s, i, &w);
}

int feed_ping(struct single *s, unsigned i, uint64_t time)
{
    struct braid_writer w = begin();

    braid_wire_write_ping(&w, time);
    return end(s, i, &w);
}

int feed_pong(struct single *s, unsigned i, uint64_t time, uint32_t held)
{
    struct braid_writer w = begin();

    braid_wire_write_pong(&w, time, held);
    return end(s, i, &w);
}
