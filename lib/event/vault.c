/* SPDX-License-Identifier: MIT */
#include "vault.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <openssl/crypto.h>

#define FILE_MAX ((size_t)65536)

bool braid_vault_open(struct braid_vault *vault, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    *vault = (struct braid_vault){.size = (size + page - 1) / page * page};
    vault->memory =
        mmap(NULL, vault->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (vault->memory == MAP_FAILED) {
        vault->memory = NULL;
        return false;
    }
    vault->locked = mlock(vault->memory, vault->size) == 0;
    (void)madvise(vault->memory, vault->size, MADV_DONTDUMP);
    return true;
}

void braid_vault_close(struct braid_vault *vault)
{
    if (vault->memory == NULL)
        return;
    OPENSSL_cleanse(vault->memory, vault->size);
    (void)munmap(vault->memory, vault->size); /* which unlocks it too */
    vault->memory = NULL;
}

/*
 * Whether the group's bits of the mode are but the mask of an access list, as setfacl makes it and
 * systemd for credentials, that lets in nobody besides the owner of the file but us and owner.
 */
static bool is_listed(int fd, uid_t owner)
{
    struct {
        struct posix_acl_xattr_header header;
        struct posix_acl_xattr_entry entries[16];
    } acl;
    ssize_t len = fgetxattr(fd, "system.posix_acl_access", &acl, sizeof acl);
    size_t count;

    if (len <= (ssize_t)sizeof acl.header ||
        le32toh(acl.header.a_version) != POSIX_ACL_XATTR_VERSION)
        return false;
    count = ((size_t)len - sizeof acl.header) / sizeof *acl.entries;
    for (size_t i = 0; i < count; i++) {
        const struct posix_acl_xattr_entry *entry = &acl.entries[i];
        uint16_t tag = le16toh(entry->e_tag);
        uid_t id = le32toh(entry->e_id);

        if (tag == ACL_USER_OBJ || tag == ACL_MASK || le16toh(entry->e_perm) == 0)
            continue;
        if (tag != ACL_USER || (id != geteuid() && id != owner))
            return false;
    }
    return true;
}

/* What is wrong with a file as a place for a secret, and what to do; NULL: nothing. */
static const char *judge(int fd, const struct stat *st, uid_t owner, char *text, size_t size)
{
    if (!S_ISREG(st->st_mode))
        return "is not a regular file";
    if ((st->st_mode & 077) != 0 && ((st->st_mode & 07) != 0 || !is_listed(fd, owner))) {
        snprintf(text, size,
                 "is open to group or others (mode %04o); a secret wants chmod 600, and perhaps to "
                 "be replaced",
                 (unsigned)(st->st_mode & 07777));
        return text;
    }
    if (st->st_uid != 0 && st->st_uid != geteuid() && st->st_uid != owner) {
        snprintf(text, size,
                 "belongs to user %u; accepted: files of root, or of the user who reads them (%u)",
                 (unsigned)st->st_uid, (unsigned)geteuid());
        return text;
    }
    if ((size_t)st->st_size > FILE_MAX)
        return "is too large for a key; accepted: at most 65536 bytes";
    return NULL;
}

/* Reads to the end; -1: an error, or more than there is room for. */
static ssize_t read_all(int fd, char *memory, size_t room)
{
    size_t fill = 0;
    ssize_t n = 0;

    while (fill < room && (n = read(fd, memory + fill, room - fill)) != 0) {
        if (n < 0 && errno != EINTR)
            return -1;
        fill += n > 0 ? (size_t)n : 0;
    }
    if (fill == room)
        errno = EFBIG;
    return fill == room ? -1 : (ssize_t)fill;
}

bool braid_vault_read(struct braid_vault *vault, const char *file, uid_t owner, size_t *len,
                      char *why, size_t size)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* it may be a FIFO */
    const char *wrong;
    struct stat st;
    char text[160];
    ssize_t n;

    *vault = (struct braid_vault){.memory = NULL};
    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(text, sizeof text, "; it is user %u who reads it", (unsigned)geteuid());
        snprintf(why, size, "%s: cannot be opened: %s%s", file, strerrordesc_np(errno),
                 errno == EACCES ? text : "");
        if (fd >= 0)
            close(fd);
        return false;
    }
    wrong = judge(fd, &st, owner, text, sizeof text);
    if (wrong == NULL && !braid_vault_open(vault, (size_t)st.st_size + 2))
        wrong = "out of memory";
    if (wrong == NULL && (n = read_all(fd, vault->memory, (size_t)st.st_size + 1)) >= 0)
        *len = (size_t)n;
    else if (wrong == NULL)
        wrong = strerrordesc_np(errno);
    close(fd);
    if (wrong == NULL)
        return true;
    snprintf(why, size, "%s: %s", file, wrong);
    braid_vault_close(vault);
    return false;
}
