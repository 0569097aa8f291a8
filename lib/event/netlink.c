/* SPDX-License-Identifier: MIT */
#include "netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "attribute.h"
#include "clock.h"

#define BURST_TIME (50 * BRAID_MILLISECOND)
#define SLEEP_MIN ((int64_t)(5 * BRAID_SECOND))
#define BUFFER 16384

/* ---- messages ---- */

/* The address that a message is about; of the family AF_UNSPEC where it says none. */
static union braid_endpoint address_of(const struct nlmsghdr *header)
{
    const struct ifaddrmsg *message = NLMSG_DATA(header);
    struct braid_attributes left = {.at = IFA_RTA(message), .left = IFA_PAYLOAD(header)};
    const struct rtattr *attribute;
    union braid_endpoint address;

    memset(&address, 0, sizeof address);
    while ((attribute = braid_attribute_next(&left)) != NULL) {
        size_t size = RTA_PAYLOAD(attribute);

        /* On a point-to-point link IFA_ADDRESS is the other end's, and IFA_LOCAL ours. */
        if (attribute->rta_type != IFA_LOCAL &&
            (attribute->rta_type != IFA_ADDRESS || address.family != AF_UNSPEC))
            continue;
        if (message->ifa_family == AF_INET && size == sizeof address.in.sin_addr)
            memcpy(&address.in.sin_addr, RTA_DATA(attribute), size);
        else if (message->ifa_family == AF_INET6 && size == sizeof address.in6.sin6_addr)
            memcpy(&address.in6.sin6_addr, RTA_DATA(attribute), size);
        else
            continue;
        address.family = message->ifa_family;
    }
    return address;
}

/* Notes an address that is gone. More than can be noted are found out by their silence. */
static void take_gone(struct braid_news *news, const struct nlmsghdr *header)
{
    union braid_endpoint address = address_of(header);

    if (address.family != AF_UNSPEC && news->gone_count < BRAID_NEWS_ADDRESSES)
        news->gone[news->gone_count++] = address;
}

/* An address that went and came again within a batch was only renewed. */
static void take_come(struct braid_news *news, const struct nlmsghdr *header)
{
    union braid_endpoint address = address_of(header);

    for (unsigned i = 0; i < news->gone_count; i++) {
        if (!braid_endpoint_same_host(&news->gone[i], &address))
            continue;
        news->gone[i] = news->gone[--news->gone_count];
        return;
    }
}

/* An address that is still tentative is of no use before it comes again. */
static bool is_usable(const struct nlmsghdr *header)
{
    const struct ifaddrmsg *message = NLMSG_DATA(header);

    return (message->ifa_flags & IFA_F_TENTATIVE) == 0;
}

static bool is_running(const struct nlmsghdr *header)
{
    const struct ifinfomsg *message = NLMSG_DATA(header);

    return (message->ifi_flags & IFF_UP) != 0 && (message->ifi_flags & IFF_RUNNING) != 0;
}

static void take_message(struct braid_news *news, const struct nlmsghdr *header)
{
    switch (header->nlmsg_type) {
    case RTM_NEWADDR:
        news->better |= is_usable(header);
        take_come(news, header);
        break;
    case RTM_DELADDR:
        take_gone(news, header);
        news->worse = true;
        break;
    case RTM_NEWROUTE: /* it may be worse than the one it stands before */
        news->better = news->worse = true;
        break;
    case RTM_NEWLINK:
        if (is_running(header))
            news->better = true;
        else
            news->worse = true;
        break;
    case RTM_DELROUTE:
    case RTM_DELLINK:
        news->worse = true;
        break;
    default:
        break;
    }
}

/* How long a message must be for what is looked at in it. */
static size_t least_size(const struct nlmsghdr *header)
{
    switch (header->nlmsg_type) {
    case RTM_NEWADDR:
    case RTM_DELADDR:
        return NLMSG_LENGTH(sizeof(struct ifaddrmsg));
    case RTM_NEWLINK:
    case RTM_DELLINK:
        return NLMSG_LENGTH(sizeof(struct ifinfomsg));
    default:
        return NLMSG_LENGTH(0);
    }
}

void braid_netlink_read(struct braid_news *news, const void *messages, size_t size)
{
    const struct nlmsghdr *header = messages;
    size_t step;

    while (size >= sizeof *header && header->nlmsg_len >= sizeof *header &&
           header->nlmsg_len <= size) {
        if (header->nlmsg_len >= least_size(header))
            take_message(news, header);
        step = NLMSG_ALIGN(header->nlmsg_len);
        if (step >= size)
            return;
        size -= step;
        header = (const struct nlmsghdr *)(const void *)((const char *)header + step);
    }
}

/* ---- clocks ---- */

static uint64_t read_clock(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * BRAID_SECOND + (uint64_t)ts.tv_nsec / 1000;
}

