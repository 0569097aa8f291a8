/* SPDX-License-Identifier: MIT */
#include "route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attribute.h"
#include "path.h"
#include "sockopt.h"

#define ATTRIBUTES_MAX 128 /* bytes: two addresses and a number */

struct request {
    struct nlmsghdr header;
    struct rtmsg route;
    char attributes[ATTRIBUTES_MAX];
};

/* The bytes of an address without family and port, and how many they are; NULL: it has none. */
static const void *host_of(const struct sockaddr *sa, size_t *size)
{
    switch (sa->sa_family) {
    case AF_INET:
        *size = sizeof(struct in_addr);
        return &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
    case AF_INET6:
        *size = sizeof(struct in6_addr);
        return &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    default:
        return NULL;
    }
}

static void add_attribute(struct request *request, unsigned short type, const void *data,
                          size_t size)
{
    size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
    struct rtattr attribute = {.rta_len = (unsigned short)RTA_LENGTH(size), .rta_type = type};

    memcpy((char *)request + at, &attribute, sizeof attribute);
    memcpy((char *)request + at + RTA_LENGTH(0), data, size);
    request->header.nlmsg_len = (unsigned)(at + RTA_LENGTH(size));
}

/* Keeps an address that came as an attribute. */
static void take_host(union braid_endpoint *endpoint, int family, const struct rtattr *attribute)
{
    const void *data = RTA_DATA(attribute);
    size_t size = RTA_PAYLOAD(attribute);

    memset(endpoint, 0, sizeof *endpoint);
    if (family == AF_INET && size == sizeof endpoint->in.sin_addr)
        memcpy(&endpoint->in.sin_addr, data, size);
    else if (family == AF_INET6 && size == sizeof endpoint->in6.sin6_addr)
        memcpy(&endpoint->in6.sin6_addr, data, size);
    else
        return;
    endpoint->family = (sa_family_t)family;
}

static void take_route(struct braid_route_answer *answer, const struct nlmsghdr *header)
{
    const struct rtmsg *route = NLMSG_DATA(header);
    struct braid_attributes left = {.at = RTM_RTA(route), .left = RTM_PAYLOAD(header)};
    const struct rtattr *attribute;

    while ((attribute = braid_attribute_next(&left)) != NULL) {
        if (attribute->rta_type == RTA_OIF && RTA_PAYLOAD(attribute) == sizeof(int))
            memcpy(&answer->interface, RTA_DATA(attribute), sizeof answer->interface);
        else if (attribute->rta_type == RTA_PREFSRC)
            take_host(&answer->source, route->rtm_family, attribute);
        else if (attribute->rta_type == RTA_GATEWAY)
            take_host(&answer->gateway, route->rtm_family, attribute);
    }
}

/* One message there and one back. */
static int exchange(const struct request *request, struct braid_route_answer *answer)
{
    union {
        struct nlmsghdr header;
        char bytes[4096];
    } reply;
    const struct nlmsgerr *error = NLMSG_DATA(&reply.header);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    int number = 0;
    ssize_t n = -1;

    if (fd < 0)
        return errno;
    if (send(fd, request, request->header.nlmsg_len, 0) >= 0)
        n = recv(fd, &reply, sizeof reply, 0);
    if (n < 0)
        number = errno;
    close(fd);
    if (n < 0)
        return number;
    if (!NLMSG_OK(&reply.header, (size_t)n))
        return EPROTO;
    if (reply.header.nlmsg_type == NLMSG_ERROR)
        return error->error == 0 ? EPROTO : -error->error;
    if (reply.header.nlmsg_type != RTM_NEWROUTE)
        return EPROTO;
    take_route(answer, &reply.header);
    return 0;
}

