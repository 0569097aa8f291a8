/* SPDX-License-Identifier: MIT */
#include "transport_tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>

/* Of what the peer sends, so much is read at once, and memory for it kept while a record is cut. */
#define READ_AHEAD 65536u

/*
 * AES-GCM is good for 2^24.5 full records with one key (RFC 8446, 5.5); OpenSSL does not count
 * them.
 */
#define RECORDS_MAX (1u << 22)

/* Of a piece, so much is worth a record of its own: cheaper than to fill one up with copies. */
#define RECORD_DIRECT 12288u

/* ---- the socket ---- */

/* Keeps bytes that the socket has no room for; false: out of memory. */
static bool hold(struct braid_tls *tls, const uint8_t *bytes, size_t len)
{
    uint8_t *grown;

    if (tls->held_at > 0) {
        memmove(tls->held, tls->held + tls->held_at, tls->held_len);
        tls->held_at = 0;
    }
    grown = realloc(tls->held, tls->held_len + len);
    if (grown == NULL)
        return false;
    tls->held = grown;
    memcpy(tls->held + tls->held_len, bytes, len);
    tls->held_len += len;
    return true;
}

/* Writes what the socket takes; returns how much, or -1 with errno. */
static ssize_t send_some(const struct braid_tls *tls, const uint8_t *bytes, size_t len, int flags)
{
    ssize_t n;

    do
        n = send(tls->fd, bytes, len, MSG_NOSIGNAL | flags);
    while (n < 0 && errno == EINTR);
    return n < 0 && errno == EAGAIN ? 0 : n;
}

/* Writes bytes or holds them; -1: the connection is lost, errno says why. */
static int send_or_hold(struct braid_tls *tls, const uint8_t *bytes, size_t len, int flags)
{
    ssize_t n = 0;

    if (tls->held_len == 0 && len > 0)
        n = send_some(tls, bytes, len, flags);
    if (n < 0)
        return -1;
    if ((size_t)n < len && !hold(tls, bytes + n, len - (size_t)n)) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

/* The same of what is in the scratch. */
static int send_out(struct braid_tls *tls, int flags)
{
    size_t len = tls->scratch->fill;

    tls->scratch->fill = 0;
    return send_or_hold(tls, tls->scratch->out, len, flags);
}

/*
 * OpenSSL's writing end. It never blocks: what there is no room for is kept. What is small waits
 * for more, a whole record goes straight from OpenSSL's buffer into the socket's; TCP is told
 * whether another follows in the same write, so that it sends them together.
 */
static int on_bio_write(BIO *bio, const char *bytes, int len)
{
    struct braid_tls *tls = BIO_get_data(bio);
    struct braid_tls_scratch *scratch = tls->scratch;
    size_t n = (size_t)len;
    int result = 0;

    BIO_clear_retry_flags(bio);
    if (scratch->fill + n > sizeof scratch->out)
        result = send_out(tls, MSG_MORE);
    if (n > sizeof scratch->out) {
        if (result == 0)
            result = send_or_hold(tls, (const uint8_t *)bytes, n, tls->more ? MSG_MORE : 0);
    } else {
        memcpy(scratch->out + scratch->fill, bytes, n);
        scratch->fill += n;
    }
    if (result == 0)
        return len;
    tls->error = errno;
    return -1;
}

/* Its reading end: straight from the socket, until that has given less than it was asked for. */
static int on_bio_read(BIO *bio, char *bytes, int len)
{
    struct braid_tls *tls = BIO_get_data(bio);
    ssize_t n = -1;

    BIO_clear_retry_flags(bio);
    errno = EAGAIN;
    if (!tls->dry) {
        do
            n = recv(tls->fd, bytes, (size_t)len, 0);
        while (n < 0 && errno == EINTR);
    }
    tls->dry = n < len;
    if (n < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    else if (n < 0)
        tls->error = errno;
    tls->eof = n == 0;
    if (n > 0 && tls->accepting && !tls->established &&
        !braid_gate_pass(&tls->gate, (const uint8_t *)bytes, (size_t)n)) {
        tls->error = EPROTO;
        return -1;
    }
    return (int)n;
}

static long on_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    const struct braid_tls *tls = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return tls->eof;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method;

static void make_bio_method(void)
{
    int type = BIO_get_new_index();

    bio_method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "braid");
    if (bio_method == NULL)
        return;
    BIO_meth_set_write(bio_method, on_bio_write);
    BIO_meth_set_read(bio_method, on_bio_read);
    BIO_meth_set_ctrl(bio_method, on_bio_ctrl);
}

static BIO *bio_new(struct braid_tls *tls)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *bio;

    pthread_once(&once, make_bio_method);
    bio = bio_method != NULL ? BIO_new(bio_method) : NULL;
    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
}

