/* SPDX-License-Identifier: MIT */
/*
 * News of the machine: what messages of the kernel's mean, real ones in a network namespace of the
 * test's own, and a machine that was asleep.
 */
#include <arpa/inet.h>
#include <check.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>

#include "event/clock.h"
#include "event/netlink.h"
#include "world.h"

#define SECOND BRAID_SECOND

/* One message of the kernel's, put together by hand. */
static union {
    struct nlmsghdr header;
    char bytes[256];
} message;

static struct braid_news news;

static void begin(unsigned short type, const void *body, size_t size)
{
    memset(&message, 0, sizeof message);
    message.header.nlmsg_type = type;
    message.header.nlmsg_len = (unsigned)NLMSG_LENGTH(size);
    memcpy(NLMSG_DATA(&message.header), body, size);
}

static void add(unsigned short type, int family, const char *address)
{
    size_t at = NLMSG_ALIGN(message.header.nlmsg_len);
    size_t size = family == AF_INET ? 4 : 16;
    struct rtattr *attribute = (struct rtattr *)(void *)(message.bytes + at);

    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(size);
    ck_assert_int_eq(inet_pton(family, address, RTA_DATA(attribute)), 1);
    message.header.nlmsg_len = (unsigned)(at + RTA_LENGTH(size));
}

static void take(void)
{
    memset(&news, 0, sizeof news);
    braid_netlink_read(&news, &message, message.header.nlmsg_len);
}

START_TEST(addresses_come_and_go)
{
    struct ifaddrmsg body = {.ifa_family = AF_INET, .ifa_prefixlen = 24};
    char text[INET6_ADDRSTRLEN];

    begin(RTM_NEWADDR, &body, sizeof body);
    add(IFA_LOCAL, AF_INET, "192.0.2.7");
    take();
    ck_assert(news.better && !news.worse && news.gone_count == 0);

    begin(RTM_DELADDR, &body, sizeof body);
    add(IFA_ADDRESS, AF_INET, "192.0.2.1"); /* the other end's, when IFA_LOCAL is there too */
    add(IFA_LOCAL, AF_INET, "192.0.2.7");
    take();
    ck_assert(!news.better && news.worse);
    ck_assert_uint_eq(news.gone_count, 1);
    ck_assert_int_eq(news.gone[0].family, AF_INET);
    ck_assert_str_eq(inet_ntop(AF_INET, &news.gone[0].in.sin_addr, text, sizeof text), "192.0.2.7");

    body.ifa_family = AF_INET6;
    begin(RTM_DELADDR, &body, sizeof body);
    add(IFA_ADDRESS, AF_INET6, "2001:db8::7");
    take();
    ck_assert_uint_eq(news.gone_count, 1);
    ck_assert_int_eq(news.gone[0].family, AF_INET6);
    ck_assert_str_eq(inet_ntop(AF_INET6, &news.gone[0].in6.sin6_addr, text, sizeof text),
                     "2001:db8::7");

    /* Renewed, as far as the batch tells. */
    begin(RTM_NEWADDR, &body, sizeof body);
    add(IFA_ADDRESS, AF_INET6, "2001:db8::8");
    braid_netlink_read(&news, &message, message.header.nlmsg_len);
    ck_assert_uint_eq(news.gone_count, 1);
    begin(RTM_NEWADDR, &body, sizeof body);
    add(IFA_ADDRESS, AF_INET6, "2001:db8::7");
    braid_netlink_read(&news, &message, message.header.nlmsg_len);
    ck_assert_uint_eq(news.gone_count, 0);

    body.ifa_flags = IFA_F_TENTATIVE;
    begin(RTM_NEWADDR, &body, sizeof body);
    take();
    ck_assert(!news.better && !news.worse);
}
END_TEST

static const struct {
    unsigned short type;
    unsigned flags;
    bool better, worse;
} others[] = {
    {RTM_NEWLINK, IFF_UP | IFF_RUNNING, true, false},
    {RTM_NEWLINK, IFF_UP, false, true},
    {RTM_NEWLINK, 0, false, true},
    {RTM_DELLINK, 0, false, true},
    {RTM_NEWROUTE, 0, true, true},
    {RTM_DELROUTE, 0, false, true},
    {RTM_NEWNEIGH, 0, false, false},
    {NLMSG_DONE, 0, false, false},
};

