/* SPDX-License-Identifier: MIT */
#include "daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/log.h"

void privileges_begin(bool secrets)
{
    static const struct rlimit none = {0, 0};

    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
    /* A core may go through a pipe, whatever that limit. */
    if (secrets) {
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}

void privileges_give(const struct config *config, const char *path)
{
    const struct config_user *user = &config->user;

    if (user->name != NULL && geteuid() == 0 && lchown(path, user->uid, user->gid) != 0) {
        log_line(BRAID_LOG_WARNING, "%s cannot be given to user %s: %s", path, user->name,
                 strerror(errno));
    }
}

static int failed(const struct config *config, const char *what)
{
    log_line(BRAID_LOG_ERR, "%s: [braidd] user = %s: %s: %s", config->file, config->user.name, what,
             strerror(errno));
    return -1;
}

/* Whether root can be had again, which must not be. */
static bool is_reversible(void)
{
    return setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setresgid((gid_t)-1, 0, (gid_t)-1) == 0;
}

static int become(const struct config *config)
{
    const struct config_user *user = &config->user;

    if (geteuid() != 0) {
        if (getuid() == user->uid && geteuid() == user->uid) {
            return 0; /* as a service manager has seen to */
        }
        log_line(BRAID_LOG_ERR,
                 "%s: [braidd] user = %s: only root can become another user: start braidd as root "
                 "or as %s, or leave the key out",
                 config->file, user->name, user->name);
        return -1;
    }
    if (initgroups(user->name, user->gid) != 0) {
        return failed(config, "its groups");
    }
    if (setresgid(user->gid, user->gid, user->gid) != 0) {
        return failed(config, "its main group");
    }
    if (setresuid(user->uid, user->uid, user->uid) != 0) {
        return failed(config, "becoming it");
    }
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* fs.suid_dumpable has just taken its place */
    if (user->uid != 0 && user->gid != 0 && is_reversible()) {
        errno = EPERM;
        return failed(config, "the way back is open");
    }
    return 0;
}

/* The bounding set can only be had from those who may change it; the others never get any back. */
static void drop_bounding(void)
{
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
         capability++) {
        (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    static const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
    struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3];

    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    /* A service manager that leaves nothing to drop may well forbid the call, too. */
    if (syscall(SYS_capget, &header, held) == 0 && memcmp(held, none, sizeof(none)) == 0) {
        return 0;
    }
    if (syscall(SYS_capset, &header, none) != 0) {
        log_line(BRAID_LOG_ERR, "dropping capabilities: %s", strerror(errno));
        return -1;
    }
    return 0;
}

/* Says that a file, which was read before, could not be read again. NULL: there is none. */
static void check_readable(const struct config *config, const char *file)
{
    if (file != NULL && access(file, R_OK) != 0) {
        log_line(BRAID_LOG_WARNING, "user %s cannot read %s, so it cannot be reloaded: %s",
                 config->user.name, file, strerror(errno));
    }
}

static void check_reload(const struct config *config)
{
    check_readable(config, config->file);
    for (size_t i = 0; i < config->tunnel_count; i++) {
        const struct config_tunnel *tunnel = &config->tunnels[i];

        for (size_t k = 0; k < tunnel->key.count; k++) {
            check_readable(config, tunnel->key.at[k]);
        }
        check_readable(config, tunnel->certificate);
        check_readable(config, tunnel->private_key);
        check_readable(config, tunnel->ca);
    }
}

int privileges_drop(const struct config *config)
{
    drop_bounding();
    if (config->user.name != NULL && become(config) != 0) {
        return -1;
    }
    if (drop_capabilities() != 0) {
        return -1;
    }
    if (geteuid() == 0) {
        log_line(BRAID_LOG_WARNING, "running as root: set [braidd] user to a user of its own");
    } else if (config->user.name != NULL) {
        check_reload(config);
    }
    return 0;
}