/* ---- errors ---- */

/* Before each use of OpenSSL, whose errors would be mistaken for new ones. */
static void begin(struct braid_tls *tls)
{
    ERR_clear_error();
    tls->dry = false;
}

static const char closed_early[] =
    "the peer closed it during the handshake: is the same security set at both ends?";

/* What OpenSSL has found wrong, in words. */
static const char *reason_of(const struct braid_tls *tls)
{
    unsigned long error = ERR_peek_error();
    const char *text = ERR_reason_error_string(error);

    if (tls->established)
        return tls->eof ? "it was cut off: there was no close_notify" : text;
    if (tls->gate.shut)
        return "it is no ClientHello that it says in clear, or a second one, or one of over 8 KiB";
    if (tls->peer.stranger)
        return "it has shown a key that is not accepted here";
    if (tls->eof)
        return closed_early;
    switch (ERR_GET_REASON(error)) {
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "the peer refused the handshake: it does not accept this key";
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl));
    case SSL_R_WRONG_VERSION_NUMBER:
        return "there is no TLS behind the preamble";
    default:
        return text;
    }
}

/* Something has failed for good: all that follows fails with that errno. */
static ssize_t fail(struct braid_transport *transport, int number, const char *why)
{
    struct braid_tls *tls = transport->tls;

    if (!tls->established && (number == ECONNRESET || number == EPIPE)) {
        tls->eof = true;
        number = EPROTO;
        why = closed_early;
    }
    tls->error = number;
    transport->why = why != NULL ? why : "TLS failed";
    errno = number;
    return -1;
}

/* Whether something has; sets errno. */
static bool has_failed(const struct braid_tls *tls)
{
    if (tls->error != 0)
        errno = tls->error;
    return tls->error != 0;
}

/* OpenSSL has returned something other than success: 0 at the end, or -1 with errno. */
static ssize_t judge(struct braid_transport *transport, int result)
{
    struct braid_tls *tls = transport->tls;

    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        tls->ended = true;
        return 0;
    case SSL_ERROR_SYSCALL:
        return fail(transport, tls->error != 0 ? tls->error : EPROTO, reason_of(tls));
    default:
        return fail(transport, EPROTO, reason_of(tls));
    }
}

/* ---- operations ---- */

static int tls_flush(struct braid_transport *transport)
{
    struct braid_tls *tls = transport->tls;

    if (has_failed(tls))
        return -1;
    while (tls->held_len > 0) {
        ssize_t n = send_some(tls, tls->held + tls->held_at, tls->held_len, 0);

        if (n < 0)
            return (int)fail(transport, errno, NULL);
        if (n == 0) {
            transport->backlog = true;
            errno = EAGAIN;
            return -1;
        }
        tls->held_at += (size_t)n;
        tls->held_len -= (size_t)n;
    }
    free(tls->held);
    tls->held = NULL;
    tls->held_at = 0;
    transport->backlog = false;
    if (tls->ending)
        (void)shutdown(tls->fd, SHUT_WR);
    return 0;
}

/* Writes what OpenSSL has made; -1: the connection is lost. */
static int finish(struct braid_transport *transport)
{
    struct braid_tls *tls = transport->tls;
    int result = send_out(tls, 0);

    transport->backlog = tls->held_len > 0;
    return result == 0 ? 0 : (int)fail(transport, errno, NULL);
}