/* matched: the route as it stands in the table, if there is one; else the way that results. */
static int ask(const struct braid_route_question *question, bool matched,
               struct braid_route_answer *answer)
{
    struct request request = {
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof request.route),
                   .nlmsg_type = RTM_GETROUTE,
                   .nlmsg_flags = NLM_F_REQUEST},
        .route = {.rtm_family = (unsigned char)question->target->sa_family,
                  .rtm_flags = matched ? RTM_F_FIB_MATCH : 0},
    };
    const void *host;
    size_t size = 0;

    memset(answer, 0, sizeof *answer);
    host = host_of(question->target, &size);
    if (host == NULL)
        return EAFNOSUPPORT;
    request.route.rtm_dst_len = (unsigned char)(size * 8);
    add_attribute(&request, RTA_DST, host, size);
    if (question->source.family != AF_UNSPEC) {
        if (question->source.family != question->target->sa_family)
            return EAFNOSUPPORT;
        host = host_of(&question->source.sa, &size);
        request.route.rtm_src_len = (unsigned char)(size * 8);
        add_attribute(&request, RTA_SRC, host, size);
    }
    if (question->interface != 0)
        add_attribute(&request, RTA_OIF, &question->interface, sizeof question->interface);
    return exchange(&request, answer);
}

int braid_route_ask(const struct braid_route_question *question, struct braid_route_answer *answer)
{
    int number;

    /* To an interface without a route, IPv4 answers that everything is on the link. */
    if (question->interface != 0 && question->target->sa_family == AF_INET) {
        number = ask(question, true, answer);
        if (number != 0)
            return number;
    }
    return ask(question, false, answer);
}

bool braid_route_link_runs(unsigned interface)
{
    struct ifreq request = {.ifr_ifindex = 0};
    bool runs;
    int fd;

    if (if_indextoname(interface, request.ifr_name) == NULL)
        return false;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true; /* nothing is known against it */
    runs = ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0 &&
           (request.ifr_flags & IFF_RUNNING) != 0;
    close(fd);
    return runs;
}

/* Whether sockets may be bound to interfaces here. */
static bool device_is_granted(const char *interface)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool granted;

    if (fd < 0)
        return true;
    granted = braid_sockopt_device(fd, interface) != EPERM;
    close(fd);
    return granted;
}

/* The kernel takes a source that is no address of this machine for a mistake in the question. */
static int ask_from(const struct braid_route_question *question, struct braid_route_answer *answer)
{
    int number = braid_route_ask(question, answer);

    if (number == EINVAL && question->source.family != AF_UNSPEC)
        return EADDRNOTAVAIL;
    return number;
}

int braid_route_of_path(const struct braid_path *path, const struct sockaddr *target, bool bound,
                        struct braid_route_answer *answer)
{
    struct braid_route_question question = {.target = target, .source = path->source};
    unsigned interface = 0;

    if (target->sa_family == AF_UNIX)
        return EAFNOSUPPORT;
    if (path->interface[0] != '\0') {
        interface = if_nametoindex(path->interface);
        if (interface == 0)
            return ENODEV;
        if (bound && device_is_granted(path->interface))
            question.interface = interface;
        else if (path->source.family == AF_UNSPEC &&
                 !braid_path_interface_address(path->interface, target, &question.source))
            return EADDRNOTAVAIL;
    }
    return ask_from(&question, answer);
}

/* ---- public ---- */

static void write_host(const union braid_endpoint *endpoint, char *text, size_t size)
{
    size_t unused;
    const void *host = host_of(&endpoint->sa, &unused);

    *text = '\0';
    if (host != NULL)
        (void)inet_ntop(endpoint->family, host, text, (socklen_t)size);
}

int braid_path_get_route(const struct braid_path *path, const struct braid_address *remote,
                         bool bound, struct braid_route *route)
{
    struct braid_route_answer answer;
    int number;

    memset(route, 0, sizeof *route);
    if (remote->kind != BRAID_ADDRESS_NUMERIC)
        return EAFNOSUPPORT;
    number = braid_route_of_path(path, (const struct sockaddr *)(const void *)&remote->sa, bound,
                                 &answer);
    if (number != 0)
        return number;
    (void)if_indextoname(answer.interface, route->interface);
    write_host(&answer.source, route->source, sizeof route->source);
    write_host(&answer.gateway, route->gateway, sizeof route->gateway);
    return 0;
}