void braid_netlink_compare(struct braid_netlink *netlink, struct braid_news *news,
                           uint64_t boottime, uint64_t monotonic)
{
    int64_t asleep = (int64_t)(boottime - monotonic);

    if (asleep - netlink->asleep > SLEEP_MIN)
        news->slept = news->better = news->worse = true;
    netlink->asleep = asleep;
}

/* The kernel cancels such a timer when the clock is set, which waking up does. */
static void arm_clock(struct braid_netlink *netlink)
{
    const struct itimerspec far = {.it_value = {.tv_sec = (time_t)1 << 40}};

    (void)timerfd_settime(netlink->clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far,
                          NULL);
}

/* ---- events ---- */

/* Reads what there is. A buffer that has run over hides anything. */
static void collect(struct braid_netlink *netlink, struct braid_news *news)
{
    union {
        struct nlmsghdr header;
        char bytes[BUFFER];
    } buffer;
    ssize_t n;

    while ((n = recv(netlink->fd, &buffer, sizeof buffer, MSG_DONTWAIT | MSG_TRUNC)) > 0 ||
           (n < 0 && (errno == ENOBUFS || errno == EINTR))) {
        if (n > 0 && (size_t)n <= sizeof buffer)
            braid_netlink_read(news, &buffer, (size_t)n);
        else
            news->better = news->worse = true;
    }
}

static void tell(struct braid_netlink *netlink)
{
    struct braid_news news;

    memset(&news, 0, sizeof news);
    if (netlink->fd >= 0)
        collect(netlink, &news);
    braid_netlink_compare(netlink, &news, read_clock(CLOCK_BOOTTIME), read_clock(CLOCK_MONOTONIC));
    if (news.better || news.worse)
        netlink->cb(&news, netlink->arg);
}

static void on_news(evutil_socket_t fd, short what, void *arg)
{
    struct timeval burst = braid_timeval(BURST_TIME);
    struct braid_netlink *netlink = arg;

    (void)fd;
    (void)what;
    if (event_add(&netlink->pause, &burst) == 0)
        event_del(&netlink->readable);
    tell(netlink);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    struct braid_netlink *netlink = arg;

    (void)fd;
    (void)what;
    event_add(&netlink->readable, NULL);
}

static void on_clock_set(evutil_socket_t fd, short what, void *arg)
{
    struct braid_netlink *netlink = arg;
    uint64_t count;

    (void)what;
    (void)!read(fd, &count, sizeof count);
    arm_clock(netlink);
    tell(netlink);
}

/* ---- life ---- */

static int open_socket(void)
{
    struct sockaddr_nl address = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR |
                     RTMGRP_IPV6_ROUTE,
    };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Opens what is not yet: there may have been no descriptor for it. */
static void open_missing(struct braid_netlink *netlink, struct event_base *base)
{
    if (!netlink->open) {
        netlink->open = true;
        netlink->fd = netlink->clock_fd = -1;
        evtimer_assign(&netlink->pause, base, on_pause_over, netlink);
    }
    if (netlink->fd < 0) {
        netlink->fd = open_socket();
        event_assign(&netlink->readable, base, netlink->fd, EV_READ | EV_PERSIST, on_news, netlink);
    }
    if (netlink->clock_fd < 0) {
        netlink->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        event_assign(&netlink->clock, base, netlink->clock_fd, EV_READ | EV_PERSIST, on_clock_set,
                     netlink);
    }
}

void braid_netlink_start(struct braid_netlink *netlink, struct event_base *base, braid_news_cb cb,
                         void *arg)
{
    bool begins = !netlink->running;
    bool no_news = begins || netlink->fd < 0;
    bool no_clock = begins || netlink->clock_fd < 0;
    struct braid_news old = {.better = false};

    if (!no_news && !no_clock)
        return;
    open_missing(netlink, base);
    netlink->running = true;
    netlink->cb = cb;
    netlink->arg = arg;
    if (no_news && netlink->fd >= 0) {
        collect(netlink, &old); /* what nobody was interested in */
        event_add(&netlink->readable, NULL);
    }
    if (no_clock && netlink->clock_fd >= 0) {
        arm_clock(netlink);
        event_add(&netlink->clock, NULL);
    }
    if (begins)
        braid_netlink_compare(netlink, &old, read_clock(CLOCK_BOOTTIME),
                              read_clock(CLOCK_MONOTONIC));
}

void braid_netlink_stop(struct braid_netlink *netlink)
{
    if (!netlink->running)
        return;
    netlink->running = false;
    event_del(&netlink->readable);
    event_del(&netlink->pause);
    event_del(&netlink->clock);
}

void braid_netlink_close(struct braid_netlink *netlink)
{
    braid_netlink_stop(netlink);
    if (!netlink->open)
        return;
    netlink->open = false;
    if (netlink->fd >= 0)
        close(netlink->fd);
    if (netlink->clock_fd >= 0)
        close(netlink->clock_fd);
}