/* From the handshake's small steps to long reads. */
static int establish(struct braid_transport *transport)
{
    struct braid_tls *tls = transport->tls;
    const char *why;

    if (!braid_credentials_verify(tls->credentials, tls->ssl, &tls->peer, &why))
        return (int)fail(transport, EPROTO, why);
    tls->established = true;
    braid_credentials_unref(tls->credentials);
    tls->credentials = NULL;
    SSL_set_read_ahead(tls->ssl, 1);
    SSL_set_default_read_buffer_len(tls->ssl, READ_AHEAD);
    return 0;
}

static int tls_handshake(struct braid_transport *transport)
{
    struct braid_tls *tls = transport->tls;
    ssize_t judged = 0;
    int result, number;

    if (tls->established)
        return 0;
    if (has_failed(tls))
        return -1;
    begin(tls);
    result = SSL_do_handshake(tls->ssl);
    if (result != 1)
        judged = judge(transport, result);
    number = errno;
    if (finish(transport) != 0) /* an alert goes out too */
        return -1;
    if (result == 1)
        return establish(transport);
    errno = number;
    return judged == 0 ? (int)fail(transport, EPROTO, "the peer ended the handshake") : -1;
}

/* Reads into one piece, until it is full or there is no more; returns as read(2). */
static ssize_t read_piece(struct braid_transport *transport, const struct iovec *v, size_t *filled)
{
    struct braid_tls *tls = transport->tls;

    for (*filled = 0; *filled < v->iov_len;) {
        size_t n;
        int result =
            SSL_read_ex(tls->ssl, (uint8_t *)v->iov_base + *filled, v->iov_len - *filled, &n);

        if (result != 1)
            return judge(transport, result);
        *filled += n;
    }
    return 1;
}

static ssize_t tls_read(struct braid_transport *transport, const struct iovec *v, int count)
{
    struct braid_tls *tls = transport->tls;
    bool ahead = transport->more;
    size_t total = 0;
    ssize_t result = 1;
    int number;

    transport->more = false;
    if (tls->ssl == NULL)
        return recv(tls->fd, v[0].iov_base, v[0].iov_len, 0);
    if (tls->ended)
        return 0;
    if (has_failed(tls))
        return -1;
    begin(tls);
    tls->dry = ahead; /* the socket has its turn again when it says so */
    for (int i = 0; i < count && result > 0; i++) {
        size_t filled;

        result = read_piece(transport, &v[i], &filled);
        total += filled;
    }
    number = errno;
    if (tls->scratch->fill > 0 && finish(transport) != 0) /* an alert, or an answer to a new key */
        return -1;
    errno = number;
    if (total == 0)
        return result;
    /* The end or a failure is told next time. */
    transport->more = result > 0 ? SSL_has_pending(tls->ssl) == 1 : tls->ended || tls->error != 0;
    return (ssize_t)total;
}

/* What a write has yet to carry. */
struct source {
    const struct iovec *v;
    int count;
    size_t offset; /* into the first of them */
};

/* Takes at most max bytes of the first piece; returns how many. */
static size_t take(struct source *source, size_t max, const uint8_t **bytes)
{
    size_t left = source->v->iov_len - source->offset;
    size_t n = left < max ? left : max;

    *bytes = (const uint8_t *)source->v->iov_base + source->offset;
    source->offset += n;
    if (n == left) {
        source->v++;
        source->count--;
        source->offset = 0;
    }
    return n;
}

/*
 * Takes the next record's payload: out of one piece where that has enough, else copied together.
 * Returns its length, 0: there is no more.
 */
static size_t next_record(struct source *source, uint8_t *copy, const uint8_t **record)
{
    size_t fill = 0;

    if (source->count > 0 && source->v->iov_len - source->offset >= RECORD_DIRECT)
        return take(source, BRAID_TLS_RECORD, record);
    *record = copy;
    while (source->count > 0 && fill < BRAID_TLS_RECORD) {
        const uint8_t *bytes;
        size_t n = take(source, BRAID_TLS_RECORD - fill, &bytes);

        memcpy(copy + fill, bytes, n);
        fill += n;
    }
    return fill;
}