START_TEST(links_and_routes_come_and_go)
{
    struct ifinfomsg body = {.ifi_flags = others[_i].flags};

    begin(others[_i].type, &body, sizeof body);
    take();
    ck_assert_int_eq(news.better, others[_i].better);
    ck_assert_int_eq(news.worse, others[_i].worse);
    ck_assert_uint_eq(news.gone_count, 0);
}
END_TEST

/* What is cut off or lies about its length is passed over. */
START_TEST(broken_messages_are_passed_over)
{
    struct ifaddrmsg body = {.ifa_family = AF_INET};
    unsigned whole;

    begin(RTM_DELADDR, &body, sizeof body);
    add(IFA_LOCAL, AF_INET, "192.0.2.7");
    whole = message.header.nlmsg_len;
    for (unsigned size = 0; size < whole; size++) {
        memset(&news, 0, sizeof news);
        braid_netlink_read(&news, &message, size);
        ck_assert(!news.worse && news.gone_count == 0);
        message.header.nlmsg_len = size;
        memset(&news, 0, sizeof news);
        braid_netlink_read(&news, &message, size);
        ck_assert_uint_eq(news.gone_count, 0);
        message.header.nlmsg_len = whole;
    }
}
END_TEST

START_TEST(sleep_is_noticed)
{
    struct braid_netlink netlink = {.asleep = 0};

    memset(&news, 0, sizeof news);
    braid_netlink_compare(&netlink, &news, 104 * SECOND, 100 * SECOND);
    ck_assert(!news.better && !news.worse); /* 4 s */
    braid_netlink_compare(&netlink, &news, 205 * SECOND, 200 * SECOND);
    ck_assert(!news.better && !news.worse); /* 1 s more */
    braid_netlink_compare(&netlink, &news, 500 * SECOND, 210 * SECOND);
    ck_assert(news.better && news.worse && news.slept);
    memset(&news, 0, sizeof news);
    braid_netlink_compare(&netlink, &news, 900 * SECOND, 610 * SECOND);
    ck_assert(!news.better && !news.worse);
}
END_TEST

static unsigned told;

static void on_news(const struct braid_news *some, void *arg)
{
    told++;
    news.better |= some->better;
    news.worse |= some->worse;
    news.gone_count += some->gone_count;
    (void)arg;
}

static void set_loopback(bool up)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    request.ifr_flags = up ? IFF_UP | IFF_RUNNING : 0;
    ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

/* Runs the loop until there was news, or for a second. */
static void wait_for_news(struct event_base *base)
{
    struct timeval soon = {.tv_usec = 20000};

    told = 0;
    memset(&news, 0, sizeof news);
    for (int i = 0; i < 50 && told == 0; i++) {
        event_base_loopexit(base, &soon);
        event_base_dispatch(base);
    }
}

START_TEST(the_kernel_tells)
{
    struct event_base *base = event_base_new();
    struct braid_netlink netlink = {.open = false};
    struct rlimit old, none;

    if (unshare(CLONE_NEWNET) != 0) {
        printf("skipped: no network namespace can be made here\n");
        event_base_free(base);
        return;
    }
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    braid_netlink_start(&netlink, base, on_news, NULL); /* there is no descriptor for it */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    braid_netlink_start(&netlink, base, on_news, NULL);
    wait_for_news(base);
    ck_assert_uint_eq(told, 0);
    set_loopback(true);
    wait_for_news(base);
    ck_assert(told > 0 && news.better);
    wait_for_news(base); /* what came in the burst */
    set_loopback(false);
    wait_for_news(base);
    ck_assert(told > 0 && news.worse);

    /* What happens while it is stopped is not told. */
    braid_netlink_stop(&netlink);
    set_loopback(true);
    wait_for_news(base);
    ck_assert_uint_eq(told, 0);
    braid_netlink_start(&netlink, base, on_news, NULL);
    wait_for_news(base);
    ck_assert_uint_eq(told, 0);
    braid_netlink_close(&netlink);
    ck_assert_int_eq(event_base_dispatch(base), 1); /* nothing keeps the loop */
    event_base_free(base);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("netlink");
    TCase *tc = tcase_create("netlink");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, addresses_come_and_go);
    tcase_add_loop_test(tc, links_and_routes_come_and_go, 0, (int)(sizeof others / sizeof *others));
    tcase_add_test(tc, broken_messages_are_passed_over);
    tcase_add_test(tc, sleep_is_noticed);
    tcase_add_test(tc, the_kernel_tells);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
