/* SPDX-License-Identifier: MIT */
#include "daemon/mailbox.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    pthread_mutex_t lock; /* of head and tail */
    struct mail *head;
    struct mail **tail;
    int fd;
    struct event *event;
    mailbox_woken_cb woken;
    void *owner;
};

static struct mail *take_all(struct mailbox *mailbox)
{
    struct mail *all;

    pthread_mutex_lock(&mailbox->lock);
    all = mailbox->head;
    mailbox->head = NULL;
    mailbox->tail = &mailbox->head;
    pthread_mutex_unlock(&mailbox->lock);
    return all;
}

static void deliver_all(struct mailbox *mailbox, void *owner)
{
    struct mail *mail = take_all(mailbox);

    while (mail != NULL) {
        struct mail *next = mail->next;

        mail->deliver(mail, owner);
        mail = next;
    }
}

static void callback_woken(evutil_socket_t fd, short what, void *arg)
{
    struct mailbox *mailbox = arg;
    uint64_t count;

    (void)what;
    /* Read before the mail is taken: a post in between only wakes us up once more. */
    if (read(fd, &count, sizeof(count)) < 0) {
        /* Only EAGAIN is possible, and means the same. */
    }
    deliver_all(mailbox, mailbox->owner);
    if (mailbox->woken != NULL) {
        mailbox->woken(mailbox->owner);
    }
}

struct mailbox *mailbox_new(struct event_base *base, mailbox_woken_cb woken, void *owner)
{
    struct mailbox *mailbox = calloc(1, sizeof(*mailbox));

    if (mailbox == NULL) {
        return NULL;
    }
    mailbox->tail = &mailbox->head;
    mailbox->woken = woken;
    mailbox->owner = owner;
    pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mailbox->fd < 0) {
        goto fail;
    }
    mailbox->event = event_new(base, mailbox->fd, EV_READ | EV_PERSIST, callback_woken, mailbox);
    if (mailbox->event == NULL || event_add(mailbox->event, NULL) != 0) {
        goto fail;
    }
    return mailbox;

fail:
    mailbox_free(mailbox);
    return NULL;
}

void mailbox_free(struct mailbox *mailbox)
{
    if (mailbox == NULL) {
        return;
    }
    deliver_all(mailbox, NULL);
    if (mailbox->event != NULL) {
        event_free(mailbox->event);
    }
    if (mailbox->fd >= 0) {
        close(mailbox->fd);
    }
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox);
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
    bool was_empty;

    mail->next = NULL;
    pthread_mutex_lock(&mailbox->lock);
    was_empty = mailbox->head == NULL;
    *mailbox->tail = mail;
    mailbox->tail = &mail->next;
    pthread_mutex_unlock(&mailbox->lock);
    if (was_empty) {
        mailbox_poke(mailbox);
    }
}

void mailbox_poke(struct mailbox *mailbox)
{
    const uint64_t one = 1;

    if (write(mailbox->fd, &one, sizeof(one)) < 0) {
        /* EAGAIN: the counter is at its end, so a wake-up is due anyway. */
    }
}