/* Makes one record; 0, or -1 with errno. */
static int encrypt(struct braid_transport *transport, const uint8_t *record, size_t len)
{
    struct braid_tls *tls = transport->tls;
    size_t written;
    int result;

    if (++tls->records >= tls->records_max) {
        tls->records = 0;
        (void)SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED); /* only said here */
    }
    result = SSL_write_ex(tls->ssl, record, len, &written);
    if (result == 1)
        return 0;
    if (judge(transport, result) == 0 || errno == EAGAIN) /* neither can be */
        (void)fail(transport, EPROTO, "TLS does not write");
    return -1;
}

/*
 * Records that went out before one failed have been written, and the peer may have read them: the
 * failure is told by the flush or whatever comes next, as a socket does.
 */
static ssize_t tls_write(struct braid_transport *transport, const struct iovec *v, int count)
{
    struct braid_tls *tls = transport->tls;
    struct source source = {v, count, 0};
    const uint8_t *record;
    size_t total = 0, len;

    if (tls_flush(transport) != 0)
        return -1;
    begin(tls);
    while (tls->held_len == 0 && (len = next_record(&source, tls->scratch->record, &record)) > 0) {
        tls->more = source.count > 0;
        if (encrypt(transport, record, len) != 0)
            break;
        total += len;
    }
    if (tls->error == 0 && finish(transport) == 0)
        return (ssize_t)total;
    transport->backlog = true;
    errno = tls->error;
    return total > 0 ? (ssize_t)total : -1;
}

static void tls_shutdown(struct braid_transport *transport)
{
    struct braid_tls *tls = transport->tls;

    if (tls->ssl == NULL)
        return;
    if (tls->established && tls->error == 0) {
        begin(tls);
        (void)SSL_shutdown(tls->ssl);
        (void)finish(transport);
    }
    SSL_free(tls->ssl);
    tls->ssl = NULL;
    tls->ending = true;
    (void)tls_flush(transport);
}

static void tls_close(struct braid_transport *transport)
{
    struct braid_tls *tls = transport->tls;

    SSL_free(tls->ssl);
    braid_credentials_unref(tls->credentials);
    close(tls->fd);
    free(tls->held);
    free(tls);
    transport->tls = NULL;
    transport->fd = -1;
}

static const struct braid_transport_ops tls_ops = {
    .handshake = tls_handshake,
    .read = tls_read,
    .write = tls_write,
    .flush = tls_flush,
    .shutdown = tls_shutdown,
    .close = tls_close,
};

/* ---- life ---- */

static bool start(struct braid_transport *transport, struct braid_tls_scratch *scratch,
                  struct braid_credentials *credentials, bool accepting)
{
    struct braid_tls *tls = calloc(1, sizeof *tls);
    BIO *bio;

    if (tls == NULL)
        return false;
    tls->fd = transport->fd;
    tls->scratch = scratch;
    tls->accepting = accepting;
    tls->records_max = RECORDS_MAX;
    tls->ssl = braid_credentials_start(credentials, accepting, &tls->peer);
    bio = tls->ssl != NULL ? bio_new(tls) : NULL;
    if (bio == NULL) {
        SSL_free(tls->ssl);
        free(tls);
        return false;
    }
    SSL_set_bio(tls->ssl, bio, bio);
    tls->credentials = braid_credentials_ref(credentials);
    transport->ops = &tls_ops;
    transport->tls = tls;
    return true;
}

bool braid_transport_tls_accept(struct braid_transport *transport,
                                struct braid_tls_scratch *scratch,
                                struct braid_credentials *credentials)
{
    return start(transport, scratch, credentials, true);
}

bool braid_transport_tls_connect(struct braid_transport *transport,
                                 struct braid_tls_scratch *scratch,
                                 struct braid_credentials *credentials, const uint8_t *preamble,
                                 size_t len)
{
    if (!start(transport, scratch, credentials, false))
        return false;
    memcpy(scratch->out, preamble, len); /* goes with the first flight */
    scratch->fill = len;
    (void)tls_handshake(transport);
    return true;
}

void braid_transport_move(struct braid_transport *transport, struct braid_tls_scratch *scratch)
{
    if (transport->tls != NULL)
        transport->tls->scratch = scratch;
}

const struct braid_identity *braid_transport_identity(const struct braid_transport *transport)
{
    static const struct braid_identity anybody;

    return transport->tls != NULL ? &transport->tls->peer.identity : &anybody;
}
